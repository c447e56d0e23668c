use std::cell::Cell;
use std::net::IpAddr;

use super::super::socket::Listener;
use super::*;

fn listener(address: &str) -> Listener {
    Listener::open(address.parse().unwrap(), 1 << 20).unwrap()
}

/// Returns an address at which nobody listens.
fn closed(ip: &str) -> SocketAddr {
    UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap().local_addr().unwrap()
}

fn send(listener: &Listener, to: SocketAddr, payload: &[u8], number: u64) -> SendReports {
    let mut learned = SendReports::default();
    let route = Route { source: None, interface: 0 };
    listener.send(payload, to, route, Some(number), &mut learned).unwrap();
    learned
}

/// The sockets that reach a closed port of loopback, with its address.
const CASES: [(&str, &str); 4] =
    [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")];

#[test]
fn a_closed_port_is_reported_with_its_message() {
    for (local, ip) in CASES {
        let (listener, peer) = (listener(local), closed(ip));
        assert!(send(&listener, peer, b"hello", 7).has_begun);
        let (bounces, has_reports) = listener.take_reports();
        assert!(has_reports);
        let [Bounce { number: 7, reason: "port_unreachable", from, .. }] = bounces[..] else {
            panic!("{local} {ip}: {bounces:?}")
        };
        assert_eq!(from, Some(peer.ip()));
        assert_eq!(bounces[0].peer, peer);
        assert!(!listener.take_reports().1, "once");
    }
}

#[test]
fn a_live_peer_gets_every_message_beside_a_dead_one() {
    for (local, ip) in CASES {
        let (listener, dead) = (listener(local), closed(ip));
        let live = UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
        let mut bounced = Vec::new();
        for round in 0..1_000 {
            bounced.extend(send(&listener, dead, b"same", 2 * round).bounces);
            bounced.extend(send(&listener, live.local_addr().unwrap(), b"same", 2 * round + 1).bounces);
            assert_eq!(live.recv(&mut [0; 8]).unwrap(), 4);
        }
        bounced.extend(listener.take_reports().0);
        assert_eq!(bounced.len(), 1_000);
        assert!(bounced.iter().all(|bounce| bounce.number % 2 == 0));
    }
}

#[test]
fn nothing_is_learned_of_messages_without_a_number() {
    let (listener, peer) = (listener("[::]:0"), closed("::1"));
    let route = Route { source: None, interface: 0 };
    let mut learned = SendReports::default();
    for _ in 0..3 {
        listener.send(b"x", peer, route, None, &mut learned).unwrap();
    }
    assert!(!learned.has_begun && !listener.reports.is_on() && !listener.take_reports().1);
}

#[test]
fn a_datagram_that_is_too_long_is_refused_once_and_not_reported() {
    let (listener, peer) = (listener("[::]:0"), closed("127.0.0.1"));
    let mut learned = SendReports::default();
    let route = Route { source: None, interface: 0 };
    let error = listener.send(&[0; 65_508], peer, route, Some(1), &mut learned).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::EMSGSIZE));
    assert!(learned.has_begun && learned.bounces.is_empty());
    assert_eq!(listener.take_reports(), (Vec::new(), false));
    assert_eq!(listener.reports.ignored(), 0);
    assert!(is_queueing(&listener.socket) && listener.reports.is_on());
}

/// Makes calls that end so, or with `EHOSTUNREACH` and the reports that were queued then; returns what `repeat` says, and how many
/// calls were made.
fn repeated(calls: &[Option<usize>]) -> (Option<bool>, usize) {
    let (made, reports) = (Cell::new(0), Cell::new(0));
    let send = || {
        let call = calls[made.get()];
        made.set(made.get() + 1);
        reports.set(call.unwrap_or_default());
        call.map_or(Ok(()), |_| Err(io::Error::from_raw_os_error(nix::libc::EHOSTUNREACH)))
    };
    let sent = repeat(send, || reports.get());
    (sent.map(|sent| sent.is_ok()), made.get())
}

#[test]
fn a_call_is_repeated_after_the_errors_of_other_datagrams() {
    assert_eq!(repeated(&[None]), (Some(true), 1));
    assert_eq!(repeated(&[Some(1), None]), (Some(true), 2));
    // The error was set after its report was taken, also that of a further datagram.
    assert_eq!(repeated(&[Some(2), Some(0), None]), (Some(true), 3));
    assert_eq!(repeated(&[Some(0), Some(1), Some(0), Some(3), None]), (Some(true), 5));
}

