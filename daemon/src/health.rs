//! The current problems: `problems` of the status, and log lines when one appears, changes or is resolved.
//!
//! Every failing system call or store operation that is repeated is reported here, and nowhere else. Three kinds of problems
//! end in different ways:
//!
//! | kind | begins | ends |
//! |---|---|---|
//! | a failing operation | [`Health::report`] | it has succeeded since, and has not failed for [`SETTLED_AFTER`] |
//! | a condition | [`Health::report`] | [`Health::clear`] |
//! | an event, which is over when it is seen | [`Health::note`] | [`Health::acknowledge`], or [`Health::supersede`] |
//!
//! Each component logs at most one line a second. A few further ones wait for the next seconds, the others are counted.
//! `problem_watch` calls [`Health::advance`] as long as there is something to do.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::log::rate_limit::Window;

/// How long an operation must not have failed until its problem is over.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// How many lines a second each component logs.
const LINES_PER_SECOND: u32 = 1;

/// How many lines of each component wait for the next seconds.
const MAX_WAITING_LINES: usize = 4;

/// The components that can have a problem, each at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Component {
    /// Writing the inbox.
    InboxWrite,
    /// Reading the inbox.
    InboxRead,
    /// The system's clock was set; a condition.
    Clock,
    /// Removing old entries.
    Retention,
    /// Another program keeps the write-ahead log from being reset; a condition.
    WriteAheadLog,
    /// Entries of the inbox that cannot be read; an event.
    InboxDamage,
    /// The newest entries of the inbox are missing; an event.
    InboxTail,
    /// A damaged inbox was moved to quarantine; an event.
    InboxQuarantine,
    /// A recovery waits for room on the disk; a condition.
    Recovery,
    /// The inbox's file or its directory was removed or replaced; an event.
    InboxReplaced,
    /// The in-flight journal.
    InflightJournal,
    /// The index of the inbox.
    Index,
    /// Groups of users that the configuration names and that give no access; a condition.
    UserGroups,
    /// The configuration was refused when it was last read; a condition.
    Configuration,
    /// A directory above the control socket keeps its users out; a condition.
    SocketDirectory,
    /// Accepting connections on the control socket.
    Control,
    /// Accepting connections for metrics.
    Metrics,
    /// Watching network interfaces for changes; a condition.
    Interfaces,
    /// Joining a multicast group, by its number in the configuration; a condition.
    Group(usize),
    /// Reading from a listening socket, by its number.
    Receive(usize),
    /// Reading datagrams that are announced on a listening socket, by its number.
    ReceiveNothing(usize),
    /// Waiting for datagrams on a listening socket, by its number.
    ReceiveWait(usize),
}

/// How the problem of a component ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Operation,
    Condition,
    Event,
}

impl Component {
    fn kind(self) -> Kind {
        match self {
            Self::Clock
            | Self::WriteAheadLog
            | Self::Recovery
            | Self::UserGroups
            | Self::Configuration
            | Self::SocketDirectory
            | Self::Interfaces
            | Self::Group(_) => Kind::Condition,
            Self::InboxDamage | Self::InboxTail | Self::InboxQuarantine | Self::InboxReplaced => Kind::Event,
            Self::InboxWrite
            | Self::InboxRead
            | Self::Retention
            | Self::InflightJournal
            | Self::Index
            | Self::Control
            | Self::Metrics
            | Self::Receive(_)
            | Self::ReceiveNothing(_)
            | Self::ReceiveWait(_) => Kind::Operation,
        }
    }
}

/// The current problems.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    problems: BTreeMap<Component, Problem>,
    lines: BTreeMap<Component, Lines>,
}

#[derive(Debug)]
struct Problem {
    text: String,
    failures: u64,
    failed_at: Instant,
    /// Whether the operation has succeeded since it last failed.
    has_succeeded: bool,
}

/// What a line reports.
#[derive(Clone, Copy, Debug)]
enum Change {
    Begins,
    /// The problem is over, after this number of failures.
    Ends(u64),
}

/// Limits the log lines of a component.
#[derive(Debug)]
struct Lines {
    window: Window,
    left_out: u64,
    /// The newest lines, oldest first, which follow one by one.
    waiting: VecDeque<(Change, String)>,
}

impl Health {
    /// Sets the problem of a component: an operation has failed, or a condition is found.
    pub(crate) fn report(&self, component: Component, problem: String) {
        debug_assert_ne!(component.kind(), Kind::Event, "{component:?}");
        self.set(component, problem);
    }

    /// Sets the problem of a component: an event, which stays until it is acknowledged.
    pub(crate) fn note(&self, component: Component, event: String) {
        debug_assert_eq!(component.kind(), Kind::Event, "{component:?}");
        self.set(component, event);
    }

