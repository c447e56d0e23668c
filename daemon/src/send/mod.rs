//! Sends one message: chooses target, bytes and socket, and records the message in the log.

mod cut;
mod held;
mod holding;
mod payload;
mod reports;
mod target;
mod targets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use udpchat_api::call::SendParams;
use udpchat_api::entry::max_entry_bytes;
use udpchat_api::{ErrorKind, ErrorObject, MAX_LINE_BYTES};

use crate::clock;
use crate::error::reason;
use crate::inbox::entry::{Body, SentDetail, Stored};
use crate::inbox::queue::{NotSent, RECORD_WAIT, SentItem};
use crate::net::reports::SendReports;
use crate::net::route::Route;
use crate::state::Daemon;
pub(crate) use held::{Unheld, hold, send_held};
use holding::Holding;
use payload::Payload;
use target::Target;
pub(crate) use target::no_interface;
pub(crate) use targets::{expand, targets};

/// How long a message may wait for space in the kernel's send buffer.
const SEND_WAIT: Duration = Duration::from_secs(1);

/// The interval between two attempts.
const SEND_RETRY: Duration = Duration::from_millis(2);

/// A message that was sent and whose record is not yet committed.
pub(crate) struct Unrecorded {
    /// The entries without their ids, with the channels that return the ids after the commit.
    entries: Vec<(Stored, oneshot::Receiver<u64>)>,
    /// The number of datagrams that the message consists of, and the error if not all were sent.
    parts: usize,
    failure: Option<ErrorObject>,
    give_up: Instant,
}

/// A message that can be sent: its target is found, and its text encoded.
pub(crate) struct Prepared {
    target: Target,
    payload: Payload,
    /// For whom and how long it is to be held instead of sent.
    holding: Option<Holding>,
}

/// Prepares what the parameters say.
pub(crate) async fn prepare(daemon: &Arc<Daemon>, params: &SendParams) -> Result<Prepared, ErrorObject> {
    let target = target::find(daemon, params).await;
    let target = target.map_err(|error| target::swapped(daemon, params, error))?;
    let holding = Holding::of(daemon, params, &target)?;
    let payload = payload::make(daemon, params, &target).await?;
    Ok(Prepared { target, payload, holding })
}

impl Prepared {
    /// Returns whether it is to be held instead of sent.
    pub(crate) fn is_held(&self) -> bool {
        self.holding.is_some()
    }

    /// Returns whether its text is in `text.encoding` of the configuration, since no other is configured or known.
    pub(crate) fn encoding_is_default(&self) -> bool {
        self.payload.encoding_is_default
    }

    /// Returns how much memory the message takes at most until it is on record, with the entries that are made of it then,
    /// in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        /// The longest text of a byte is an escaped control character.
        const JSON_BYTES: usize = 6;
        let bytes: usize = self.payload.datagrams.iter().map(Vec::len).sum();
        let entry = |datagram: &Vec<u8>| max_entry_bytes(JSON_BYTES * datagram.len(), datagram.len());
        let answer: usize = self.payload.datagrams.iter().map(entry).sum();
        3 * bytes + answer.min(MAX_LINE_BYTES)
    }
}

/// Sends a message, in one datagram or several; `by` is the user who wants it.
pub(crate) async fn send(daemon: &Daemon, message: Prepared, by: &str) -> Unrecorded {
    let Prepared { target, payload, .. } = message;
    let parts = payload.datagrams.len();
    let mut entries = Vec::with_capacity(parts);
    let mut failure = None;
    for bytes in payload.datagrams {
        let (stored, recorded) = oneshot::channel();
        let item = SentItem {
            at_ns: 0,
            peer: target.peer,
            local: target.local(target.source),
            payload: bytes,
            detail: SentDetail {
                encoding: payload.encoding.clone(),
                by: Some(by.to_owned()),
                ..SentDetail::default()
            },
            held: None,
            number: None,
            stored: Some(stored),
        };
        match transmit(daemon, &target, item).await {
            Ok((record, error)) => {
                entries.push((record, recorded));
                failure = error.map(|error| send_failed(&target, &error));
            }
            Err(error) => failure = Some(error),
        }
        if failure.is_some() {
            break;
        }
    }
    Unrecorded { entries, parts, failure, give_up: Instant::now() + RECORD_WAIT }
}

impl Unrecorded {
    /// Waits until every datagram is recorded, or recording has failed or taken too long.
    pub(crate) async fn recorded(self, daemon: &Daemon) -> Recorded {
        let mut entries = Vec::with_capacity(self.entries.len());
        let (mut is_whole, mut give_up) = (true, self.give_up);
        for (mut record, recorded) in self.entries {
            match daemon.recorded(recorded, give_up).await {
                Some(id) => record.id = id,
                // They are recorded in their order.
                None => (is_whole, give_up) = (false, Instant::now()),
            }
            entries.push(record);
        }
        let failure = match self.failure {
            _ if !is_whole => Some(not_recorded()),
            failure => failure.map(|failure| with_details(failure, &entries, self.parts)),
        };
        Recorded { entries, failure }
    }
}

