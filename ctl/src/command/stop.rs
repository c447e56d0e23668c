//! `stop`: ends the daemon and waits until it has let go of the connection.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use udpchat_api::call::StopParams;
use udpchat_api::{Client, ClientError};

use super::Context;
use crate::error::{CtlError, Exit, Result};

/// How long a daemon may take to store what it holds and end.
const STOP_TIMEOUT_SECONDS: u64 = 30;

#[derive(Serialize)]
struct Stopping {
    stopping: bool,
}

/// Runs `stop`.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    let mut client = context.connect().await?;
    match client.call(&StopParams {}).await {
        // A daemon that ends at once may close the connection before its answer is out.
        Ok(_) | Err(ClientError::Closed) => {}
        Err(error) => return Err(error.into()),
    }
    if context.output.is_json() {
        context.output.json(&Stopping { stopping: true })?;
        context.output.flush()?;
    }
    timeout(Duration::from_secs(STOP_TIMEOUT_SECONDS), closed(&mut client))
        .await
        .map_err(|_| still_there())?;
    if context.output.is_json() { Ok(()) } else { context.output.done("stopped") }
}

/// Waits until the daemon has closed the connection, in whatever way.
async fn closed(client: &mut Client) {
    while let Ok(Some(_)) = client.next_entry().await {}
}

fn still_there() -> CtlError {
    let what = format!("the daemon did not end within {STOP_TIMEOUT_SECONDS} s");
    CtlError::new(Exit::TimedOut, "timed_out", what).hint("look into its log, and end its process by its pid")
}
