//! Resolves the target of a message: a configured name, an address, a host, or the sender of an entry.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use udpchat_api::call::SendParams;
use udpchat_api::{ErrorKind, ErrorObject};
use udpchat_config::{
    DEFAULT_PORT, Interface, PeerAddress, ValueError, check_ipv4, check_port_sign, check_width, did_you_mean,
    peer_table,
};

use crate::inbox::entry::Body;
use crate::inbox::reader::Reader;
use crate::net::address::normalized;
use crate::net::interfaces::{self, Interfaces};
use crate::net::route::source_towards;
use crate::net::socket::Listener;
use crate::peers::Named;
use crate::state::Daemon;

/// How long resolving a host name may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// The target of a message, and the socket, source address and interface to use.
pub(super) struct Target {
    pub(super) peer: SocketAddr,
    pub(super) listener: Arc<Listener>,
    /// The source address of an answer.
    pub(super) source: Option<IpAddr>,
    /// The index of the outgoing interface; 0 lets the route choose.
    pub(super) interface: u32,
    /// The source address that the route chooses for a new message, if that is known.
    pub(super) by_route: Option<IpAddr>,
}

impl Target {
    /// Notes the source address that the route will choose.
    fn with_route(mut self) -> Self {
        let is_chosen = self.source.is_none() && self.listener.local.ip().is_unspecified();
        // The routing table does not know the interface that is named for a message.
        if is_chosen && self.interface == 0 {
            self.by_route = source_towards(self.peer);
        }
        self
    }

    /// Returns the local address of a message sent from `source`, if known.
    pub(super) fn local(&self, source: Option<IpAddr>) -> Option<SocketAddr> {
        let bound = self.listener.local;
        let bound_ip = (!bound.ip().is_unspecified()).then_some(bound.ip());
        let ip = source.or(bound_ip).or(self.by_route)?;
        Some(normalized(SocketAddr::new(ip, bound.port())))
    }
}

/// Finds the target that the parameters name.
pub(super) async fn find(daemon: &Arc<Daemon>, params: &SendParams) -> Result<Target, ErrorObject> {
    match (&params.to, params.reply_to) {
        (Some(to), None) => {
            let Resolved { peers, interface } = resolve(daemon, to).await?;
            let reachable = peers.iter().find_map(|peer| Some((*peer, listener_for(daemon, *peer)?)));
            let (peer, listener) = reachable.ok_or_else(|| no_socket(&peers))?;
            let interface = match interface {
                0 => daemon.groups.interface_of(peer.ip()).unwrap_or(0),
                named => named,
            };
            Ok(Target { peer, listener, source: None, interface, by_route: None }.with_route())
        }
        (None, Some(id)) => sender_of(daemon, id).await,
        _ => Err(ErrorObject::new(ErrorKind::InvalidParams, "give one of `to` and `reply_to`")),
    }
}

/// Adds to the error of an unknown destination that the destination stands behind the text, where it does.
pub(super) fn swapped(daemon: &Daemon, params: &SendParams, error: ErrorObject) -> ErrorObject {
    /// The longest text that may end with a destination, in bytes.
    const MAX_TEXT_BYTES: usize = 1024;
    let is_explained = error.data.hint.as_ref().is_some_and(|hint| hint.ends_with('?'));
    let (Some(to), Some(text)) = (&params.to, &params.text) else { return error };
    if !is_unknown(to, &error) || is_explained || text.len() > MAX_TEXT_BYTES {
        return error;
    }
    let last = text.rsplit(' ').next().unwrap_or_default();
    let is_peer = daemon.peers.configured().by_name(last).is_some() || last.parse::<PeerAddress>().is_ok();
    if !is_peer {
        return error;
    }
    error.hint(format!("the destination stands before the text: `udpchatctl send {last} TEXT`"))
}

/// Returns whether an error says that nothing is known under a destination. Others have a hint that fits them better.
fn is_unknown(to: &str, error: &ErrorObject) -> bool {
    match error.data.kind {
        ErrorKind::UnknownPeer | ErrorKind::Unresolvable => true,
        ErrorKind::InvalidParams => error.message == no_destination(to),
        _ => false,
    }
}

fn no_destination(to: &str) -> String {
    format!("`{to}` is not a peer, host or address")
}

