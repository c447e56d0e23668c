//! The method `talkers`: who sends most now.
//!
//! Counted in the log, in a bounded part of it and only when somebody asks: reception knows nothing of it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use udpchat_api::call::{Talker, TalkersAnswer, TalkersParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::inbox::reader::ReceivedFrom;
use crate::peers::Configured;
use crate::state::Daemon;

/// How many peers are listed if the client does not say, and at most.
const DEFAULT_TALKERS: u32 = 10;
const MAX_TALKERS: u32 = 100;

pub(crate) async fn call(daemon: &Arc<Daemon>, params: &TalkersParams) -> Result<TalkersAnswer, ErrorObject> {
    let limit = params.limit.unwrap_or(DEFAULT_TALKERS);
    if !(1..=MAX_TALKERS).contains(&limit) {
        let text = format!("`limit` must be 1 to {MAX_TALKERS}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let after = params.after.unwrap_or(0);
    let (said, (after, next)) = daemon.read(move |reader| reader.received_from(after)).await?;
    let messages = said.values().map(|said| said.messages).sum();
    let mut talkers = named(&daemon.peers.configured(), said);
    talkers.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    talkers.truncate(limit as usize);
    Ok(TalkersAnswer { talkers, after, next, messages })
}

/// Most messages first, then most bytes; then by address, so that equals stay in their places.
fn order(talker: &Talker) -> (Reverse<u64>, Reverse<u64>, &str) {
    (Reverse(talker.messages), Reverse(talker.bytes), &talker.address)
}

/// Sums up what belongs to one configured peer, and names it.
fn named(configured: &Configured, said: HashMap<SocketAddr, ReceivedFrom>) -> Vec<Talker> {
    let mut sums: HashMap<(Option<&str>, String), ReceivedFrom> = HashMap::new();
    for (peer, said) in said {
        let key = match configured.of(peer) {
            Some(named) => (Some(named.name.as_str()), named.address.to_string()),
            None => (None, peer.to_string()),
        };
        let sum = sums.entry(key).or_default();
        sum.messages += said.messages;
        sum.bytes += said.bytes;
    }
    let talker = |((name, address), said): ((Option<&str>, String), ReceivedFrom)| Talker {
        name: name.map(str::to_owned),
        address,
        messages: said.messages,
        bytes: said.bytes,
    };
    sums.into_iter().map(talker).collect()
}
