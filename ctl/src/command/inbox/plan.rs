//! Decides what `inbox` prints: a pure function of its arguments.

use jiff::Zoned;
use udpchat_api::call::{DirectionFilter, InboxParams, Kind, SubscribeParams};

use super::args::InboxArgs;
use super::start::Consumer;
use crate::command::filter::{Filter, FilterArgs, Ids, KindArgs};
use crate::error::Result;

/// How many entries a person sees of a history that nothing selects.
const HISTORY_ENTRIES: u64 = 20;

/// What to print first, which entries to print, and whether to follow.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) wanted: Wanted,
    pub(super) filter: Filter,
    pub(super) follow: bool,
    /// Whether following continues after the daemon has ended.
    pub(super) reconnect: bool,
    /// Whether notices are read.
    pub(super) notices: bool,
}

/// What is printed.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    /// What a consumer has not read.
    New(Consumer),
    /// Entries whether they are read or not.
    History(Part),
}

/// The part of the history that is printed.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// The newest entries. Their number is `implied` if the user did not give it.
    Last { count: u64, newest_first: bool, implied: bool },
    /// All entries.
    All { newest_first: bool },
    /// The entries with these ids.
    Ids(Vec<Ids>),
}

impl Plan {
    /// Creates the plan; calls `now` only if a time is given. A terminal gets fewer entries than a program.
    ///
    /// # Errors
    /// A time is invalid.
    pub(super) fn of(arguments: &InboxArgs, is_for_a_person: bool, now: impl Fn() -> Zoned) -> Result<Self> {
        let (follow, reconnect) = (arguments.follow, arguments.reconnect);
        if !is_history(arguments) {
            let InboxArgs { consumer, start, peek, .. } = arguments;
            let wanted = Wanted::New(Consumer { name: consumer.clone(), start: *start, ack: !peek });
            let filter = Filter { direction: Some(DirectionFilter::In), ..Filter::default() };
            return Ok(Self { wanted, filter, follow, reconnect, notices: false });
        }
        let newest_first = arguments.reverse;
        let selects = arguments.all
            || arguments.filter.select()
            || arguments.kinds != KindArgs::default()
            || arguments.conditions.are_given();
        let part = match arguments.filter.number {
            _ if !arguments.ids.is_empty() => Part::Ids(arguments.ids.clone()),
            Some(count) => Part::Last { count, newest_first, implied: false },
            // A follower is interested in what comes.
            None if !selects && (is_for_a_person || follow) => {
                Part::Last { count: HISTORY_ENTRIES, newest_first, implied: true }
            }
            None => Part::All { newest_first },
        };
        let filter = Filter::of(&arguments.filter, now)?.of_kinds(&arguments.kinds);
        Ok(Self { wanted: Wanted::History(part), filter, follow, reconnect, notices: false })
    }

    /// Reads notices, if the daemon knows them. Those about sent messages are new as well, although sent messages are not.
    pub(super) fn read_notices(&mut self, knows_notices: bool) {
        self.notices = knows_notices;
        if knows_notices && matches!(self.wanted, Wanted::New(_)) {
            self.filter.direction = None;
            self.filter.only = vec![Kind::Received, Kind::Gaps, Kind::Notices];
        }
    }

    /// Returns the parameters that request a page.
    pub(super) fn page(&self) -> InboxParams {
        InboxParams { notices: self.notices, ..self.filter.page() }
    }

    /// Returns the parameters that subscribe to what comes after a cursor.
    pub(super) fn subscription(&self, after: u64) -> SubscribeParams {
        let page = self.page();
        SubscribeParams {
            after: Some(after),
            from: page.from,
            not_from: page.not_from,
            direction: page.direction,
            since: page.since,
            until: page.until,
            grep: page.grep,
            contains: page.contains,
            gaps: page.gaps,
            notices: page.notices,
            only: page.only,
            delivery: page.delivery,
        }
    }
}

