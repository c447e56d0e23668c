//! Checks the peer on the command line: whether it can be reached, and its last messages. Nothing is sent to it.

use std::net::SocketAddr;

use udpchat_api::Message;
use udpchat_config::Network;

use super::facts::{Facts, PeerFacts};
use super::finding::Finding;

const TOPIC: &str = "peer";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(peer) = &facts.peer else { return Vec::new() };
    let address = match &peer.address {
        Ok(address) => *address,
        Err(why) => {
            return vec![
                Finding::problem(TOPIC, why.clone()).hint("give a peer's name, `host[:port]` or `[v6]:port`"),
            ];
        }
    };
    let mut found = vec![route(peer, address)];
    found.extend(socket(facts, address));
    found.extend(link(peer, address));
    found.extend(refusal(facts, address));
    found.extend(sent(peer));
    found.push(heard(facts, peer, address));
    found
}

fn route(peer: &PeerFacts, address: SocketAddr) -> Finding {
    let is_itself = [address.to_string(), address.ip().to_string()].contains(&peer.name);
    let name = if is_itself { String::new() } else { format!("{} is ", peer.name) };
    match &peer.source {
        Ok(source) => {
            Finding::ok(TOPIC, format!("{name}{address}: a route exists, with source address {source}"))
        }
        Err(why) => Finding::problem(TOPIC, format!("{name}{address}: cannot be reached: {why}"))
            .hint(format!("`ip route get {}` shows why", address.ip())),
    }
}

/// Reports an address family over which no socket of the daemon can send.
fn socket(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let status = facts.status()?;
    let is_able = |own: &SocketAddr| {
        own.ip().is_ipv6() && own.ip().is_unspecified() || own.is_ipv4() == address.is_ipv4()
    };
    if status.listen.iter().any(is_able) {
        return None;
    }
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let seen = format!(
        "the daemon listens on no {family} address, so it can neither send to this peer nor receive from it"
    );
    Some(
        Finding::problem(TOPIC, seen)
            .hint("`listen = [\"[::]:7788\"]` in the configuration covers both families"),
    )
}

fn link(peer: &PeerFacts, address: SocketAddr) -> Option<Finding> {
    let ip = address.ip();
    Some(match peer.answers_on_link? {
        true => Finding::ok(TOPIC, format!("{ip} answers on the link")),
        false => Finding::problem(
            TOPIC,
            format!("{ip} does not answer on the link: no host there has this address now"),
        )
        .hint("check that the peer is switched on and in the same network"),
    })
}

/// Reports whether the access list refuses its messages.
fn refusal(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let access = &facts.status()?.access;
    let has =
        |network: &&String| network.parse::<Network>().is_ok_and(|network| network.contains(address.ip()));
    let why = match access.deny.iter().find(has) {
        Some(network) => format!("`access.deny` contains {network}"),
        None if !access.allow.is_empty() && !access.allow.iter().any(|network| has(&network)) => {
            "`access.allow` does not contain it".to_owned()
        }
        None => return None,
    };
    let seen = format!("messages from {} are refused: {why}", address.ip());
    Some(
        Finding::problem(TOPIC, seen)
            .hint("change the lists in the configuration, then run `udpchatctl reload`"),
    )
}

fn sent(peer: &PeerFacts) -> Option<Finding> {
    let Message { id, at, error, .. } = peer.last_sent.as_ref()?;
    Some(match error {
        None => Finding::ok(TOPIC, format!("the kernel accepted the last message to it, #{id} at {at}")),
        Some(error) => Finding::warning(
            TOPIC,
            format!("the kernel refused the last message to it, #{id} at {at}: {error}"),
        )
        .hint("the cause may have gone: send another message"),
    })
}

fn heard(facts: &Facts, peer: &PeerFacts, address: SocketAddr) -> Finding {
    match &peer.last_heard {
        Some(Message { id, at, .. }) => {
            Finding::ok(TOPIC, format!("the last message from it is #{id} at {at}"))
        }
        None => {
            let port = facts.ports().first().copied().unwrap_or_default();
            let seen = format!("no message from {} is in the inbox", address.ip());
            Finding::warning(TOPIC, seen).hint(format!(
                "check that it sends to an address of this machine that is listed above; `sudo tcpdump -n udp port {port}` \
                 shows what arrives"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, listening_on, text, with_status};
    use super::*;

    fn peer() -> PeerFacts {
        PeerFacts {
            name: "bob".to_owned(),
            address: Ok("10.1.0.7:8080".parse().unwrap()),
            source: Ok("10.1.0.1".parse().unwrap()),
            answers_on_link: None,
            last_sent: None,
            last_heard: None,
        }
    }

    fn found(facts: Facts, peer: PeerFacts) -> Vec<Finding> {
        findings(&Facts { peer: Some(peer), ..facts })
    }

    #[test]
    fn a_peer_never_heard_is_a_warning() {
        let found = found(facts(), peer());
        assert_eq!(levels(&found), [Fine, Warning]);
        assert!(
            text(&found).starts_with("bob is 10.1.0.7:8080: a route exists, with source address 10.1.0.1")
        );
    }

    #[test]
    fn obstacles_are_problems() {
        let no_route = PeerFacts { source: Err("network is unreachable".to_owned()), ..peer() };
        assert_eq!(levels(&found(facts(), no_route)), [Problem, Warning]);
        let silent = PeerFacts { answers_on_link: Some(false), ..peer() };
        assert_eq!(levels(&found(facts(), silent)), [Fine, Problem, Warning]);
        let unknown = PeerFacts { address: Err("no peer is called `bob`".to_owned()), ..peer() };
        assert_eq!(levels(&found(facts(), unknown)), [Problem]);
        assert_eq!(levels(&found(listening_on(&["[2001:db8::5]:7788"]), peer())), [Fine, Problem, Warning]);
    }

    #[test]
    fn the_access_list_is_checked_for_the_peer() {
        for (allow, deny, refused) in
            [("", "10.0.0.0/8", true), ("192.168.0.0/16", "", true), ("10.1.0.7", "", false)]
        {
            let list = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
            let facts = with_status(|status| {
                status.access.allow = list(allow);
                status.access.deny = list(deny);
            });
            assert_eq!(text(&found(facts, peer())).contains("are refused"), refused, "{allow} {deny}");
        }
    }
}
