//! How commands select entries: by the filters that all commands share, and by ids.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;
use jiff::{Timestamp, Zoned};
use udpchat_api::Raw;
use udpchat_api::call::{DeliveryFilter, DirectionFilter, InboxParams, Kind};
use udpchat_config::narrowed;
use udpchat_locale::tr;

use super::completions::candidates;
use super::condition::WhereArgs;
use super::send::Payload;
use crate::error::{CtlError, Result};
use crate::output::local_time;
use crate::time;

/// The flags that select messages by their content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct ContentArgs {
    /// Only messages whose text matches the regular expression RE
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// Ignore upper and lower case in RE
    #[arg(short, long, requires = "grep")]
    pub(crate) ignore_case: bool,
    /// Only messages that contain these bytes, given as hex digits
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    pub(crate) grep_hex: Option<Raw>,
}

impl ContentArgs {
    /// Returns the pattern for the daemon.
    pub(super) fn pattern(&self) -> Option<String> {
        let grep = self.grep.as_ref()?;
        Some(if self.ignore_case { format!("(?i){grep}") } else { grep.clone() })
    }
}

/// The filters on the command line, the same for every command that reads history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct FilterArgs {
    /// Only the last N entries
    #[arg(short = 'n', long = "number", value_name = "N", value_parser = number)]
    pub(crate) number: Option<u64>,
    /// Only messages from and to PEER: a peer's name, an address, a network such as 10.0.0.0/8, or a host; may be repeated
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) from: Vec<String>,
    /// No messages from and to PEER; may be repeated
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) not_from: Vec<String>,
    /// Only received messages and gaps (`in`), only sent messages (`out`), or `both`
    #[arg(long, value_name = "DIRECTION", value_parser = direction)]
    #[arg(add = ArgValueCandidates::new(candidates::values::<DirectionArg>))]
    pub(crate) direction: Option<DirectionArg>,
    /// Only entries at or after the time T
    #[arg(short = 'S', long, value_name = "T", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only entries before the time T
    #[arg(short = 'U', long, value_name = "T", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
}

impl FilterArgs {
    /// Returns whether they select entries by anything but their number.
    pub(crate) fn select(&self) -> bool {
        let everything = Self { number: self.number, ..Self::default() };
        let all_directions = Self { direction: Some(DirectionArg::Both), ..everything.clone() };
        *self != everything && *self != all_directions
    }
}

/// The flags that select entries by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct KindArgs {
    /// Only entries of these kinds: received, sent, gaps, notices; with commas between them
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    #[arg(add = ArgValueCandidates::new(candidates::values::<KindArg>))]
    pub(crate) only: Vec<KindArg>,
    /// Only sent messages of which this is known: bounced, not-sent, answered, or nothing more (sent)
    #[arg(long, value_name = "STATE", value_parser = delivery)]
    #[arg(add = ArgValueCandidates::new(candidates::values::<DeliveryArg>))]
    pub(crate) delivery: Option<DeliveryArg>,
}

impl KindArgs {
    /// Refuses conditions together with kinds that have no numbers.
    pub(super) fn check(&self, conditions: &WhereArgs) -> Result<()> {
        let has_numbers = |kind: &KindArg| !matches!(kind, KindArg::Gaps | KindArg::Notices);
        match conditions.are_given() && !self.only.iter().all(has_numbers) {
            true => Err(CtlError::usage(tr!(
                "--where selects messages and cannot be combined with --only gaps or --only notices"
            ))),
            false => Ok(()),
        }
    }

    /// Returns whether notices are asked for.
    pub(crate) fn name_notices(&self) -> bool {
        self.only.contains(&KindArg::Notices)
    }
}

/// The values of `--only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Received messages
    Received,
    /// Sent messages
    Sent,
    /// Places where datagrams are missing
    Gaps,
    /// What became known: bounces, silent peers, expired held messages
    Notices,
}

/// The values of `--delivery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeliveryArg {
    /// Messages that the network reported as not delivered
    Bounced,
    /// Messages that this host could not send
    NotSent,
    /// Messages after which the peer has sent one
    Answered,
    /// Messages that were sent, and of which nothing else is known
    Sent,
}

/// Reads a value of `--only`.
fn kind(text: &str) -> Result<KindArg, String> {
    KindArg::from_str(text.trim(), true).map_err(|_| {
        tr!("expected `received`, `sent`, `gaps` (where datagrams are missing) or `notices` (what became known)")
            .to_owned()
    })
}

