//! The address to serve metrics on, if any; loopback only.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use super::address::{Written, parse_port};
use super::{Text, ValueError, quoted};
use crate::defaults::DEFAULT_METRICS_PORT;

/// Holds the address to serve metrics on: a loopback address and a port, or none. For port 0 the system chooses a port.
///
/// An address alone means port [`DEFAULT_METRICS_PORT`], `:PORT` or `PORT` alone 127.0.0.1; empty text means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricsAddress(Option<SocketAddr>);

impl MetricsAddress {
    /// Metrics are not served.
    pub const NOWHERE: Self = Self(None);
    const HINT: &str = "write a loopback address and a port, for example \"127.0.0.1:17788\"";

    /// Returns the address to bind to, `None` if metrics are not served.
    pub const fn socket_address(self) -> Option<SocketAddr> {
        self.0
    }
}

impl FromStr for MetricsAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::NOWHERE);
        }
        let port_alone = text.strip_prefix(':').unwrap_or(text);
        if !port_alone.is_empty() && port_alone.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = parse_port(port_alone, Self::HINT)?;
            return Ok(Self(Some((Ipv4Addr::LOCALHOST, port).into())));
        }
        let written = Written::parse(text, Self::HINT)?;
        let address = SocketAddr::new(written.ip, written.port.unwrap_or(DEFAULT_METRICS_PORT));
        // The loopback address has no interface.
        if !address.ip().is_loopback() || written.interface.is_some() {
            return Err(ValueError::new(
                format!("{} is not a loopback address", quoted(text)),
                "the endpoint has no authentication, so only this machine may reach it: write for example \
                 \"127.0.0.1:17788\", and let a reverse proxy serve it to others",
            ));
        }
        Ok(Self(Some(address)))
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => Ok(()),
        }
    }
}

impl Text for MetricsAddress {
    const EXPECTED: &str = "an address as text";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_read_with_and_without_parts() {
        for (text, expected) in [
            ("127.0.0.1:17788", "127.0.0.1:17788"),
            ("127.0.0.1", "127.0.0.1:17788"),
            ("127.8.9.1:0", "127.8.9.1:0"),
            ("[::1]:9", "[::1]:9"),
            ("::1", "[::1]:17788"),
            ("::ffff:127.0.0.1", "127.0.0.1:17788"),
            (":9000", "127.0.0.1:9000"),
            ("9000", "127.0.0.1:9000"),
            (" ", ""),
            ("", ""),
        ] {
            let address: MetricsAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), expected, "{text}");
            assert_eq!(address.socket_address().is_none(), expected.is_empty());
            assert_eq!(address.to_string().parse::<MetricsAddress>().unwrap(), address);
        }
    }

    #[test]
    fn reachable_and_invalid_addresses_are_refused() {
        for (text, reason, hint) in [
            ("0.0.0.0:17788", "is not a loopback address", "reverse proxy"),
            ("[::]:17788", "is not a loopback address", "reverse proxy"),
            ("192.168.1.5:17788", "is not a loopback address", "reverse proxy"),
            ("128.0.0.1", "is not a loopback address", "reverse proxy"),
            ("::ffff:10.0.0.1", "is not a loopback address", "reverse proxy"),
            ("fe80::1", "is not a loopback address", "reverse proxy"),
            ("::1%lo", "is not a loopback address", "reverse proxy"),
            ("localhost:17788", "is a host name, not an IP address", "127.0.0.1:17788"),
            ("127.0.0.1:x", "port `x` is not a number", "127.0.0.1:17788"),
            ("70000", "port 70000 is out of range", "127.0.0.1:17788"),
        ] {
            let error = text.parse::<MetricsAddress>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.hint().unwrap().contains(hint), "{text}: {error:?}");
        }
    }
}
