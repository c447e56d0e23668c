//! Rules on the limits of values, and on values in combination.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::did_you_mean;
use crate::value::shown;
use crate::{ConfigError, Member, Network, PeerAddress, PeerName, Setting, Settings, Size, UserGroup};

/// The maximum number of addresses to listen on.
const MAX_LISTEN: usize = 64;
/// The maximum number of multicast groups to join.
const MAX_GROUPS: usize = 64;
/// The maximum number of user groups for each role.
const MAX_USER_GROUPS: usize = 16;
/// The maximum number of members of a list of peers.
const MAX_MEMBERS: usize = 256;
/// The maximum number of networks in each list of the access list: every datagram is compared with all of them.
const MAX_NETWORKS: usize = 2_048;
/// The longest path for `sun_path` of unix(7), without the terminating zero byte.
const MAX_SOCKET_BYTES: usize = 107;
const MIN_RECEIVE_BUFFER: Size = Size::from_bytes(4 * 1024);
const MAX_RECEIVE_BUFFER: Size = Size::from_mib(1024);
const MIN_INBOX: Size = Size::from_mib(1);
const MIN_MEMORY: Size = Size::from_mib(8);
const MAX_MEMORY: Size = Size::from_mib(1024);

/// Finds what the daemon cannot use in settings: at most one violation of each rule, in the order of the keys.
pub(crate) fn check(settings: &Settings) -> Vec<ConfigError> {
    let control = &settings.control;
    let checked = [
        check_listen(settings),
        check_groups(settings),
        check_sizes(settings),
        check_socket(&settings.socket),
        check_text(settings),
        check_networks("access.allow", &settings.access.allow),
        check_networks("access.deny", &settings.access.deny),
        check_role("control.read", &control.read),
        check_role("control.send", &control.send),
        check_role("control.admin", &control.admin),
        check_peers(settings),
        check_lists(settings),
    ];
    checked.into_iter().filter_map(Result::err).collect()
}

fn check_listen(settings: &Settings) -> Result<(), ConfigError> {
    let listen = &settings.listen;
    let refuse = |message: String, hint: &str| Err(ConfigError::rejected(&listen.origin, message, hint));
    if listen.is_empty() {
        return refuse("no address to listen on".to_owned(), "leave `listen` out for [\"[::]:7788\"]");
    }
    if listen.len() > MAX_LISTEN {
        let message = format!("{} addresses to listen on, at most {MAX_LISTEN} are possible", listen.len());
        return refuse(message, "\"[::]:7788\" listens on every address of this host");
    }
    let mut seen = BTreeSet::new();
    // The system chooses a different port for each port 0.
    match listen.iter().find(|address| address.port() != 0 && !seen.insert(*address)) {
        Some(twice) => refuse(format!("address {twice} is given twice"), "leave one of them out"),
        None => Ok(()),
    }
}

fn check_groups(settings: &Settings) -> Result<(), ConfigError> {
    let groups = &settings.groups;
    let refuse = |message: String, hint: &str| Err(ConfigError::rejected(&groups.origin, message, hint));
    if groups.len() > MAX_GROUPS {
        let message = format!("{} groups to join, at most {MAX_GROUPS} are possible", groups.len());
        return refuse(message, "a second daemon can join the others");
    }
    let mut seen = BTreeSet::new();
    match groups.iter().find(|group| !seen.insert(*group)) {
        Some(twice) => refuse(format!("group {twice} is given twice"), "leave one of them out"),
        None => Ok(()),
    }
}

fn check_networks(key: &str, networks: &Setting<Vec<Network>>) -> Result<(), ConfigError> {
    if networks.len() <= MAX_NETWORKS {
        return Ok(());
    }
    let message = format!("{key} has {} networks, at most {MAX_NETWORKS} are possible", networks.len());
    let hint = "join networks that follow each other; a firewall takes longer lists";
    Err(ConfigError::rejected(&networks.origin, message, hint))
}

fn check_sizes(settings: &Settings) -> Result<(), ConfigError> {
    let buffer = &settings.receive_buffer;
    if !(MIN_RECEIVE_BUFFER..=MAX_RECEIVE_BUFFER).contains(&**buffer) {
        let message = format!(
            "receive_buffer {} is out of range, {MIN_RECEIVE_BUFFER} to {MAX_RECEIVE_BUFFER}",
            **buffer
        );
        return Err(ConfigError::rejected(
            &buffer.origin,
            message,
            "write for example: receive_buffer = \"8MiB\"",
        ));
    }
    let max_size = &settings.inbox.max_size;
    if **max_size < MIN_INBOX {
        let message = format!("inbox.max_size {} is too small, at least {MIN_INBOX} is needed", **max_size);
        return Err(ConfigError::rejected(
            &max_size.origin,
            message,
            "write for example: max_size = \"4GiB\"",
        ));
    }
    let memory = &settings.control.max_memory;
    if !(MIN_MEMORY..=MAX_MEMORY).contains(&**memory) {
        let message =
            format!("control.max_memory {} is out of range, {MIN_MEMORY} to {MAX_MEMORY}", **memory);
        return Err(ConfigError::rejected(
            &memory.origin,
            message,
            "write for example: max_memory = \"32MiB\"",
        ));
    }
    Ok(())
}