/// The result of sending a message.
pub(crate) struct Recorded {
    /// One for each datagram that was passed to the kernel; the id is 0 if it is not recorded.
    pub(crate) entries: Vec<Stored>,
    failure: Option<ErrorObject>,
}

impl Recorded {
    /// Returns the entries as stored, if every datagram was sent and recorded.
    pub(crate) fn complete(self) -> Result<Vec<Stored>, ErrorObject> {
        self.failure.map_or(Ok(self.entries), Err)
    }
}

/// Adds the entry of a failed datagram to its error, and for a message in parts the number of datagrams that were sent.
fn with_details(mut failure: ErrorObject, entries: &[Stored], parts: usize) -> ErrorObject {
    let refused =
        |entry: &&Stored| matches!(&entry.body, Body::Sent { detail, .. } if detail.error.is_some());
    if let Some(entry) = entries.iter().find(refused) {
        failure.data.entry = Some(entry.id);
    }
    if parts > 1 {
        let sent = entries.iter().filter(|entry| !refused(entry)).count();
        let failed = &failure.message;
        failure.message = format!("{failed} ({sent} of {parts} datagrams were sent)");
    }
    failure
}

/// Passes one datagram to the kernel and queues its record, which is returned without its id.
async fn transmit(
    daemon: &Daemon,
    target: &Target,
    item: SentItem,
) -> Result<(Stored, Option<io::Error>), ErrorObject> {
    let mut item = Box::new(item);
    let give_up = Instant::now() + SEND_WAIT;
    loop {
        item.at_ns = clock::now_ns();
        let (at_ns, peer, payload) = (item.at_ns, item.peer, item.payload.clone());
        let (mut local, mut detail) = (item.local, item.detail.clone());
        let may_wait = Instant::now() < give_up;
        match attempt(daemon, target, item, may_wait, &mut local) {
            Ok(error) => {
                detail.error = error.as_ref().map(reason);
                let body = Body::Sent { peer, local, payload, detail };
                return Ok((Stored { id: 0, at_ns, body, recoded: None }, error));
            }
            Err(NotSent::Full) => {
                let text = "nothing was sent: the inbox cannot record it now";
                return Err(ErrorObject::new(ErrorKind::InboxUnavailable, text)
                    .hint("`udpchatctl status` shows the problem"));
            }
            Err(NotSent::NotNow(back, _)) => item = back,
        }
        sleep(SEND_RETRY).await;
    }
}

/// Passes a datagram to the kernel once and queues its record; sets the local address that it was sent from.
fn attempt(
    daemon: &Daemon,
    target: &Target,
    item: Box<SentItem>,
    may_wait: bool,
    local: &mut Option<SocketAddr>,
) -> Result<Option<io::Error>, NotSent> {
    // What goes to many is not answered by its destination, and not reported.
    let is_to_one = !daemon.addresses.get().is_multicast_or_broadcast(target.peer.ip());
    let mut learned = SendReports::default();
    let handed_over = daemon.queue.send(item, may_wait, |item, number| {
        let number = is_to_one.then_some(number);
        let source = hand_over(target, &item.payload, number, &mut learned)?;
        item.number = number;
        *local = target.local(source);
        item.local = *local;
        Ok(())
    });
    reports::learn(daemon, &target.listener, learned);
    handed_over
}

/// Sends an answer from the address that the message was sent to, and returns the source address used. The system chooses
/// one if that address cannot be a source (a broadcast, or an address that this machine no longer has).
fn hand_over(
    target: &Target,
    payload: &[u8],
    number: Option<u64>,
    learned: &mut SendReports,
) -> io::Result<Option<IpAddr>> {
    let mut send = |source| {
        let route = Route { source, interface: target.interface };
        target.listener.send(payload, target.peer, route, number, learned).map(|()| source)
    };
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
            "the daemon listens on {} only, which reaches no other machine; see `listen`",
            listener.local
        ));
    }
    match error.kind() {
        io::ErrorKind::NetworkUnreachable if is_without_route(target) => failed.hint(format!(
            "no route selects an interface; name one after the address, for example {ip}%eth0",
            ip = peer.ip()
        )),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            failed.hint("this machine has no route to that address; `ip route get ADDRESS` shows why")
        }
        io::ErrorKind::PermissionDenied => {
            failed.hint("a firewall rule or a `prohibit` route on this machine forbids it")
        }
        _ => failed,
    }
}

/// Returns whether a route must choose the interface: for a multicast group or 255.255.255.255 without one.
fn is_without_route(target: &Target) -> bool {
    let ip = target.peer.ip();
    target.interface == 0 && (ip.is_multicast() || ip == Ipv4Addr::BROADCAST)
}

fn not_recorded() -> ErrorObject {
    let text = "the message was sent, but is not recorded: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::NotRecorded, text).hint("`udpchatctl status` shows the problem")
}
