//! Checks the peer on the command line: whether it can be reached, and its last messages ([`messages`]). Nothing is sent to it.

mod messages;

use std::net::SocketAddr;

use udpchat_api::call::Refusal;
use udpchat_api::safe;
use udpchat_config::{Network, PeerAddress};
use udpchat_locale::{tr, translated};

use self::messages::{TOPIC, heard, sent, silent};
use super::access::higher_limit;
use super::facts::{Facts, NoAddress, PeerFacts, Unusable};
use super::finding::Finding;
use super::listen::how_to_listen;
use crate::output::refused;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(peer) = &facts.peer else { return Vec::new() };
    let address = match &peer.address {
        Ok(address) => *address,
        Err(NoAddress::Absent(Unusable { what, hint })) => {
            let hint = hint.as_deref().unwrap_or(tr!("give a peer's name, `host[:port]` or `[v6]:port`"));
            return vec![Finding::problem(TOPIC, what.clone()).hint(hint)];
        }
        Err(NoAddress::Hidden(Unusable { what, hint })) => {
            return vec![Finding::warning(TOPIC, what.clone()).hint_if(hint.clone())];
        }
    };
    let mut found = vec![route(peer, address)];
    found.extend(named_there(peer, address));
    found.extend(socket(facts, address));
    found.extend(link(peer, address));
    found.extend(refusal(facts, address));
    found.extend(over_limit(facts, address));
    found.extend(sent(facts, peer));
    found.extend(silent(facts, peer));
    found.push(heard(facts, peer, address));
    found
}

fn route(peer: &PeerFacts, address: SocketAddr) -> Finding {
    let is_itself = [address.to_string(), address.ip().to_string()].contains(&peer.name);
    let name = &peer.name;
    match &peer.source {
        Ok(source) if is_itself => Finding::ok(
            TOPIC,
            tr!("{address}: a route exists, with source address {source}", address, source),
        ),
        Ok(source) => Finding::ok(
            TOPIC,
            tr!("{name} is {address}: a route exists, with source address {source}", name, address, source),
        ),
        Err(why) => {
            let reason = translated(why);
            let seen = match is_itself {
                true => tr!("{address}: cannot be reached: {reason}", address, reason),
                false => tr!("{name} is {address}: cannot be reached: {reason}", name, address, reason),
            };
            Finding::problem(TOPIC, seen).hint(tr!("`ip route get {ip}` shows why", ip = address.ip()))
        }
    }
}

/// Reports that the host has a configured peer with another port than the default one that was looked at.
fn named_there(peer: &PeerFacts, address: SocketAddr) -> Option<Finding> {
    let (name, port) = peer.named_there.as_ref().filter(|(_, port)| *port != address.port())?;
    let name = safe::one_line(name);
    Some(Finding::warning(
        TOPIC,
        tr!(
            "{address} is no configured peer; `{name}` at that host has port {port}: `udpchatctl doctor {name}` examines it",
            address,
            name,
            port
        ),
    ))
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
    let seen = tr!(
        "the daemon listens on no {family} address, so it can neither send to this peer nor receive from it",
        family
    );
    Some(Finding::problem(TOPIC, seen).hint(how_to_listen(facts, &status.listen)))
}

fn link(peer: &PeerFacts, address: SocketAddr) -> Option<Finding> {
    let ip = address.ip();
    Some(match peer.answers_on_link? {
        true => Finding::ok(TOPIC, tr!("{ip} answered on the link when the kernel last asked", ip)),
        false => Finding::problem(
            TOPIC,
            tr!("{ip} does not answer on the link: no host there has this address now", ip),
        )
        .hint(tr!("check that the peer is switched on and in the same network")),
    })
}

/// Reports whether the access list refuses its messages.
fn refusal(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let access = &facts.status()?.access;
    let has =
        |network: &&String| network.parse::<Network>().is_ok_and(|network| network.contains(address.ip()));
    let why = match access.deny.iter().find(has) {
        Some(network) => tr!("`access.deny` contains {network}", network),
        None if !access.allow.is_empty() && !access.allow.iter().any(|network| has(&network)) => {
            tr!("`access.allow` does not contain it").to_owned()
        }
        None => return None,
    };
    let seen = tr!("messages from {ip} are refused: {reason}", ip = address.ip(), reason = why);
    Some(
        Finding::problem(TOPIC, seen)
            .hint(tr!("change the lists in the configuration, then run `udpchatctl reload`")),
    )
}