/// Returns the target of an answer to an entry: its peer, through the socket and the address that it was sent to.
async fn sender_of(daemon: &Arc<Daemon>, id: u64) -> Result<Target, ErrorObject> {
    let missing = |text: String| {
        ErrorObject::new(ErrorKind::NoSuchEntry, text)
            .hint("`udpchatctl inbox -n 20` lists entries with their ids")
    };
    let read = move |reader: &Reader| Ok((reader.entry(id)?, reader.bounds()?.oldest));
    let (entry, oldest) = daemon.read(read).await?;
    let entry = entry.ok_or_else(|| match id < oldest {
        true => ErrorObject::new(
            ErrorKind::NoSuchEntry,
            format!("there is no entry #{id}: the oldest is #{oldest}"),
        )
        .hint("`inbox.max_size` and `inbox.max_age` of the configuration limit how long entries are kept"),
        false => missing(format!("entry {id} does not exist")),
    })?;
    let (peer, local) = match entry.body {
        Body::Received { peer, local, .. } | Body::Sent { peer, local, .. } => (peer, local),
        Body::Gap(_) => return Err(missing(format!("entry {id} is a gap, which has no sender"))),
        Body::Notice(_) => return Err(missing(format!("entry {id} is a notice, which has no sender"))),
    };
    check_answerable(id, peer)?;
    answering(daemon, peer, local).ok_or_else(|| no_socket(&[peer]))
}

/// Returns the target of an answer to a peer that has sent something to the address `local`: through the same socket and from that
/// address. None if no socket can send to it.
pub(super) fn answering(daemon: &Daemon, peer: SocketAddr, local: Option<SocketAddr>) -> Option<Target> {
    let same = local.and_then(|local| listener_at(&daemon.listeners, peer, local));
    let listener = same.or_else(|| listener_for(daemon, peer));
    // A multicast or broadcast address cannot be a source, so the route chooses one.
    let local_addresses = daemon.addresses.get();
    let is_ours = |ip: &IpAddr| !local_addresses.is_multicast_or_broadcast(*ip) && !ip.is_unspecified();
    let source = local.map(|local| local.ip()).filter(is_ours);
    let interface = source.map_or(0, |source| local_addresses.interface_of_answer(source, peer));
    Some(Target { peer, listener: listener?, source, interface, by_route: None }.with_route())
}

/// Returns the socket of an address, or another one with its port, that can send to the peer. Sockets on different addresses may have
/// one port, and a report goes to the socket on the address that the message was sent from.
fn listener_at(listeners: &[Arc<Listener>], peer: SocketAddr, local: SocketAddr) -> Option<Arc<Listener>> {
    let same_port =
        |listener: &&Arc<Listener>| listener.local.port() == local.port() && listener.can_send_to(peer);
    let is_of_another = |listener: &&Arc<Listener>| {
        let ip = listener.local.ip();
        (ip != local.ip(), !ip.is_unspecified())
    };
    listeners.iter().filter(same_port).min_by_key(is_of_another).cloned()
}

/// Refuses to answer a sender that has no address or no port (RFC 768: port 0 means that no answer is expected). The kernel
/// would send to the unspecified address over loopback, which is this host.
fn check_answerable(id: u64, peer: SocketAddr) -> Result<(), ErrorObject> {
    let text = match peer {
        _ if peer.ip().is_unspecified() => {
            format!("entry {id} cannot be answered: its sender {peer} has no address")
        }
        _ if peer.port() == 0 => format!("entry {id} cannot be answered: its sender {peer} has no port"),
        _ => return Ok(()),
    };
    Err(ErrorObject::new(ErrorKind::InvalidParams, text)
        .hint("name the destination: `udpchatctl send TO TEXT`"))
}

/// Chooses a socket of the peer's address family; a loopback socket only for a loopback peer. Of several on addresses of their own,
/// that on the source address of the route: the peer may know no way to another address of this host.
fn listener_for(daemon: &Daemon, peer: SocketAddr) -> Option<Arc<Listener>> {
    let able = || daemon.listeners.iter().filter(|listener| listener.can_send_to(peer));
    let fits = |listener: &&Arc<Listener>| {
        let ip = listener.local.ip();
        ip.is_unspecified() || ip.is_loopback() == peer.ip().is_loopback()
    };
    let first = able().find(fits).or_else(|| able().next())?;
    if first.local.ip().is_unspecified() || able().nth(1).is_none() {
        return Some(Arc::clone(first));
    }
    let source = source_towards(peer);
    let on_route = able().find(|listener| Some(listener.local.ip()) == source);
    Some(Arc::clone(on_route.unwrap_or(first)))
}

