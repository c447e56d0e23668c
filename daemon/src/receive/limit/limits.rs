//! The limits as reception, a reload and `status` share them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tracing::warn;
use udpchat_config::Settings;

use super::bucket::SECOND_NS;
use super::table::{Excess, Table};
use crate::clock;
use crate::net::interface_names::InterfaceNames;
use crate::receive::dropped_sources::{DroppedSource, DroppedSources};

/// How long dropped datagrams wait for their gap, so that each source has at most one gap in this time.
const REPORT_NS: u64 = SECOND_NS;

/// How long no further line is logged about them.
const LOG_NS: u64 = 60 * SECOND_NS;

/// How long before the start of the daemon a datagram may have arrived and still count at that time: the service manager holds the
/// sockets while no daemon runs.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 86_400);

/// The limits on datagrams by their source. They hold for all sockets together.
#[derive(Debug)]
pub(crate) struct Limits {
    started: Instant,
    /// Whether there are limits: without any, a batch costs one look at this.
    is_on: AtomicBool,
    /// When dropped datagrams are to be reported, by `now_ns`; 0 while there are none. Changes only while
    /// the table is locked.
    report_at_ns: AtomicU64,
    table: Mutex<Table>,
    interfaces: Arc<InterfaceNames>,
    over: DroppedSources<String>,
    /// When datagrams over a limit were logged last, by `now_ns`; 0 if never.
    logged_ns: AtomicU64,
}

impl Limits {
    pub(crate) fn new(settings: &Settings, interfaces: Arc<InterfaceNames>) -> Self {
        let limits = Self {
            started: Instant::now(),
            is_on: AtomicBool::new(false),
            report_at_ns: AtomicU64::new(0),
            table: Mutex::new(Table::new()),
            interfaces,
            over: DroppedSources::default(),
            logged_ns: AtomicU64::new(0),
        };
        limits.configure(settings);
        limits
    }

    /// Applies the limits of new settings.
    pub(crate) fn configure(&self, settings: &Settings) {
        let mut table = self.table.lock();
        self.is_on.store(table.configure(settings), Ordering::Relaxed);
    }

    /// Returns the sources that were over their limit last, newest first.
    pub(crate) fn over(&self) -> Vec<DroppedSource<String>> {
        self.over.list()
    }

    /// Returns what applies the limits to a batch; none where there are no limits.
    pub(in crate::receive) fn gate(&self) -> Option<Gate<'_>> {
        self.is_on.load(Ordering::Relaxed).then(|| {
            let now_ns = self.now_ns();
            let offset_ns = now_ns.cast_signed().saturating_sub(clock::now_ns());
            Gate { limits: self, table: self.table.lock(), now_ns, offset_ns }
        })
    }

    /// Returns in what time dropped datagrams are to be reported; none while there are none.
    pub(in crate::receive) fn report_in(&self) -> Option<Duration> {
        let report_at_ns = self.report_at_ns.load(Ordering::Relaxed);
        (report_at_ns > 0).then(|| Duration::from_nanos(report_at_ns.saturating_sub(self.now_ns())))
    }

    /// Takes what was dropped since the last report, if the report is due or the last one.
    pub(in crate::receive) fn take_excess(&self, is_last: bool) -> Vec<Excess> {
        if self.report_in().is_none_or(|wait| !wait.is_zero() && !is_last) {
            return Vec::new();
        }
        let mut table = self.table.lock();
        self.report_at_ns.store(0, Ordering::Relaxed);
        let excess = table.take_excess();
        drop(table);
        let at_ns = clock::now_ns();
        self.log(&excess);
        for Excess { source, datagrams } in excess.iter().rev() {
            if let Some(source) = source {
                self.over.note(source.clone(), at_ns, *datagrams);
            }
        }
        excess
    }

    /// Logs that datagrams are left out, once in [`LOG_NS`]: strangers decide how often that happens.
    fn log(&self, excess: &[Excess]) {
        let (now_ns, logged_ns) = (self.now_ns(), self.logged_ns.load(Ordering::Relaxed));
        let Some(Excess { source, datagrams }) = excess.first() else { return };
        if logged_ns > 0 && now_ns.saturating_sub(logged_ns) < LOG_NS {
            return;
        }
        self.logged_ns.store(now_ns, Ordering::Relaxed);
        let of = source.as_deref().map(|source| format!(" of {source}")).unwrap_or_default();
        warn!(
            "datagrams over the limit are left out, {datagrams}{of} in the first second; the next line comes after a minute, and the inbox has them as gaps"
        );
    }

    /// Returns the time since [`LONGEST_WAIT`] before the start, in nanoseconds.
    fn now_ns(&self) -> u64 {
        // 584 years.
        (LONGEST_WAIT + self.started.elapsed()).as_nanos() as u64
    }
}

