//! Decides what `inbox` prints: a pure function of its arguments.

use jiff::Zoned;
use udpchat_api::call::{DirectionFilter, InboxParams, SubscribeParams};

use super::args::InboxArgs;
use crate::command::filter::{Filter, FilterArgs};
use crate::error::Result;

/// How many entries history shows by default.
const HISTORY_ENTRIES: u64 = 20;

/// What to print first, which entries to print, and whether to follow.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) part: Part,
    pub(super) filter: Filter,
    pub(super) follow: bool,
}

/// The existing entries that are printed.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// What a consumer has not read; with `ack` it is then marked as read.
    Unread { consumer: Option<String>, ack: bool },
    /// The newest entries.
    Last { count: u64, newest_first: bool },
    /// All entries.
    All { newest_first: bool },
}

impl Plan {
    /// Creates the plan; calls `now` only if a time is given.
    ///
    /// # Errors
    /// A time is invalid.
    pub(super) fn of(arguments: &InboxArgs, now: impl Fn() -> Zoned) -> Result<Self> {
        let follow = arguments.follow;
        if !is_history(arguments) {
            let part = Part::Unread { consumer: arguments.consumer.clone(), ack: !arguments.peek };
            let filter = Filter { direction: Some(DirectionFilter::In), ..Filter::default() };
            return Ok(Self { part, filter, follow });
        }
        let newest_first = arguments.reverse;
        let part = match arguments.filter.number {
            _ if arguments.all => Part::All { newest_first },
            number => Part::Last { count: number.unwrap_or(HISTORY_ENTRIES), newest_first },
        };
        Ok(Self { part, filter: Filter::of(&arguments.filter, now)?, follow })
    }

    /// Returns the parameters that request a page.
    pub(super) fn page(&self) -> InboxParams {
        self.filter.page()
    }

    /// Returns the parameters that subscribe to what comes after a cursor.
    pub(super) fn subscription(&self, after: u64) -> SubscribeParams {
        let InboxParams { from, direction, since, until, grep, .. } = self.filter.page();
        SubscribeParams { after: Some(after), from, direction, since, until, grep, gaps: false }
    }
}

fn is_history(arguments: &InboxArgs) -> bool {
    arguments.all || arguments.reverse || arguments.filter != FilterArgs::default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::command::filter::DirectionArg;

    fn plan(arguments: &InboxArgs) -> Plan {
        let now = || "2026-11-22T14:00:00Z".parse::<Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        Plan::of(arguments, now).unwrap()
    }

    fn none() -> InboxArgs {
        InboxArgs::default()
    }

    fn filtered(filter: FilterArgs) -> InboxArgs {
        InboxArgs { filter, ..none() }
    }

    #[test]
    fn the_default_is_new_received_messages() {
        let bare = plan(&none());
        assert_eq!(bare.part, Part::Unread { consumer: None, ack: true });
        assert_eq!(bare.filter, Filter { direction: Some(DirectionFilter::In), ..Filter::default() });
        let peeked = plan(&InboxArgs { peek: true, follow: true, hex: true, ..none() });
        assert_eq!((peeked.part, peeked.follow), (Part::Unread { consumer: None, ack: false }, true));
        let named = plan(&InboxArgs { consumer: Some("x".to_owned()), ..none() });
        assert_eq!(named.part, Part::Unread { consumer: Some("x".to_owned()), ack: true });
    }

    #[test]
    fn a_history_flag_selects_the_last_twenty() {
        let text = || Some("2h".to_owned());
        for filter in [
            FilterArgs { from: text(), ..FilterArgs::default() },
            FilterArgs { since: text(), ..FilterArgs::default() },
            FilterArgs { until: text(), ..FilterArgs::default() },
            FilterArgs { grep: text(), ..FilterArgs::default() },
            FilterArgs { direction: Some(DirectionArg::Both), ..FilterArgs::default() },
        ] {
            let arguments = InboxArgs { filter, ..none() };
            let plan = plan(&arguments);
            assert_eq!(plan.part, Part::Last { count: 20, newest_first: false }, "{arguments:?}");
            assert_ne!(plan.filter.direction, Some(DirectionFilter::In));
        }
        let reversed = plan(&InboxArgs { reverse: true, ..none() });
        assert_eq!(reversed.part, Part::Last { count: 20, newest_first: true });
    }

    #[test]
    fn a_number_or_all_selects_how_many() {
        assert_eq!(
            plan(&filtered(FilterArgs {
                number: Some(3),
                since: Some("today".to_owned()),
                ..FilterArgs::default()
            }))
            .part,
            Part::Last { count: 3, newest_first: false }
        );
        assert_eq!(
            plan(&InboxArgs { all: true, reverse: true, ..none() }).part,
            Part::All { newest_first: true }
        );
    }

    #[test]
    fn filters_apply_to_page_and_subscription() {
        let plan = plan(&filtered(FilterArgs {
            from: Some("bob".to_owned()),
            direction: Some(DirectionArg::Out),
            since: Some("2h".to_owned()),
            until: Some("now".to_owned()),
            grep: Some("x".to_owned()),
            ..FilterArgs::default()
        }));
        let (page, subscription) = (plan.page(), plan.subscription(7));
        assert_eq!(page.since, Some("2026-11-22T12:00:00Z".parse().unwrap()));
        assert_eq!(page.until, Some("2026-11-22T14:00:00Z".parse().unwrap()));
        assert_eq!((page.from.as_deref(), page.grep.as_deref()), (Some("bob"), Some("x")));
        assert_eq!((page.after, page.consumer), (None, None));
        assert_eq!(subscription.after, Some(7));
        assert_eq!(subscription.direction, Some(DirectionFilter::Out));
        assert_eq!((subscription.from, subscription.grep), (page.from, page.grep));
        assert_eq!((subscription.since, subscription.until), (page.since, page.until));
    }

    #[test]
    fn the_clock_is_read_only_for_a_time() {
        let arguments = filtered(FilterArgs { number: Some(1), ..FilterArgs::default() });
        assert!(Plan::of(&arguments, || panic!("the clock was read")).is_ok());
    }
}