/// The addresses that a target resolves to.
struct Resolved {
    peers: Vec<SocketAddr>,
    /// The index of the named interface, 0 if none is named.
    interface: u32,
}

impl From<SocketAddr> for Resolved {
    fn from(peer: SocketAddr) -> Self {
        Self { peers: vec![peer], interface: 0 }
    }
}

async fn resolve(daemon: &Daemon, to: &str) -> Result<Resolved, ErrorObject> {
    let configured = daemon.peers.configured();
    if let Some(named) = configured.by_name(to) {
        if let Some(interface) = named.address.interface() {
            configured.look_up(interface);
        }
        return named.address.destination().map(Resolved::from).ok_or_else(|| without_interface(&named));
    }
    if configured.list(to).is_some() {
        let text = format!("`{to}` is a list of peers; a message has one destination");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text)
            .hint("`udpchatctl send` sends to each member; `udpchatctl peers` lists them"));
    }
    check_width(to).map_err(|error| invalid(&error))?;
    let (host, port) = split_port(to)?;
    if let Some((ip, interface)) = host.split_once('%')
        && let Ok(ip) = ip.parse()
    {
        let interface = interface.parse().map_err(|error| invalid(&error))?;
        configured.look_up(&interface);
        return on_interface(ip, &interface, port.unwrap_or(DEFAULT_PORT));
    }
    if let Some(address) = to.parse::<PeerAddress>().ok().and_then(|address| address.destination()) {
        return Ok(address.into());
    }
    check_port_sign(to).and_then(|()| check_ipv4(host)).map_err(|error| invalid(&error))?;
    if is_several(to) {
        let text = format!("`{to}` names several destinations; a message has one");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text)
            .hint("`udpchatctl send` sends to several, with commas between them"));
    }
    let plausible = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%' | ':');
    if host.is_empty()
        || host.len() > 255
        || !host.contains(char::is_alphanumeric)
        || !host.chars().all(plausible)
    {
        let hint = did_you_mean(to, configured.names()).unwrap_or_else(|| all_or(to, FORMS));
        return Err(ErrorObject::new(ErrorKind::InvalidParams, no_destination(to)).hint(hint));
    }
    let found = timeout(RESOLVE_WAIT, look_up(daemon, host, port.unwrap_or(DEFAULT_PORT))).await;
    let (addresses, why) = match found {
        Ok(Ok(addresses)) => (addresses, "it has no address".to_owned()),
        Ok(Err(error)) => (Vec::new(), error.to_string()),
        Err(_) => (Vec::new(), format!("no answer within {} s", RESOLVE_WAIT.as_secs())),
    };
    if !addresses.is_empty() {
        return Ok(Resolved { peers: addresses, interface: 0 });
    }
    if port.is_none() && !host.contains('.') {
        let text = format!("no peer is called `{to}`, and no host has that name");
        let hint = did_you_mean(to, configured.names()).unwrap_or_else(|| {
            let table = peer_table(to);
            all_or(to, &format!("`udpchatctl peers` lists the names; {table} in the configuration gives one"))
        });
        return Err(ErrorObject::new(ErrorKind::UnknownPeer, text).hint(hint));
    }
    let text = format!("the host `{host}` cannot be resolved: {why}");
    let hint = match configured.by_name(host) {
        Some(named) => of_named(&named, port),
        None => did_you_mean(to, configured.names())
            .unwrap_or_else(|| "check the spelling, or give its IP address".to_owned()),
    };
    Err(ErrorObject::new(ErrorKind::Unresolvable, text).hint(hint))
}

/// Returns how to send to a configured peer whose name was given with a port: the name includes the address.
fn of_named(peer: &Named<'_>, port: Option<u16>) -> String {
    let name = peer.name;
    let other = peer.address.destination().zip(port).map(|(mut address, port)| {
        address.set_port(port);
        address
    });
    match other {
        Some(address) => format!(
            "`{name}` is the name of a peer and takes no port; write `{address}` to send to this port of its host"
        ),
        None => format!("`{name}` is the name of a peer and takes no port"),
    }
}

