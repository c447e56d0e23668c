//! The method `peers`: the configured peers, and those that have sent something.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use udpchat_api::call::{Peer, PeerList, PeersAnswer, PeersParams};
use udpchat_api::line::to_line;
use udpchat_api::{ErrorKind, ErrorObject, MAX_LINE_BYTES, Timestamp};
use udpchat_config::Encoding;
use udpchat_text::Basis;

use crate::clock::from_ns;
use crate::control::context::Context;
use crate::control::entry::encoding_by;
use crate::inbox::InboxError;
use crate::inbox::bounced_peers::BouncedPeer;
use crate::inbox::kept::{MAX_HELD, Seen, To};
use crate::inbox::reader::{Heard, PEERS_WINDOW_IDS, Reader};
use crate::peers::{Configured, Named, Peers};
use crate::state::Daemon;

/// How many peers without a name are listed: those heard last.
const MAX_SEEN_PEERS: usize = 1_000;

/// The length of the answer's line without its rows, in bytes: more than any id and envelope take.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// How long the lists of the answer are at most, in bytes: the peers have the rest of the line.
const MAX_LISTS_BYTES: usize = MAX_LINE_BYTES / 4;

/// How much memory a peer takes while the peers are counted, in bytes. Each entry of the window may have its own.
const BYTES_OF_A_PEER: usize = 96;

/// How long the search of the older part of the log for messages of silent peers may take, for all peers; and as long again the
/// look-ups of encodings in the log.
const SEARCH_TIME: Duration = Duration::from_millis(500);

