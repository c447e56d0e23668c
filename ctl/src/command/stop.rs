//! `stop`: stops the daemon and waits until it closes the connection.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::timeout;
use udpchat_api::call::StopParams;
use udpchat_api::{Client, ClientError};
use udpchat_locale::tr;

use super::context::Context;
use crate::error::{CtlError, Exit, Result};

const HELP: &str = "\
Messages that have arrived are stored before the daemon ends.

Examples:
  udpchatctl stop
  udpchatctl --socket /run/udpchat/control.sock stop";

/// How long the daemon may take to store what is queued and to end.
const STOP_TIMEOUT_SECONDS: u64 = 30;

/// Stop the daemon, as SIGTERM does, and wait until it has ended
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct StopArgs {}

#[derive(Serialize)]
struct Stopping {
    stopping: bool,
}

/// Runs `stop`.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    let mut client = context.connect().await?;
    match client.call(&StopParams {}).await {
        // A daemon that ends at once may close the connection before it has answered.
        Ok(_) | Err(ClientError::Closed) => {}
        Err(error) => return Err(error.into()),
    }
    if context.output.is_json() {
        context.output.json(&Stopping { stopping: true })?;
        context.output.flush()?;
    }
    timeout(Duration::from_secs(STOP_TIMEOUT_SECONDS), closed(&mut client)).await.map_err(|_| timed_out())?;
    if context.output.is_json() { Ok(()) } else { context.output.done(tr!("stopped")) }
}

/// Waits until the connection is closed, cleanly or by an error.
async fn closed(client: &mut Client) {
    while let Ok(Some(_)) = client.next_entry().await {}
}

fn timed_out() -> CtlError {
    let what = tr!("the daemon did not end within {seconds} s", seconds = STOP_TIMEOUT_SECONDS);
    CtlError::new(Exit::TimedOut, "timed_out", what)
        .hint(tr!("read its log, then end its process by its pid"))
}
