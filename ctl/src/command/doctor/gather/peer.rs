//! Facts about a peer, found without sending anything to it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use udpchat_api::call::{DirectionFilter, InboxParams, Order, Peer};
use udpchat_api::{Client, ClientError, Entry};
use udpchat_config::{DEFAULT_PORT, PeerAddress, check_destination, did_you_mean};
use udpchat_locale::{tr, translated};

use super::super::facts::{Newest, NoAddress, PeerFacts, Unusable};
use super::daemon::{call, peers};
use crate::output::host;

/// How long resolving a host name may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// How many pages of the inbox are searched for its last message; a page takes at most half a second.
const MAX_PAGES: usize = 10;

pub(super) async fn facts(name: &str, mut client: Option<&mut Client>) -> PeerFacts {
    let (address, has_port, named_there) = match resolve(name, client.as_deref_mut()).await {
        Ok((address, has_port, named_there)) => (Ok(address), has_port, named_there),
        Err(why) => (Err(why), false, None),
    };
    let mut found = PeerFacts {
        name: name.to_owned(),
        source: Err(String::new()),
        has_port,
        named_there,
        answers_on_link: None,
        last_sent: Newest::Nothing,
        last_heard: Newest::Nothing,
        last_of_host: Newest::Nothing,
        address,
    };
    let Ok(address) = found.address else { return found };
    found.source = source(address);
    found.answers_on_link =
        answers_on_link(address.ip(), &fs::read_to_string("/proc/net/arp").unwrap_or_default());
    let Some(client) = client else {
        found.last_heard =
            Newest::Unknown(Unusable { what: tr!("no daemon answers").to_owned(), hint: None });
        return found;
    };
    let host = host(address);
    let asked = [if has_port { address.to_string() } else { host.clone() }];
    found.last_sent = last(client, &asked, DirectionFilter::Out).await;
    found.last_heard = last(client, &asked, DirectionFilter::In).await;
    if has_port && !matches!(found.last_heard, Newest::Unknown(_)) {
        found.last_of_host = last(client, &[host], DirectionFilter::In).await;
    }
    found
}

/// A destination, whether its port is given, and a configured peer with another port of that host if it is not.
type Resolved = (SocketAddr, bool, Option<(String, u16)>);

/// Resolves a peer.
async fn resolve(name: &str, client: Option<&mut Client>) -> Result<Resolved, NoAddress> {
    let unusable = |what: String| Unusable { what, hint: None };
    let (peers, lists, unread) = match client {
        None => (Vec::new(), Vec::new(), Some(unusable(tr!("no daemon answers").to_owned()))),
        Some(client) => match peers(client).await {
            Ok(answer) => (answer.peers, answer.lists, None),
            Err(error) => (Vec::new(), Vec::new(), Some(refused(&error))),
        },
    };
    if let Some(list) = lists.iter().find(|list| list.name == name) {
        let what = tr!("`{name}` is a list of peers", name);
        let hint = tr!("name one of its members: {members}", members = list.members.join(tr!(", ")));
        return Err(NoAddress::Absent(Unusable { what, hint: Some(hint) }));
    }
    let named = peers.iter().find(|peer| peer.name.as_deref() == Some(name));
    let text = named.map_or(name, |peer| peer.address.as_str());
    if let Ok(address) = text.parse::<PeerAddress>() {
        let has_port = address.port().is_some();
        let missing = || unusable(tr!("this machine has no interface for {address} now", address));
        let destination = address.destination().ok_or_else(|| NoAddress::Absent(missing()))?;
        let with_port = |peer: &Peer| {
            let known =
                peer.address.parse::<PeerAddress>().ok().filter(|known| known.ip() == address.ip())?;
            Some((peer.name.clone()?, known.port()?))
        };
        let is_bare = named.is_none() && !has_port;
        return Ok((destination, has_port, peers.iter().find_map(with_port).filter(|_| is_bare)));
    }
    let has_port = text.contains(':');
    check_destination(text).map_err(|error| {
        NoAddress::Absent(Unusable { what: error.to_string(), hint: error.hint().map(str::to_owned) })
    })?;
    let with_port = if has_port { text.to_owned() } else { format!("{text}:{DEFAULT_PORT}") };
    match (look_up(name, with_port).await, unread) {
        (Ok(address), _) => Ok((address, has_port, None)),
        (Err(_), Some(Unusable { what, hint })) => {
            let reason = translated(&what);
            let what =
                tr!("`{name}` is no known host, and the names of peers are unknown: {reason}", name, reason);
            Err(NoAddress::Hidden(Unusable { what, hint }))
        }
        (Err(what), None) => {
            let names = peers.iter().filter_map(|peer| peer.name.as_deref());
            Err(NoAddress::Absent(Unusable { what, hint: did_you_mean(name, names) }))
        }
    }
}

/// Resolves a host name with its port; the error says what failed.
async fn look_up(name: &str, with_port: String) -> Result<SocketAddr, String> {
    match timeout(RESOLVE_WAIT, lookup_host(with_port)).await {
        Ok(Ok(mut found)) => found.next().ok_or_else(|| tr!("`{name}` has no address", name)),
        Ok(Err(error)) => {
            let error = error.to_string();
            let error = translated(&error);
            Err(tr!("`{name}` is neither a peer nor a known host: {error}", name, error))
        }
        Err(_) => {
            let seconds = RESOLVE_WAIT.as_secs();
            Err(tr!("`{name}` does not resolve within {seconds} s", name, seconds))
        }
    }
}

/// Returns why the daemon does not answer a question, and what to do about it.
fn refused(error: &ClientError) -> Unusable {
    let hint = match error {
        ClientError::Refused(object) => object.data.hint.clone(),
        _ => None,
    };
    Unusable { what: error.to_string(), hint }
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

/// Returns the last message from or to these addresses, or hosts at any port; from or to any, if there are none.
pub(super) async fn last(client: &mut Client, peers: &[String], direction: DirectionFilter) -> Newest {
    let mut params = InboxParams {
        from: peers.to_vec(),
        direction: Some(direction),
        order: Some(Order::Desc),
        limit: Some(1),
        ..InboxParams::default()
    };
    for _ in 0..MAX_PAGES {
        let page = match call(client, &params).await {
            Ok(page) => page,
            Err(error) => return Newest::Unknown(refused(&error)),
        };
        if let Some(Entry::Message(message)) = page.entries.into_iter().next() {
            return Newest::Message(Box::new(message));
        }
        if !page.more {
            return Newest::Nothing;
        }
        params.before = Some(page.next);
    }
    Newest::NothingSince(params.before.unwrap_or_default())
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
