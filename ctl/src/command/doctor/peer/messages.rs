//! The last messages to and from a peer: whether they were delivered, and when something came from it.

use std::net::SocketAddr;

use udpchat_api::{Bounce, Message, safe};
use udpchat_locale::{tr, translated};

use crate::command::doctor::facts::{Facts, Newest, PeerFacts, Unusable};
use crate::command::doctor::finding::Finding;
use crate::command::doctor::silence::silence;
use crate::output::{after_bounce, host, reported, undelivered};

/// The topic of what is found about the peer.
pub(super) const TOPIC: &str = "peer";

pub(super) fn sent(facts: &Facts, peer: &PeerFacts) -> Option<Finding> {
    let Newest::Message(message) = &peer.last_sent else { return None };
    if let Some(bounce) = bounce(message, &peer.last_heard) {
        let finding = bounced(facts, message, bounce, &peer.last_heard);
        return Some(match now_at(facts, peer) {
            Some(hint) => finding.hint(hint),
            None => finding,
        });
    }
    let Message { id, at, error, .. } = message.as_ref();
    let at = facts.local_time(*at);
    Some(match error {
        None => Finding::ok(
            TOPIC,
            tr!("the kernel accepted the last message to it, #{id} at {time}", id, time = at),
        ),
        Some(error) => Finding::warning(
            TOPIC,
            tr!(
                "the kernel refused the last message to it, #{id} at {time}: {error}",
                id,
                time = at,
                error = translated(error)
            ),
        )
        .hint(tr!("the cause may have gone: send another message")),
    })
}

/// Says that the host has sent something from another port since the last message of this peer.
fn now_at(facts: &Facts, peer: &PeerFacts) -> Option<String> {
    let Newest::Message(last) = &peer.last_of_host else { return None };
    let is_newer = !matches!(&peer.last_heard, Newest::Message(heard) if heard.id >= last.id);
    // A message of another configured peer is none of this one.
    let is_of_nobody = last.name.as_ref().is_none_or(|name| *name == peer.name);
    (is_newer && is_of_nobody).then(|| {
        tr!(
            "its host sends from port {port} now, #{id} at {time}: in the configuration, `address = \"{ip}\"` without a port is every \
             port of that host",
            port = last.peer.port(),
            id = last.id,
            time = facts.local_time(last.at),
            ip = last.peer.ip()
        )
    })
}

/// Returns the report that the last message to it was not delivered, unless something has come since from where it went.
fn bounce<'a>(sent: &'a Message, heard: &Newest) -> Option<&'a Bounce> {
    let is_heard_since =
        matches!(heard, Newest::Message(heard) if heard.id > sent.id && heard.peer == sent.peer);
    sent.bounce.as_ref().filter(|_| !is_heard_since)
}

fn bounced(facts: &Facts, sent: &Message, bounce: &Bounce, heard: &Newest) -> Finding {
    let (id, time) = (sent.id, facts.local_time(bounce.at));
    let to = sent.peer.to_string();
    let what = undelivered(sent.name.as_deref(), &to, &bounce.reason);
    let report = reported(&bounce.reason, bounce.from);
    let seen = match heard {
        Newest::Message(last) if last.id < sent.id => tr!(
            "{what}: #{id} bounced at {time} ({report}), and nothing has come from it since {last}",
            what,
            id,
            time,
            report,
            last = facts.local_time(last.at)
        ),
        _ => tr!("{what}: #{id} bounced at {time} ({report})", what, id, time, report),
    };
    let to = sent.name.as_deref().map_or(to.clone(), |name| safe::one_line(name).into_owned());
    Finding::problem(TOPIC, seen).hint(match heard {
        Newest::Message(last) if last.peer.port() != sent.peer.port() => tr!(
            "its last message came from port {port}: `udpchatctl send {to} TEXT --last-port` sends there",
            port = last.peer.port(),
            to = sent.name.as_ref().map_or_else(|| host(sent.peer), |_| to.clone())
        ),
        _ => after_bounce(&bounce.reason, &to),
    })
}

/// Reports that it has sent nothing for its `silent_after`.
pub(super) fn silent(facts: &Facts, peer: &PeerFacts) -> Option<Finding> {
    let watched = facts.status()?.watched_peers.iter().find(|watched| watched.name == peer.name)?;
    silence(facts, watched).map(|finding| Finding { topic: TOPIC, hint: now_at(facts, peer), ..finding })
}

