//! How commands select entries: by the filters that all commands share, and by ids.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;
use jiff::{Timestamp, Zoned};
use udpchat_api::call::{DirectionFilter, InboxParams};

use super::completions::candidates;
use crate::error::Result;
use crate::time;

/// The filters on the command line, the same for every command that reads history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct FilterArgs {
    /// Only the last N entries
    #[arg(short = 'n', long = "number", value_name = "N")]
    pub(crate) number: Option<u64>,
    /// Only messages from and to PEER, a name or an address
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) from: Option<String>,
    /// Only received messages and gaps (`in`), only sent messages (`out`), or `both`
    #[arg(long, value_name = "DIRECTION", value_enum, hide_possible_values = true)]
    pub(crate) direction: Option<DirectionArg>,
    /// Only entries at or after the time T
    #[arg(short = 'S', long, value_name = "T")]
    pub(crate) since: Option<String>,
    /// Only entries before the time T
    #[arg(short = 'U', long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// Only messages whose text matches the regular expression RE
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
}

/// The values of `--direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DirectionArg {
    /// Received messages, and gaps
    In,
    /// Sent messages
    Out,
    /// Everything
    Both,
}

impl From<DirectionArg> for DirectionFilter {
    fn from(direction: DirectionArg) -> Self {
        match direction {
            DirectionArg::In => Self::In,
            DirectionArg::Out => Self::Out,
            DirectionArg::Both => Self::Both,
        }
    }
}

/// Filters with their times resolved; without the number of entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) from: Option<String>,
    pub(super) direction: Option<DirectionFilter>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) grep: Option<String>,
}

impl Filter {
    /// Reads the filters; calls `now` only if a time is given.
    ///
    /// # Errors
    /// A time is invalid.
    pub(super) fn of(arguments: &FilterArgs, now: impl Fn() -> Zoned) -> Result<Self> {
        let time = |text: &Option<String>| text.as_ref().map(|text| time::parse(text, &now())).transpose();
        Ok(Self {
            from: arguments.from.clone(),
            direction: arguments.direction.map(Into::into),
            since: time(&arguments.since)?,
            until: time(&arguments.until)?,
            grep: arguments.grep.clone(),
        })
    }

    /// Returns the parameters that request a page.
    pub(super) fn page(&self) -> InboxParams {
        let Self { from, direction, since, until, grep } = self.clone();
        InboxParams { from, direction, since, until, grep, ..InboxParams::default() }
    }

    /// Returns whether every entry passes, so that ids alone give the number of entries.
    pub(super) fn is_open(&self) -> bool {
        let Self { from, direction, since, until, grep } = self;
        let any_direction = matches!(direction, None | Some(DirectionFilter::Both));
        any_direction && from.is_none() && since.is_none() && until.is_none() && grep.is_none()
    }
}

/// Parses the id of an entry, written `812` or `#812`.
pub(crate) fn entry_id(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits.parse().map_err(|_| "an entry id is a number such as 812 or '#812'".to_owned())
}
