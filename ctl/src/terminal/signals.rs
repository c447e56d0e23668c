//! The signals that a full screen handles: those that end the program, and the one that continues it after a stop.

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// Handlers of the signals. They stay installed until the process ends.
pub(super) struct Signals {
    terminate: unix::Signal,
    hang_up: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    continued: unix::Signal,
}

/// What a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// To end the program.
    End,
    /// To continue after a stop: another program may have used the terminal.
    Continue,
}

impl Signals {
    /// Installs the handlers.
    pub(super) fn new() -> Result<Self> {
        let listen = |kind| {
            unix::signal(kind)
                .map_err(|error| CtlError::failed(tr!("cannot handle signals")).caused_by(&error))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            continued: listen(SignalKind::from_raw(Signal::SIGCONT as i32))?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::End,
            _ = self.hang_up.recv() => SignalRequest::End,
            _ = self.interrupt.recv() => SignalRequest::End,
            _ = self.quit.recv() => SignalRequest::End,
            _ = self.continued.recv() => SignalRequest::Continue,
        }
    }

    /// Waits until the program continues after a stop.
    pub(super) async fn continued(&mut self) {
        self.continued.recv().await;
    }
}
