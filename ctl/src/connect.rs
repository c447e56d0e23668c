//! Finding the daemon: the sockets are tried in order, and what stood in the way is told.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use udpchat_api::call::{InboxParams, Order};
use udpchat_api::{Client, ClientError};
use udpchat_config::{Environment, control_socket_candidates};

use crate::error::{CtlError, Exit, Result};
use crate::socket_access::Door;

/// Connects to the first daemon that answers: `--socket`, `UDPCHAT_SOCKET`, the user's own, the system's.
///
/// # Errors
/// Ends with 6 if a socket may not be opened and nothing else answers, with 3 if nothing answers at all.
pub(crate) async fn connect(explicit: Option<&Path>) -> Result<Client> {
    let mut closed_door = None;
    let mut tried = String::new();
    for path in control_socket_candidates(&Environment::of_process(), explicit) {
        match Client::connect(&path).await {
            Ok(client) => return Ok(client),
            Err(ClientError::NoDaemon { path, source }) => note_tried(&mut tried, &path, &source),
            Err(error @ ClientError::NotPermitted { .. }) => {
                closed_door.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(closed_door.map_or_else(|| no_daemon(&tried), not_permitted))
}

fn note_tried(tried: &mut String, path: &Path, source: &io::Error) {
    let comma = if tried.is_empty() { "" } else { ", " };
    // Writing to a string does not fail.
    let _ = write!(tried, "{comma}{} ({})", path.display(), obstacle(source));
}

/// Says what is there instead of a daemon.
pub(crate) fn obstacle(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => "no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        _ => source.to_string(),
    }
}

fn no_daemon(tried: &str) -> CtlError {
    CtlError::new(Exit::NoDaemon, "no_daemon", "no daemon was found")
        .hint(format!("start one with `udpchatd`; tried {tried}"))
}

fn not_permitted(error: ClientError) -> CtlError {
    let door = match &error {
        ClientError::NotPermitted { path, .. } => Door::of(path),
        _ => None,
    };
    let error = CtlError::from(error);
    match door {
        Some(door) => error.hint(format!("it belongs to {}: {}", door.owner, door.advice())),
        None => error.hint("run this as the user that the daemon runs as, or ask the administrator"),
    }
}

/// Makes sure that the daemon lets this user read, for who would otherwise learn it too late.
pub(crate) async fn make_sure_to_read(client: &mut Client) -> Result<()> {
    let newest = InboxParams { limit: Some(1), order: Some(Order::Desc), ..InboxParams::default() };
    client.call(&newest).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> CtlError {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(connect(Some(path))).expect_err("nobody listens there")
    }

    #[test]
    fn without_a_daemon_the_hint_names_what_was_tried() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let CtlError::Failed(failure) = refusal(&path) else { panic!() };
        assert_eq!(failure.exit, Exit::NoDaemon);
        assert_eq!(failure.message, "no daemon was found");
        assert!(failure.hint.unwrap().contains(path.to_str().unwrap()));
    }

    #[test]
    fn a_socket_that_nobody_holds_any_more_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(refusal(&path).exit(), Exit::NoDaemon);
    }
}
