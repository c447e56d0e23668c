//! The method `peers`: the named ones, and those that were heard of.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use udpchat_api::call::{Peer, PeersAnswer};
use udpchat_api::{DEFAULT_CONSUMER, ErrorObject};

use crate::clock::from_ns;
use crate::daemon::Daemon;
use crate::inbox::reader::Heard;
use crate::peers::Configured;

/// How many peers without a name are listed: those heard last.
const MAX_SEEN_PEERS: usize = 1_000;

pub(super) async fn call(daemon: &Arc<Daemon>) -> Result<PeersAnswer, ErrorObject> {
    let mut heard = daemon.read(|reader| reader.heard(reader.read_mark(DEFAULT_CONSUMER)?)).await?;
    for peer in daemon.peers.remembered() {
        heard.entry(peer).or_default();
    }
    let configured = daemon.peers.configured();
    let mut peers = named(daemon, &configured, &mut heard);
    let mut seen: Vec<_> = heard.into_iter().collect();
    seen.sort_unstable_by_key(|(peer, heard)| (Reverse(heard.last_id), *peer));
    seen.truncate(MAX_SEEN_PEERS);
    peers.extend(seen.into_iter().map(|(peer, heard)| row(daemon, &configured, peer, heard)));
    Ok(PeersAnswer { peers })
}

/// Lists the configured peers, and takes what was heard of them out of `heard`.
fn named(daemon: &Daemon, configured: &Configured, heard: &mut HashMap<SocketAddr, Heard>) -> Vec<Peer> {
    let mut sums: HashMap<&str, (SocketAddr, Heard)> = HashMap::new();
    heard.retain(|peer, heard| {
        let Some(named) = configured.of(*peer) else { return true };
        let (last_peer, sum) = sums.entry(&named.name).or_insert((*peer, Heard::default()));
        if heard.last_id >= sum.last_id {
            (*last_peer, sum.last_id, sum.last_at_ns) = (*peer, heard.last_id, heard.last_at_ns);
        }
        sum.messages += heard.messages;
        sum.unread += heard.unread;
        false
    });
    let list = configured.named().iter().map(|named| {
        let own = (named.address.destination(), Heard::default());
        let (peer, heard) = sums.get(named.name.as_str()).copied().unwrap_or(own);
        Peer {
            name: Some(named.name.clone()),
            address: named.address.to_string(),
            ..row(daemon, configured, peer, heard)
        }
    });
    list.collect()
}

fn row(daemon: &Daemon, configured: &Configured, peer: SocketAddr, heard: Heard) -> Peer {
    let (encoding, encoding_by) = daemon.peers.encoding_towards(configured, peer);
    Peer {
        name: None,
        address: peer.to_string(),
        encoding: encoding.to_string(),
        encoding_by,
        last_heard: (heard.last_id > 0).then(|| from_ns(heard.last_at_ns)),
        last_id: (heard.last_id > 0).then_some(heard.last_id),
        messages: heard.messages,
        unread: heard.unread,
    }
}
