//! The arguments of `recode`.

use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;

use crate::cli::FilterArgs;
use crate::command::completions::candidates;
use crate::command::send::args::entry_id;

/// The flags and arguments that say which messages beside ids.
const OTHER_WAYS: [&str; 7] = ["all", "number", "from", "direction", "since", "until", "grep"];

/// `recode`: which messages, and as what.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecodeArgs {
    /// Messages by their ids: 812, '#812' or 812-820
    #[arg(value_name = "ID", conflicts_with_all = OTHER_WAYS)]
    pub(crate) ids: Vec<Ids>,
    /// Read the messages in ENC, for example gbk; `auto` takes back what was said before
    #[arg(long = "as", value_name = "ENC", add = ArgValueCandidates::new(candidates::recodings))]
    pub(crate) encoding: String,
    /// All messages
    #[arg(short, long, conflicts_with = "number")]
    pub(crate) all: bool,
    /// Remember that whoever sent these messages speaks ENC; with `--as auto`, forget what they speak
    #[arg(long)]
    pub(crate) remember: bool,
    /// Change nothing, and show how the first messages would read
    #[arg(long)]
    pub(crate) dry_run: bool,
    // The last: its heading would stand above whatever comes behind it.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

impl RecodeArgs {
    /// Tells whether it is said which messages are meant.
    pub(crate) fn says_which(&self) -> bool {
        self.all || !self.ids.is_empty() || self.filter != FilterArgs::default()
    }
}

/// Ids that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The first, at least 1.
    pub(crate) first: u64,
    /// The last, not before the first.
    pub(crate) last: u64,
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let ids = Self { first: entry_id(first)?, last: entry_id(last)? };
        match ids {
            Self { first: 0, .. } => Err("ids begin with 1".to_owned()),
            Self { first, last } if last < first => Err(format!("the last id is before the first, {first}")),
            ids => Ok(ids),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_one_by_one_or_from_to() {
        for (text, first, last) in [("812", 812, 812), ("#7", 7, 7), ("812-820", 812, 820), ("#1-#2", 1, 2)] {
            assert_eq!(text.parse(), Ok(Ids { first, last }), "{text}");
        }
        for text in ["", "x", "0", "0-3", "9-8", "1-", "-1", "1-2-3"] {
            assert!(text.parse::<Ids>().is_err(), "{text}");
        }
    }
}
