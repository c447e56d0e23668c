//! Messages that are held until their peer sends one: what `send` with `when_seen` does, and the sending of released messages.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};
use udpchat_api::call::HeldMessage;
use udpchat_api::{ErrorKind, ErrorObject};

use super::holding::Holding;
use super::target::answering;
use super::{Prepared, SEND_RETRY, SEND_WAIT, Target, attempt};
use crate::clock::{self, from_ns};
use crate::error::reason;
use crate::faults::is_momentary;
use crate::inbox::entry::SentDetail;
use crate::inbox::kept::{
    HeldFull, HeldRow, MAX_HELD, MAX_HELD_BYTES, MAX_HELD_FOR_ONE, NewHeld, PART_OF_USER, Release, To,
};
use crate::inbox::queue::{HoldItem, NotSent, RECORD_WAIT, SentItem};
use crate::state::Daemon;

/// The time between two held messages to one host.
const SPACING: Duration = Duration::from_millis(20);

/// A message that is to be held and is not yet durable.
pub(crate) struct Unheld {
    stored: oneshot::Receiver<Result<Vec<u64>, HeldFull>>,
    /// Without their numbers.
    messages: Vec<HeldMessage>,
    give_up: Instant,
}

/// Queues a message to hold; `by` is the user who wants it.
pub(crate) fn hold(daemon: &Daemon, message: Prepared, by: &str) -> Result<Unheld, ErrorObject> {
    let Prepared { payload, holding, .. } = message;
    let Some(Holding { to, seconds }) = holding else {
        return Err(ErrorObject::new(ErrorKind::Internal, "the message is not to be held"));
    };
    let at_ns = clock::now_ns();
    let until_ns =
        at_ns.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000));
    let messages = payload.datagrams.iter().map(|datagram| HeldMessage {
        held: 0,
        to: to.to_string(),
        at: from_ns(at_ns),
        until: from_ns(until_ns),
        text: None,
        encoding: payload.encoding.as_ref().map(|encoding| encoding.name.clone()),
        encoding_is_default: payload.encoding_is_default,
        bytes: datagram.len(),
        by: Some(by.to_owned()),
    });
    let messages = messages.collect();
    let detail = SentDetail { encoding: payload.encoding, by: Some(by.to_owned()), ..SentDetail::default() };
    let new = NewHeld { to, payloads: payload.datagrams, detail, at_ns, until_ns };
    let (sender, stored) = oneshot::channel();
    daemon.queue.hold(Box::new(HoldItem { new, stored: Some(sender) })).map_err(|_| not_held())?;
    Ok(Unheld { stored, messages, give_up: Instant::now() + RECORD_WAIT })
}

impl Unheld {
    /// Waits until the message is durable; `may_list` is whether the user may list what is held.
    pub(crate) async fn held(self, daemon: &Daemon, may_list: bool) -> Result<Vec<HeldMessage>, ErrorObject> {
        let Self { stored, mut messages, give_up } = self;
        let numbers = daemon.recorded(stored, give_up).await.ok_or_else(perhaps_held)?;
        let to = messages.first().map(|message| message.to.as_str()).unwrap_or_default();
        let numbers = numbers.map_err(|full| held_full(full, to, may_list))?;
        for (message, number) in messages.iter_mut().zip(numbers) {
            message.held = number;
        }
        Ok(messages)
    }
}

fn not_held() -> ErrorObject {
    let text = "the message is not held: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::InboxUnavailable, text)
        .hint("`udpchatctl status` shows the problem; once it is solved, send the message again")
}

/// A commit that hangs may succeed later.
fn perhaps_held() -> ErrorObject {
    let text = "the message may be held or not: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::InboxUnavailable, text).hint(
        "`udpchatctl status` shows the problem; once it is solved, see whether it is held before you send it again",
    )
}

fn held_full(full: HeldFull, to: &str, may_list: bool) -> ErrorObject {
    let text = match full {
        HeldFull::Messages => format!("more than {MAX_HELD} messages would be held"),
        HeldFull::Bytes => format!("more than {} MiB would be held", MAX_HELD_BYTES / 1024 / 1024),
        HeldFull::ForOne => format!("more than {MAX_HELD_FOR_ONE} messages would be held for `{to}`"),
        HeldFull::OfInbox => "held messages would take more than a quarter of `inbox.max_size`".to_owned(),
        HeldFull::OfUser => {
            let (messages, mib) = (MAX_HELD / PART_OF_USER, MAX_HELD_BYTES / PART_OF_USER / 1024 / 1024);
            format!(
                "more than {messages} messages, {mib} MiB or an eighth of `inbox.max_size` would be held for one user"
            )
        }
    };
    let hint = match may_list {
        true => "`udpchatctl held` lists them, `udpchatctl held --cancel NUMBER` removes one",
        false => "try again once some are sent or have expired; the role `read` may list them",
    };
    ErrorObject::new(ErrorKind::HeldFull, text).hint(hint)
}