/// Reports whether messages from its address were over the limit lately.
fn over_limit(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let is_source = |over: &&Refusal| {
        let network = over.address.parse::<Network>().is_ok_and(|network| network.contains(address.ip()));
        network || over.address.parse::<PeerAddress>().is_ok_and(|source| source.matches(address))
    };
    let over = facts.status()?.access.limited.iter().find(is_source)?;
    let seen = tr!("messages over the limit were left out: {address}", address = refused(over, &facts.zone));
    Some(Finding::warning(TOPIC, seen).hint(higher_limit()))
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::command::doctor::facts::Newest;

    pub(super) fn peer() -> PeerFacts {
        PeerFacts {
            name: "bob".to_owned(),
            address: Ok("10.1.0.7:8080".parse().unwrap()),
            source: Ok("10.1.0.1".parse().unwrap()),
            has_port: true,
            named_there: None,
            answers_on_link: None,
            last_sent: Newest::Nothing,
            last_heard: Newest::Nothing,
            last_of_host: Newest::Nothing,
        }
    }

    pub(super) fn message(from: &str) -> Newest {
        let message = serde_json::json!({
            "id": 4, "at": "2026-11-22T11:00:00Z", "direction": "in", "peer": from, "text": "x", "encoding": "utf-8",
            "encoding_by": "fallback", "bytes": 1, "raw": "eA==",
        });
        Newest::Message(serde_json::from_value(message).unwrap())
    }

    pub(super) fn found(facts: Facts, peer: PeerFacts) -> Vec<Finding> {
        findings(&Facts { peer: Some(peer), ..facts })
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, listening_on, text, with_status};
    use super::testing::{found, peer};
    use super::*;

    #[test]
    fn obstacles_are_problems() {
        let no_route = PeerFacts { source: Err("network is unreachable".to_owned()), ..peer() };
        assert_eq!(levels(&found(facts(), no_route)), [Problem, Warning]);
        let silent = PeerFacts { answers_on_link: Some(false), ..peer() };
        assert_eq!(levels(&found(facts(), silent)), [Fine, Problem, Warning]);
        let reason = Unusable { what: "no peer is called `bob`".to_owned(), hint: None };
        let unknown = PeerFacts { address: Err(NoAddress::Absent(reason)), ..peer() };
        assert_eq!(levels(&found(facts(), unknown)), [Problem]);
        let mut of_one_family = listening_on(&["[2001:db8::5]:7788"]);
        of_one_family.running.has_socket_unit = true;
        let of_one_family = found(of_one_family, peer());
        assert_eq!(levels(&of_one_family), [Fine, Problem, Warning]);
        let hint = of_one_family[1].hint.as_deref().unwrap();
        assert!(hint.contains("the socket unit holds the port"), "{hint}");
    }

    #[test]
    fn a_peer_with_another_port_of_the_host_is_named() {
        let bare = |port| PeerFacts {
            name: "10.1.0.7".to_owned(),
            address: Ok("10.1.0.7:7788".parse().unwrap()),
            has_port: false,
            named_there: Some(("bob".to_owned(), port)),
            ..peer()
        };
        let of_peer = found(facts(), bare(8080));
        assert_eq!(levels(&of_peer), [Fine, Warning, Warning]);
        assert!(
            of_peer[1].seen.contains("`bob` at that host has port 8080: `udpchatctl doctor bob`"),
            "{of_peer:?}"
        );
        assert_eq!(levels(&found(facts(), bare(7788))), [Fine, Warning]);
    }

    #[test]
    fn a_peer_over_the_limit_is_reported() {
        for (source, is_over) in [
            ("10.1.0.7", true),
            ("10.1.0.7:8080", true),
            ("10.1.0.7:9", false),
            ("10.1.0.0/24", true),
            ("2001:db8::/64", false),
        ] {
            let facts = with_status(|status| {
                let (address, at) = (source.to_owned(), status.started);
                status.access.limited = vec![Refusal { address, name: None, at, datagrams: 7 }];
            });
            assert_eq!(text(&found(facts, peer())).contains("over the limit"), is_over, "{source}");
        }
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