/// Returns whether a destination is several with commas between them.
fn is_several(to: &str) -> bool {
    let is_one = |one: &str| {
        one.contains(char::is_alphanumeric) && one.chars().all(|c| !c.is_whitespace() && !c.is_control())
    };
    to.contains(',') && to.split(',').all(|one| is_one(one.trim()))
}

/// Returns how to send to every host if a word for them is given as the destination, otherwise another hint.
fn all_or(to: &str, hint: &str) -> String {
    match to.to_lowercase().as_str() {
        "broadcast" | "all" | "everyone" | "*" | "广播" | "所有人" | "全部" => {
            "255.255.255.255 reaches every host of the network, as does its own broadcast address, for example 192.168.1.255".to_owned()
        }
        _ => hint.to_owned(),
    }
}

/// Refuses a part of an address, with the reason of the configuration's rules.
fn invalid(error: &ValueError) -> ErrorObject {
    ErrorObject::new(ErrorKind::InvalidParams, error.to_string()).hint_if(error.hint().map(str::to_owned))
}

/// Resolves an address with an interface after `%`.
fn on_interface(ip: IpAddr, name: &Interface, port: u16) -> Result<Resolved, ErrorObject> {
    let interfaces = Interfaces::list().map(|found| found.list).unwrap_or_default();
    let found = interfaces::find(name, &interfaces).ok_or_else(|| {
        let names = interfaces.iter().map(|interface| interface.name.as_str());
        let missing = no_interface(name);
        match did_you_mean(&name.to_string(), names) {
            Some(question) => missing.hint(format!("{question} `ip link` lists them")),
            None => missing,
        }
    })?;
    let interface = found.index;
    let peer = match ip.to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, if has_scope(ip) { interface } else { 0 }).into(),
    };
    Ok(Resolved { peers: vec![peer], interface })
}

/// Refuses an interface that a client has named.
pub(crate) fn no_interface(name: &Interface) -> ErrorObject {
    let text = format!("this machine has no interface `{name}`");
    ErrorObject::new(ErrorKind::InvalidParams, text).hint("`ip link` lists them")
}

/// Describes why a configured peer has no address now: its interface is missing.
fn without_interface(peer: &Named<'_>) -> ErrorObject {
    let interface = peer.address.interface().map(Interface::as_str).unwrap_or_default();
    let text = format!(
        "peer `{}` is on the interface `{interface}`, which this machine does not have now",
        peer.name
    );
    ErrorObject::new(ErrorKind::Unresolvable, text).hint("`ip link` lists the interfaces")
}

/// Returns whether an address is scoped to a link, so that it needs the index of the interface (RFC 4007).
fn has_scope(ip: Ipv6Addr) -> bool {
    /// The scope field of multicast addresses (RFC 4291): interface-local is 1, link-local 2.
    const LINK_LOCAL: u8 = 2;
    ip.is_unicast_link_local() || (ip.is_multicast() && ip.octets()[1] & 0xf <= LINK_LOCAL)
}

/// Resolves a host name. A semaphore keeps enough blocking threads free for readers of the inbox.
async fn look_up(daemon: &Daemon, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let permit = Arc::clone(&daemon.lookups).acquire_owned().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        // The permit is held until the look-up ends, even if the caller has stopped waiting.
        let _permit = permit;
        Ok((host.as_str(), port).to_socket_addrs()?.map(normalized).collect())
    });
    found.await.map_err(io::Error::other)?
}

const FORMS: &str = "a peer's name, `host[:port]` or `[v6]:port`; `%INTERFACE` may follow an address";

/// Splits `host[:port]`, `[v6][:port]` and a bare IPv6 address, and checks the port's range.
pub(super) fn split_port(to: &str) -> Result<(&str, Option<u16>), ErrorObject> {
    let (host, port) = match to.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) if rest.starts_with(':') => (host, Some(&rest[1..])),
            _ => {
                return Err(
                    ErrorObject::new(ErrorKind::InvalidParams, format!("`{to}` is malformed")).hint(FORMS)
                );
            }
        },
        None if to.matches(':').count() > 1 => (to, None),
        None => to.split_once(':').map_or((to, None), |(host, port)| (host, Some(port))),
    };
    let Some(port) = port else { return Ok((host, None)) };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if is_number && port > 0 => Ok((host, Some(port))),
        _ if is_number => {
            let text = format!("port {port} is out of range, 1 to 65535");
            Err(ErrorObject::new(ErrorKind::InvalidParams, text))
        }
        _ => {
            if to.contains(char::is_whitespace) {
                let without: String = to.split_whitespace().collect();
                let text = format!("`{to}` has a space");
                return Err(
                    ErrorObject::new(ErrorKind::InvalidParams, text).hint(format!("write `{without}`"))
                );
            }
            let text = match port {
                "" => format!("there is no port behind the colon of `{to}`"),
                _ => format!("`{port}` is not a port number"),
            };
            Err(ErrorObject::new(ErrorKind::InvalidParams, text).hint(FORMS))
        }
    }
}