/// The releases of each host, in their order: those of one host are sent one after the other.
type Hosts = Arc<Mutex<HashMap<IpAddr, VecDeque<Release>>>>;

/// Sends held messages as they are released, until the daemon stops.
pub(crate) async fn send_held(daemon: Arc<Daemon>) {
    let hosts = Hosts::default();
    loop {
        let release = daemon.kept.next_release().await;
        let ip = release.peer.ip();
        let is_new = {
            let mut hosts = hosts.lock();
            let is_new = !hosts.contains_key(&ip);
            hosts.entry(ip).or_default().push_back(release);
            is_new
        };
        if is_new {
            tokio::spawn(send_to_host(Arc::clone(&daemon), Arc::clone(&hosts), ip));
        }
    }
}

/// Sends the messages that are released for a host.
async fn send_to_host(daemon: Arc<Daemon>, hosts: Hosts, ip: IpAddr) {
    while let Some(release) = next(&hosts, ip) {
        let began = std::time::Instant::now();
        for (at, row) in release.rows.iter().enumerate() {
            let next = Instant::now() + SPACING;
            let mut unsent = match send_one(&daemon, &release, row).await {
                // Before the next one is sent: a kill may send only those again that are not on record.
                Some(recorded) => match daemon.recorded(recorded, Instant::now() + RECORD_WAIT).await {
                    Some(_) => None,
                    None => Some(at + 1),
                },
                None => Some(at),
            };
            if unsent.is_none() {
                sleep_until(next).await;
                // A peer that sleeps again gets the others with its next message.
                unsent = has_bounced(&daemon, &release, row, began).then_some(at + 1);
            }
            if let Some(at) = unsent {
                // Those behind it would overtake it.
                let further = hosts.lock().get_mut(&ip).map(std::mem::take).unwrap_or_default();
                let further = further.iter().flat_map(|release| &release.rows);
                daemon.kept.give_back(ip, release.rows[at..].iter().chain(further));
                daemon.queue.wake();
                break;
            }
        }
    }
}

/// Returns whether a report has come since a time that a message to the destination of a held one was not delivered.
fn has_bounced(daemon: &Daemon, release: &Release, row: &HeldRow, since: std::time::Instant) -> bool {
    let Some(target) = target(daemon, release, &row.to) else { return false };
    daemon.bounced_peers.list().iter().any(|bounced| bounced.peer == target.peer && bounced.last >= since)
}

/// Returns the next release of a host, which has no further task if there is none.
fn next(hosts: &Hosts, ip: IpAddr) -> Option<Release> {
    let mut hosts = hosts.lock();
    let release = hosts.get_mut(&ip).and_then(VecDeque::pop_front);
    if release.is_none() {
        hosts.remove(&ip);
    }
    release
}

/// Sends a held message and queues its record; returns what gets the id of that. None if it cannot be sent now, so that it stays
/// held.
async fn send_one(daemon: &Daemon, release: &Release, row: &HeldRow) -> Option<oneshot::Receiver<u64>> {
    let target = target(daemon, release, &row.to)?;
    let (stored, recorded) = oneshot::channel();
    let mut item = Box::new(SentItem {
        at_ns: 0,
        peer: target.peer,
        local: target.local(target.source),
        payload: row.payload.clone(),
        detail: SentDetail { held_seconds: Some(row.held_seconds()), ..row.detail.clone() },
        held: Some(row.id),
        number: None,
        stored: Some(stored),
    });
    let give_up = Instant::now() + SEND_WAIT;
    loop {
        item.at_ns = clock::now_ns();
        let mut local = item.local;
        match attempt(daemon, &target, item, true, &mut local) {
            Ok(None) => return Some(recorded),
            // Its entry has the error too.
            Ok(Some(error)) => {
                warn!(held = row.id, peer = %target.peer, error = reason(&error), "a held message could not be sent");
                return Some(recorded);
            }
            Err(NotSent::NotNow(back, error)) if is_momentary(&error) && Instant::now() < give_up => {
                item = back;
            }
            Err(NotSent::NotNow(_, error)) => {
                debug!(held = row.id, peer = %target.peer, error = reason(&error), "a message stays held");
                return None;
            }
            Err(NotSent::Full) => return None,
        }
        sleep(SEND_RETRY).await;
    }
}

/// Returns where a released message goes: to the configured port of its peer, otherwise to the port that the peer has sent from;
/// out of the address that it has sent to.
fn target(daemon: &Daemon, release: &Release, to: &To) -> Option<Target> {
    let peer: SocketAddr = match to {
        To::Name(name) => {
            let configured = daemon.peers.configured();
            let named = configured.by_name(name)?;
            if named.address.port().is_some() { named.address.destination()? } else { release.peer }
        }
        To::Address(_) | To::OnInterface(..) => release.peer,
    };
    // To port 0 nothing can be sent, and anybody can forge it.
    if peer.port() == 0 { None } else { answering(daemon, peer, release.local) }
}
