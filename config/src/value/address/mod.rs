//! Addresses: to listen on, of peers, of networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use super::{Interface, Text, ValueError, check_width, quoted};
use crate::defaults::DEFAULT_PORT;

/// An address as written; the caller chooses the default of a missing part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Written {
    pub(super) ip: IpAddr,
    /// Only of an IPv6 address.
    pub(super) interface: Option<Interface>,
    pub(super) port: Option<u16>,
}

impl Written {
    /// Reads `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[fe80::1%2]:80`, `[fe80::1%eth0]:80`. IPv4 inside IPv6 becomes IPv4.
    pub(super) fn parse(text: &str, hint: &str) -> Result<Self, ValueError> {
        check_width(text)?;
        check_port_sign(text)?;
        let (host, port) = split_port(text);
        let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let Some((ip, interface)) = parse_ip(unbracketed.unwrap_or(host))? else {
            check_ipv4(host)?;
            return Err(ValueError::new(what_it_is_not(&quoted(text), host), hint));
        };
        let port = port.map(|port| parse_port(port, hint)).transpose()?;
        let ip = ip.to_canonical();
        Ok(Self { ip, interface: interface.filter(|_| ip.is_ipv6()), port })
    }

    /// Returns the address with the number that its interface has now, and `port` if none was given; `None` if this machine
    /// does not have the interface now.
    fn socket_address(&self, port: u16) -> Option<SocketAddr> {
        let port = self.port.unwrap_or(port);
        let scope_id = match &self.interface {
            Some(interface) => interface.number()?,
            None => 0,
        };
        Some(match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope_id).into(),
        })
    }
}