/// Reports the last message from it. A message from another port of its host is none of its messages.
pub(super) fn heard(facts: &Facts, peer: &PeerFacts, address: SocketAddr) -> Finding {
    let ip = address.ip();
    let who = if peer.has_port { address.to_string() } else { ip.to_string() };
    let port = facts.ports().first().copied().unwrap_or_default();
    let how = tr!(
        "check that it sends to an address of this machine that is listed above; `sudo tcpdump -n udp port {port}` shows what \
         arrives",
        port
    );
    match (&peer.last_heard, &peer.last_of_host) {
        (Newest::Message(message), _) => {
            let Message { id, at, peer, .. } = message.as_ref();
            let at = facts.local_time(*at);
            let seen = tr!("the last message from it is #{id} at {time}", id, time = at);
            Finding::ok(
                TOPIC,
                match peer.to_string() == who {
                    true => seen,
                    false => tr!("{seen}, from port {port}", seen, port = peer.port()),
                },
            )
        }
        (Newest::Unknown(Unusable { what, hint }), _) => {
            let reason = translated(what);
            Finding::warning(
                TOPIC,
                tr!("whether {peer} has sent anything is unknown: {reason}", peer = who, reason),
            )
            .hint_if(hint.clone())
        }
        (_, Newest::Message(message)) => {
            let Message { id, at, peer, .. } = message.as_ref();
            let at = facts.local_time(*at);
            Finding::warning(
                TOPIC,
                tr!(
                    "no message from {peer} is in the inbox; the last one from that host is #{id} at {time}, from port {port}",
                    peer = who,
                    id,
                    time = at,
                    port = peer.port()
                ),
            )
            .hint(tr!(
                "it may send from another port than it receives on: in the configuration, `address = \"{ip}\"` without a port \
                 is every port of that host; `ask --anyone` accepts an answer from another port",
                ip
            ))
        }
        (Newest::NothingSince(id), _) => Finding::warning(
            TOPIC,
            tr!(
                "no message from {peer} is among the entries from #{id} on; older ones were not searched",
                peer = who,
                id
            ),
        )
        .hint(how),
        (Newest::Nothing, _) => {
            Finding::warning(TOPIC, tr!("no message from {peer} is in the inbox", peer = who)).hint(how)
        }
    }
}

#[cfg(test)]
mod tests {
    use udpchat_api::call::WatchedPeer;

    use super::super::testing::{found, message, peer};
    use super::*;
    use crate::command::doctor::facts::NoAddress;
    use crate::command::doctor::finding::Level::{Fine, Problem, Warning};
    use crate::command::doctor::testing::{facts, levels, text, with_status};

    #[test]
    fn only_a_message_from_its_port_is_ok() {
        let last = |peer: PeerFacts| {
            let found = found(facts(), peer);
            let last = found.last().unwrap();
            (last.level, last.seen.clone(), last.hint.clone().unwrap_or_default())
        };
        let heard = PeerFacts { last_heard: message("10.1.0.7:8080"), ..peer() };
        let seen = "the last message from it is #4 at 2026-11-22 11:00:00";
        assert_eq!(last(heard), (Fine, seen.to_owned(), String::new()));
        let (level, seen, hint) = last(PeerFacts { last_of_host: message("10.1.0.7:5000"), ..peer() });
        assert_eq!(level, Warning);
        assert!(seen.starts_with("no message from 10.1.0.7:8080 is in the inbox; the last one"), "{seen}");
        assert!(seen.ends_with("is #4 at 2026-11-22 11:00:00, from port 5000"), "{seen}");
        assert!(hint.contains("`address = \"10.1.0.7\"`"), "{hint}");
        let any_port = PeerFacts { has_port: false, last_heard: message("10.1.0.7:5000"), ..peer() };
        let (level, seen, _) = last(any_port);
        assert_eq!(level, Fine);
        assert!(seen.starts_with("the last message from it is #4") && seen.ends_with("port 5000"), "{seen}");
    }

