//! Who may send to us: the access list of the configuration, replaceable while the daemon runs.
//!
//! A UDP source address can be forged; this keeps accidents and noise out, not an attacker on the same network.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use udpchat_config::{Network, Settings};

/// The access list in force.
#[derive(Debug)]
pub(crate) struct Access {
    list: RwLock<Arc<List>>,
}

/// One state of the access list.
#[derive(Debug)]
pub(crate) struct List {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Access {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { list: RwLock::new(Arc::new(List::new(settings))) }
    }

    /// Takes over a new configuration.
    pub(crate) fn configure(&self, settings: &Settings) {
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(List::new(settings));
    }

    /// Returns the list of now.
    pub(crate) fn now(&self) -> Arc<List> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl List {
    fn new(settings: &Settings) -> Self {
        Self { allow: settings.access.allow.to_vec(), deny: settings.access.deny.to_vec() }
    }

    /// Tells whether datagrams from an address are taken in: `deny` counts before `allow`, and an empty `allow`
    /// lets in whatever is not denied.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(ip));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allow: &[&str], deny: &[&str], ip: &str) -> bool {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        List { allow: parse(allow), deny: parse(deny) }.allows(ip.parse().unwrap())
    }

    #[test]
    fn deny_counts_before_allow_and_an_empty_allow_is_everyone() {
        assert!(allows(&[], &[], "8.8.8.8"));
        assert!(allows(&["10.0.0.0/8"], &[], "10.1.1.1"));
        assert!(!allows(&["10.0.0.0/8"], &[], "11.1.1.1"));
        assert!(!allows(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.1.1"));
        assert!(!allows(&[], &["fe80::/10"], "fe80::1"));
    }
}
