//! Checks which program holds the port.

use std::net::{IpAddr, SocketAddr};

use super::facts::{Facts, UdpSocket};
use super::finding::Finding;

const TOPIC: &str = "port";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    match facts.status() {
        Some(status) => intercepting(facts, &status.listen),
        None => {
            facts.listen().iter().filter(|wanted| wanted.port() != 0).map(|&to| free(facts, to)).collect()
        }
    }
}

/// Checks whether a daemon could bind an address.
fn free(facts: &Facts, wanted: SocketAddr) -> Finding {
    let port = wanted.port();
    match facts.sockets.iter().find(|socket| overlap(socket.local, wanted)) {
        None => Finding::ok(TOPIC, format!("UDP port {port} is free for {wanted}")),
        Some(socket) => {
            let seen = format!("UDP port {port} is held by {}, at {}", holder(socket), socket.local);
            Finding::problem(TOPIC, seen).hint(
                "stop that program, or set another port for udpchatd with `listen` in its configuration",
            )
        }
    }
}

/// Returns whether two addresses cannot both be bound: they are equal, or one is the wildcard of the other's family.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let takes_all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    one.port() == other.port()
        && (one.ip() == other.ip() || takes_all(one.ip(), other.ip()) || takes_all(other.ip(), one.ip()))
}

/// Finds sockets that receive datagrams in place of the daemon: they are bound to one specific address.
fn intercepting(facts: &Facts, listen: &[SocketAddr]) -> Vec<Finding> {
    let is_more_specific = |socket: &&UdpSocket| {
        let local = socket.local;
        !local.ip().is_unspecified()
            && !listen.contains(&local)
            && listen.iter().any(|own| own.ip().is_unspecified() && overlap(*own, local))
    };
    let finding = |socket: &UdpSocket| {
        let seen = format!("datagrams to {} go to {}, not to udpchatd", socket.local, holder(socket));
        Finding::warning(TOPIC, seen).hint(
            "it is bound to that specific address, which takes precedence over the wildcard address; stop it",
        )
    };
    facts.sockets.iter().filter(is_more_specific).map(finding).collect()
}

/// Names the program that holds a socket.
fn holder(socket: &UdpSocket) -> String {
    match &socket.holder {
        Some(process) => process.to_string(),
        None => format!("a program of {} that this user may not inspect", socket.user),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Process;
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text, without_daemon};
    use super::*;

    fn socket(local: &str) -> UdpSocket {
        let holder = Process { pid: 4711, name: "nc".to_owned(), user: "user bob".to_owned() };
        UdpSocket { local: local.parse().unwrap(), user: "user bob".to_owned(), holder: Some(holder) }
    }

    #[test]
    fn without_a_daemon_the_port_holder_is_named() {
        for (held, level) in [
            ("0.0.0.0:7788", Problem),
            ("[::]:7788", Problem),
            ("127.0.0.1:7788", Problem),
            ("[::1]:7788", Problem),
            ("0.0.0.0:7789", Fine),
        ] {
            let found = findings(&Facts { sockets: vec![socket(held)], ..without_daemon("[::]:7788") });
            assert_eq!(levels(&found), [level], "{held}");
            assert_eq!(text(&found).contains("held by nc (pid 4711, user bob)"), level == Problem);
        }
        let hidden = UdpSocket { holder: None, ..socket("0.0.0.0:7788") };
        let found = findings(&Facts { sockets: vec![hidden], ..without_daemon("0.0.0.0:7788") });
        assert!(text(&found).contains("held by a program of user bob that this user may not inspect"));
    }

    #[test]
    fn compatible_addresses_do_not_collide() {
        for (held, wanted) in
            [("0.0.0.0:7788", "[::1]:7788"), ("127.0.0.1:7788", "127.0.0.2:7788"), ("[::1]:1", "[::]:2")]
        {
            assert!(!overlap(held.parse().unwrap(), wanted.parse().unwrap()), "{held} {wanted}");
        }
    }

    #[test]
    fn a_socket_with_a_specific_address_intercepts() {
        let sockets = vec![socket("[::]:7788"), socket("192.168.7.5:7788"), socket("192.168.7.5:53")];
        let found = findings(&Facts { sockets, ..facts() });
        assert_eq!(levels(&found), [Warning]);
        assert!(text(&found).contains("datagrams to 192.168.7.5:7788 go to nc"));
    }
}