fn no_socket(peers: &[SocketAddr]) -> ErrorObject {
    let family = if peers.iter().any(SocketAddr::is_ipv4) { "IPv4" } else { "IPv6" };
    ErrorObject::new(ErrorKind::NoSocket, format!("no listening socket can send over {family}"))
        .hint("`listen` in the configuration names the addresses; `[::]:7788` serves both families")
}

#[cfg(test)]
mod tests {
    use udpchat_api::{ErrorKind, ErrorObject};

    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::{check_answerable, is_several, is_unknown, listener_at, no_destination, split_port};
    use crate::net::socket::Listener;

    #[test]
    #[cfg(target_os = "linux")]
    fn an_answer_leaves_through_the_socket_of_its_address() {
        let open = |address: SocketAddr| Arc::new(Listener::open(address, 8192).unwrap());
        let first = open("127.0.0.1:0".parse().unwrap());
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), first.local.port());
        let (second, other) = (open(at("127.0.0.2")), open("127.0.0.3:0".parse().unwrap()));
        let listeners = [other, first.clone(), second.clone()];
        let answering = |peer, local| listener_at(&listeners, peer, local).map(|found| found.local);
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(answering(peer, first.local), Some(first.local));
        assert_eq!(answering(peer, second.local), Some(second.local));
        assert_eq!(answering(peer, at("127.0.0.9")), Some(first.local), "the first one with its port");
        assert_eq!(answering(peer, SocketAddr::from(([127, 0, 0, 1], 0))), None);
        assert_eq!(answering("[::1]:9".parse().unwrap(), first.local), None, "another family");
    }

    #[test]
    fn only_an_unknown_destination_may_be_behind_the_text() {
        let error = ErrorObject::new(ErrorKind::InvalidParams, no_destination("a b"));
        assert!(is_unknown("a b", &error));
        assert!(is_unknown("bob", &ErrorObject::new(ErrorKind::UnknownPeer, "no peer is called `bob`")));
        for to in ["h:x", "h:0", "[::1"] {
            assert!(!is_unknown(to, &split_port(to).unwrap_err()), "{to}");
        }
    }

    #[test]
    fn several_destinations_are_more_than_one_word_between_commas() {
        for (to, expected) in [
            ("dev01,dev02", true),
            ("dev01, 10.0.0.9:9000", true),
            ("dev01", false),
            ("dev01,", false),
            ("a b,c", false),
            (",", false),
        ] {
            assert_eq!(is_several(to), expected, "{to}");
        }
    }

    #[test]
    fn a_sender_without_address_or_port_is_not_answered() {
        for (peer, missing) in
            [("0.0.0.0:5", "no address"), ("[::]:5", "no address"), ("10.0.0.1:0", "no port")]
        {
            let error = check_answerable(7, peer.parse().unwrap()).unwrap_err();
            assert!(error.message.contains(missing), "{error}");
        }
        assert!(check_answerable(7, "10.0.0.1:5".parse().unwrap()).is_ok());
    }

    #[test]
    fn targets_are_split_as_people_write_them() {
        let cases = [
            ("bob", "bob", None),
            ("host.lan:8080", "host.lan", Some(8080)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[fe80::1%eth0]:9", "fe80::1%eth0", Some(9)),
        ];
        for (to, host, port) in cases {
            assert_eq!(split_port(to), Ok((host, port)));
        }
        for (to, text) in [
            ("h:0", "out of range"),
            ("h:70000", "out of range"),
            ("h:x", "not a port"),
            ("h:+9", "not a port"),
            ("[::1", "malformed"),
        ] {
            assert!(split_port(to).unwrap_err().message.contains(text), "{to}");
        }
    }
}
