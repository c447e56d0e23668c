//! Who holds the port.

use std::net::{IpAddr, SocketAddr};

use super::daemon::Process;
use super::{Facts, Finding};

const TOPIC: &str = "port";

/// A bound UDP socket of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UdpSocket {
    pub(crate) local: SocketAddr,
    /// Whose it is.
    pub(crate) user: String,
    /// Who has it open, as far as that may be seen.
    pub(crate) holder: Option<Process>,
}

impl UdpSocket {
    fn holder(&self) -> String {
        match &self.holder {
            Some(process) => process.to_string(),
            None => format!("a program of {}, which may not be looked at", self.user),
        }
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    match facts.status() {
        Some(status) => thieves(facts, &status.listen),
        None => {
            facts.listen().iter().filter(|wanted| wanted.port() != 0).map(|&to| free(facts, to)).collect()
        }
    }
}

/// Tells whether a daemon could bind an address.
fn free(facts: &Facts, wanted: SocketAddr) -> Finding {
    let port = wanted.port();
    match facts.sockets.iter().find(|socket| overlap(socket.local, wanted)) {
        None => Finding::ok(TOPIC, format!("UDP port {port} is free for {wanted}")),
        Some(socket) => {
            let seen = format!("UDP port {port} is held by {}, at {}", socket.holder(), socket.local);
            Finding::problem(TOPIC, seen)
                .hint("stop that program, or give udpchatd another port: `listen` in its configuration")
        }
    }
}

/// Tells whether two addresses cannot be bound both: the same one, or one is every address of a family of the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let takes_all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    one.port() == other.port()
        && (one.ip() == other.ip() || takes_all(one.ip(), other.ip()) || takes_all(other.ip(), one.ip()))
}

/// Finds the sockets that take datagrams away from the daemon: they hold one of its addresses more exactly.
fn thieves(facts: &Facts, listen: &[SocketAddr]) -> Vec<Finding> {
    let is_more_exact = |socket: &&UdpSocket| {
        let local = socket.local;
        !local.ip().is_unspecified()
            && !listen.contains(&local)
            && listen.iter().any(|own| own.ip().is_unspecified() && overlap(*own, local))
    };
    let finding = |socket: &UdpSocket| {
        let seen = format!("datagrams to {} go to {}, not to udpchatd", socket.local, socket.holder());
        Finding::warning(TOPIC, seen)
            .hint("it holds that very address, which counts before every address; stop it")
    };
    facts.sockets.iter().filter(is_more_exact).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text, without_daemon};
    use super::*;

    fn socket(local: &str) -> UdpSocket {
        let holder = Process { pid: 4711, name: "nc".to_owned(), user: "user bob".to_owned() };
        UdpSocket { local: local.parse().unwrap(), user: "user bob".to_owned(), holder: Some(holder) }
    }

    #[test]
    fn without_a_daemon_the_holder_of_the_port_is_named() {
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
        assert!(text(&found).contains("held by a program of user bob, which may not be looked at"));
    }

    #[test]
    fn families_and_addresses_that_go_together_do_not_collide() {
        for (held, wanted) in
            [("0.0.0.0:7788", "[::1]:7788"), ("127.0.0.1:7788", "127.0.0.2:7788"), ("[::1]:1", "[::]:2")]
        {
            assert!(!overlap(held.parse().unwrap(), wanted.parse().unwrap()), "{held} {wanted}");
        }
    }

    #[test]
    fn a_socket_that_holds_one_of_our_addresses_more_exactly_takes_our_datagrams() {
        let sockets = vec![socket("[::]:7788"), socket("192.168.7.5:7788"), socket("192.168.7.5:53")];
        let found = findings(&Facts { sockets, ..facts() });
        assert_eq!(levels(&found), [Warning]);
        assert!(text(&found).contains("datagrams to 192.168.7.5:7788 go to nc"));
    }
}
