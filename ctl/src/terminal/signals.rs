//! The signals that a full screen obeys: those that end it, so that the terminal is given back first, and the one that tells
//! that it goes on.

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::error::{CtlError, Result};

/// The signals that a full screen obeys.
pub(crate) struct Signals {
    ends: [unix::Signal; 4],
    continued: unix::Signal,
}

/// What a signal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// To end, whatever is shown.
    End,
    /// That the program goes on after a stop: somebody else may have used the terminal.
    Continue,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn new() -> Result<Self> {
        let listen = |kind| {
            unix::signal(kind).map_err(|error| CtlError::failed("cannot listen to signals").caused_by(&error))
        };
        let ends = [
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::quit())?,
        ];
        let continued = listen(SignalKind::from_raw(Signal::SIGCONT as i32))?;
        Ok(Self { ends, continued })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Told {
        let [terminate, hang_up, interrupt, quit] = &mut self.ends;
        tokio::select! {
            _ = terminate.recv() => Told::End,
            _ = hang_up.recv() => Told::End,
            _ = interrupt.recv() => Told::End,
            _ = quit.recv() => Told::End,
            _ = self.continued.recv() => Told::Continue,
        }
    }

    /// Waits until the program goes on after a stop.
    pub(crate) async fn continued(&mut self) {
        self.continued.recv().await;
    }
}
