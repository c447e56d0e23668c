//! Scans: the entries of a range, in either order.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{OpenFile, Reader};
use crate::clock::now_ns;
use crate::inbox::InboxError;
use crate::inbox::damage::Damaged;
use crate::inbox::entry::{Body, GapDetail, Stored};
use crate::inbox::queries::{beginning, has};
use crate::inbox::row::{SELECT, stored};
use crate::index::predicate::Predicate;
use crate::index::{Order, Term};

/// How many ids one transaction looks at.
const WINDOW_IDS: u64 = 2_000;

/// How many ids beyond a window are looked at to find the end of a damaged range. A longer one is shown as several gaps.
const MAX_EXTENT_IDS: u64 = 16_384;

/// Which entries a scan visits: the ids, and what the database itself can filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Range {
    /// Above this id.
    pub(crate) after: u64,
    /// Below this id, if given.
    pub(crate) before: Option<u64>,
    /// From this time on, in nanoseconds since 1970.
    pub(crate) since_ns: Option<i64>,
    /// Before this time.
    pub(crate) until_ns: Option<i64>,
    /// Of these kinds.
    pub(crate) received: bool,
    pub(crate) sent: bool,
    pub(crate) gaps: bool,
    pub(crate) notices: bool,
    /// Whether entries above `after` that retention has removed are shown as a gap. A rising scan visits it first.
    pub(crate) removed: bool,
    /// Only entries that meet it are wanted. It lets blocks of the log be skipped; entries of other blocks are visited
    /// whether they meet it or not.
    pub(crate) predicate: Arc<Predicate>,
    pub(crate) order: Order,
}

impl Range {
    /// Returns a predicate that also covers times and kinds.
    fn whole_predicate(&self) -> Predicate {
        let times = match (self.since_ns, self.until_ns) {
            (None, None) => Predicate::Anything,
            (since_ns, until_ns) => Predicate::Times { since_ns, until_ns },
        };
        let kinds = if self.received {
            Predicate::Anything
        } else {
            let kinds = [(self.sent, Term::Sent), (self.gaps, Term::Gap), (self.notices, Term::Notice)];
            let wanted = kinds.into_iter().filter(|(wanted, _)| *wanted);
            Predicate::any(wanted.map(|(_, term)| Predicate::Term(term)))
        };
        Predicate::all([times, kinds, Predicate::clone(&self.predicate)])
    }

    /// Returns whether the database would select an entry, by its time and kind.
    fn selects(&self, entry: &Stored) -> bool {
        let kind = match entry.body {
            Body::Received { .. } => self.received,
            Body::Sent { .. } => self.sent,
            Body::Gap(_) => self.gaps,
            Body::Notice(_) => self.notices,
        };
        kind && self.since_ns.is_none_or(|since| entry.at_ns >= since)
            && self.until_ns.is_none_or(|until| entry.at_ns < until)
    }
}

/// How far a scan came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The last id that was looked at: the cursor to continue from.
    pub(crate) cursor: u64,
    /// Whether the range has more behind the cursor.
    pub(crate) more: bool,
}

