//! The context of a command.

use std::path::PathBuf;
use std::time::Duration;

use udpchat_api::Client;
use udpchat_locale::tr;

use crate::connect;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, duration};

/// Awaits what the daemon answers, for at most `timeout`; without one, as long as the client waits for an answer.
pub(super) async fn within<T>(
    timeout: Option<Duration>,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(timeout) = timeout else { return answer.await };
    tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| {
        let text = tr!("the daemon did not answer within {time}", time = duration(timeout));
        let error = CtlError::new(Exit::TimedOut, "timed_out", text);
        Err(error.hint(tr!(
            "`--timeout` waits longer; if this lasts, the daemon hangs: read its log, then restart it"
        )))
    })
}

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