fn is_history(arguments: &InboxArgs) -> bool {
    arguments.all
        || arguments.reverse
        || !arguments.ids.is_empty()
        || arguments.filter != FilterArgs::default()
        || arguments.kinds != KindArgs::default()
        || arguments.conditions.are_given()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::command::filter::{ContentArgs, DirectionArg};
    use crate::command::inbox::Start;

    fn plan(arguments: &InboxArgs) -> Plan {
        plan_for(arguments, true)
    }

    fn plan_for(arguments: &InboxArgs, is_for_a_person: bool) -> Plan {
        let now = || "2026-11-22T14:00:00Z".parse::<Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        Plan::of(arguments, is_for_a_person, now).unwrap()
    }

    fn none() -> InboxArgs {
        InboxArgs::default()
    }

    fn filtered(filter: FilterArgs) -> InboxArgs {
        InboxArgs { filter, ..none() }
    }

    fn all(newest_first: bool) -> Wanted {
        Wanted::History(Part::All { newest_first })
    }

    #[test]
    fn the_default_is_new_received_messages() {
        let consumer = |name: Option<&str>, start, ack| {
            Wanted::New(Consumer { name: name.map(str::to_owned), start, ack })
        };
        let bare = plan(&none());
        assert_eq!(bare.wanted, consumer(None, None, true));
        assert_eq!(bare.filter, Filter { direction: Some(DirectionFilter::In), ..Filter::default() });
        let peeked = plan(&InboxArgs { peek: true, follow: true, hex: true, ..none() });
        assert_eq!((peeked.wanted, peeked.follow), (consumer(None, None, false), true));
        let named = plan(&InboxArgs { consumer: Some("x".to_owned()), start: Some(Start::Now), ..none() });
        assert_eq!(named.wanted, consumer(Some("x"), Some(Start::Now), true));
    }

    fn content(grep: Option<String>) -> ContentArgs {
        ContentArgs { grep, ..ContentArgs::default() }
    }

    #[test]
    fn a_filter_shows_all_that_matches() {
        let text = || Some("2h".to_owned());
        for filter in [
            FilterArgs { from: vec!["bob".to_owned()], ..FilterArgs::default() },
            FilterArgs { since: text(), ..FilterArgs::default() },
            FilterArgs { until: text(), ..FilterArgs::default() },
            FilterArgs { content: content(text()), ..FilterArgs::default() },
            FilterArgs { direction: Some(DirectionArg::Out), ..FilterArgs::default() },
        ] {
            let arguments = InboxArgs { filter, ..none() };
            for follow in [false, true] {
                let plan = plan(&InboxArgs { follow, ..arguments.clone() });
                assert_eq!(plan.wanted, all(false), "{arguments:?}");
                assert_ne!(plan.filter.direction, Some(DirectionFilter::In));
            }
        }
    }

    #[test]
    fn only_a_person_gets_the_last_twenty() {
        let both = FilterArgs { direction: Some(DirectionArg::Both), ..FilterArgs::default() };
        for (newest_first, arguments) in
            [(true, InboxArgs { reverse: true, ..none() }), (false, filtered(both))]
        {
            let last = Wanted::History(Part::Last { count: 20, newest_first, implied: true });
            assert_eq!(plan_for(&arguments, true).wanted, last);
            assert_eq!(plan_for(&arguments, false).wanted, all(newest_first));
            let followed = InboxArgs { follow: true, ..arguments };
            assert_eq!(plan_for(&followed, false).wanted, last);
        }
    }

    #[test]
    fn ids_select_their_entries() {
        let ids = vec!["812".parse().unwrap(), "820-831".parse().unwrap()];
        let plan = plan(&InboxArgs { ids: ids.clone(), ..none() });
        assert_eq!(plan.wanted, Wanted::History(Part::Ids(ids)));
    }

    #[test]
    fn a_number_or_all_selects_how_many() {
        assert_eq!(
            plan(&filtered(FilterArgs {
                number: Some(3),
                since: Some("today".to_owned()),
                ..FilterArgs::default()
            }))
            .wanted,
            Wanted::History(Part::Last { count: 3, newest_first: false, implied: false })
        );
        assert_eq!(plan(&InboxArgs { all: true, reverse: true, ..none() }).wanted, all(true));
    }

    #[test]
    fn filters_apply_to_page_and_subscription() {
        let plan = plan(&filtered(FilterArgs {
            from: vec!["bob".to_owned()],
            direction: Some(DirectionArg::Out),
            since: Some("2h".to_owned()),
            until: Some("now".to_owned()),
            content: content(Some("x".to_owned())),
            ..FilterArgs::default()
        }));
        let (page, subscription) = (plan.page(), plan.subscription(7));
        assert_eq!(page.since, Some("2026-11-22T12:00:00Z".parse().unwrap()));
        assert_eq!(page.until, Some("2026-11-22T14:00:00Z".parse().unwrap()));
        assert_eq!((page.from.as_slice(), page.grep.as_deref()), (&["bob".to_owned()][..], Some("x")));
        assert_eq!((page.after, page.consumer), (None, None));
        assert_eq!(subscription.after, Some(7));
        assert_eq!(subscription.direction, Some(DirectionFilter::Out));
        assert_eq!((subscription.from, subscription.grep), (page.from, page.grep));
        assert_eq!((subscription.since, subscription.until), (page.since, page.until));
    }

    #[test]
    fn the_clock_is_read_only_for_a_time() {
        let arguments = filtered(FilterArgs { number: Some(1), ..FilterArgs::default() });
        assert!(Plan::of(&arguments, true, || panic!("the clock was read")).is_ok());
    }
}
