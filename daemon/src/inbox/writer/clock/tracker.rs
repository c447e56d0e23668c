//! Keeps the history of the clock up to date, and reports a clock that was set.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tracing::debug;

use super::history::{BELIEVED_AFTER, History, Jump};
use super::period::{Period, Reading, to_ns};
use super::store;
use crate::clock;
use crate::error::explain;
use crate::health::{Component, Health};
use crate::inbox::queries::{bounds, newest};
use crate::inbox::recovery::plan;
use crate::net::platform;

/// How often the time is noted, where the age of entries is limited or entries arrive: as much of the time until a power cut
/// may not count.
const NOTED_EVERY: Duration = Duration::from_secs(60 * 60);

/// How far the newest entry may be ahead of the clock without a report.
const SMALLEST_LEAD: Duration = Duration::from_secs(60);

/// Follows the clock for one log.
#[derive(Debug)]
pub(in crate::inbox::writer) struct Tracker {
    health: Arc<Health>,
    boot_id: u128,
    history: History,
    /// `CLOCK_BOOTTIME` when the table last received the time.
    noted_ns: i64,
    /// The newest entry at that time.
    noted_id: u64,
    /// How far the newest entry was ahead of the clock when the log was opened, and when that was, by `CLOCK_BOOTTIME`.
    lead: Option<(i64, i64)>,
    /// Whether a transaction of its own has failed.
    has_failed: bool,
    /// The step that is reported, by its time, and until when, by `CLOCK_BOOTTIME`.
    reported: Option<(i64, i64)>,
}

impl Tracker {
    pub(in crate::inbox::writer) fn new(health: Arc<Health>) -> Self {
        // Where the boot is unknown, the next daemon finds another one.
        let unknown = || u128::from(getrandom::u64().unwrap_or(0)) << 64 | u128::from(std::process::id());
        let boot_id = platform::boot_id().unwrap_or_else(unknown);
        let history = History::default();
        Self {
            health,
            boot_id,
            history,
            noted_ns: 0,
            noted_id: 0,
            lead: None,
            has_failed: false,
            reported: None,
        }
    }

    /// Reads the history of a log that was opened, and compares it with the clock.
    pub(in crate::inbox::writer) fn load(&mut self, connection: &mut Connection) -> rusqlite::Result<()> {
        self.history = store::load(connection)?;
        let (newest, reading) = (newest(connection)?, self.read());
        (self.noted_ns, self.noted_id) = (reading.boottime_ns, newest.id);
        let mut next = self.history.observe(&reading, newest.id);
        if next.is_none() {
            // Where the boot is unknown, it is that of the last period.
            self.boot_id = self.history.boot_id().unwrap_or(self.boot_id);
        }
        if next.is_none()
            && let Some(lead_ns) = self.history.lead(&reading, newest)
            && lead_ns >= to_ns(SMALLEST_LEAD)
        {
            self.lead = Some((lead_ns, reading.boottime_ns));
            next = self.history.mark(&reading, newest.id);
        }
        if let Some(period) = next {
            self.record(connection, period);
        }
        Ok(())
    }

    /// Returns the history with the period that begins now, if one does. The caller writes it together with what it commits,
    /// and then calls [`Self::adopt`].
    pub(in crate::inbox::writer) fn next(
        &self,
        connection: &Connection,
        newest_id: u64,
    ) -> rusqlite::Result<Option<History>> {
        match self.history.observe(&self.read(), newest_id) {
            Some(period) => self.with(connection, period).map(Some),
            None => Ok(None),
        }
    }

    /// Writes a history that [`Self::next`] returned, in the caller's transaction.
    pub(in crate::inbox::writer) fn write(
        connection: &Connection,
        history: &History,
    ) -> rusqlite::Result<()> {
        store::write(connection, history)
    }

    /// Takes a history that is committed.
    pub(in crate::inbox::writer) fn adopt(&mut self, history: History) {
        self.history = history;
    }

    /// Records a step, if there was one; returns the history and the reading that it includes, none if it is not recorded: then
    /// no age can be judged.
    pub(in crate::inbox::writer) fn update(
        &mut self,
        connection: &mut Connection,
        newest_id: u64,
        note: bool,
    ) -> Option<(&History, Reading)> {
        let reading = self.read();
        if let Some(period) = self.history.observe(&reading, newest_id) {
            self.record(connection, period);
        }
        let is_due = reading.boottime_ns.saturating_sub(self.noted_ns) >= to_ns(NOTED_EVERY);
        if is_due && (note || newest_id != self.noted_id) {
            self.noted_id = newest_id;
            self.note(connection);
        }
        self.report(&reading);
        let is_recorded = self.history.observe(&reading, newest_id).is_none();
        is_recorded.then_some((&self.history, reading))
    }

    /// Notes the time, so that the next daemon knows it even if the machine is restarted.
    pub(in crate::inbox::writer) fn note(&mut self, connection: &Connection) {
        let reading = self.read();
        self.noted_ns = reading.boottime_ns;
        let Some(seen_ns) = self.history.seen_ns(&reading) else { return };
        if let Err(error) = store::set_seen(connection, seen_ns) {
            self.has_failed = true;
            debug!("{}", explain("the time cannot be noted in the inbox", &error));
        }
    }

