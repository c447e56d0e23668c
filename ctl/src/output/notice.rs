//! Describes what became known about messages and peers, for every command and the chat.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use jiff::Span;
use udpchat_api::{Notice, safe};
use udpchat_locale::tr;

use super::format::{grouped, span};

/// Describes a notice in one line that is safe to show.
pub(crate) fn notice_text(notice: &Notice) -> String {
    let text = match notice.notice.as_str() {
        "bounced" => bounced(notice),
        "silent" => silent(notice),
        "heard" => heard(notice),
        "expired" => expired(notice),
        _ => generic(notice),
    };
    match notice.more {
        Some(more) => tr!("{text} (and {more} more like this)", text, more = grouped(more)),
        None => text,
    }
}

fn bounced(notice: &Notice) -> String {
    let peer = notice.peer.as_deref().unwrap_or_default();
    let reason = undelivered(notice.name.as_deref(), peer, notice.reason.as_deref().unwrap_or_default());
    match notice.about {
        Some(id) => tr!("#{id} bounced: {reason}", id, reason),
        None => tr!("a message bounced: {reason}", reason),
    }
}

fn silent(notice: &Notice) -> String {
    let (peer, time) = (peer(notice), seconds(notice.seconds.unwrap_or_default()));
    match notice.last_id {
        Some(id) => tr!("{peer} is silent, for {time}, since #{id}", peer, time, id),
        None => tr!("{peer} is silent, for {time}", peer, time),
    }
}

fn heard(notice: &Notice) -> String {
    let peer = peer(notice);
    match notice.seconds {
        Some(time) => tr!("{peer} is back, after {time}", peer, time = seconds(time)),
        None => tr!("{peer} is back", peer),
    }
}

fn expired(notice: &Notice) -> String {
    let peer = peer(notice);
    match notice.held {
        Some(number) => tr!("held {number} for {peer} expired and was not sent", number, peer),
        None => tr!("a message held for {peer} expired and was not sent", peer),
    }
}

/// Describes a notice of a newer daemon.
fn generic(notice: &Notice) -> String {
    let about = notice.about.map(|id| format!("#{id}"));
    let facts = [Some(peer(notice).into_owned()).filter(|peer| !peer.is_empty()), about];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let kind = safe::one_line(&notice.notice);
    if facts.is_empty() { kind.into_owned() } else { format!("{kind}: {}", facts.join(", ")) }
}

/// Returns the peer's name, otherwise its address.
fn peer(notice: &Notice) -> Cow<'_, str> {
    safe::one_line(notice.name.as_deref().or(notice.peer.as_deref()).unwrap_or_default())
}

/// Says why a message to a peer was not delivered; `reason` is the protocol's name.
pub(crate) fn undelivered(name: Option<&str>, peer: &str, reason: &str) -> String {
    let address: Option<SocketAddr> = peer.parse().ok();
    let host = address.map_or_else(|| peer.to_owned(), |address| address.ip().to_string());
    let who = safe::one_line(name.unwrap_or(&host)).into_owned();
    let host = safe::one_line(&host);
    match (reason, address) {
        ("port_unreachable", Some(address)) => {
            tr!("{who} does not listen on port {port}", who, port = address.port())
        }
        ("port_unreachable", None) => tr!("{who} does not listen on that port", who),
        ("host_unreachable", _) => tr!("no host answers at {host}", host),
        ("net_unreachable", _) => tr!("there is no route to {host}", host),
        ("prohibited", _) => tr!("a firewall refuses messages to {who}", who),
        ("too_big", _) => tr!("the datagram is too big for the networks on the way to {who}", who),
        ("ttl_exceeded", _) => tr!("too many routers are on the way to {who}", who),
        (_, _) => tr!("the network did not deliver it to {who}", who),
    }
}

/// Names the reason of a bounce, and who reported it; no address is this host.
pub(crate) fn reported(reason: &str, from: Option<IpAddr>) -> String {
    let reason = match reason {
        "port_unreachable" => Cow::Borrowed(tr!("port unreachable")),
        "host_unreachable" => Cow::Borrowed(tr!("host unreachable")),
        "net_unreachable" => Cow::Borrowed(tr!("network unreachable")),
        "prohibited" => Cow::Borrowed(tr!("prohibited")),
        "too_big" => Cow::Borrowed(tr!("too big")),
        "ttl_exceeded" => Cow::Borrowed(tr!("TTL exceeded")),
        "other" => Cow::Borrowed(tr!("another ICMP error")),
        other => safe::one_line(other),
    };
    match from {
        Some(from) => tr!("{reason}, says {from}", reason, from),
        None => tr!("{reason}, says this host", reason),
    }
}

/// Shows a number of seconds, without seconds from a minute on.
pub(crate) fn seconds(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    span(Span::new().try_seconds(seconds).unwrap_or_default())
}