    #[test]
    fn what_is_unknown_is_not_ok() {
        let refused = Unusable { what: "`inbox` requires role `read`".to_owned(), hint: None };
        let unknown = PeerFacts { last_heard: Newest::Unknown(refused), ..peer() };
        let unsearched = PeerFacts { last_heard: Newest::NothingSince(812), ..peer() };
        for (peer, expected) in [
            (unknown, "whether 10.1.0.7:8080 has sent anything is unknown: `inbox` requires role `read`"),
            (
                unsearched,
                "no message from 10.1.0.7:8080 is among the entries from #812 on; older ones were not searched",
            ),
        ] {
            let found = found(facts(), peer);
            assert_eq!((found[1].level, found[1].seen.as_str()), (Warning, expected));
        }
        let hint = Some("root can add them to it".to_owned());
        let hidden = Unusable { what: "`peers` requires role `read`".to_owned(), hint: hint.clone() };
        let found = found(facts(), PeerFacts { address: Err(NoAddress::Hidden(hidden)), ..peer() });
        assert_eq!((levels(&found), &found[0].hint), (vec![Warning], &hint));
    }

    #[test]
    fn a_bounce_is_a_problem_until_the_peer_is_heard() {
        let bounced = |id: u64, reason: &str| {
            let Newest::Message(message) = message("10.1.0.7:8080") else { panic!() };
            let (at, from) = (message.at, "10.1.0.7".parse().ok());
            let bounce = Some(Bounce { reason: reason.to_owned(), from, at });
            Newest::Message(Box::new(Message { id, bounce, name: Some("bob".to_owned()), ..*message }))
        };
        let silent = PeerFacts { last_sent: bounced(5, "port_unreachable"), ..peer() };
        let of_peer = found(facts(), silent.clone());
        assert_eq!(levels(&of_peer), [Fine, Problem, Warning]);
        assert_eq!(
            of_peer[1].seen,
            "bob does not listen on port 8080: #5 bounced at 2026-11-22 11:00:00 (port unreachable, says 10.1.0.7)"
        );
        assert!(of_peer[1].hint.as_ref().unwrap().contains("`udpchatctl send bob TEXT --when-seen`"));
        let Newest::Message(last) = message("10.1.0.7:5000") else { panic!() };
        let moved = |id, name: Option<&str>| {
            let last = Message { id, name: name.map(str::to_owned), ..Message::clone(&last) };
            let moved = PeerFacts { last_of_host: Newest::Message(Box::new(last)), ..silent.clone() };
            found(facts(), PeerFacts { last_heard: message("10.1.0.7:8080"), ..moved })[1]
                .hint
                .clone()
                .unwrap()
        };
        assert!(
            moved(6, None).starts_with("its host sends from port 5000 now, #6 at "),
            "{}",
            moved(6, None)
        );
        assert!(moved(3, None).contains("--when-seen") && moved(6, Some("eve")).contains("--when-seen"));
        // Message 4 came before it.
        let heard_before = PeerFacts { last_heard: message("10.1.0.7:8080"), ..silent };
        let of_peer = found(facts(), heard_before.clone());
        assert_eq!(levels(&of_peer), [Fine, Problem, Fine]);
        assert!(of_peer[1].seen.ends_with("and nothing has come from it since 2026-11-22 11:00:00"));
        let heard_since = PeerFacts { last_sent: bounced(3, "port_unreachable"), ..heard_before };
        assert_eq!(levels(&found(facts(), heard_since.clone())), [Fine, Fine, Fine]);
        // What comes from another port does not show that the message would arrive.
        let elsewhere = PeerFacts { last_heard: message("10.1.0.7:5000"), has_port: false, ..heard_since };
        let of_peer = found(facts(), elsewhere);
        assert_eq!(levels(&of_peer), [Fine, Problem, Fine]);
        assert!(of_peer[1].seen.ends_with("(port unreachable, says 10.1.0.7)"), "{of_peer:?}");
        assert!(
            of_peer[1]
                .hint
                .as_ref()
                .unwrap()
                .contains("from port 5000: `udpchatctl send bob TEXT --last-port`")
        );
    }

    #[test]
    fn a_silent_peer_is_named() {
        let silent = |name: &str| {
            let name = name.to_owned();
            with_status(|status| {
                let silent_since = Some(status.started);
                status.watched_peers = vec![WatchedPeer { name, last_heard: None, silent_since }];
            })
        };
        assert_eq!(levels(&found(silent("bob"), peer())), [Fine, Warning, Warning]);
        assert_eq!(levels(&found(silent("ann"), peer())), [Fine, Warning]);
    }

    #[test]
    fn a_peer_never_heard_is_a_warning() {
        let found = found(facts(), peer());
        assert_eq!(levels(&found), [Fine, Warning]);
        assert!(
            text(&found).starts_with("bob is 10.1.0.7:8080: a route exists, with source address 10.1.0.1")
        );
    }
}