/// Reads the value of `--delivery`.
fn delivery(text: &str) -> Result<DeliveryArg, String> {
    DeliveryArg::from_str(&text.replace('_', "-"), true).map_err(|_| {
        tr!(
            "expected `bounced` (reported as not delivered), `not-sent` (this host could not send them), `answered` or \
             `sent` (nothing else is known)"
        )
        .to_owned()
    })
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Received => Self::Received,
            KindArg::Sent => Self::Sent,
            KindArg::Gaps => Self::Gaps,
            KindArg::Notices => Self::Notices,
        }
    }
}

impl From<DeliveryArg> for DeliveryFilter {
    fn from(delivery: DeliveryArg) -> Self {
        match delivery {
            DeliveryArg::Bounced => Self::Bounced,
            DeliveryArg::NotSent => Self::NotSent,
            DeliveryArg::Answered => Self::Answered,
            DeliveryArg::Sent => Self::Sent,
        }
    }
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
    pub(super) from: Vec<String>,
    pub(super) not_from: Vec<String>,
    pub(super) direction: Option<DirectionFilter>,
    /// In RFC 3339: the same moment for each page.
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) grep: Option<String>,
    pub(super) contains: Option<Raw>,
    /// Whether notices are read.
    pub(super) notices: bool,
    pub(super) only: Vec<Kind>,
    pub(super) delivery: Option<DeliveryFilter>,
    /// What this program selects itself, of what the daemon has selected.
    pub(super) conditions: WhereArgs,
}

impl Filter {
    /// Reads the filters; calls `now` only if a time is given.
    ///
    /// # Errors
    /// A time is invalid, or the period ends before it begins.
    pub(super) fn of(arguments: &FilterArgs, now: impl Fn() -> Zoned) -> Result<Self> {
        let (since, until) = period(arguments.since.as_deref(), arguments.until.as_deref(), now)?;
        let [since, until] = [since, until].map(|time| time.map(|time| time.to_string()));
        let grep = arguments.content.pattern();
        let (from, direction) = (arguments.from.clone(), arguments.direction.map(Into::into));
        let (not_from, contains) = (arguments.not_from.clone(), arguments.content.grep_hex.clone());
        Ok(Self { from, not_from, direction, since, until, grep, contains, ..Self::default() })
    }

    /// Selects by the kinds of entries, too.
    pub(super) fn of_kinds(mut self, arguments: &KindArgs) -> Self {
        self.only = arguments.only.iter().copied().map(Into::into).collect();
        self.delivery = arguments.delivery.map(Into::into);
        self
    }

    /// Selects by the numbers in messages, too.
    pub(super) fn of_conditions(self, conditions: &WhereArgs) -> Self {
        Self { conditions: conditions.clone(), ..self }
    }

    /// Returns whether the time from which it selects has not come yet.
    pub(super) fn is_to_come(&self) -> bool {
        let since = self.since.as_ref().and_then(|since| since.parse::<Timestamp>().ok());
        since.is_some_and(|since| since > Timestamp::now())
    }

    /// Returns the parameters that request a page.
    pub(super) fn page(&self) -> InboxParams {
        let Self {
            from,
            not_from,
            direction,
            since,
            until,
            grep,
            contains,
            notices,
            only,
            delivery,
            conditions: _,
        } = self.clone();
        // Gaps that are asked for are shown among the messages of a peer, too.
        let gaps = only.contains(&Kind::Gaps);
        InboxParams {
            from,
            not_from,
            direction,
            since,
            until,
            grep,
            contains,
            gaps,
            notices,
            only,
            delivery,
            ..InboxParams::default()
        }
    }

    /// Returns whether every entry passes; notices only if they are read.
    pub(super) fn is_open(&self) -> bool {
        let Self {
            from,
            not_from,
            direction,
            since,
            until,
            grep,
            contains,
            notices: _,
            only,
            delivery,
            conditions,
        } = self;
        let any_direction = matches!(direction, None | Some(DirectionFilter::Both));
        any_direction
            && from.is_empty()
            && not_from.is_empty()
            && only.is_empty()
            && delivery.is_none()
            && !conditions.are_given()
            && since.is_none()
            && until.is_none()
            && grep.is_none()
            && contains.is_none()
    }
}

/// Reads the times of `--since` and `--until`; calls `now` only if a time is given.
///
/// # Errors
/// A time is invalid, or the period ends before it begins.
pub(super) fn period(
    since: Option<&str>,
    until: Option<&str>,
    now: impl Fn() -> Zoned,
) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let since = since.map(|text| time::parse(text, &now())).transpose()?;
    let until = until.map(|text| time::parse_end(text, &now(), since)).transpose()?;
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        let [since, until] = [since, until].map(|time| local_time(time, &time::local_zone()));
        let text =
            tr!("the period ends before it begins: it begins at {since} and ends at {until}", since, until);
        return Err(CtlError::usage(text).hint(tr!("`--since` is the earlier time, `--until` the later one")));
    }
    Ok((since, until))
}

