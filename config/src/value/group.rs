//! Multicast groups to join.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Interface, Text, ValueError, quoted};

/// Names a multicast group, and the interface to join it on; without one it is joined on every interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    ip: IpAddr,
    interface: Option<Interface>,
}

impl Group {
    const HINT: &str = "write a multicast address, with an interface or without, for example \"239.1.2.3\" or \
                        \"ff02::1%eth0\"";

    /// Returns the group's address; IPv4 inside IPv6 has become IPv4.
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns the interface, `None` for every interface.
    pub const fn interface(&self) -> Option<&Interface> {
        self.interface.as_ref()
    }
}

impl FromStr for Group {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let shown = quoted(text);
        let refuse = |message: String| Err(ValueError::new(message, Self::HINT));
        let (ip, interface) = match text.trim().split_once('%') {
            Some((ip, interface)) => (ip, Some(interface)),
            None => (text.trim(), None),
        };
        let Ok(interface) = interface.map(str::parse).transpose() else {
            return refuse(format!("{shown} names an invalid interface"));
        };
        match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(ip) if ip.is_multicast() => Ok(Self { ip, interface }),
            Ok(_) => refuse(format!(
                "{shown} is not a multicast address, 224.0.0.0 to 239.255.255.255 or ff00::/8"
            )),
            Err(_) if has_port(text.trim()) => {
                refuse(format!("{shown} has a port; a multicast group has none"))
            }
            Err(_) => refuse(format!("{shown} is not an IP address")),
        }
    }
}

fn has_port(text: &str) -> bool {
    text.starts_with('[') || text.parse::<std::net::SocketAddr>().is_ok()
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{}%{interface}", self.ip),
            None => self.ip.fmt(f),
        }
    }
}

impl Text for Group {
    const EXPECTED: &str = "a group as text";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_with_and_without_an_interface() {
        for (text, ip, interface) in [
            ("239.1.2.3", "239.1.2.3", None),
            (" 224.0.0.251%eth0 ", "224.0.0.251", Some("eth0")),
            ("ff02::1%2", "ff02::1", Some("2")),
            ("ff05::7788%enp0s31f6.100", "ff05::7788", Some("enp0s31f6.100")),
            ("::ffff:239.1.2.3%a", "239.1.2.3", Some("a")),
        ] {
            let group: Group = text.parse().unwrap();
            let name = group.interface().map(Interface::as_str);
            assert_eq!((group.ip(), name), (ip.parse().unwrap(), interface), "{text}");
            assert_eq!(group.to_string().parse::<Group>().unwrap(), group);
        }
    }

    #[test]
    fn invalid_groups_are_refused_with_a_reason() {
        for (text, reason) in [
            ("192.168.1.5", "is not a multicast address"),
            ("fe80::1%eth0", "is not a multicast address"),
            ("255.255.255.255", "is not a multicast address"),
            ("239.1.2.3:7788", "has a port"),
            ("[ff02::1]:7788", "has a port"),
            ("[ff02::1]", "has a port"),
            ("", "is not an IP address"),
            ("all", "is not an IP address"),
            ("239.1.2", "is not an IP address"),
            ("ff02::1%", "names an invalid interface"),
            ("ff02::1%a b", "names an invalid interface"),
            ("239.1.2.3%abcdefghijklmnop", "names an invalid interface"),
            ("239.1.2.3%eth0%1", "names an invalid interface"),
            ("239.1.2.3%../x", "names an invalid interface"),
        ] {
            let error = text.parse::<Group>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.hint().unwrap().contains("ff02::1%eth0"));
        }
    }
}