impl fmt::Display for Written {
    /// Writes the address as [`Self::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = if self.ip.is_ipv6() && self.port.is_some() { ("[", "]") } else { ("", "") };
        write!(f, "{}{}", brackets.0, self.ip)?;
        if let Some(interface) = &self.interface {
            write!(f, "%{interface}")?;
        }
        f.write_str(brackets.1)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Refuses an IP address whose port stands behind a wrong sign: `::1:27851` without brackets, `127.0.0.1,7788`.
///
/// Other hosts, names among them, are accepted, and so is every IPv6 address, since `::1:7788` is one.
///
/// # Errors
/// The text is such an address; the hint has it in the right spelling.
pub fn check_port_sign(text: &str) -> Result<(), ValueError> {
    check_one_port(text)?;
    let found = text.rfind([':', ',', ';', '#']).map(|at| (&text[..at], &text[at..=at], &text[at + 1..]));
    let Some((ip, sign, port)) = found else { return Ok(()) };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let meant = match parse_ip(bare.unwrap_or(ip)) {
        Ok(Some((IpAddr::V4(_), _))) if sign != ":" && bare.is_none() => format!("{ip}:{port}"),
        Ok(Some((IpAddr::V6(_), _))) if sign != ":" || bare.is_none() => {
            format!("[{}]:{port}", bare.unwrap_or(ip))
        }
        _ => return Ok(()),
    };
    if !is_port || parse_ip(text).is_ok_and(|ip| ip.is_some()) {
        return Ok(());
    }
    let message = match sign {
        ":" => format!("{} is not an IPv6 address", quoted(text)),
        _ => format!("{} is not an address and a port", quoted(text)),
    };
    Err(ValueError::new(message, format!("write {}", quoted(&meant))))
}

/// Refuses `127.0.0.8:4000:1`, whose beginning the resolver would look up as a host.
fn check_one_port(text: &str) -> Result<(), ValueError> {
    match text.split(':').collect::<Vec<_>>()[..] {
        // A host with a dot is no part of an IPv6 address, except in its last group.
        [host, first, _] if host.contains('.') && !host.contains('[') && first.parse::<u16>().is_ok() => {
            let message = format!("{} has two ports", quoted(text));
            Err(ValueError::new(message, format!("write {}", quoted(&format!("{host}:{first}")))))
        }
        _ => Ok(()),
    }
}

/// Refuses an IPv4 address in a notation that programs read differently: `127.0.0.010`, `10.1`, `0x7f000001`, `2130706433`.
///
/// The resolver takes the notations of inet_aton(3), where `010` is octal: the message would go to another host than the one
/// that a device shows as `192.168.001.010`. Other hosts, names among them, are accepted.
///
/// # Errors
/// The host is such a notation; the hint has the address that is probably meant, if there is one.
pub fn check_ipv4(host: &str) -> Result<(), ValueError> {
    let is_number = |part: &str| {
        let digits = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match digits {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
        }
    };
    let parts: Vec<_> = host.split('.').collect();
    if parts.len() > 4 || !parts.iter().all(|part| is_number(part)) || host.parse::<Ipv4Addr>().is_ok() {
        return Ok(());
    }
    let numbers: Option<Vec<u8>> = parts.iter().map(|part| part.parse().ok()).collect();
    let message = format!("{} is not an IPv4 address", quoted(host));
    Err(match numbers.as_deref() {
        Some([a, b, c, d]) => {
            let hint =
                format!("write {a}.{b}.{c}.{d}: some programs read a number with a leading 0 as octal");
            ValueError::new(message, hint)
        }
        _ => ValueError::new(message, "write four numbers from 0 to 255, separated by dots"),
    })
}

/// Refuses a destination whose address or port is wrong. Names of hosts are accepted, since only the resolver knows them.
///
/// # Errors
/// The text is no address with a port, although it looks like one.
pub fn check_destination(text: &str) -> Result<(), ValueError> {
    check_width(text)?;
    check_port_sign(text)?;
    let (host, port) = split_port(text);
    check_ipv4(host)?;
    match port.map(|port| parse_port(port, PeerAddress::HINT)).transpose()? {
        Some(0) => Err(ValueError::new("a peer cannot have port 0", PeerAddress::HINT)),
        _ => Ok(()),
    }
}

/// Refuses a network that is written with wildcards: `10.0.0.*`.
///
/// # Errors
/// The text is such a network; the hint has it with its prefix.
pub fn check_wildcards(text: &str) -> Result<(), ValueError> {
    let parts: Vec<&str> = text.split('.').collect();
    let given = parts.iter().take_while(|part| part.parse::<u8>().is_ok()).count();
    let (given, wild) = parts.split_at(given);
    if given.is_empty() || wild.is_empty() || parts.len() > 4 || wild.iter().any(|part| *part != "*") {
        return Ok(());
    }
    let zeros = std::iter::repeat_n("0", 4 - given.len());
    let address = given.iter().copied().chain(zeros).collect::<Vec<_>>().join(".");
    let meant = quoted(&format!("{address}/{}", 8 * given.len()));
    Err(ValueError::new(format!("{} is not a network", quoted(text)), format!("write {meant}")))
}

/// Splits at the colon before the port, if there is one. A bare IPv6 address has no port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Reads an IP address; an IPv6 address may have an interface after `%`, by its name or its number.
fn parse_ip(host: &str) -> Result<Option<(IpAddr, Option<Interface>)>, ValueError> {
    let Some((ip, interface)) = host.split_once('%') else {
        return Ok(host.parse().ok().map(|ip| (ip, None)));
    };
    let Ok(ip) = ip.parse() else { return Ok(None) };
    Ok(Some((IpAddr::V6(ip), Some(interface.parse()?))))
}

fn what_it_is_not(text: &str, host: &str) -> String {
    let is_name = !host.is_empty()
        && host.chars().any(char::is_alphabetic)
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if is_name {
        format!("{text} is a host name, not an IP address")
    } else if host.contains('%') {
        format!("{text} is not an IPv6 address with an interface")
    } else {
        format!("{text} is not an IP address")
    }
}

pub(super) fn parse_port(port: &str, hint: &str) -> Result<u16, ValueError> {
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(ValueError::new(format!("port {} is not a number", quoted(port)), hint));
    }
    // Digits only, so the only possible error is overflow.
    port.parse().map_err(|_| ValueError::new(format!("port {port} is out of range, 0 to 65535"), hint))
}

/// Holds an address to receive on: an IP address and a port; for port 0 the system chooses one.
///
/// An address alone means port [`DEFAULT_PORT`], `:PORT` or `PORT` alone every address of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenAddress(Written);

impl ListenAddress {
    /// Every address of this host, IPv6 and IPv4, at the default port.
    pub const DEFAULT: Self = Self::every(DEFAULT_PORT);
    const HINT: &str = "write an IP address and a port, for example \"[::]:7788\" or \"127.0.0.1:7788\"";

    const fn every(port: u16) -> Self {
        Self(Written { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), interface: None, port: Some(port) })
    }

    /// Returns the IP address; IPv4 inside IPv6 has become IPv4.
    pub const fn ip(&self) -> IpAddr {
        self.0.ip
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.0.port.unwrap_or(DEFAULT_PORT)
    }

    /// Returns the interface of a link-local IPv6 address, if one is given.
    pub const fn interface(&self) -> Option<&Interface> {
        self.0.interface.as_ref()
    }

    /// Returns the address to bind to, `None` if this machine does not have its interface now.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.0.socket_address(DEFAULT_PORT)
    }
}

impl FromStr for ListenAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ValueError::new("the address is empty", Self::HINT));
        }
        let port_alone = text.strip_prefix(':').unwrap_or(text);
        if !port_alone.is_empty() && port_alone.bytes().all(|byte| byte.is_ascii_digit()) {
            return parse_port(port_alone, Self::HINT).map(Self::every);
        }
        let written = Written::parse(text, Self::HINT)?;
        Ok(Self(Written { port: written.port.or(Some(DEFAULT_PORT)), ..written }))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Text for ListenAddress {
    const EXPECTED: &str = "an address as text";
}

