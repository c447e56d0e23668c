//! Judges ages: translates the times of entries to the clock as it is now, period by period.
//!
//! An entry with a time `t` that was received before the steps `s1`, `s2`, ... has the time `t + s1 + s2 + ...` by the clock as it
//! is now. Its true time is also limited by the period: not before its begin, not behind its end. All three are computed such
//! that an entry is never judged older than it is; an entry that seems to be from the future is as old as the next one whose
//! time is known.

use std::ops::Range;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::history::{BELIEVED_AFTER, History};
use super::period::{Period, Reading, to_ns};

/// After a restart of the machine, the time that it was off counts up to this part of the largest age, as a divisor. A clock
/// that shows more is not believed: nothing else shows whether the machine was off for so long, or the clock is wrong.
const BELIEVED_PART: i64 = 10;

/// The entries of a period, with the limits of their times.
#[derive(Clone, Debug)]
struct Segment {
    ids: Range<u64>,
    /// What must be added to a time in the log, in nanoseconds.
    shift: i128,
    /// The earliest and the latest possible time, by the clock as it is now.
    limits: (i128, i128),
}

/// Returns the id up to which entries are older than `max_age`, among `ids`; 0 if none is. The history must include the reading.
pub(in crate::inbox::writer) fn old_up_to(
    connection: &Connection,
    history: &History,
    reading: &Reading,
    max_age: Duration,
    ids: &Range<u64>,
) -> rusqlite::Result<u64> {
    let Some(last) = history.periods.last() else { return Ok(0) };
    let cutoff = i128::from(last.expected_ns(reading)) - i128::from(to_ns(max_age));
    let mut old = 0;
    for segment in segments(&history.periods, reading, max_age) {
        let part = segment.ids.start.max(ids.start)..segment.ids.end.min(ids.end);
        if part.is_empty() {
            continue;
        }
        if segment.limits.0 >= cutoff {
            break;
        }
        if segment.limits.1 < cutoff {
            old = part.end - 1;
            continue;
        }
        let stamps = (cutoff - segment.shift, segment.limits.1 - segment.shift);
        let young = first_between(connection, &part, (stamp(stamps.0), stamp(stamps.1)))?;
        let end = young.unwrap_or(part.end);
        old = last_before(connection, &(part.start..end), stamp(stamps.0))?.unwrap_or(old);
        if young.is_some() {
            break;
        }
    }
    Ok(old)
}

/// Returns the first entry with a time in an inclusive range.
fn first_between(
    connection: &Connection,
    ids: &Range<u64>,
    stamps: (i64, i64),
) -> rusqlite::Result<Option<u64>> {
    let sql =
        "SELECT id FROM entry WHERE id >= ?1 AND id < ?2 AND at_ns BETWEEN ?3 AND ?4 ORDER BY id LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params![ids.start, ids.end, stamps.0, stamps.1], |row| row.get(0)).optional()
}

/// Returns the last entry with a time before another.
fn last_before(connection: &Connection, ids: &Range<u64>, before: i64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT id FROM entry WHERE id >= ?1 AND id < ?2 AND at_ns < ?3 ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params![ids.start, ids.end, before], |row| row.get(0)).optional()
}

fn stamp(time: i128) -> i64 {
    time.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Returns the segments, oldest first: the entries before the first period, and those of each period.
fn segments(periods: &[Period], reading: &Reading, max_age: Duration) -> Vec<Segment> {
    let steps = counted_steps(periods, reading, max_age);
    let mut shift = 0;
    let mut segments = Vec::with_capacity(periods.len() + 1);
    let mut end = (u64::MAX, periods.last().map_or(0, |last| last.expected_ns(reading)).into());
    for (period, step) in periods.iter().zip(&steps).rev() {
        let begin = i128::from(period.begin_ns) + shift;
        segments.push(Segment { ids: period.first_id..end.0, shift, limits: (begin, end.1) });
        end = (period.first_id, begin);
        shift += step;
    }
    segments.push(Segment { ids: 0..end.0, shift, limits: (i128::MIN, end.1) });
    segments.reverse();
    segments
}

/// Returns for each period by how much the times of earlier entries must be moved: its step, but not the time that the machine
/// was off, if the clock is believed.
fn counted_steps(periods: &[Period], reading: &Reading, max_age: Duration) -> Vec<i128> {
    let mut steps: Vec<i128> = periods.iter().map(|period| period.step_ns.into()).collect();
    let mut first = 0;
    for boot in periods.chunk_by(|_, next| !next.restarted) {
        let is_last = first + boot.len() == periods.len();
        if boot[0].restarted
            && let Some(absence) = shown_absence(boot, is_last.then_some(reading))
            && (0..=i128::from(to_ns(max_age) / BELIEVED_PART)).contains(&absence)
        {
            steps[first] -= absence;
        }
        first += boot.len();
    }
    steps
}

/// Returns how long the machine was off before a boot, as the clock shows once it has run for long enough without a step; none
/// if it never has. `now` is given for the current boot.
fn shown_absence(boot: &[Period], now: Option<&Reading>) -> Option<i128> {
    let (mut absence, mut since_ns) = (0, boot[0].boottime_ns);
    let is_long = |since_ns: i64, until_ns: i64| until_ns.saturating_sub(since_ns) >= to_ns(BELIEVED_AFTER);
    for (number, period) in boot.iter().enumerate() {
        if number > 0 && period.step_ns != 0 {
            if is_long(since_ns, period.boottime_ns) {
                return Some(absence);
            }
            since_ns = period.boottime_ns;
        }
        absence += i128::from(period.step_ns);
    }
    let last = boot.last()?;
    let end_ns = now
        .map_or(last.boottime_ns.saturating_add(last.seen_ns.saturating_sub(last.begin_ns)), |now| {
            now.boottime_ns
        });
    is_long(since_ns, end_ns).then_some(absence)
}

#[cfg(test)]
mod tests;