/// Applies the limits to the datagrams of one batch.
pub(in crate::receive) struct Gate<'a> {
    limits: &'a Limits,
    table: MutexGuard<'a, Table>,
    now_ns: u64,
    /// The difference between the clock that cannot be set and that of the arrival times.
    offset_ns: i64,
}

impl Gate<'_> {
    /// Returns whether a datagram is within the limits; if not, it counts as dropped.
    ///
    /// The time is that of its arrival, because datagrams that have waited in the kernel are no burst of their sender; on
    /// the clock that cannot be set, because a step of the other one would empty or fill all buckets.
    pub(in crate::receive) fn admits(&mut self, from: SocketAddr, at_ns: i64, length: usize) -> bool {
        let arrived_ns = at_ns.saturating_add(self.offset_ns).max(0).cast_unsigned().min(self.now_ns);
        let interfaces = &self.limits.interfaces;
        let is_number_of = |interface: &_, number| interfaces.is_number_of(interface, number);
        let is_within = self.table.admits(from, arrived_ns, length, is_number_of);
        if !is_within && self.limits.report_at_ns.load(Ordering::Relaxed) == 0 {
            self.limits.report_at_ns.store(self.now_ns + REPORT_NS, Ordering::Relaxed);
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(limit: &str) -> Limits {
        let mut settings = Settings::default_in("/");
        settings.access.limit.value = limit.parse().unwrap();
        Limits::new(&settings, Arc::default())
    }

    /// Returns how many of some datagrams are admitted that arrived a time ago by the system's clock.
    fn admitted(limits: &Limits, ago_ns: i64, datagrams: usize) -> usize {
        let mut gate = limits.gate().unwrap();
        let at_ns = clock::now_ns().saturating_sub(ago_ns);
        (0..datagrams).filter(|_| gate.admits("10.0.0.1:9".parse().unwrap(), at_ns, 1)).count()
    }

    #[test]
    fn datagrams_count_at_their_arrival_whatever_the_clock_shows() {
        let limits = limits("100/s");
        let second = i64::try_from(SECOND_NS).unwrap();
        // A daemon that was busy for ten seconds, or did not run.
        for ago in (0..=1_000).rev() {
            assert_eq!(admitted(&limits, ago * second / 100, 1), 1, "{ago}");
        }
        let began = Instant::now();
        let mut more = admitted(&limits, 0, 1_000);
        for step in [86_400 * second, -86_400 * second, i64::MAX, i64::MIN] {
            more += admitted(&limits, step, 1_000);
        }
        let allowed = 201.0 + began.elapsed().as_secs_f64() * 100.0;
        assert!(more as f64 <= allowed, "{more}, {allowed}");
    }

    #[test]
    fn a_report_is_due_a_second_after_the_first_drop() {
        let limits = limits("1/s");
        assert_eq!((limits.report_in(), limits.take_excess(true)), (None, Vec::new()));
        assert_eq!(admitted(&limits, 0, 10), 2);
        assert!(limits.report_in().is_some_and(|wait| wait <= Duration::from_secs(1)));
        limits.report_at_ns.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(limits.take_excess(false), [], "not due");
        limits.report_at_ns.store(1, Ordering::Relaxed);
        assert_eq!(limits.take_excess(false), [Excess { source: Some("10.0.0.1".to_owned()), datagrams: 8 }]);
        assert_eq!(limits.report_in(), None);
        let over = limits.over();
        assert_eq!((over.len(), over[0].source.as_str(), over[0].datagrams), (1, "10.0.0.1", 8));
    }

    #[test]
    fn limits_are_switched_on_and_off() {
        let limits = limits("");
        assert!(limits.gate().is_none());
        let mut settings = Settings::default_in("/");
        settings.access.bytes.value = "1/s".parse().unwrap();
        limits.configure(&settings);
        assert!(limits.gate().is_some());
        limits.configure(&Settings::default_in("/"));
        assert!(limits.gate().is_none());
    }
}