/// Identifies a peer by an IP address, and a port unless it matches any port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress(Written);

impl PeerAddress {
    /// The placeholder for an address that is not configured yet. It cannot be parsed from text.
    pub(crate) const NONE: Self =
        Self(Written { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), interface: None, port: None });
    const HINT: &str = "write an IP address, with a port or without, for example \"192.168.43.159:8080\"; \
                        host names can be given to `udpchatctl send` directly";

    /// Returns the IP address; IPv4 inside IPv6 has become IPv4.
    pub const fn ip(&self) -> IpAddr {
        self.0.ip
    }

    /// Returns the interface of a link-local IPv6 address, if one is given.
    pub const fn interface(&self) -> Option<&Interface> {
        self.0.interface.as_ref()
    }

    /// Returns the port, `None` if any port matches.
    pub const fn port(&self) -> Option<u16> {
        self.0.port
    }

    /// Returns the address to send to, with [`DEFAULT_PORT`] if no port was given; `None` if this machine does not have its
    /// interface now.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.0.socket_address(DEFAULT_PORT)
    }

    /// Returns the address with the number of its interface instead of the name, if this machine has the interface now.
    #[must_use]
    pub fn numbered(&self) -> Self {
        let Written { ip, interface, port } = &self.0;
        let numbered = interface.as_ref().and_then(Interface::numbered);
        Self(Written { ip: *ip, interface: numbered.or_else(|| interface.clone()), port: *port })
    }

    /// Returns whether `source` has this IP address, and this port if there is one, on any interface. IPv4 inside IPv6
    /// counts as IPv4.
    pub fn matches(&self, source: SocketAddr) -> bool {
        let Written { ip, port, .. } = &self.0;
        *ip == source.ip().to_canonical() && port.is_none_or(|port| port == source.port())
    }

    /// Returns whether `source` is on the interface of this address, where `is_number_of` returns that of an interface and a number;
    /// none if no interface is known that has the number. Without an interface, every source is.
    pub fn is_on_interface_of(
        &self,
        source: SocketAddr,
        is_number_of: impl FnOnce(&Interface, u32) -> Option<bool>,
    ) -> Option<bool> {
        let number = match source {
            SocketAddr::V6(source) => source.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        self.0.interface.as_ref().map_or(Some(true), |interface| is_number_of(interface, number))
    }
}

impl FromStr for PeerAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let written = Written::parse(text.trim(), Self::HINT)?;
        if written.port == Some(0) {
            return Err(ValueError::new("a peer cannot have port 0", Self::HINT));
        }
        if written.ip.is_unspecified() {
            let message = format!("{} is the unspecified address, which no peer has", quoted(text));
            return Err(ValueError::new(message, Self::HINT));
        }
        Ok(Self(written))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Text for PeerAddress {
    const EXPECTED: &str = "an address as text";
}

/// Names a range of IP addresses; a bare address is a range of one. IPv4 inside IPv6 counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    range: IpNet,
    /// As written, with the bits behind the prefix.
    written: IpNet,
}

impl Network {
    const HINT: &str = "write for example \"192.168.0.0/16\", \"fe80::/10\" or a single address";

    /// Returns the range, with the bits after its prefix cleared.
    pub const fn range(self) -> IpNet {
        self.range
    }

    /// Returns the network as it is written, if that has bits behind the prefix: `10.0.0.1/24`. Perhaps one address is meant.
    pub fn with_host_bits(self) -> Option<IpNet> {
        Some(self.written).filter(|written| *written != self.range)
    }

    /// Returns whether the range contains the address.
    pub fn contains(self, ip: IpAddr) -> bool {
        self.range.contains(&ip.to_canonical())
    }
}

impl FromStr for Network {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        check_width(trimmed)?;
        check_wildcards(trimmed)?;
        let range = match trimmed.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip),
            Err(_) => trimmed
                .parse::<IpNet>()
                .map_err(|_| ValueError::new(format!("{} is not a network", quoted(text)), Self::HINT))?,
        };
        let written = unmapped(range);
        Ok(Self { range: written.trunc(), written })
    }
}

/// Converts a range within ::ffff:0:0/96 to an IPv4 range.
fn unmapped(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    let (Some(ip), Some(prefix)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) else {
        return range;
    };
    Ipv4Net::new(ip, prefix).map_or(range, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.range.fmt(f)
    }
}

impl Text for Network {
    const EXPECTED: &str = "a network as text";
}

#[cfg(test)]
mod tests;