    /// Notes that the operation of a component has succeeded. Its problem is over if it does not fail for a while.
    pub(crate) fn succeeded(&self, component: Component) {
        debug_assert_eq!(component.kind(), Kind::Operation, "{component:?}");
        if let Some(problem) = self.state.lock().problems.get_mut(&component) {
            problem.has_succeeded = true;
        }
    }

    /// Clears the problem of a component whose condition is found to be over.
    pub(crate) fn clear(&self, component: Component) {
        debug_assert_eq!(component.kind(), Kind::Condition, "{component:?}");
        self.end(component);
    }

    fn end(&self, component: Component) {
        let mut state = self.state.lock();
        if state.end(component, Instant::now()) {
            drop(state);
            self.changed.send_replace(());
        }
    }

    /// Ends an event that another one has replaced.
    pub(crate) fn supersede(&self, component: Component) {
        debug_assert_eq!(component.kind(), Kind::Event, "{component:?}");
        self.end(component);
    }

    /// Clears all events, and returns them.
    pub(crate) fn acknowledge(&self) -> Vec<String> {
        let mut state = self.state.lock();
        let is_event = |component: &Component| component.kind() == Kind::Event;
        let events = state.problems.iter().filter(|(component, _)| is_event(component));
        let events: Vec<_> = events.map(|(_, event)| event.text.clone()).collect();
        state.problems.retain(|component, _| !is_event(component));
        drop(state);
        if !events.is_empty() {
            self.changed.send_replace(());
        }
        events
    }

    /// Ends the problems whose operation has succeeded for a while, and logs the lines that were left out.
    pub(crate) fn advance(&self, now: Instant) {
        let mut state = self.state.lock();
        let over = state.problems.iter().filter(|(_, problem)| problem.is_over(now));
        let over: Vec<_> = over.map(|(component, _)| *component).collect();
        for component in &over {
            state.end(*component, now);
        }
        state.lines.values_mut().for_each(|lines| lines.flush(now));
        drop(state);
        if !over.is_empty() {
            self.changed.send_replace(());
        }
    }

    /// Logs all lines that wait, at once. For the end, when there is no next second.
    pub(crate) fn conclude(&self) {
        self.state.lock().lines.values_mut().for_each(Lines::conclude);
    }

    /// Logs the lines of a component that wait, at once: so that they precede what is logged next.
    pub(crate) fn conclude_of(&self, component: Component) {
        if let Some(lines) = self.state.lock().lines.get_mut(&component) {
            lines.conclude();
        }
    }

    /// Returns whether [`Self::advance`] has something to do, now or later.
    pub(crate) fn is_unsettled(&self) -> bool {
        let state = self.state.lock();
        state.problems.keys().any(|component| component.kind() != Kind::Event)
            || state.lines.values().any(|lines| !lines.waiting.is_empty())
    }

    /// Returns whether the operation of a component fails: it has not succeeded since it last failed.
    pub(crate) fn is_failing(&self, component: Component) -> bool {
        self.state.lock().problems.get(&component).is_some_and(|problem| !problem.has_succeeded)
    }

    /// Returns a receiver that is notified when a problem appears, changes or is resolved.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns the problem of a component.
    pub(crate) fn problem(&self, component: Component) -> Option<String> {
        self.state.lock().problems.get(&component).map(|problem| problem.text.clone())
    }

    /// Returns the problems.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.state.lock().problems.values().map(|problem| problem.text.clone()).collect()
    }

    fn set(&self, component: Component, text: String) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let before = state.problems.get_mut(&component);
        let is_new = before.as_ref().is_none_or(|before| before.text != text);
        let failures = before.map_or(0, |before| before.failures) + 1;
        if is_new {
            state.log(component, Change::Begins, &text, now);
        }
        let problem = Problem { text, failures, failed_at: now, has_succeeded: false };
        state.problems.insert(component, problem);
        drop(state);
        if is_new {
            self.changed.send_replace(());
        }
    }
}

impl State {
    /// Logs a line about a component, as far as its limit permits.
    fn log(&mut self, component: Component, change: Change, text: &str, now: Instant) {
        let none = || Lines { window: Window::ended_at(now), left_out: 0, waiting: VecDeque::new() };
        self.lines.entry(component).or_insert_with(none).add(change, text, now);
    }

    /// Removes a problem and logs that it is resolved; returns whether there was one.
    fn end(&mut self, component: Component, now: Instant) -> bool {
        let Some(problem) = self.problems.remove(&component) else { return false };
        self.log(component, Change::Ends(problem.failures), &problem.text, now);
        true
    }
}

impl Problem {
    fn is_over(&self, now: Instant) -> bool {
        self.has_succeeded && now.duration_since(self.failed_at) >= SETTLED_AFTER
    }
}

