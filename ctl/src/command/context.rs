//! The context of a command.

use std::path::PathBuf;

use udpchat_api::Client;

use crate::connect;
use crate::error::Result;
use crate::output::Output;

/// The context that every command receives.
pub(crate) struct Context<'a> {
    /// Where the command prints.
    pub(crate) output: &'a mut Output,
    /// The socket given by `--socket`.
    pub(crate) socket: Option<PathBuf>,
}

impl Context<'_> {
    /// Connects to the daemon.
    pub(crate) async fn connect(&self) -> Result<Client> {
        connect::connect(self.socket.as_deref()).await
    }
}
