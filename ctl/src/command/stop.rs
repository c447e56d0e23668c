//! `stop`: stops the daemon and waits until it closes the connection.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::timeout;
use udpchat_api::call::{StopAnswer, StopParams};
use udpchat_api::{Client, ClientError};
use udpchat_locale::tr;

use super::context::Context;
use crate::error::{CtlError, Exit, Result};
use crate::systemd;

const HELP: &str = "\
Messages that have arrived are stored before the daemon ends. While the inbox cannot be written, for example because the \
disk is full, messages wait in memory; those that still cannot be stored are lost, and the command says how many. \
Where systemd holds the sockets, the next message or command starts the daemon again: stop `udpchatd.socket` and `udpchatd.service` with \
systemctl.

Examples:
  udpchatctl stop
  udpchatctl stop --unless-losing
  udpchatctl --socket /run/udpchat/control.sock stop";

/// How long the daemon may take to store what is queued and to end.
const STOP_TIMEOUT_SECONDS: u64 = 30;

/// Stop the daemon, as SIGTERM does, and wait until it has ended
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct StopArgs {
    /// Do not stop if messages in memory cannot be stored now and would be lost
    #[arg(long)]
    unless_losing: bool,
}

#[derive(Serialize)]
struct Stopping {
    stopping: bool,
    /// How many messages could not be stored at the time of the stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    unstorable: Option<u64>,
    /// Whether the next datagram or connection starts the daemon again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    socket_activated: bool,
}

/// Runs `stop`.
pub(crate) async fn run(context: Context<'_>, args: StopArgs) -> Result<()> {
    let mut client = context.connect().await?;
    let StopAnswer { unstorable, socket_activated } = request(&mut client, args.unless_losing).await?;
    if context.output.is_json() {
        context.output.json(&Stopping { stopping: true, unstorable, socket_activated })?;
        context.output.flush()?;
    }
    timeout(Duration::from_secs(STOP_TIMEOUT_SECONDS), closed(&mut client)).await.map_err(|_| timed_out())?;
    match unstorable {
        _ if context.output.is_json() => Ok(()),
        None => context.output.done(tr!("stopped")),
        Some(1) => context.output.done(tr!("stopped; 1 message in memory could not be stored")),
        Some(number) => {
            context.output.done(&tr!("stopped; {number} messages in memory could not be stored", number))
        }
    }?;
    if socket_activated {
        let systemctl = systemd::systemctl(client.path());
        context.output.note(&tr!(
            "the next message or command starts it again, since the service manager holds its sockets; \
             `{systemctl} stop udpchatd.socket udpchatd.service` stops both",
            systemctl
        ));
    }
    Ok(())
}

/// Requests the stop.
async fn request(client: &mut Client, unless_losing: bool) -> Result<StopAnswer> {
    match client.call(&StopParams { unless_losing }).await {
        // A daemon that ends at once may close the connection before it has answered.
        Err(ClientError::Closed) => Ok(StopAnswer::default()),
        answer => Ok(answer?),
    }
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
