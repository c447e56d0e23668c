//! Who may send to us: the access list of the configuration.
//!
//! A UDP source address can be forged; this keeps accidents and noise out, not an attacker on the same network.

use std::net::IpAddr;

use crate::{Access, Network, Peer, PeerName, Settings, SilentAfter};

impl Access {
    /// Returns whether datagrams from an address are accepted. `deny` comes before `allow`, and an empty `allow` accepts every
    /// address that is not denied.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(ip));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }

    /// Returns whether each network that is allowed is denied, too.
    pub(crate) fn denies_all(&self) -> bool {
        let is_denied =
            |allowed: &Network| self.deny.iter().any(|denied| denied.range().contains(&allowed.range()));
        !self.allow.is_empty() && self.allow.iter().all(is_denied)
    }
}

impl Settings {
    /// Returns the peers whose silence is noticed: those with `silent_after`, except those whose address the access list denies.
    /// Nothing of these is stored, so it is not known whether they are silent.
    pub fn watched_peers(&self) -> impl Iterator<Item = (&PeerName, &Peer, &SilentAfter)> {
        self.peers.iter().filter_map(|(name, peer)| {
            let silent_after =
                peer.silent_after.as_ref().filter(|_| self.access.allows(peer.address.ip()))?;
            Some((name, peer, &silent_after.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Setting, Settings};

    fn is_allowed(allow: &[&str], deny: &[&str], ip: &str) -> bool {
        let parse =
            |texts: &[&str]| Setting::default_of(texts.iter().map(|text| text.parse().unwrap()).collect());
        let mut access = Settings::default_in("/").access;
        (access.allow, access.deny) = (parse(allow), parse(deny));
        access.allows(ip.parse().unwrap())
    }

    #[test]
    fn deny_comes_before_allow_and_an_empty_allow_accepts_all() {
        assert!(is_allowed(&[], &[], "8.8.8.8"));
        assert!(is_allowed(&["10.0.0.0/8"], &[], "10.1.1.1"));
        assert!(!is_allowed(&["10.0.0.0/8"], &[], "11.1.1.1"));
        assert!(!is_allowed(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.1.1"));
        assert!(!is_allowed(&[], &["fe80::/10"], "fe80::1"));
    }
}
