//! The arguments of `send` for several destinations and for messages again and again. `job` runs them.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;

use crate::command::completions::candidates;
use crate::command::filter::{count, entry_id};
use crate::command::senders::is_address;
use crate::command::ticks::interval;

/// Several messages.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ManyArgs {
    /// Send the message again and again, each T by the clock, for example 100ms or 2s; a number alone is
    /// seconds. What is late by more than T, and by more than 20ms, is left out. With --lines, a line each T: no line is left out
    #[arg(long, value_name = "T", value_parser = interval)]
    pub(crate) every: Option<Duration>,
    /// Stop after N times [default: when interrupted]
    #[arg(short, long, value_name = "N", requires = "every", value_parser = count)]
    pub(crate) count: Option<u64>,
    /// Send the message of entry ID once more, byte for byte, to where it went, or to TO
    #[arg(long, value_name = "ID", value_parser = entry_id, add = ArgValueCandidates::new(candidates::messages))]
    #[arg(conflicts_with_all = ["text", "file", "lines", "hex", "escape", "encoding", "split", "fill", "append", "eol"])]
    pub(crate) again: Option<u64>,
}

impl ManyArgs {
    /// Returns whether one message is sent once, or a line each time that one is read.
    pub(in crate::command) fn are_unused(&self) -> bool {
        self.every.is_none() && self.again.is_none()
    }
}

/// Returns whether a destination may be several: with commas between them, or the name of a list.
pub(in crate::command) fn may_be_several(to: &str) -> bool {
    to.contains(',') || !(is_address(to) || to.contains([':', '%']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_may_be_lists() {
        for to in ["lab", "node.lan", "a,b", "10.0.0.1,10.0.0.2:9"] {
            assert!(may_be_several(to), "{to}");
        }
        for to in ["10.0.0.1", "10.0.0.1:9", "::1", "[::1]:9", "host:9", "ff02::1%eth0"] {
            assert!(!may_be_several(to), "{to}");
        }
    }
}
