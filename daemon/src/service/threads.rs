//! Threads that the daemon cannot do without.

use std::io;
use std::thread::{self, JoinHandle};

use tracing::error;

/// Starts a thread without which the daemon is worth nothing: if it panics, the process ends, so that a supervisor
/// starts it again.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    struct EndOnPanic;
    impl Drop for EndOnPanic {
        fn drop(&mut self) {
            if thread::panicking() {
                error!("a thread that everything depends on has panicked");
                std::process::abort();
            }
        }
    }
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = EndOnPanic;
        work()
    })
}