    /// Returns whether a transaction of its own has failed since the last call.
    pub(in crate::inbox::writer) fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.has_failed)
    }

    /// Returns how long the writer may wait before [`Self::update`] is due; none if it is not.
    pub(in crate::inbox::writer) fn max_wait(&self) -> Option<Duration> {
        let (_, until_ns) = self.reported?;
        let left_ns = until_ns.saturating_sub(clock::boottime_ns());
        Some(Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0)))
    }

    fn read(&self) -> Reading {
        Reading { boot_id: self.boot_id, boottime_ns: clock::boottime_ns(), wall_ns: clock::now_ns() }
    }

    fn with(&self, connection: &Connection, period: Period) -> rusqlite::Result<History> {
        let mut history = self.history.clone();
        // What a recovery has still to bring is older than what is there.
        let oldest = bounds(connection)?.oldest;
        history.push(period, plan::oldest(connection)?.map_or(oldest, |planned| planned.min(oldest)));
        Ok(history)
    }

    /// Records a period in a transaction of its own. If that fails, the next transaction tries it again.
    fn record(&mut self, connection: &mut Connection, period: Period) {
        let attempt = |connection: &mut Connection| -> rusqlite::Result<History> {
            let history = self.with(connection, period)?;
            let transaction = connection.transaction()?;
            store::write(&transaction, &history)?;
            transaction.commit()?;
            Ok(history)
        };
        match attempt(connection) {
            Ok(history) => self.history = history,
            Err(error) => {
                self.has_failed = true;
                debug!("{}", explain("a step of the clock cannot be recorded", &error));
            }
        }
    }

    /// Reports the last step until the clock is believed.
    fn report(&mut self, reading: &Reading) {
        let report = match (self.history.jump(reading), self.lead) {
            (Some(jump), _) => Some((jump.at_ns, jump.remaining, explain_jump(&jump))),
            (None, Some((lead_ns, seen_ns))) => {
                let until_ns = seen_ns.saturating_add(to_ns(BELIEVED_AFTER));
                let left = u64::try_from(until_ns.saturating_sub(reading.boottime_ns)).unwrap_or(0);
                (left > 0).then(|| (seen_ns, Duration::from_nanos(left), explain_lead(lead_ns)))
            }
            (None, None) => None,
        };
        let reported = self.reported.map(|(which, _)| which);
        match report {
            Some((which, _, _)) if reported == Some(which) => {}
            Some((which, remaining, problem)) => {
                self.reported = Some((which, reading.boottime_ns.saturating_add(to_ns(remaining))));
                self.health.report(Component::Clock, problem);
            }
            None if reported.is_some() => {
                (self.reported, self.lead) = (None, None);
                self.health.clear(Component::Clock);
            }
            None => {}
        }
    }
}

fn explain_jump(jump: &Jump) -> String {
    let (by, at) = (span(jump.by_ns), clock::from_ns(jump.at_ns).strftime("%Y-%m-%d %H:%M:%SZ"));
    match (jump.restarted, jump.by_ns > 0) {
        (false, true) => format!(
            "the system's clock was set forward by {by} to {at}; no message is removed because of that; if the clock is \
             wrong, correct it"
        ),
        (false, false) => format!(
            "the system's clock was set back by {by} to {at}; no message is removed because of that; if the clock is wrong, \
             correct it"
        ),
        (true, true) => format!(
            "since the machine was restarted, the system's clock is {by} ahead of the inbox: {at}; no message is removed \
             because of that; if the clock is wrong, correct it"
        ),
        (true, false) => format!(
            "since the machine was restarted, the system's clock is {by} behind the inbox: {at}; no message is removed \
             because of that; if the clock is wrong, correct it"
        ),
    }
}

fn explain_lead(lead_ns: i64) -> String {
    format!(
        "the newest message in the inbox is {} ahead of the system's clock; no message is removed because of that; if the \
         clock is wrong, correct it",
        span(lead_ns)
    )
}

/// Writes a span of time in its largest unit, rounded.
fn span(ns: i64) -> String {
    let seconds = ns.unsigned_abs() / 1_000_000_000;
    let rounded = |unit: u64| (seconds + unit / 2) / unit;
    let (number, unit) = match (rounded(60), rounded(3_600), rounded(86_400)) {
        (minutes @ ..60, _, _) => (minutes, "minute"),
        (_, hours @ ..24, _) => (hours, "hour"),
        (_, _, days) => (days, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_their_largest_unit() {
        for (seconds, shown) in [
            (60, "1 minute"),
            (3_540, "59 minutes"),
            (3_599, "1 hour"),
            (-3_600, "1 hour"),
            (82_800, "23 hours"),
            (86_399, "1 day"),
            (31_535_999, "365 days"),
        ] {
            assert_eq!(span(seconds * 1_000_000_000), shown);
        }
    }
}
