//! `ask`: sends a message, and prints what comes back from where it went.
//!
//! Answers are told by their place in the log: whatever answers a message has a higher id than it. So nothing is
//! missed, however fast the answer is, and nothing that came before counts.

use udpchat_api::call::{DirectionFilter, SendParams, SubscribeParams};
use udpchat_api::{Entry, Message};

use super::wait::{self, Wanted};
use super::{Context, send};
use crate::cli::AskArgs;
use crate::connect::make_sure_to_read;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// Runs `ask`.
pub(crate) async fn run(context: Context<'_>, arguments: &AskArgs) -> Result<()> {
    let (mut client, output, payload) = send::prepare(context, &arguments.message).await?;
    // Before anything goes out whose answer could not be read.
    make_sure_to_read(&mut client).await?;
    let target = SendParams { to: Some(arguments.to.clone()), ..SendParams::default() };
    let question = send::params(&target, &arguments.message, payload);
    let sent = client.call(&question).await?.into_entries();
    send::note_large(output, &sent);
    if let Some(refusal) = sent.iter().find_map(send::refusal) {
        return Err(refusal);
    }
    let Some(Entry::Message(first)) = sent.first() else {
        return Err(CtlError::failed("the daemon does not say what it sent"));
    };
    let wanted = answers(arguments, first, &sent);
    wait::for_messages(client, output, &wanted, Output::answer).await.map_err(|error| {
        let hint = if !arguments.anyone && is_for_many(first) {
            "`--anyone` takes answers from whoever gives them"
        } else {
            "what comes later is in the inbox; `--timeout` waits longer"
        };
        error.hint_if_timed_out(hint)
    })
}

/// Tells what counts as an answer: what comes after the first datagram that went out.
fn answers(arguments: &AskArgs, first: &Message, sent: &[Entry]) -> Wanted {
    let subscription = SubscribeParams {
        after: Some(first.id),
        from: (!arguments.anyone).then(|| first.peer.to_string()),
        direction: Some(DirectionFilter::In),
        grep: arguments.grep.clone(),
        ..SubscribeParams::default()
    };
    let from = (!arguments.anyone).then(|| match &first.name {
        Some(name) => format!("{name} ({})", first.peer),
        None => first.peer.to_string(),
    });
    let payload = |entry: &Entry| match entry {
        Entry::Message(message) => Some(message.raw.clone()),
        Entry::Gap(_) => None,
    };
    let own = if arguments.anyone { sent.iter().filter_map(payload).collect() } else { Vec::new() };
    Wanted { subscription, from, count: arguments.count, timeout: Some(arguments.timeout), own }
}

/// Tells whether a message went to more than one host, as far as its address alone shows.
fn is_for_many(message: &Message) -> bool {
    match message.peer.ip() {
        std::net::IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.octets()[3] == 255,
        std::net::IpAddr::V6(ip) => ip.is_multicast(),
    }
}