pub(super) async fn call(context: &mut Context, params: PeersParams) -> Result<PeersAnswer, ErrorObject> {
    let (daemon, consumer) = (Arc::clone(context.daemon()), context.own_consumer());
    let window = params.window.unwrap_or(PEERS_WINDOW_IDS);
    if window > PEERS_WINDOW_IDS {
        let text = format!("`window` must be at most {PEERS_WINDOW_IDS}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let listed = MAX_SEEN_PEERS + daemon.peers.remembered().len();
    let (held, _) = daemon.kept.totals();
    let window_peers = usize::try_from(window).unwrap_or(usize::MAX);
    let bytes = BYTES_OF_A_PEER * (window_peers + 4 * listed + held);
    let configured = daemon.peers.configured();
    let lists = if params.after.is_none() { lists(&configured) } else { Vec::new() };
    let room = MAX_LINE_BYTES - ENVELOPE_BYTES - lists.iter().map(json_bytes).sum::<usize>();
    let read = move |reader: &Reader| {
        let mut heard = reader.heard(reader.read_mark(&consumer)?.unwrap_or_default(), window)?;
        if params.window.is_none() {
            add_silent(reader, &configured, &params, &mut heard)?;
        }
        for peer in daemon.peers.remembered() {
            heard.entry(peer).or_default();
        }
        let until = Instant::now() + SEARCH_TIME;
        let kept = Kept::of(&daemon, &configured);
        let bounced = daemon.bounced_peers.list();
        let list =
            List { known: &daemon.peers, configured: &configured, bounced: &bounced, reader, until, kept };
        list.peers(heard, params.after.as_deref(), room)
    };
    let (peers, more) = context.read(bytes, read).await?;
    Ok(PeersAnswer { peers, lists, more })
}

/// Returns the lists of peers, as far as they leave room for peers.
fn lists(configured: &Configured) -> Vec<PeerList> {
    let lists = configured.lists().map(|(name, members)| PeerList {
        name: name.to_owned(),
        members: members.iter().map(ToString::to_string).collect(),
    });
    let mut bytes = 0;
    let fits = |list: &PeerList| {
        bytes += json_bytes(list);
        bytes <= MAX_LISTS_BYTES
    };
    lists.take_while(fits).collect()
}

/// Returns the length of a row of the answer, in bytes. The line end counts for the comma between two rows.
fn json_bytes(row: &impl Serialize) -> usize {
    // Structs of strings and numbers: serialising them cannot fail.
    to_line(row).map_or(0, |line| line.len())
}

/// Adds the last message of each configured peer without a message in the window, of those that are to be listed.
fn add_silent(
    reader: &Reader,
    configured: &Configured,
    params: &PeersParams,
    heard: &mut HashMap<SocketAddr, Heard>,
) -> Result<(), InboxError> {
    let began = Instant::now();
    let owner = |peer: SocketAddr| configured.of(peer).map(|named| named.name);
    let known: HashSet<&str> = heard.keys().filter_map(|peer| owner(*peer)).collect();
    let wanted =
        |named: &Named<'_>| is_behind(named.name, params.after.as_deref()) && !known.contains(named.name);
    for named in configured.named().filter(wanted) {
        let is_its = |sender| owner(sender) == Some(named.name);
        let last = reader.last_heard(named.address, is_its, || began.elapsed() <= SEARCH_TIME)?;
        heard.extend(last);
    }
    Ok(())
}

fn is_behind(name: &str, after: Option<&str>) -> bool {
    after.is_none_or(|after| name > after)
}

/// Makes the rows of the answer.
struct List<'a> {
    known: &'a Peers,
    configured: &'a Configured,
    bounced: &'a [BouncedPeer],
    reader: &'a Reader,
    /// Until when encodings are looked up in the log.
    until: Instant,
    kept: Kept,
}

/// What is held for peers, and what is known of those with `silent_after`.
#[derive(Default)]
struct Kept {
    silent_after: HashMap<String, u64>,
    watched: HashMap<Arc<str>, Seen>,
    /// How many messages are held, by the name of a peer.
    held_for_names: HashMap<String, u64>,
    /// How many are held for addresses without a name; port 0 stands for any port.
    held_for_addresses: HashMap<SocketAddr, u64>,
}

impl Kept {
    fn of(daemon: &Daemon, configured: &Configured) -> Self {
        let after = daemon.configuration.current();
        let after = after.peers.iter().filter_map(|(name, peer)| {
            Some((name.to_string(), peer.silent_after.as_ref()?.time().as_secs()))
        });
        let mut kept =
            Self { silent_after: after.collect(), watched: daemon.kept.watched(), ..Self::default() };
        for row in daemon.kept.held_after(0, MAX_HELD) {
            let address = match &row.to {
                To::Name(name) => {
                    *kept.held_for_names.entry(name.clone()).or_default() += 1;
                    continue;
                }
                To::Address(address) => *address,
                To::OnInterface(address, interface) => configured.on_interface(*address, interface),
            };
            match configured.of(address) {
                Some(named) => *kept.held_for_names.entry(named.name.to_owned()).or_default() += 1,
                None => *kept.held_for_addresses.entry(address).or_default() += 1,
            }
        }
        kept
    }

    fn held_for(&self, peer: SocketAddr) -> u64 {
        let mut any_port = peer;
        any_port.set_port(0);
        let held = |address| self.held_for_addresses.get(&address).copied().unwrap_or(0);
        if any_port == peer { held(peer) } else { held(peer) + held(any_port) }
    }
}

impl List<'_> {
    /// Lists the configured peers behind a name, then the others by when they were last heard: as many as fit in `room` bytes. Returns
    /// also whether there are more. The others come all together, where no configured peer is left out.
    fn peers(
        &self,
        mut heard: HashMap<SocketAddr, Heard>,
        after: Option<&str>,
        room: usize,
    ) -> Result<(Vec<Peer>, bool), InboxError> {
        let (mut peers, mut left, is_whole) = self.named(&mut heard, after, room)?;
        if !is_whole {
            return Ok((peers, true));
        }
        let mut seen: Vec<_> = heard.into_iter().collect();
        seen.sort_unstable_by_key(|(peer, heard)| (Reverse(heard.last_id), *peer));
        seen.truncate(MAX_SEEN_PEERS);
        let named = peers.len();
        for (peer, heard) in seen {
            let row = self.row(peer, heard)?;
            let Some(rest) = left.checked_sub(json_bytes(&row)) else {
                // Without configured peers there is room for as many as there can be.
                let more = named > 0;
                peers.truncate(if more { named } else { peers.len() });
                return Ok((peers, more));
            };
            left = rest;
            peers.push(row);
        }
        Ok((peers, false))
    }

    /// Returns the configured peers behind a name that fit in `room` bytes, how many bytes are left, and whether these are all.
    /// Removes from `heard` what belongs to configured peers.
    fn named(
        &self,
        heard: &mut HashMap<SocketAddr, Heard>,
        after: Option<&str>,
        room: usize,
    ) -> Result<(Vec<Peer>, usize, bool), InboxError> {
        let mut sums: HashMap<&str, (SocketAddr, Heard)> = HashMap::new();
        heard.retain(|peer, heard| {
            let Some(named) = self.configured.of(*peer) else { return true };
            let (last_peer, sum) = sums.entry(named.name).or_insert((*peer, Heard::default()));
            if heard.last_id >= sum.last_id {
                (*last_peer, sum.last_id, sum.last_at_ns) = (*peer, heard.last_id, heard.last_at_ns);
            }
            sum.messages += heard.messages;
            sum.unread += heard.unread;
            false
        });
        let wanted = self.configured.named().filter(|named| is_behind(named.name, after));
        let rows = wanted.map(|named| -> Result<Peer, InboxError> {
            // Where its interface is missing, nothing is known of it but its configuration.
            let own = named.address.destination().unwrap_or_else(|| SocketAddr::new(named.address.ip(), 0));
            let (peer, heard) = sums.get(named.name).copied().unwrap_or((own, Heard::default()));
            let row = self.row(peer, heard)?;
            Ok(Peer {
                name: Some(named.name.to_owned()),
                silent_after: self.kept.silent_after.get(named.name).copied(),
                silent_since: self
                    .kept
                    .watched
                    .get(named.name)
                    .and_then(|seen| seen.silent_since_ns)
                    .map(from_ns),
                held: self.kept.held_for_names.get(named.name).copied().unwrap_or(0),
                address: named.address.numbered().to_string(),
                encoding: named.encoding.map_or(row.encoding, |encoding| encoding.to_string()),
                encoding_by: named.encoding.map_or(row.encoding_by, |_| encoding_by(Basis::Configured)),
                encoding_is_default: row.encoding_is_default && named.encoding.is_none(),
                bounced_since: self.bounced_since(heard, |peer| {
                    self.configured.of(peer).is_some_and(|owner| owner.name == named.name)
                }),
                ..row
            })
        });
        let (mut peers, mut left) = (Vec::new(), room);
        for row in rows {
            let row = row?;
            let Some(rest) = left.checked_sub(json_bytes(&row)) else { return Ok((peers, left, false)) };
            left = rest;
            peers.push(row);
        }
        Ok((peers, left, true))
    }

    fn row(&self, peer: SocketAddr, heard: Heard) -> Result<Peer, InboxError> {
        let (encoding, by) = self.encoding_towards(peer)?;
        Ok(Peer {
            name: None,
            address: peer.to_string(),
            encoding: encoding.to_string(),
            encoding_by: encoding_by(by),
            encoding_is_default: Peers::is_default(self.configured, peer, by),
            last_heard: (heard.last_id > 0).then(|| from_ns(heard.last_at_ns)),
            last_id: (heard.last_id > 0).then_some(heard.last_id),
            last_from: (heard.last_id > 0).then(|| peer.to_string()),
            messages: heard.messages,
            unread: heard.unread,
            silent_after: None,
            silent_since: None,
            bounced_since: self.bounced_since(heard, |bounced| bounced == peer),
            held: self.kept.held_for(peer),
            denied: !self.configured.allows(peer.ip()),
        })
    }

    /// Returns the first report, since a peer was heard, that a message to one of its addresses was not delivered.
    fn bounced_since(&self, heard: Heard, is_its: impl Fn(SocketAddr) -> bool) -> Option<Timestamp> {
        let later = |bounced: &&BouncedPeer| heard.last_id == 0 || bounced.since_ns > heard.last_at_ns;
        let its = self.bounced.iter().filter(|bounced| is_its(bounced.peer)).filter(later);
        its.map(|bounced| bounced.since_ns).min().map(from_ns)
    }

    /// Chooses the encoding of a message to a peer; once the time is up, without the log.
    fn encoding_towards(&self, peer: SocketAddr) -> Result<(Encoding, Basis), InboxError> {
        if Instant::now() < self.until {
            return self.known.encoding_towards(self.configured, peer, self.reader);
        }
        Ok(self.known.assumed_towards(self.configured, peer))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use udpchat_config::Settings;

    use super::*;

    #[test]
    fn encodings_are_looked_up_only_as_long_as_there_is_time() {
        let folder = tempfile::tempdir().unwrap();
        let (_sender, settings) = watch::channel(Arc::new(Settings::default_in(folder.path())));
        let known = Peers::new(settings, Arc::default(), Arc::default());
        // Without an inbox, each look-up fails.
        let (configured, reader) = (known.configured(), Reader::new(folder.path()));
        let row = |until| {
            let list = List {
                known: &known,
                configured: &configured,
                bounced: &[],
                reader: &reader,
                until,
                kept: Kept::default(),
            };
            list.row("127.0.0.1:5".parse().unwrap(), Heard::default())
        };
        assert!(row(Instant::now() + SEARCH_TIME).is_err());
        let row = row(Instant::now()).unwrap();
        assert_eq!((row.encoding.as_str(), row.encoding_is_default), ("utf-8", true));
    }
}
