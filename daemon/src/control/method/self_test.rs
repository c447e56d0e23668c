//! The method `self_test`: sends a datagram to each listening socket, by each address family.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use udpchat_api::ErrorObject;
use udpchat_api::call::{SelfTest, SelfTestAnswer, SelfTestOutcome, SelfTestParams};

use crate::control::context::Context;
use crate::inbox::queue::reason;
use crate::net::address::normalized;
use crate::net::socket::Listener;
use crate::receive::self_test;
use crate::receive::self_test::Arrival;
use crate::state::Daemon;

/// How long all datagrams together may take to arrive.
const ARRIVAL_WAIT: Duration = Duration::from_secs(1);

pub(super) async fn call(context: &mut Context, _: SelfTestParams) -> Result<SelfTestAnswer, ErrorObject> {
    let daemon = context.daemon();
    let under_way: Vec<_> = daemon
        .listeners
        .iter()
        .flat_map(|listener| addresses(listener))
        .map(|to| (to, send(daemon, to)))
        .collect();
    let until = Instant::now() + ARRIVAL_WAIT;
    let mut tests = Vec::with_capacity(under_way.len());
    for (to, sent) in under_way {
        tests.push(match sent {
            Ok(arrival) => SelfTest { to, outcome: outcome(arrival, until).await, error: None },
            Err(error) => SelfTest { to, outcome: SelfTestOutcome::NotSent, error: Some(reason(&error)) },
        });
    }
    Ok(SelfTestAnswer { tests })
}

/// Returns the addresses of this host at which a socket can be reached locally, one of each family.
fn addresses(listener: &Listener) -> Vec<SocketAddr> {
    let bound = listener.local;
    if bound.ip().is_multicast() {
        return Vec::new();
    }
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let with_port = loopback.map(|ip| SocketAddr::new(ip, bound.port()));
    with_port.into_iter().filter(|to| listener.can_send_to(*to)).collect()
}

/// Sends a test datagram from a socket of its own. Its source address is its destination address, so it stays on this host.
fn send(daemon: &Daemon, to: SocketAddr) -> io::Result<oneshot::Receiver<Arrival>> {
    let mut from = to;
    from.set_port(0);
    let socket = UdpSocket::bind(from)?;
    socket.set_nonblocking(true)?;
    let payload = self_test::payload().map_err(io::Error::other)?;
    let expected = daemon.self_tests.expect(payload.clone(), normalized(socket.local_addr()?));
    let arrival = expected.map_err(io::Error::other)?;
    socket.send_to(&payload, to)?;
    Ok(arrival)
}

async fn outcome(arrival: oneshot::Receiver<Arrival>, until: Instant) -> SelfTestOutcome {
    match timeout_at(until, arrival).await {
        Ok(Ok(Arrival::Allowed)) => SelfTestOutcome::Received,
        Ok(Ok(Arrival::Denied)) => SelfTestOutcome::Denied,
        Ok(Err(_)) | Err(_) => SelfTestOutcome::Lost,
    }
}
