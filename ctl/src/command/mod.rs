//! The commands, one file each. A command asks the daemon and hands what it answers to the output.

pub(crate) mod ask;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod export;
mod filter;
pub(crate) mod inbox;
pub(crate) mod man;
mod pages;
pub(crate) mod peers;
pub(crate) mod recode;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod reply;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod version;
pub(crate) mod wait;

use std::path::PathBuf;

use udpchat_api::Client;

use crate::connect;
use crate::error::Result;
use crate::output::Output;

/// What every command works with.
pub(crate) struct Context<'a> {
    /// Where it prints.
    pub(crate) output: &'a mut Output,
    /// The socket that the user named.
    pub(crate) socket: Option<PathBuf>,
}

impl Context<'_> {
    /// Connects to the daemon.
    pub(crate) async fn connect(&self) -> Result<Client> {
        connect::connect(self.socket.as_deref()).await
    }
}
