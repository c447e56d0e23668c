//! `--last-port`: a message goes to the port that the last message from its destination came from, which may change with each start
//! of a device.

use std::net::SocketAddr;

use udpchat_api::Client;
use udpchat_api::call::{Peer, SendParams, Target, TargetsParams};
use udpchat_config::PeerAddress;
use udpchat_locale::tr;

use super::known_peers::{HEARD_WINDOW, KnownPeers};
use crate::error::{CtlError, Result};
use crate::output::host;

/// Returns the parameters that send to the last port of each destination, as an answer to its last message: of all in the inbox, or
/// of those in the newest `window` entries.
///
/// # Errors
/// Nothing was heard from one of them, or the user may not ask for peers.
pub(super) async fn params(
    client: &mut Client,
    targets: &[Target],
    window: Option<u64>,
) -> Result<Vec<SendParams>> {
    let peers = client.peers(window).await?.peers;
    targets.iter().map(|target| params_of(&peers, target)).collect()
}

fn params_of(peers: &[Peer], target: &Target) -> Result<SendParams> {
    let is_name = peers.iter().any(|peer| peer.name.as_ref() == Some(&target.to));
    if !is_name && has_port(&target.to, "") {
        let text = tr!("{to} has a port already, which --last-port would replace", to = target.to);
        return Err(CtlError::usage(text)
            .hint(tr!("write the destination without the port, or leave --last-port out")));
    }
    match last_heard(peers, &target.to, target.peer).and_then(|peer| peer.last_id) {
        Some(id) => Ok(SendParams { reply_to: Some(id), ..SendParams::default() }),
        None => {
            let text = tr!("no message from {peer} is known, so it has no last port", peer = target.to);
            Err(CtlError::not_sent("not_heard", text)
                .hint(tr!("without --last-port the message goes to {address}", address = written(target))))
        }
    }
}

/// Returns whether a destination was written with its port; `name` is that of the peer.
pub(super) fn has_port(to: &str, name: &str) -> bool {
    to != name && to.parse::<PeerAddress>().map_or(to.contains(':'), |address| address.port().is_some())
}

/// Returns the address of a destination, with its interface as it was written.
fn written(target: &Target) -> String {
    match (target.peer, target.to.split_once('%')) {
        (SocketAddr::V6(peer), Some((_, interface))) if !interface.contains(']') => {
            format!("[{}%{interface}]:{}", peer.ip(), peer.port())
        }
        _ => target.peer.to_string(),
    }
}

/// Returns the destination of `ask` in the same way.
pub(in crate::command) async fn params_to(client: &mut Client, to: &str) -> Result<SendParams> {
    // Also what came long ago.
    params_of_one(client, to, None).await
}

/// Returns the destination of `ask`, which was asked before, if its last message is a recent one.
pub(in crate::command) async fn recent_params_to(client: &mut Client, to: &str) -> Result<SendParams> {
    params_of_one(client, to, Some(HEARD_WINDOW)).await
}

async fn params_of_one(client: &mut Client, to: &str, window: Option<u64>) -> Result<SendParams> {
    let targets = client.call(&TargetsParams { to: vec![to.to_owned()] }).await?.targets;
    match &targets[..] {
        [_] => Ok(params(client, &targets, window).await?.remove(0)),
        _ => Err(CtlError::usage(tr!("`{name}` is a list of peers", name = to))),
    }
}

/// Returns where the last message from a destination came from, if it is known.
pub(in crate::command) async fn last_port_of(
    client: &mut Client,
    to: &str,
    peer: SocketAddr,
) -> Option<SocketAddr> {
    let mut known = KnownPeers::default();
    let peers = &known.get(client).await?.peers;
    last_heard(peers, to, peer)?.last_from.as_ref()?.parse().ok()
}

/// Returns who sent the last message from a destination: itself, or another port of its host that has no name.
pub(super) fn last_heard<'a>(peers: &'a [Peer], to: &str, address: SocketAddr) -> Option<&'a Peer> {
    let is_named = peers.iter().any(|peer| peer.name.as_deref() == Some(to));
    let is_of_host = |peer: &Peer| {
        let from = peer.last_from.as_deref().and_then(|from| from.parse::<SocketAddr>().ok());
        from.is_some_and(|from| host(from) == host(address))
    };
    let is_its = |peer: &&Peer| match &peer.name {
        Some(name) if is_named => name == to,
        _ => is_of_host(peer),
    };
    peers.iter().filter(is_its).max_by_key(|peer| peer.last_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_port_is_meant() {
        for (to, expected) in [
            ("board", false),
            ("10.0.0.7", false),
            ("10.0.0.7:7788", true),
            ("fe80::1%2", false),
            ("[fe80::1%2]:7788", true),
            ("board.lan", false),
            ("board.lan:7788", true),
        ] {
            assert_eq!(has_port(to, "board"), expected, "{to}");
        }
        assert!(!has_port("a:b", "a:b"), "a name may contain a colon");
    }

    #[test]
    fn an_address_has_its_interface_as_it_was_written() {
        for (to, peer, expected) in [
            ("fe80::1%eth0", "[fe80::1%28]:7788", "[fe80::1%eth0]:7788"),
            ("plc", "[fe80::1%28]:7788", "[fe80::1%28]:7788"),
            ("10.0.0.6", "10.0.0.6:7788", "10.0.0.6:7788"),
        ] {
            let target = Target {
                to: to.to_owned(),
                peer: peer.parse().unwrap(),
                encoding: "utf-8".to_owned(),
                list: None,
            };
            assert_eq!(written(&target), expected);
        }
    }

    #[test]
    fn the_last_message_of_the_host_counts_unless_another_peer_sent_it() {
        let peer = |name: Option<&str>, from: &str, id: u64| -> Peer {
            let peer = serde_json::json!({
                "name": name, "address": from, "encoding": "utf-8", "encoding_by": "fallback", "last_id": id, "last_from": from,
                "messages": 1, "unread": 0,
            });
            serde_json::from_value(peer).unwrap()
        };
        let peers = [
            peer(Some("plc"), "10.0.0.6:21006", 3),
            peer(Some("other"), "10.0.0.6:9", 9),
            peer(None, "10.0.0.6:21007", 7),
            peer(None, "10.0.0.7:1", 8),
        ];
        let last = |to: &str, address: &str| {
            last_heard(&peers, to, address.parse().unwrap()).and_then(|peer| peer.last_id)
        };
        assert_eq!(last("plc", "10.0.0.6:21006"), Some(7));
        assert_eq!(last("10.0.0.6", "10.0.0.6:7788"), Some(9));
        assert_eq!(last("10.0.0.8", "10.0.0.8:7788"), None);
    }
}
