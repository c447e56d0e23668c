//! A peer that was asked about: whether it can be reached, and what was heard of it. Nothing is sent to it.

use std::net::{IpAddr, SocketAddr};

use udpchat_api::Message;
use udpchat_config::Network;

use super::{Facts, Finding};

const TOPIC: &str = "peer";

/// What is known of the peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerFacts {
    /// As it was asked for.
    pub(crate) name: String,
    /// Its address, or why it has none.
    pub(crate) address: Result<SocketAddr, String>,
    /// The address of ours from which the kernel would send to it, or why it would not.
    pub(crate) source: Result<IpAddr, String>,
    /// Whether it answers on the link: none where it is not known, or not on a link of ours.
    pub(crate) answers_on_link: Option<bool>,
    pub(crate) last_sent: Option<Message>,
    pub(crate) last_heard: Option<Message>,
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(peer) = &facts.peer else { return Vec::new() };
    let address = match &peer.address {
        Ok(address) => *address,
        Err(why) => {
            return vec![
                Finding::problem(TOPIC, why.clone()).hint("a peer's name, `host[:port]` or `[v6]:port`"),
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
        Ok(source) => Finding::ok(TOPIC, format!("{name}{address}: there is a route to it, from {source}")),
        Err(why) => Finding::problem(TOPIC, format!("{name}{address}: it cannot be reached: {why}"))
            .hint(format!("`ip route get {}` shows why", address.ip())),
    }
}

/// Tells of a family over which no socket of the daemon can send.
fn socket(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let status = facts.status()?;
    let is_able = |own: &SocketAddr| {
        own.ip().is_ipv6() && own.ip().is_unspecified() || own.is_ipv4() == address.is_ipv4()
    };
    if status.listen.iter().any(is_able) {
        return None;
    }
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let seen =
        format!("the daemon listens on no address of {family}, so it can neither send to it nor hear it");
    Some(
        Finding::problem(TOPIC, seen)
            .hint("`listen = [\"[::]:7788\"]` in the configuration serves both families"),
    )
}

fn link(peer: &PeerFacts, address: SocketAddr) -> Option<Finding> {
    let ip = address.ip();
    Some(match peer.answers_on_link? {
        true => Finding::ok(TOPIC, format!("{ip} answers on the link")),
        false => Finding::problem(
            TOPIC,
            format!("{ip} does not answer on the link: nobody there has this address now"),
        )
        .hint("is it on, and in the same network?"),
    })
}

/// Tells whether its messages would be refused.
fn refusal(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let access = &facts.status()?.access;
    let has =
        |network: &&String| network.parse::<Network>().is_ok_and(|network| network.contains(address.ip()));
    let why = match access.deny.iter().find(has) {
        Some(network) => format!("`access.deny` has {network}"),
        None if !access.allow.is_empty() && !access.allow.iter().any(|network| has(&network)) => {
            "`access.allow` lacks it".to_owned()
        }
        None => return None,
    };
    let seen = format!("messages of {} are refused: {why}", address.ip());
    Some(
        Finding::problem(TOPIC, seen).hint("change the lists in the configuration, then `udpchatctl reload`"),
    )
}

fn sent(peer: &PeerFacts) -> Option<Finding> {
    let Message { id, at, error, .. } = peer.last_sent.as_ref()?;
    Some(match error {
        None => Finding::ok(TOPIC, format!("the last message to it, #{id} at {at}, was taken by the kernel")),
        Some(error) => {
            Finding::warning(TOPIC, format!("the last message to it, #{id} at {at}, was refused: {error}"))
                .hint("that it was so then does not mean that it is so now: send another")
        }
    })
}

fn heard(facts: &Facts, peer: &PeerFacts, address: SocketAddr) -> Finding {
    match &peer.last_heard {
        Some(Message { id, at, .. }) => Finding::ok(TOPIC, format!("its last message is #{id} of {at}")),
        None => {
            let port = facts.ports().first().copied().unwrap_or_default();
            let seen = format!("no message from {} is in the inbox", address.ip());
            Finding::warning(TOPIC, seen).hint(format!(
                "does it send to an address of this machine that is listed above? `sudo tcpdump -n udp port {port}` shows \
                 what arrives"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
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
    fn a_peer_with_a_route_that_was_never_heard_is_a_warning() {
        let found = found(facts(), peer());
        assert_eq!(levels(&found), [Fine, Warning]);
        assert!(text(&found).starts_with("bob is 10.1.0.7:8080: there is a route to it, from 10.1.0.1"));
    }

    #[test]
    fn what_stands_in_the_way_is_a_problem() {
        let no_route = PeerFacts { source: Err("network is unreachable".to_owned()), ..peer() };
        assert_eq!(levels(&found(facts(), no_route)), [Problem, Warning]);
        let silent = PeerFacts { answers_on_link: Some(false), ..peer() };
        assert_eq!(levels(&found(facts(), silent)), [Fine, Problem, Warning]);
        let unknown = PeerFacts { address: Err("no peer is called `bob`".to_owned()), ..peer() };
        assert_eq!(levels(&found(facts(), unknown)), [Problem]);
        assert_eq!(levels(&found(listening_on(&["[2001:db8::5]:7788"]), peer())), [Fine, Problem, Warning]);
    }

    #[test]
    fn the_access_list_is_asked_about_it() {
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
