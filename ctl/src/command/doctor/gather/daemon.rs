//! Facts from the daemon.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use udpchat_api::call::{Call, PeersAnswer, SelfTestParams, StatusParams};
use udpchat_api::{Client, ClientError, ErrorKind};
use udpchat_config::{Environment, control_socket_candidates};
use udpchat_locale::{tr, translated};

use super::super::facts::{AccessDenied, Reach, Reached, RunningDaemon};
use super::{process, socket};
use crate::connect::obstacle;
use crate::socket_access::SocketAccess;
use crate::systemd;

/// The longest time that a healthy daemon needs, including its self-test.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Requests the facts from the first daemon that answers; returns them with the connection.
pub(super) async fn ask(explicit: Option<&Path>) -> (Reach, Option<Client>) {
    let (mut tried, mut denied) = (Vec::new(), None);
    let sockets = control_socket_candidates(&Environment::of_process(), explicit);
    let start = systemd::how_to_start(&sockets);
    for path in sockets {
        match Client::connect(&path).await {
            Ok(mut client) => match questions(&mut client).await {
                Ok(reached) => return (Reach::Reached(Box::new(reached)), Some(client)),
                Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::NotPermitted => {
                    let message = translated(&error.message);
                    let why = tr!("{path} answers, but refuses: {message}", path = path.display(), message);
                    denied.get_or_insert(AccessDenied { socket: path, why, advice: error.data.hint });
                }
                Err(error) => tried.push((path, error.to_string())),
            },
            Err(ClientError::NotPermitted { path, .. }) => {
                let access = SocketAccess::of(&path);
                let owner = access.as_ref().map_or(tr!("another user"), |access| access.owner.as_str());
                let why = tr!("{path} cannot be opened: it belongs to {owner}", path = path.display(), owner);
                let advice = access.as_ref().map(SocketAccess::advice);
                denied.get_or_insert(AccessDenied { socket: path, why, advice });
            }
            Err(ClientError::NoDaemon { path, source }) => tried.push((path, obstacle(&source))),
            Err(error) => tried.push((path, error.to_string())),
        }
    }
    let running = process::named("udpchatd").into_iter();
    let running = running.map(|process| RunningDaemon { socket: socket::control_socket(&process), process });
    let (running, sees_all) = (running.collect(), process::sees_all());
    (Reach::NotReached { tried, denied, running, sees_all, start }, None)
}

async fn questions(client: &mut Client) -> Result<Reached, ClientError> {
    let status = call(client, &StatusParams {}).await?;
    let (self_tests, self_test_refused) = match call(client, &SelfTestParams {}).await {
        Ok(answer) => (Some(answer.tests), None),
        Err(ClientError::Refused(error)) => {
            (None, Some(error).filter(|error| error.data.kind == ErrorKind::NotPermitted))
        }
        Err(error) => return Err(error),
    };
    Ok(Reached { status, self_tests, self_test_refused })
}

/// Calls a method with a timeout, since the daemon may hang.
pub(super) async fn call<C: Call>(client: &mut Client, params: &C) -> Result<C::Answer, ClientError> {
    timeout(ANSWER_WAIT, client.call(params)).await.unwrap_or(Err(ClientError::Silent))
}

/// Lists all peers, and waits for that as long as for an answer.
pub(super) async fn peers(client: &mut Client) -> Result<PeersAnswer, ClientError> {
    timeout(ANSWER_WAIT, client.peers(None)).await.unwrap_or(Err(ClientError::Silent))
}