impl Lines {
    /// Logs a line, or keeps it for one of the next seconds.
    fn add(&mut self, change: Change, text: &str, now: Instant) {
        self.window.turn(now);
        if self.waiting.is_empty() && self.window.room(LINES_PER_SECOND) > 0 {
            return self.log(change, text);
        }
        if self.waiting.len() == MAX_WAITING_LINES {
            self.waiting.pop_front();
            self.left_out += 1;
        }
        self.waiting.push_back((change, text.to_owned()));
    }

    /// Logs the next line that waits, if there is one and the second is over.
    fn flush(&mut self, now: Instant) {
        if now >= self.window.end()
            && let Some((change, text)) = self.waiting.pop_front()
        {
            self.window.turn(now);
            self.log(change, &text);
        }
    }

    fn conclude(&mut self) {
        while let Some((change, text)) = self.waiting.pop_front() {
            self.log(change, &text);
        }
    }

    fn log(&mut self, change: Change, text: &str) {
        self.window.take();
        let left_out = std::mem::take(&mut self.left_out);
        let left_out = (left_out > 0).then_some(left_out);
        match change {
            Change::Begins => warn!(left_out, "{text}"),
            Change::Ends(failures) => {
                info!(failures = (failures > 1).then_some(failures), left_out, "resolved: {text}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts the lines of this thread's log.
    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn failing() -> Health {
        let health = Health::default();
        health.report(Component::InboxWrite, "cannot write".to_owned());
        health
    }

    #[test]
    fn a_problem_ends_once_its_operation_has_succeeded_for_a_while() {
        let health = failing();
        let now = Instant::now();
        health.advance(now + 60 * SECOND);
        assert_eq!(health.problems(), ["cannot write"], "time alone ends nothing");
        health.succeeded(Component::InboxRead);
        health.advance(now + 60 * SECOND);
        assert_eq!(health.problems().len(), 1, "another operation has succeeded");
        health.succeeded(Component::InboxWrite);
        assert!(!health.is_failing(Component::InboxWrite));
        health.advance(now + SETTLED_AFTER / 2);
        assert_eq!(health.problems().len(), 1, "not for long enough");
        health.report(Component::InboxWrite, "cannot write".to_owned());
        health.advance(now + 60 * SECOND);
        assert_eq!(health.problems().len(), 1, "it has failed again");
        health.succeeded(Component::InboxWrite);
        health.advance(now + 60 * SECOND);
        assert!(health.problems().is_empty());
    }

    #[test]
    fn an_event_stays_until_it_is_acknowledged() {
        let health = failing();
        health.note(Component::InboxQuarantine, "moved away".to_owned());
        health.advance(Instant::now() + 60 * SECOND);
        assert!(health.problems().contains(&"moved away".to_owned()));
        assert_eq!(health.acknowledge(), ["moved away"]);
        assert_eq!(health.problems(), ["cannot write"], "a failing operation cannot be acknowledged");
        assert!(health.acknowledge().is_empty());
    }

    #[test]
    fn each_component_logs_a_line_a_second_with_a_count() {
        let count = Count::default();
        let subscriber = tracing_subscriber::registry().with(count.clone());
        let _log = tracing::subscriber::set_default(subscriber);
        let lines = || count.0.load(Ordering::Relaxed);
        let health = Health::default();
        let now = Instant::now();
        for number in 0..1_000 {
            health.report(Component::Clock, format!("the clock was set: {number}"));
            health.clear(Component::Clock);
        }
        health.report(Component::Metrics, "another component".to_owned());
        // On a slow machine a second may end meanwhile.
        let seconds = usize::try_from(now.elapsed().as_secs()).unwrap() + 1;
        assert!((2..=seconds + 1).contains(&lines()), "{}", lines());
        let before = lines();
        for minute in 1..=2 * MAX_WAITING_LINES {
            health.advance(now + u32::try_from(minute).unwrap() * 60 * SECOND);
            assert_eq!(lines(), before + minute.min(MAX_WAITING_LINES), "the newest follow one by one");
        }
    }

    #[test]
    fn lines_that_wait_are_logged_at_the_end() {
        let count = Count::default();
        let subscriber = tracing_subscriber::registry().with(count.clone());
        let _log = tracing::subscriber::set_default(subscriber);
        let health = failing();
        (0..2 * MAX_WAITING_LINES)
            .for_each(|number| health.report(Component::InboxWrite, number.to_string()));
        let before = count.0.load(Ordering::Relaxed);
        assert!(health.is_unsettled());
        health.conclude();
        assert_eq!(count.0.load(Ordering::Relaxed), before + MAX_WAITING_LINES);
        health.conclude();
        assert_eq!(count.0.load(Ordering::Relaxed), before + MAX_WAITING_LINES, "once");
    }
}