#[test]
fn an_error_without_reports_is_not_believed() {
    assert_eq!(repeated(&[Some(1), Some(0), Some(0)]), (None, 3));
    assert_eq!(repeated(&[Some(1); 100]), (None, MAX_TRIES));
}

#[test]
fn without_reports_no_other_error_ends_a_call() {
    let (listener, dead) = (listener("[::]:0"), closed("127.0.0.1"));
    let live = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (reports, to) = (&listener.reports, live.local_addr().unwrap());
    let route = Route { source: None, interface: 0 };
    let send_to = |to| platform::send(&listener.socket, listener.local, b"hello", to, route);
    send(&listener, dead, b"hello", 1);
    let bound = Bound { socket: &listener.socket, local: listener.local };
    reports.send_without_reports(bound, &mut reports.state.lock(), || send_to(to)).unwrap();
    assert_eq!(live.recv(&mut [0; 8]).unwrap(), 5);
    assert!(is_queueing(&listener.socket), "it is on again");
    assert_eq!(send(&listener, dead, b"hello", 2).bounces, [], "the report before was lost");
    assert_eq!(listener.take_reports().0.len(), 1);
}

#[test]
fn an_inherited_socket_starts_without_errors() {
    let other = listener("[::]:0");
    send(&other, closed("127.0.0.1"), b"of an earlier daemon", 1);
    let inherited = other.socket.try_clone().unwrap();
    let mut settings = udpchat_config::Settings::default_in("/tmp");
    settings.listen = udpchat_config::Setting::new(Vec::new(), udpchat_config::Origin::Default);
    let listeners = super::super::socket::open_all(&settings, vec![inherited]).unwrap();
    let listener = &listeners[0];
    assert!(!is_queueing(&listener.socket) && !listener.take_reports().1);
    listener.socket.set_nonblocking(true).unwrap();
    let error = listener.socket.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

fn is_queueing(socket: &UdpSocket) -> bool {
    use nix::sys::socket::{getsockopt, sockopt};
    getsockopt(socket, sockopt::Ipv4RecvErr).unwrap() || getsockopt(socket, sockopt::Ipv6RecvErr).unwrap()
}

#[test]
fn the_end_takes_what_is_left_and_leaves_no_error() {
    let (listener, peer) = (listener("[::]:0"), closed("127.0.0.1"));
    send(&listener, peer, b"hello", 1);
    assert!(is_queueing(&listener.socket));
    assert!(listener.end_reports().is_empty() && listener.reports.is_on(), "it is too early");
    listener.reports.state.lock().last_sent = Instant::now().checked_sub(REPORT_WAIT);
    assert_eq!(listener.end_reports().len(), 1);
    assert!(!is_queueing(&listener.socket) && !listener.reports.is_on());
    assert_eq!(listener.reports.ends_at(), None);
    listener.socket.set_nonblocking(true).unwrap();
    assert_eq!(listener.socket.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_flood_of_reports_that_match_nothing_switches_it_off() {
    let (listener, peer) = (listener("[::]:0"), closed("127.0.0.1"));
    send(&listener, peer, b"hello", 1);
    listener.reports.state.lock().outstanding.clear();
    let route = Route { source: None, interface: 0 };
    let mut learned = SendReports::default();
    for _ in 0..2 * MAX_UNMATCHED {
        listener.send(b"forged", peer, route, None, &mut learned).unwrap();
    }
    let now = Instant::now();
    // On a slow machine they may come more slowly than a flood.
    if !listener.reports.is_on() {
        assert!(listener.reports.ignored() > u64::from(MAX_UNMATCHED));
        assert!(!send(&listener, peer, b"hello", 2).has_begun, "it is paused");
        assert!(!is_queueing(&listener.socket));
        listener.reports.state.lock().paused_until = Some(now);
        assert!(send(&listener, peer, b"hello", 3).has_begun);
        assert_eq!(listener.take_reports().0.len(), 1);
    }
}

#[test]
fn only_reports_in_a_short_time_are_a_flood() {
    let (mut state, now) = (State::default(), Instant::now());
    for number in 0..MAX_UNMATCHED {
        assert!(!state.count_unmatched(now), "{number}");
    }
    assert!(state.count_unmatched(now + UNMATCHED_WINDOW / 2));
    assert!(!state.count_unmatched(now + UNMATCHED_WINDOW));
}
