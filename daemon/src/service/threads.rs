//! Threads that the daemon cannot run without.

use std::io;
use std::thread::{self, JoinHandle};

use tracing::error;

/// Starts a thread that the daemon cannot run without: if it panics, the process aborts, so that the service manager restarts
/// it.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    struct EndOnPanic;
    impl Drop for EndOnPanic {
        fn drop(&mut self) {
            if thread::panicking() {
                error!("an essential thread has panicked");
                std::process::abort();
            }
        }
    }
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = EndOnPanic;
        work()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_panic_ends_the_process() {
        const IN_CHILD: &str = "UDPCHAT_TEST_PANIC";
        if std::env::var_os(IN_CHILD).is_some() {
            // Without the abort, the child passes this test.
            drop(spawn("panicking", || panic!("on purpose")).unwrap().join());
            return;
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "service::threads::tests::a_panic_ends_the_process"]).env(IN_CHILD, "1");
        let ended = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(ended.signal(), Some(nix::libc::SIGABRT), "{ended}");
    }
}
