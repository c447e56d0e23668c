//! The method `talkers`: the peers that send most at the moment.
//!
//! They are counted in a bounded part of the log, and only when the method is called: reception does no work for it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;

use udpchat_api::call::{Talker, TalkersAnswer, TalkersParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::inbox::reader::{Reader, ReceivedFrom};
use crate::peers::Configured;

/// How many peers are listed if the client gives no limit, and at most.
const DEFAULT_TALKERS: u32 = 10;
const MAX_TALKERS: u32 = 100;

/// How much memory the counts take at most, in bytes: those of 10,000 peers, by address and by name.
const MEMORY_BYTES: usize = 3 * 1024 * 1024;

pub(super) async fn call(context: &mut Context, params: TalkersParams) -> Result<TalkersAnswer, ErrorObject> {
    let limit = params.limit.unwrap_or(DEFAULT_TALKERS);
    if !(1..=MAX_TALKERS).contains(&limit) {
        let text = format!("`limit` must be 1 to {MAX_TALKERS}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let after = params.after.unwrap_or(0);
    let read = move |reader: &Reader| reader.received_from(after);
    let (said, (after, next)) = context.read(MEMORY_BYTES, read).await?;
    let messages = said.values().map(|said| said.messages).sum();
    let mut talkers = named(&context.daemon().peers.configured(), said);
    talkers.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    talkers.truncate(limit as usize);
    Ok(TalkersAnswer { talkers, after, next, messages })
}

/// Returns the sort key: most messages first, then most bytes, then by address, for a stable order.
fn order(talker: &Talker) -> (Reverse<u64>, Reverse<u64>, &str) {
    (Reverse(talker.messages), Reverse(talker.bytes), &talker.address)
}

/// Sums up the messages of each configured peer under its name.
fn named(configured: &Configured, said: HashMap<SocketAddr, ReceivedFrom>) -> Vec<Talker> {
    let mut sums: HashMap<(Option<&str>, String), ReceivedFrom> = HashMap::new();
    for (peer, said) in said {
        let key = match configured.of(peer) {
            Some(named) => (Some(named.name), named.address.to_string()),
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
