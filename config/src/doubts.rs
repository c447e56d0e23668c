//! What a valid configuration says and its author has probably not meant.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::{ListenAddress, Peer, PeerName, Settings};

/// A `max_age` below this is probably not meant.
const SHORT_AGE: Duration = Duration::from_secs(60 * 60);

impl Settings {
    /// Describes what is valid and probably not meant, a sentence each.
    pub fn doubts(&self) -> Vec<String> {
        let denied = some_of(self.denied_with_silent_after().map(PeerName::as_str));
        let denied = denied.map(|names| {
            format!(
                "the access list denies peers with `silent_after`, so their silence is not noticed: {names}"
            )
        });
        let left_out = some_of(self.not_allowed().map(PeerName::as_str));
        let left_out = left_out
            .map(|names| format!("`access.allow` leaves out configured peers, which are denied: {names}"));
        let lists = [("access.allow", &self.access.allow), ("access.deny", &self.access.deny)];
        let broad = lists.into_iter().flat_map(|(key, networks)| {
            let broad = networks.iter().find_map(|network| Some((network, network.with_host_bits()?)));
            broad.map(|(network, written)| {
                format!("`{key}`: {written} is all of {network}; one address is written without the prefix")
            })
        });
        let is_joined = |ip| self.groups.iter().any(|group| group.ip() == ip);
        let unjoined =
            self.listen.iter().map(ListenAddress::ip).find(|ip| ip.is_multicast() && !is_joined(*ip));
        let unjoined = unjoined.map(|group| {
            format!("`listen` names the multicast group {group}, and `groups` does not, so nothing arrives from it")
        });
        // In other programs, `1m` may be a month.
        let age = self.inbox.max_age.limit().filter(|age| *age < SHORT_AGE);
        let age = age.map(|_| {
            let age = *self.inbox.max_age;
            format!("`inbox.max_age` is {age}: older messages are removed, also unread ones; a month is 30d")
        });
        let nobody = self.access.denies_all().then(|| {
            "`access.deny` covers all of `access.allow` and takes precedence, so nobody may send; what `allow` does not name is denied \
             without it"
                .to_owned()
        });
        denied.into_iter().chain(left_out).chain(nobody).chain(broad).chain(unjoined).chain(age).collect()
    }

    /// Returns the names of the peers with `silent_after` whose address the access list denies.
    fn denied_with_silent_after(&self) -> impl Iterator<Item = &PeerName> {
        let is_denied = |peer: &Peer| peer.silent_after.is_some() && !self.access.allows(peer.address.ip());
        self.peers.iter().filter(move |(_, peer)| is_denied(peer)).map(|(name, _)| name)
    }

    /// Returns the names of the other peers that `access.allow` leaves out; groups and the broadcast address never send.
    fn not_allowed(&self) -> impl Iterator<Item = &PeerName> {
        let allow = &self.access.allow;
        let is_left_out = move |peer: &Peer| {
            let ip = peer.address.ip();
            let may_send = !ip.is_multicast() && ip != Ipv4Addr::BROADCAST;
            may_send && !allow.is_empty() && !allow.iter().any(|network| network.contains(ip))
        };
        let peers =
            self.peers.iter().filter(move |(_, peer)| peer.silent_after.is_none() && is_left_out(peer));
        peers.map(|(name, _)| name)
    }
}

/// Joins names, of many only the first ones; none without a name.
fn some_of<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    const MAX_NAMES: usize = 10;
    let shown = names.by_ref().take(MAX_NAMES).collect::<Vec<_>>().join(", ");
    let more = if names.next().is_some() { ", …" } else { "" };
    (!shown.is_empty()).then(|| shown + more)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::Settings;

    #[test]
    fn peers_that_the_list_leaves_out_are_named() {
        let mut settings = Settings::default_in("/");
        let text = "access.allow = ['10.0.0.0/8']\npeers.a = { address = '192.168.7.1' }\npeers.b = { address = '10.0.0.7' }\n\
                    peers.all = { address = '239.1.1.1' }\n";
        assert!(crate::file::apply(&mut settings, text, Path::new("/c")).is_empty());
        assert_eq!(settings.doubts(), ["`access.allow` leaves out configured peers, which are denied: a"]);
    }

    #[test]
    fn what_is_probably_not_meant_is_a_doubt() {
        let mut settings = Settings::default_in("/");
        assert!(settings.doubts().is_empty());
        settings.access.deny.value =
            ["10.0.0.0/8", "10.50.0.1", "10.50.0.1/24", "::1"].map(|one| one.parse().unwrap()).into();
        assert_eq!(
            settings.doubts(),
            ["`access.deny`: 10.50.0.1/24 is all of 10.50.0.0/24; one address is written without the prefix"]
        );
        settings.access.deny.value = ["0.0.0.0/0", "::/0"].map(|one| one.parse().unwrap()).into();
        assert!(settings.doubts().is_empty(), "without `allow`, it is meant");
        settings.access.allow.value = ["10.50.0.0/24", "fd00::/64"].map(|one| one.parse().unwrap()).into();
        assert!(settings.doubts()[0].contains("so nobody may send"));
        settings.access.deny.value.pop();
        assert!(settings.doubts().is_empty());
        settings.access.allow.value.clear();
        settings.access.deny.value.clear();
        settings.listen.value = vec!["0.0.0.0:1".parse().unwrap(), "239.9.9.9:22020".parse().unwrap()];
        assert!(settings.doubts()[0].starts_with("`listen` names the multicast group 239.9.9.9"));
        settings.groups.value = vec!["239.9.9.9".parse().unwrap()];
        assert!(settings.doubts().is_empty());
        for (age, is_doubt) in [("1m", true), ("59m", true), ("1h", false), ("30d", false), ("", false)] {
            settings.inbox.max_age.value = age.parse().unwrap();
            assert_eq!(settings.doubts().len(), usize::from(is_doubt), "{age}");
        }
    }
}
