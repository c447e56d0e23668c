//! Checks which program holds the port.

use std::net::{IpAddr, SocketAddr};

use udpchat_locale::tr;

use super::facts::{Facts, Process, RunningDaemon, UdpSocket};
use super::finding::Finding;
use super::listen::how_to_listen;

const TOPIC: &str = "port";

/// The name of the daemon's process.
const DAEMON: &str = "udpchatd";

/// The name of the process that holds sockets for services.
const SERVICE_MANAGER: &str = "systemd";

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
    let (port, ip) = (wanted.port(), wanted.ip());
    if facts.lacks(ip) {
        let seen =
            tr!("udpchatd cannot listen on {address}: no interface has {ip} now", address = wanted, ip);
        return Finding::problem(TOPIC, seen).hint(how_to_listen(facts, &[wanted]));
    }
    match facts.sockets.iter().find(|socket| overlap(socket.local, wanted)) {
        None => Finding::ok(TOPIC, tr!("UDP port {port} is free for {address}", port, address = wanted)),
        Some(socket) => held(facts, socket),
    }
}

/// Reports a socket at which a daemon would receive. Only a program that this user sees, and that is no daemon, should be
/// stopped.
fn held(facts: &Facts, socket: &UdpSocket) -> Finding {
    let (port, local) = (socket.local.port(), socket.local);
    let holder = holder(socket);
    let seen = tr!("UDP port {port} is held by {holder}, at {address}", port, holder, address = local);
    match &socket.holder {
        Some(holder) if holder.name == DAEMON => Finding::warning(TOPIC, seen).hint(tr!(
            "that daemon receives there; `listen` in the configuration sets another port for a second one"
        )),
        Some(holder) if holder.name == SERVICE_MANAGER => Finding::problem(TOPIC, seen).hint(tr!(
            "it holds the port for a daemon that does not run or does not answer: `systemctl status udpchatd.socket udpchatd.service` \
             shows why"
        )),
        Some(_) => Finding::problem(TOPIC, seen)
            .hint(tr!("stop that program, or set another port for udpchatd with `listen` in its configuration")),
        None => Finding::problem(TOPIC, with_daemon_of_holder(facts, socket, seen)).hint(tr!(
            "`sudo ss -lunp 'sport = :{port}'` names it; `listen` in the configuration sets another port for udpchatd",
            port
        )),
    }
}

/// Adds a daemon of the user that holds the socket: it may be the holder, but need not be.
fn with_daemon_of_holder(facts: &Facts, socket: &UdpSocket, seen: String) -> String {
    match facts.not_answering().iter().find(|daemon| daemon.process.user == socket.user) {
        Some(RunningDaemon { process: Process { name, pid, user, .. }, .. }) => {
            tr!("{seen}; {user} also runs {name} (pid {pid})", seen, user, name, pid)
        }
        None => seen,
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
        let (address, port) = (socket.local, socket.local.port());
        let seen =
            tr!("datagrams to {address} go to {holder}, not to udpchatd", address, holder = holder(socket));
        Finding::warning(TOPIC, seen).hint(match &socket.holder {
            Some(_) => tr!(
                "it is bound to that specific address, which takes precedence over the wildcard address; stop it"
            )
            .to_owned(),
            None => tr!(
                "it is bound to that specific address, which takes precedence over the wildcard address; `sudo ss -lunp \
                 'sport = :{port}'` names it",
                port
            ),
        })
    };
    facts.sockets.iter().filter(is_more_specific).map(finding).collect()
}

/// Names the program that holds a socket.
fn holder(socket: &UdpSocket) -> String {
    match &socket.holder {
        Some(process) => process.to_string(),
        None => tr!("a program of {user} that this user may not inspect", user = socket.user),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Reach;
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, running, text, without_daemon};
    use super::*;

    fn socket(local: &str) -> UdpSocket {
        let (name, user) = ("nc".to_owned(), "user bob".to_owned());
        let holder = Process { pid: 4711, name, user, is_own: true };
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
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_not_free() {
        let found = findings(&without_daemon("10.9.9.9:7788"));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).contains("no interface has 10.9.9.9 now"), "{found:?}");
        for there in ["127.0.0.9:7788", "[::1]:7788", "0.0.0.0:7788", "239.1.1.1:7788"] {
            assert_eq!(levels(&findings(&without_daemon(there))), [Fine], "{there}");
        }
    }

    #[test]
    fn the_service_manager_is_not_to_be_stopped() {
        let mut held = socket("[::]:7788");
        held.holder.as_mut().unwrap().name = "systemd".to_owned();
        let found = findings(&Facts { sockets: vec![held], ..without_daemon("[::]:7788") });
        let hint = found[0].hint.as_deref().unwrap();
        assert!(hint.contains("systemctl status udpchatd.socket") && !hint.contains("stop"), "{hint}");
    }

    #[test]
    fn only_a_visible_program_is_to_be_stopped() {
        let hidden = UdpSocket { holder: None, ..socket("0.0.0.0:7788") };
        let mut facts = Facts { sockets: vec![hidden], ..without_daemon("0.0.0.0:7788") };
        let found = findings(&facts);
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).contains("held by a program of user bob that this user may not inspect"));
        let hint = found[0].hint.as_deref().unwrap();
        assert!(hint.contains("`sudo ss -lunp 'sport = :7788'`") && !hint.contains("stop"), "{hint}");

        let Reach::NotReached { running: daemons, .. } = &mut facts.daemon else { panic!() };
        daemons.push(running(None));
        let found = findings(&facts);
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).ends_with("; user bob also runs udpchatd (pid 7)"), "{found:?}");
        assert!(!found[0].hint.as_ref().unwrap().contains("stop"), "{found:?}");

        facts.sockets[0].holder = Some(running(None).process);
        let found = findings(&facts);
        assert_eq!(levels(&found), [Warning]);
        assert!(!found[0].hint.as_ref().unwrap().contains("stop"), "{found:?}");
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
        assert!(found[0].hint.as_ref().unwrap().ends_with("stop it"));
        let hidden = UdpSocket { holder: None, ..socket("192.168.7.5:7788") };
        let found = findings(&Facts { sockets: vec![hidden], ..facts() });
        assert!(found[0].hint.as_ref().unwrap().contains("`sudo ss -lunp"), "{found:?}");
    }
}
