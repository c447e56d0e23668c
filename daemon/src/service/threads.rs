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