/// Reads the bytes of `--grep-hex`.
pub(super) fn bytes(digits: &str) -> Result<Raw, String> {
    match Payload::of_text(digits.to_owned(), true) {
        Ok(Payload::Bytes(bytes)) if !bytes.is_empty() => Ok(Raw(bytes)),
        Err(CtlError::Failed(failure)) => Err(failure.message),
        _ => Err(tr!("no bytes are given").to_owned()),
    }
}

/// Reads the value of `--direction`.
fn direction(text: &str) -> Result<DirectionArg, String> {
    DirectionArg::from_str(text, true).map_err(|_| {
        tr!("expected `in` (received messages and gaps), `out` (sent messages) or `both`").to_owned()
    })
}

/// Returns whether a pattern for text looks like bytes in hex digits: `01 03`, or with anchors `^0103`.
pub(super) fn is_like_hex(pattern: &str) -> bool {
    bytes(pattern.trim_start_matches('^').trim_end_matches('$')).is_ok()
}

/// A range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The first, at least 1.
    pub(crate) first: u64,
    /// The last, not before the first.
    pub(crate) last: u64,
}

/// What stands between two ids instead of a hyphen, as Chinese keyboards make it.
const RANGE_SIGNS: [char; 6] = ['~', '〜', '–', '—', '−', '至'];

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = &*narrowed(text).replace(RANGE_SIGNS, "-").replace("..", "-");
        if text.contains(|character: char| !(character.is_ascii_digit() || "#-".contains(character))) {
            return Err(tr!(
                "an entry id is a number such as 812 or '#812', or a range such as 812-820; `--from PEER` selects the messages of a peer"
            )
            .to_owned());
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let ids = Self { first: entry_id(first)?, last: entry_id(last)? };
        match ids {
            Self { first: 0, .. } => Err(tr!("ids start at 1").to_owned()),
            Self { first, last } if last < first => {
                Err(tr!("the last id is before the first, {first}", first))
            }
            ids => Ok(ids),
        }
    }
}

/// Parses the id of an entry, written `812` or `#812`.
pub(crate) fn entry_id(text: &str) -> Result<u64, String> {
    let text = narrowed(text);
    let digits = text.strip_prefix('#').unwrap_or(&text);
    digits.trim().parse().map_err(|_| tr!("an entry id is a number such as 812 or '#812'").to_owned())
}

/// Parses a whole number.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    narrowed(text).trim().parse().map_err(|_| tr!("not a whole number").to_owned())
}

/// Parses a number of messages, or that of a held one, which is not 0.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let number = number(text).ok().filter(|number| *number > 0);
    number.ok_or_else(|| tr!("expected a number from 1 on").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_and_a_number_select_everything() {
        let filter = |change: fn(&mut FilterArgs)| {
            let mut filter = FilterArgs::default();
            change(&mut filter);
            filter.select()
        };
        assert!(!filter(|_| {}) && !filter(|filter| filter.number = Some(3)));
        assert!(!filter(|filter| filter.direction = Some(DirectionArg::Both)));
        assert!(filter(|filter| filter.direction = Some(DirectionArg::In)));
        assert!(filter(|filter| filter.from = vec!["bob".to_owned()]));
        assert!(filter(|filter| filter.until = Some("now".to_owned())));
    }

    #[test]
    fn numbers_may_be_in_full_width() {
        assert_eq!((number("３"), number("0"), count("９")), (Ok(3), Ok(0), Ok(9)));
        for text in ["", "x", "-1", "1.5"] {
            assert!(number(text).is_err() && count(text).is_err(), "{text}");
        }
        assert!(count("０").is_err());
    }

    #[test]
    fn a_pattern_may_look_like_bytes() {
        for (pattern, expected) in
            [("^01 03", true), ("0103$", true), ("ff", true), ("^ok", false), ("01 0", false), ("^", false)]
        {
            assert_eq!(is_like_hex(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn ids_are_single_or_a_range() {
        for (text, first, last) in [
            ("812", 812, 812),
            ("#7", 7, 7),
            ("812-820", 812, 820),
            ("#1-#2", 1, 2),
            ("＃８１－82", 81, 82),
            ("７～９", 7, 9),
            ("7~9", 7, 9),
            ("7—9", 7, 9),
            ("7至9", 7, 9),
            ("34..36", 34, 36),
        ] {
            assert_eq!(text.parse(), Ok(Ids { first, last }), "{text}");
        }
        for text in ["", "x", "0", "0-3", "9-8", "1-", "-1", "1-2-3", "1...2", "1.2"] {
            assert!(text.parse::<Ids>().is_err(), "{text}");
        }
        let wrong = |text: &str| text.parse::<Ids>().unwrap_err();
        assert!(wrong("bob").contains("812-820; `--from PEER`"));
    }
}
