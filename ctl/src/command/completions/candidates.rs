//! Completion of values that the daemon provides: peers and ids of messages.
//!
//! The shell waits while this program runs, so the daemon has little time to answer; without a daemon nothing is offered.
//! Received text is never offered.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::CompletionCandidate;
use tokio::time::timeout;
use udpchat_api::Entry;
use udpchat_api::call::{
    Call, ConsumersParams, DirectionFilter, HeldParams, InboxParams, Order, Peer, PeersParams,
};
use udpchat_config::Encoding;
use udpchat_locale::tr;

use crate::connect;

/// How long the daemon may take to answer; afterwards nothing is offered.
const DAEMON_WAIT: Duration = Duration::from_millis(200);

/// How many of the newest entries are searched for peers.
const PEERS_WINDOW: u64 = 5_000;

/// How many messages are offered to reply to.
const MESSAGES: u32 = 20;

/// Returns the words of the command line that is being completed.
pub(super) fn words(arguments: &[OsString]) -> &[OsString] {
    let end = arguments.iter().position(|argument| argument == "--");
    end.map_or(&[], |end| &arguments[end + 1..])
}

/// Offers the names of peers, and the addresses of peers without a name.
pub(crate) fn peers() -> Vec<CompletionCandidate> {
    let answer = ask(&PeersParams { window: Some(PEERS_WINDOW), after: None });
    let (peers, lists) = answer.map(|answer| (answer.peers, answer.lists)).unwrap_or_default();
    let lists = lists
        .into_iter()
        .map(|list| CompletionCandidate::new(list.name).help(Some(list.members.join(", ").into())));
    let candidates = peers.into_iter().enumerate().map(|(place, peer)| {
        let Peer { name, address, encoding, .. } = peer;
        let (word, help) = match name {
            Some(name) => (name, format!("{address}, {encoding}")),
            None => (address, encoding),
        };
        CompletionCandidate::new(word).help(Some(help.into())).display_order(Some(place))
    });
    let all = candidates.chain(lists);
    all.filter(|candidate| candidate.get_value().to_str().is_some_and(is_plain)).collect()
}

/// Offers the values of an enumeration.
pub(crate) fn values<V: clap::ValueEnum>() -> Vec<CompletionCandidate> {
    let values = V::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    values.map(|value| CompletionCandidate::new(value.get_name()).help(value.get_help().cloned())).collect()
}

/// Offers the consumers.
pub(crate) fn consumers() -> Vec<CompletionCandidate> {
    let consumers = ask(&ConsumersParams {}).map(|answer| answer.consumers).unwrap_or_default();
    let candidates = consumers.into_iter().filter(|consumer| is_plain(&consumer.consumer)).map(|consumer| {
        let help = tr!("{count} unread", count = consumer.unread);
        CompletionCandidate::new(consumer.consumer).help(Some(help.into()))
    });
    candidates.collect()
}

/// Offers the numbers of held messages.
pub(crate) fn held() -> Vec<CompletionCandidate> {
    let held = ask(&HeldParams::default()).map(|answer| answer.held).unwrap_or_default();
    let candidates = held.into_iter().filter(|message| is_plain(&message.to)).map(|message| {
        let help = tr!("for {peer}", peer = message.to);
        CompletionCandidate::new(message.held.to_string()).help(Some(help.into()))
    });
    candidates.collect()
}

/// Offers the ids of the newest received messages, newest first.
pub(crate) fn messages() -> Vec<CompletionCandidate> {
    let newest = InboxParams {
        limit: Some(MESSAGES),
        direction: Some(DirectionFilter::In),
        order: Some(Order::Desc),
        ..InboxParams::default()
    };
    let Some(answer) = ask(&newest) else { return Vec::new() };
    let zone = crate::time::local_zone();
    let messages = answer.entries.into_iter().enumerate().filter_map(|(place, entry)| {
        let Entry::Message(message) = entry else { return None };
        let from = message.name.unwrap_or_else(|| message.peer.to_string());
        let time = message.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let help = tr!("from {peer}, {time}", peer = from, time);
        let candidate = CompletionCandidate::new(message.id.to_string());
        Some(candidate.help(Some(help.into())).display_order(Some(place)))
    });
    messages.collect()
}

/// Offers the most common encodings.
pub(crate) fn encodings() -> Vec<CompletionCandidate> {
    Encoding::COMMON.iter().chain(&["hex"]).map(CompletionCandidate::new).collect()
}

/// Offers the values of `recode --as`.
pub(crate) fn recodings() -> Vec<CompletionCandidate> {
    let mut all = encodings();
    all.push(CompletionCandidate::new("auto").help(Some(tr!("undo an earlier recode").into())));
    all
}

/// Returns whether every shell takes a word literally. Other words need quoting, which not every shell does.
fn is_plain(word: &str) -> bool {
    word.chars().all(|character| {
        character.is_alphanumeric()
            || matches!(character, '-' | '_' | '.' | ':' | '[' | ']' | '%' | '@' | '+')
    })
}

/// Calls the daemon that the command line names; none if it does not answer in time.
fn ask<C: Call>(params: &C) -> Option<C::Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let socket = socket(&std::env::args_os().collect::<Vec<_>>());
    let exchange = async {
        let mut client = connect::connect(socket.as_deref()).await.ok()?;
        client.call(params).await.ok()
    };
    runtime.block_on(async { timeout(DAEMON_WAIT, exchange).await.ok().flatten() })
}

/// Returns the socket that the command line names.
fn socket(arguments: &[OsString]) -> Option<PathBuf> {
    let mut words = words(arguments).iter();
    while let Some(word) = words.next() {
        if word == "--socket" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--socket=")) {
            return Some(path.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &[&str]) -> Vec<OsString> {
        line.iter().map(Into::into).collect()
    }

    #[test]
    fn the_socket_comes_from_the_completed_line() {
        for line in [
            &["x", "--", "udpchatctl", "--socket", "/s", "send", ""][..],
            &["x", "--", "udpchatctl", "send", "--socket=/s", ""],
        ] {
            assert_eq!(socket(&arguments(line)), Some("/s".into()), "{line:?}");
        }
        for line in [&["x", "--socket", "/s"][..], &["x", "--", "udpchatctl", "--socket"]] {
            assert_eq!(socket(&arguments(line)), None, "{line:?}");
        }
    }

    #[test]
    fn words_that_need_quoting_are_not_offered() {
        for word in ["bob", "小明", "node-7_a.lan", "127.0.0.1:8080", "[fe80::1%3]:7788"] {
            assert!(is_plain(word), "{word}");
        }
        for word in ["$(reboot)", "a b", "a;b", "`x`", "a*", "~bob", "a&b", "!x", "a\\b", "a|b", "<a"] {
            assert!(!is_plain(word), "{word}");
        }
    }
}
