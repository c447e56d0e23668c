//! Facts about a peer, found without sending anything to it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use udpchat_api::call::{DirectionFilter, InboxParams, Order, PeersParams};
use udpchat_api::{Client, Entry, Message};
use udpchat_config::{DEFAULT_PORT, PeerAddress, check_ipv4};

use super::super::facts::PeerFacts;
use super::daemon::call;

/// How long resolving a host name may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// How many pages of the inbox are searched for its last message; a page takes at most half a second.
const MAX_PAGES: usize = 10;

pub(super) async fn facts(name: &str, mut client: Option<&mut Client>) -> PeerFacts {
    let address = resolve(name, client.as_deref_mut()).await;
    let mut found = PeerFacts {
        name: name.to_owned(),
        source: Err("its address is unknown".to_owned()),
        answers_on_link: None,
        last_sent: None,
        last_heard: None,
        address,
    };
    let Ok(address) = found.address else { return found };
    found.source = source(address);
    found.answers_on_link =
        answers_on_link(address.ip(), &fs::read_to_string("/proc/net/arp").unwrap_or_default());
    if let Some(client) = client {
        found.last_sent = last(client, address.ip(), DirectionFilter::Out).await;
        found.last_heard = last(client, address.ip(), DirectionFilter::In).await;
    }
    found
}

async fn resolve(name: &str, client: Option<&mut Client>) -> Result<SocketAddr, String> {
    let configured = match client {
        Some(client) => {
            call(client, &PeersParams::default()).await.map(|answer| answer.peers).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let named = configured.into_iter().find(|peer| peer.name.as_deref() == Some(name));
    let text = named.map_or_else(|| name.to_owned(), |peer| peer.address);
    if let Ok(address) = text.parse::<PeerAddress>() {
        return address
            .destination()
            .ok_or_else(|| format!("this machine has no interface for {address} now"));
    }
    let host = text.split_once(':').map_or(text.as_str(), |(host, _port)| host);
    check_ipv4(host).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    })?;
    let with_port = if text.contains(':') { text } else { format!("{text}:{DEFAULT_PORT}") };
    match timeout(RESOLVE_WAIT, lookup_host(with_port)).await {
        Ok(Ok(mut found)) => found.next().ok_or_else(|| format!("`{name}` has no address")),
        Ok(Err(error)) => Err(format!("`{name}` is neither a peer nor a known host: {error}")),
        Err(_) => Err(format!("`{name}` does not resolve within {} s", RESOLVE_WAIT.as_secs())),
    }
}

/// Returns the address from which the kernel would send; connecting a UDP socket sends nothing.
fn source(to: SocketAddr) -> Result<IpAddr, String> {
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let ask = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_broadcast(true)?;
        socket.connect(to)?;
        socket.local_addr()
    };
    ask().map(|local| local.ip()).map_err(|error: std::io::Error| {
        let code = error.raw_os_error().map(nix::errno::Errno::from_raw);
        code.map_or_else(|| error.to_string(), |code| code.desc().to_lowercase())
    })
}

/// Looks up an address in `/proc/net/arp`; an entry without flags got no answer.
fn answers_on_link(ip: IpAddr, table: &str) -> Option<bool> {
    let ip = ip.to_string();
    let row = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let flags = row.into_iter().find(|words| words.first() == Some(&ip.as_str()))?.get(2)?.to_string();
    Some(flags != "0x0")
}

/// Returns the last message from or to an address, at any port.
async fn last(client: &mut Client, ip: IpAddr, direction: DirectionFilter) -> Option<Message> {
    let mut params = InboxParams {
        from: vec![ip.to_string()],
        direction: Some(direction),
        order: Some(Order::Desc),
        limit: Some(1),
        ..InboxParams::default()
    };
    for _ in 0..MAX_PAGES {
        let page = call(client, &params).await.ok()?;
        if let Some(Entry::Message(message)) = page.entries.into_iter().next() {
            return Some(message);
        }
        if !page.more {
            return None;
        }
        params.before = Some(page.next);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arp_table_shows_who_answers() {
        let table = "\
IP address       HW type     Flags       HW address            Mask     Device
10.1.0.77        0x1         0x0         00:00:00:00:00:00     *        eth0
10.1.0.2         0x1         0x2         8a:5a:38:5b:1c:0d     *        eth0
";
        let answers = |ip: &str| answers_on_link(ip.parse().unwrap(), table);
        assert_eq!((answers("10.1.0.77"), answers("10.1.0.2")), (Some(false), Some(true)));
        assert_eq!((answers("10.1.0.7"), answers("::1")), (None, None));
    }

    #[test]
    fn the_kernel_chooses_the_source_address() {
        assert_eq!(source("127.0.0.1:9".parse().unwrap()), Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