impl Reader {
    /// Calls `visit` with the entries of a range, one after the other, until it breaks off or the range ends. Where entries
    /// cannot be read because the file is damaged, it visits a gap.
    ///
    /// The entry at which it breaks off counts as looked at. After each window `go_on` decides whether to continue. Rising
    /// scans wait before entries that a recovery has still to bring: they end there, and have more.
    pub(crate) fn scan(
        &self,
        range: &Range,
        mut visit: impl FnMut(Stored) -> ControlFlow<()>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Scanned, InboxError> {
        self.with_file(|file| {
            let bounds = self.visible(file.connection)?;
            let mut low = range.after.max(bounds.oldest.saturating_sub(1));
            let mut high =
                bounds.newest.min(range.before.map_or(u64::MAX, |before| before.saturating_sub(1)));
            let mut waits = false;
            if let Some((first, last)) = self.damage.awaited()
                && low < last
                && first <= high
            {
                waits = range.order == Order::Asc;
                if waits || high <= last {
                    high = first.saturating_sub(1);
                }
            }
            if let Some(gap) = removed(file.connection, range, bounds.oldest)? {
                let cursor = gap.id;
                if visit(gap).is_break() {
                    return Ok(Scanned { cursor, more: waits || cursor < high });
                }
            }
            let has_entry = |anchor| has(file.connection, anchor);
            let mut blocks = self.index.block_scan(range.whole_predicate(), (low, high), has_entry);
            while low < high {
                let ahead =
                    blocks.as_mut().map_or((low, high), |blocks| blocks.window(low, high, range.order));
                let ahead = self.not_past_damage(range, (low, high), ahead);
                let window = match range.order {
                    Order::Asc => (ahead.0, ahead.1.min(ahead.0.saturating_add(WINDOW_IDS))),
                    Order::Desc => (ahead.0.max(ahead.1.saturating_sub(WINDOW_IDS)), ahead.1),
                };
                let mut end = window;
                if window.0 < window.1 {
                    let passed = self.scan_window(file, range, window, (low, high), &mut visit)?;
                    if let Some(cursor) = passed.broke_at {
                        let more = match range.order {
                            Order::Asc => waits || cursor < high,
                            Order::Desc => cursor > low + 1,
                        };
                        return Ok(Scanned { cursor, more });
                    }
                    end = passed.window;
                }
                match range.order {
                    Order::Asc => low = end.1,
                    Order::Desc => high = end.0,
                }
                if low < high && !go_on() {
                    let cursor = if range.order == Order::Asc { low } else { high + 1 };
                    return Ok(Scanned { cursor, more: true });
                }
            }
            let cursor = match range.order {
                Order::Asc => high.max(range.after),
                Order::Desc => low.saturating_add(1),
            };
            Ok(Scanned { cursor, more: waits })
        })
    }

    /// Returns one entry.
    pub(crate) fn entry(&self, id: u64) -> Result<Option<Stored>, InboxError> {
        self.with_file(|file| match row(file.connection, id) {
            Err(error) if error.is_damage() => {
                file.marker.add(Damaged { first: id, last: id, at_ns: now_ns() });
                Ok(None)
            }
            read => read,
        })
    }

    /// Shortens a window that skips ids which cannot be read: their gap is wanted too.
    fn not_past_damage(&self, range: &Range, (low, high): (u64, u64), ahead: (u64, u64)) -> (u64, u64) {
        if !range.gaps {
            return ahead;
        }
        match range.order {
            Order::Asc if low < ahead.0 => {
                let skipped = self.damage.within(low + 1..=ahead.0);
                skipped
                    .first()
                    .map_or(ahead, |damaged| (damaged.first.max(low + 1) - 1, damaged.last.min(high)))
            }
            Order::Desc if ahead.1 < high => {
                let skipped = self.damage.within(ahead.1 + 1..=high);
                skipped
                    .last()
                    .map_or(ahead, |damaged| (damaged.first.max(low + 1) - 1, damaged.last.min(high)))
            }
            _ => ahead,
        }
    }

    /// Scans the ids above `window.0` up to `window.1`, a part of those within `limits`.
    fn scan_window(
        &self,
        file: OpenFile<'_>,
        range: &Range,
        window: (u64, u64),
        limits: (u64, u64),
        visit: &mut impl FnMut(Stored) -> ControlFlow<()>,
    ) -> Result<Passed, InboxError> {
        let mut rest = window;
        if self.damage.within(window.0 + 1..=window.1).is_empty() {
            let mut visit_noted = |entry: Stored| {
                match range.order {
                    Order::Asc => rest.0 = entry.id,
                    Order::Desc => rest.1 = entry.id - 1,
                }
                visit(entry)
            };
            match query_window(file.connection, range, window, &mut visit_noted) {
                Ok(broke_at) => return Ok(Passed { broke_at, window }),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        let _transaction = file.begin()?;
        Careful::new(self, file, limits)?.pass(range, rest, visit)
    }

    /// Reads the ids above `window.0` up to `window.1` one by one, and notes which cannot be read.
    pub(super) fn examine(
        &self,
        file: OpenFile<'_>,
        window: (u64, u64),
        limits: (u64, u64),
        mut visit: impl FnMut(Stored),
    ) -> Result<u64, InboxError> {
        let _transaction = file.begin()?;
        let mut careful = Careful::new(self, file, limits)?;
        let all = Range { received: true, sent: true, gaps: true, ..Range::default() };
        let mut visit = |entry: Stored| {
            // A gap of the range is no entry.
            if entry.id <= window.1 {
                visit(entry);
            }
            ControlFlow::Continue(())
        };
        careful.pass(&all, window, &mut visit).map(|passed| passed.window.1)
    }
}

/// How far a window was scanned.
struct Passed {
    /// The id at which `visit` broke off.
    broke_at: Option<u64>,
    /// The ids that were looked at; more than were asked for where a damaged range goes on.
    window: (u64, u64),
}

/// Reads entry by entry where the file is damaged: a query over a range ends at the first page that cannot be read.
struct Careful<'a> {
    reader: &'a Reader,
    file: OpenFile<'a>,
    /// It looks for the end of a damaged range above the first of these ids and up to the second.
    limits: (u64, u64),
    /// The time of the last entry that was read.
    before: Option<i64>,
    /// How many more ids beyond the window it may look at.
    budget: u64,
    /// The oldest id of the log in this transaction. Retention has removed those before it.
    oldest: u64,
}

/// What is at an id.
enum Found {
    Entry(Box<Stored>),
    /// Nothing, and that is right up to this id, in the order of the scan.
    Nothing(u64),
    /// Nothing can be read up to this id, in the order of the scan.
    Unreadable(u64),
}

impl<'a> Careful<'a> {
    fn new(reader: &'a Reader, file: OpenFile<'a>, limits: (u64, u64)) -> Result<Self, InboxError> {
        let oldest = reader.visible(file.connection)?.oldest;
        Ok(Self { reader, file, limits, before: None, budget: MAX_EXTENT_IDS, oldest })
    }

    fn pass(
        &mut self,
        range: &Range,
        window: (u64, u64),
        visit: &mut impl FnMut(Stored) -> ControlFlow<()>,
    ) -> Result<Passed, InboxError> {
        let rising = range.order == Order::Asc;
        let step = |id: u64| if rising { id + 1 } else { id - 1 };
        let mut id = if rising { window.0 + 1 } else { window.1 };
        // The damaged range that is being passed, in the order of the scan.
        let mut damaged: Option<(u64, u64)> = None;
        let mut looked = window;
        loop {
            let inside = window.0 < id && id <= window.1;
            let may_go_on = self.limits.0 < id && id <= self.limits.1 && self.budget > 0;
            let looks_for_end = damaged.is_some() && may_go_on;
            if !inside && !looks_for_end {
                break;
            }
            self.budget = if inside { self.budget } else { self.budget - 1 };
            let found = self.find(id, rising)?;
            if let Found::Unreadable(to) = found {
                let to = to.clamp(self.limits.0 + 1, self.limits.1);
                damaged = Some((damaged.map_or(id, |(from, _)| from), to));
                id = step(to);
                continue;
            }
            if let Found::Entry(entry) = &found {
                self.before.get_or_insert(entry.at_ns);
            }
            if let Some(ids) = damaged.take() {
                looked = extended(looked, ids);
                if self.gap(range, ids, visit).is_break() {
                    return Ok(Passed { broke_at: Some(if rising { ids.1 } else { ids.0 }), window: looked });
                }
                if !inside {
                    break;
                }
            }
            match found {
                Found::Entry(entry) => {
                    self.before = Some(entry.at_ns);
                    if range.selects(&entry) && visit(*entry).is_break() {
                        return Ok(Passed { broke_at: Some(id), window: looked });
                    }
                    id = step(id);
                }
                Found::Nothing(to) | Found::Unreadable(to) => id = step(to),
            }
        }
        let mut broke_at = None;
        if let Some(ids) = damaged {
            looked = extended(looked, ids);
            if self.gap(range, ids, visit).is_break() {
                broke_at = Some(if rising { ids.1 } else { ids.0 });
            }
        }
        Ok(Passed { broke_at, window: looked })
    }

    fn find(&self, id: u64, rising: bool) -> Result<Found, InboxError> {
        if id < self.oldest {
            return Ok(Found::Nothing(if rising { self.oldest - 1 } else { (self.limits.0 + 1).min(id) }));
        }
        if let Some(known) = self.reader.damage.within(id..=id).first() {
            return Ok(Found::Unreadable(if rising { known.last } else { known.first }));
        }
        match row(self.file.connection, id) {
            Ok(Some(entry)) => Ok(Found::Entry(Box::new(entry))),
            Ok(None) => Ok(match self.reader.damage.explained(id) {
                Some(last) => Found::Nothing(if rising { last } else { id }),
                None => Found::Unreadable(id),
            }),
            Err(error) if error.is_damage() => Ok(Found::Unreadable(id)),
            Err(error) => Err(error),
        }
    }

    /// Notes a damaged range, given in the order of the scan, and visits its gap if the scan wants it.
    fn gap(
        &self,
        range: &Range,
        ids: (u64, u64),
        visit: &mut impl FnMut(Stored) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (first, last) = (ids.0.min(ids.1), ids.0.max(ids.1));
        let at_ns = self.before.unwrap_or_else(now_ns);
        self.file.marker.add(Damaged { first, last, at_ns });
        let known = self.reader.damage.within(last..=last).first().copied();
        let gap = Stored {
            id: last,
            at_ns: known.map_or(at_ns, |known| known.at_ns),
            body: Body::Gap(GapDetail::damaged(first, last)),
            recoded: None,
        };
        // A falling scan that continues within the range has shown it already.
        let is_rest = range.order == Order::Desc && known.is_some_and(|known| known.last > last);
        if is_rest || !range.selects(&gap) { ControlFlow::Continue(()) } else { visit(gap) }
    }
}

/// Returns a gap for the entries of a range that retention has removed, if the range wants one. Ids before the first one of
/// this log were not removed, unless the log has recovered entries: then it continues an earlier one.
fn removed(connection: &Connection, range: &Range, oldest: u64) -> Result<Option<Stored>, InboxError> {
    if !range.removed || range.order == Order::Desc || range.after >= oldest.saturating_sub(1) {
        return Ok(None);
    }
    let begun = beginning(connection)?.map_or(0, |beginning| beginning.id);
    let begun = if oldest > begun { begun } else { 0 };
    // The scan meets an entry that cannot be read by itself, and passes over it.
    let behind = row(connection, oldest).ok().flatten();
    // A gap stands for the ids before its own too.
    let present = match behind.as_ref().map(|behind| &behind.body) {
        Some(Body::Gap(gap)) => gap.first_id.map_or(oldest, |first| first.min(oldest)),
        _ => oldest,
    };
    let first = range.after.max(begun) + 1;
    let last = present.min(range.before.unwrap_or(u64::MAX)).saturating_sub(1);
    if first > last {
        return Ok(None);
    }
    let at_ns = behind.map_or_else(now_ns, |behind| behind.at_ns);
    let body = Body::Gap(GapDetail::removed(first, last));
    let gap = Stored { id: last, at_ns, body, recoded: None };
    Ok(Some(gap).filter(|gap| range.selects(gap)))
}

fn extended(window: (u64, u64), ids: (u64, u64)) -> (u64, u64) {
    (window.0.min(ids.0.min(ids.1) - 1), window.1.max(ids.0.max(ids.1)))
}

/// Reads the entry with an id.
pub(super) fn row(connection: &Connection, id: u64) -> Result<Option<Stored>, InboxError> {
    // SQLite's ids are signed: beyond them there is no entry.
    let Ok(id) = i64::try_from(id) else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    statement.query([id])?.next()?.map(stored).transpose()
}

/// Queries the ids above `window.0` up to `window.1`; returns the id at which `visit` broke off.
fn query_window(
    connection: &Connection,
    range: &Range,
    window: (u64, u64),
    visit: &mut impl FnMut(Stored) -> ControlFlow<()>,
) -> Result<Option<u64>, InboxError> {
    let direction = if range.order == Order::Asc { "ASC" } else { "DESC" };
    let mut statement = connection.prepare_cached(&format!(
        "{SELECT} WHERE id > ?1 AND id <= ?2 AND at_ns >= ?3 AND at_ns < ?4
         AND ((kind = 0 AND ?5) OR (kind = 1 AND ?6) OR (kind = 2 AND ?7) OR (kind = 3 AND ?8)) ORDER BY id {direction}"
    ))?;
    let mut rows = statement.query(params![
        window.0,
        window.1,
        range.since_ns.unwrap_or(i64::MIN),
        range.until_ns.unwrap_or(i64::MAX),
        range.received,
        range.sent,
        range.gaps,
        range.notices,
    ])?;
    while let Some(row) = rows.next()? {
        let entry = stored(row)?;
        let id = entry.id;
        if visit(entry).is_break() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
