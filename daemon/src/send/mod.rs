//! Sending one message: whom to, in which bytes, through which socket, and the record of it in the log.

mod escape;
mod payload;
mod target;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use udpchat_api::call::SendParams;
use udpchat_api::{ErrorKind, ErrorObject};

use crate::clock;
use crate::daemon::Daemon;
use crate::inbox::queue::{NotSent, SentItem, reason};
use crate::inbox::{Body, SentDetail, Stored};
use crate::receive;
use target::Target;

/// How long a message may wait for room in the kernel's send buffer.
const SEND_WAIT: Duration = Duration::from_secs(1);

/// How long between two tries for that room.
const SEND_RETRY: Duration = Duration::from_millis(2);

/// How long a sent message may wait to become durable, before its sender is told that it is not recorded.
const RECORD_WAIT: Duration = Duration::from_secs(10);

/// Sends what the parameters say, and returns the entries as stored, one for each datagram.
pub(crate) async fn send(daemon: &Arc<Daemon>, params: SendParams) -> Result<Vec<Stored>, ErrorObject> {
    let target = target::find(daemon, &params).await?;
    let payload = payload::make(daemon, &params, target.peer)?;
    let mut waiting = Vec::with_capacity(payload.datagrams.len());
    let mut failure = None;
    for bytes in payload.datagrams {
        let detail = SentDetail { encoding: payload.encoding.clone(), error: None };
        let (stored, recorded) = oneshot::channel();
        let item = SentItem {
            at_ns: 0,
            peer: target.peer,
            local: target.local(),
            payload: bytes,
            detail,
            stored: Some(stored),
        };
        let (record, error) = transmit(daemon, &target, item).await?;
        waiting.push((record, recorded));
        if error.is_some() {
            failure = error;
            break;
        }
    }
    let mut entries = Vec::with_capacity(waiting.len());
    for (mut record, recorded) in waiting {
        record.id = match timeout(RECORD_WAIT, recorded).await {
            Ok(Ok(id)) => id,
            _ => return Err(not_recorded()),
        };
        entries.push(record);
    }
    match failure {
        Some(error) => Err(send_failed(&target, &error).entry(entries.last().map_or(0, |entry| entry.id))),
        None => Ok(entries),
    }
}

/// Hands one datagram to the kernel and queues its record, which is returned without its id.
async fn transmit(
    daemon: &Daemon,
    target: &Target,
    item: SentItem,
) -> Result<(Stored, Option<io::Error>), ErrorObject> {
    let mut item = Box::new(item);
    let give_up = tokio::time::Instant::now() + SEND_WAIT;
    loop {
        item.at_ns = clock::now_ns();
        let mut record = Stored {
            id: 0,
            at_ns: item.at_ns,
            body: Body::Sent {
                peer: item.peer,
                local: item.local,
                payload: item.payload.clone(),
                detail: item.detail.clone(),
            },
        };
        match daemon.queue.send(item, |item| hand_over(target, &item.payload)) {
            Ok(error) => {
                if let (Body::Sent { detail, .. }, Some(error)) = (&mut record.body, &error) {
                    detail.error = Some(reason(error));
                }
                return Ok((record, error));
            }
            Err(NotSent::Full) => {
                let text = "nothing was sent: the inbox cannot take up the record of it now";
                return Err(ErrorObject::new(ErrorKind::InboxUnavailable, text)
                    .hint("`udpchatctl status` says what is wrong"));
            }
            Err(NotSent::NotNow(_)) if tokio::time::Instant::now() > give_up => {
                return Err(send_failed(target, &io::ErrorKind::WouldBlock.into()));
            }
            Err(NotSent::NotNow(back)) => item = back,
        }
        sleep(SEND_RETRY).await;
    }
}

/// Sends from the address that was spoken to. Where that cannot be a source (a broadcast, or an address that this
/// machine no longer has), the system chooses.
fn hand_over(target: &Target, payload: &[u8]) -> io::Result<()> {
    let send = |source| receive::send(&target.listener, payload, target.peer, source);
    match send(target.source) {
        Err(error) if target.source.is_some() && is_bad_source(&error) => send(None),
        result => result,
    }
}

fn is_bad_source(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::AddrNotAvailable | io::ErrorKind::NetworkUnreachable
    )
}

fn send_failed(target: &Target, error: &io::Error) -> ErrorObject {
    let Target { peer, listener, .. } = target;
    let failed = ErrorObject::new(ErrorKind::SendFailed, format!("cannot send to {peer}: {}", reason(error)));
    if listener.local.ip().is_loopback() && !peer.ip().is_loopback() {
        return failed.hint(format!(
            "the daemon listens on {} only, out of which nothing leaves this machine; see `listen`",
            listener.local
        ));
    }
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            failed.hint("this machine has no route to that address; `ip route get ADDRESS` shows why")
        }
        io::ErrorKind::PermissionDenied => {
            failed.hint("a broadcast address, or a firewall rule on this machine forbids it")
        }
        _ => failed,
    }
}

fn not_recorded() -> ErrorObject {
    let text = "the message was sent, but is not recorded: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::NotRecorded, text).hint("`udpchatctl status` says what is wrong")
}
