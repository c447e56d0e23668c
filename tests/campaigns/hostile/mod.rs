//! Hostile datagrams at a live socket, and fuzzed requests at a live control socket. Of both: no crash, and memory and descriptors stay
//! flat.

mod datagrams;
mod requests;

use crate::client::Client;
use crate::counters::Counters;
use crate::support::{DEADLINE, eventually_within};
use crate::watch::Watched;

/// Retention works meanwhile.
const CONFIG: &str = "inbox.max_size = '64MiB'\nlog.messages_per_second = 50";

/// How much more memory, in KiB, a daemon may use in the end than after the first third.
const MEMORY_GROWTH: u64 = 8 * 1_024;

/// Returns whether memory or descriptors grew.
fn growth(watched: &Watched) -> Option<String> {
    let (before, after) = (watched.medians(1), watched.medians(2));
    eprintln!("memory in KiB and descriptors: {:?}, {before:?}, {after:?}", watched.medians(0));
    let grew = after.0 > before.0 + MEMORY_GROWTH || after.1 > before.1 + 2;
    grew.then(|| format!("memory in KiB and descriptors grew from {before:?} to {after:?}"))
}

/// Waits until the counters account for everything that was sent.
fn settle(client: &mut Client, sent: u64) -> Counters {
    eventually_within(DEADLINE, "the counters to settle", || {
        Some(Counters::of(&client.status()?)).filter(|counters| counters.is_settled(sent))
    })
}

/// Returns lines with characters that are unsafe to show.
fn unsafe_lines(lines: &[String]) -> Vec<String> {
    let is_unsafe = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
    };
    let lines = lines.iter().filter(|line| line.trim_end_matches('\n').contains(is_unsafe));
    lines.map(|line| format!("unsafe: {line:?}")).collect()
}
