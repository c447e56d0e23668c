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
        None if notice.first => tr!("{peer} has sent nothing yet ({time})", peer, time),
        None => tr!("{peer} is silent, for {time}", peer, time),
    }
}

fn heard(notice: &Notice) -> String {
    let peer = peer(notice);
    match notice.seconds {
        _ if notice.first => tr!("{peer} sent its first message", peer),
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

/// Returns what to do after the message to a peer was not delivered; `to` is safe to show.
pub(crate) fn after_bounce(reason: &str, to: &str) -> String {
    match reason {
        "port_unreachable" => tr!(
            "is the program running there? `udpchatctl send {to} TEXT --when-seen` holds a message until it sends one",
            to
        ),
        "too_big" => tr!("`--split` sends a long message in several datagrams").to_owned(),
        "prohibited" => tr!("a firewall on the way or there refuses them").to_owned(),
        _ => tr!("check that the peer is switched on and in the same network").to_owned(),
    }
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
    let reason = reason_text(reason);
    match from {
        Some(from) => tr!("{reason}, says {from}", reason, from),
        None => tr!("{reason}, says this host", reason),
    }
}

/// Names the reason of a bounce, given as in the protocol.
pub(crate) fn reason_text(reason: &str) -> Cow<'_, str> {
    match reason {
        "port_unreachable" => Cow::Borrowed(tr!("port unreachable")),
        "host_unreachable" => Cow::Borrowed(tr!("host unreachable")),
        "net_unreachable" => Cow::Borrowed(tr!("network unreachable")),
        "prohibited" => Cow::Borrowed(tr!("prohibited")),
        "too_big" => Cow::Borrowed(tr!("too big")),
        "ttl_exceeded" => Cow::Borrowed(tr!("TTL exceeded")),
        "other" => Cow::Borrowed(tr!("another ICMP error")),
        other => safe::one_line(other),
    }
}

/// Shows a number of seconds, without seconds from a minute on.
pub(crate) fn seconds(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    span(Span::new().try_seconds(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_locale::{Language, with_language};

    fn notice(fields: &str) -> Notice {
        let json = format!(r#"{{"id":813,"at":"2026-11-26T22:10:03Z",{fields}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    const NOTICES: [&str; 11] = [
        r#""notice":"bounced","about":812,"peer":"192.168.43.159:8080","name":"bob","reason":"port_unreachable""#,
        r#""notice":"bounced","about":812,"peer":"[2001:db8::1]:9","reason":"host_unreachable","more":1200"#,
        r#""notice":"bounced","peer":"10.0.0.9","name":"plc","reason":"prohibited""#,
        r#""notice":"silent","name":"sensor7","last_id":811,"seconds":600"#,
        r#""notice":"silent","peer":"10.0.0.7","seconds":59"#,
        r#""notice":"heard","name":"sensor7","about":901,"seconds":4869"#,
        r#""notice":"expired","held":17,"name":"sensor7""#,
        r#""notice":"loop","peer":"10.0.0.9:7788","about":939"#,
        r#""notice":"news""#,
        r#""notice":"silent","name":"王五","seconds":10,"first":true"#,
        r#""notice":"heard","name":"王五","about":3,"seconds":16,"first":true"#,
    ];

    #[test]
    fn each_kind_has_a_line() {
        let expected = [
            "#812 bounced: bob does not listen on port 8080",
            "#812 bounced: no host answers at 2001:db8::1 (and 1,200 more like this)",
            "a message bounced: a firewall refuses messages to plc",
            "sensor7 is silent, for 10m, since #811",
            "10.0.0.7 is silent, for 59s",
            "sensor7 is back, after 1h 21m",
            "held 17 for sensor7 expired and was not sent",
            "loop: 10.0.0.9:7788, #939",
            "news",
            "王五 has sent nothing yet (10s)",
            "王五 sent its first message",
        ];
        assert_eq!(NOTICES.map(|fields| notice_text(&notice(fields))), expected);
        let chinese = with_language(Language::Chinese, || NOTICES.map(|fields| notice_text(&notice(fields))));
        let expected = [
            "#812 被退回：bob 没有监听端口 8080",
            "#812 被退回：地址 2001:db8::1 上没有主机响应（另有 1,200 个同类通知）",
            "一条消息被退回：防火墙拒绝发往 plc 的消息",
            "sensor7 已静默 10 分钟，最后一条消息是 #811",
            "10.0.0.7 已静默 59 秒",
            "sensor7 已恢复，此前静默了 1 小时 21 分钟",
            "为 sensor7 保留的消息 17 已过期，未发送",
            "loop: 10.0.0.9:7788, #939",
            "news",
            "王五 尚未发来过消息（10 秒）",
            "王五 首次发来消息",
        ];
        assert_eq!(chinese, expected);
    }

    #[test]
    fn each_reason_has_a_sentence_and_a_name() {
        let reasons = [
            ("port_unreachable", "bob does not listen on port 8080", "port unreachable"),
            ("host_unreachable", "no host answers at 10.0.0.7", "host unreachable"),
            ("net_unreachable", "there is no route to 10.0.0.7", "network unreachable"),
            ("prohibited", "a firewall refuses messages to bob", "prohibited"),
            ("too_big", "the datagram is too big for the networks on the way to bob", "too big"),
            ("ttl_exceeded", "too many routers are on the way to bob", "TTL exceeded"),
            ("other", "the network did not deliver it to bob", "another ICMP error"),
            ("a\u{1b}b", "the network did not deliver it to bob", "a\\u{1b}b"),
        ];
        for (reason, sentence, name) in reasons {
            assert_eq!(undelivered(Some("bob"), "10.0.0.7:8080", reason), sentence);
            assert_eq!(reported(reason, "10.0.0.1".parse().ok()), format!("{name}, says 10.0.0.1"));
            assert_eq!(reported(reason, None), format!("{name}, says this host"));
        }
        assert_eq!(
            undelivered(None, "10.0.0.7:8080", "port_unreachable"),
            "10.0.0.7 does not listen on port 8080"
        );
    }

    #[test]
    fn notices_are_safe_to_show() {
        let hostile = "\u{1b}[2J\n\u{202e}#1";
        for kind in ["bounced", "silent", "heard", "expired", hostile] {
            let all = Notice {
                notice: kind.to_owned(),
                peer: Some(hostile.to_owned()),
                reason: Some(hostile.to_owned()),
                ..notice(NOTICES[0])
            };
            for name in [None, Some(hostile.to_owned())] {
                let text = notice_text(&Notice { name, ..all.clone() });
                assert_eq!(safe::find_unsafe(&text), None, "{text}");
                assert_eq!(text.lines().count(), 1);
            }
        }
    }
}