fn check_socket(socket: &Setting<PathBuf>) -> Result<(), ConfigError> {
    let path: &Path = socket;
    let bytes = path.as_os_str().len();
    if bytes <= MAX_SOCKET_BYTES {
        return Ok(());
    }
    let message = format!("socket path {} has {bytes} bytes, at most {MAX_SOCKET_BYTES} fit", shown(path));
    Err(ConfigError::rejected(&socket.origin, message, "name a shorter path with `--socket`"))
}

fn check_text(settings: &Settings) -> Result<(), ConfigError> {
    let (encoding, fallback) = (&settings.text.encoding, &settings.text.fallback);
    for (key, encoding) in [("text.encoding", encoding), ("text.fallback", fallback)] {
        if encoding.is_hex() {
            let hint =
                "no text would be shown or sent any more; give a peer that sends bytes `encoding = \"hex\"`";
            return Err(ConfigError::rejected(&encoding.origin, format!("{key} cannot be hex"), hint));
        }
    }
    if !fallback.is_utf_16() {
        return Ok(());
    }
    let message = format!("text.fallback cannot be {}", **fallback);
    let hint = "nearly any bytes look like UTF-16; give the peers that write it `encoding = \"utf-16le\"`";
    Err(ConfigError::rejected(&fallback.origin, message, hint))
}

fn check_role(key: &str, groups: &Setting<Vec<UserGroup>>) -> Result<(), ConfigError> {
    let refuse = |message: String, hint: &str| Err(ConfigError::rejected(&groups.origin, message, hint));
    if groups.len() > MAX_USER_GROUPS {
        let message = format!("{key}: {} groups, at most {MAX_USER_GROUPS} are possible", groups.len());
        return refuse(message, "put these users into one group, for example \"udpchat\"");
    }
    let mut seen = BTreeSet::new();
    match groups.iter().find(|group| !seen.insert(*group)) {
        Some(twice) => refuse(format!("{key}: group {twice} is given twice"), "leave one of them out"),
        None => Ok(()),
    }
}

fn check_peers(settings: &Settings) -> Result<(), ConfigError> {
    let mut seen = BTreeMap::new();
    for (name, peer) in &settings.peers {
        if *peer.address == PeerAddress::NONE {
            let hint = "write for example: address = \"192.168.43.159:8080\"";
            let message = format!("peer `{name}` has no address");
            return Err(ConfigError::rejected(&peer.address.origin, message, hint));
        }
        if let Some(other) = seen.insert(&*peer.address, name) {
            let message = format!("peers `{other}` and `{name}` have the same address {}", *peer.address);
            let hint = "a message from there would have two names; keep one of them";
            return Err(ConfigError::rejected(&peer.address.origin, message, hint));
        }
        let ip = peer.address.ip();
        if let Some(silent_after) = &peer.silent_after
            && (ip.is_multicast() || ip == Ipv4Addr::BROADCAST)
        {
            let message = format!("peer `{name}` is a group or a broadcast address, which sends nothing");
            let hint = "give `silent_after` to the peers themselves";
            return Err(ConfigError::rejected(&silent_after.origin, message, hint));
        }
    }
    Ok(())
}

fn check_lists(settings: &Settings) -> Result<(), ConfigError> {
    for (list, members) in &settings.lists {
        let refuse = |message: String, hint: &str| Err(ConfigError::rejected(&members.origin, message, hint));
        if members.is_empty() {
            let hint = "write for example: members = [\"bob\", \"10.0.0.9:9000\"]";
            return refuse(format!("list `{list}` has no members"), hint);
        }
        if members.len() > MAX_MEMBERS {
            let message =
                format!("list `{list}` has {} members, at most {MAX_MEMBERS} are possible", members.len());
            return refuse(message, "make several lists; `udpchatctl send` takes several destinations");
        }
        let mut seen = BTreeSet::new();
        for member in members.iter() {
            if !seen.insert(member) {
                return refuse(format!("list `{list}`: {member} is given twice"), "leave one of them out");
            }
            let Member::Peer(name) = member else { continue };
            if settings.lists.contains_key(name) {
                let hint = "name its members; members are peers and addresses";
                return refuse(format!("list `{list}`: `{name}` is a list"), hint);
            }
            if !settings.peers.contains_key(name) {
                let near = did_you_mean(name.as_str(), settings.peers.keys().map(PeerName::as_str));
                let hint = near.unwrap_or_else(|| "[peers.NAME] gives a peer a name".to_owned());
                return refuse(format!("list `{list}`: no peer is called `{name}`"), &hint);
            }
        }
    }
    Ok(())
}
