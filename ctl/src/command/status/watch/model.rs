//! The state of the full screen: the newest answer, rates of the last minutes, losses and top senders.
//!
//! It has no clock and no connection: times are parameters, as durations since the watch began.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use udpchat_api::call::{Dropped, Status};

use super::connection::{Answer, Talkers};
use super::rates::{Rates, is_same_run};
use super::talkers::TalkersWindow;
use crate::error::{CtlError, Result};
use crate::output::as_line;

/// The number of rates that are kept: the columns of the widest screen.
const HISTORY: usize = 1_000;

/// How long a loss is highlighted.
const LOSS_HIGHLIGHT: Duration = Duration::from_secs(10);

/// The number of intervals without an answer after which the daemon counts as silent.
const SILENT_INTERVALS: u32 = 3;

/// The state of the watch.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) status: Status,
    pub(crate) interval: Duration,
    /// The rates between the last two answers; none before there are two.
    pub(crate) rates: Option<Rates>,
    /// The rates of all intervals, newest first; none where the daemon did not answer.
    pub(crate) history: VecDeque<Option<Rates>>,
    pub(crate) losses: Losses,
    /// The senders; none if the daemon does not report them.
    pub(crate) talkers: Option<TalkersWindow>,
    /// Why the daemon cannot be reached, if it cannot.
    pub(crate) failure: Option<String>,
    /// How often the daemon restarted while it was watched.
    pub(crate) restarts: u64,
    /// When `status` was received, by the clock and since the watch began.
    received_at: Instant,
    answered: Duration,
    now: Duration,
}

impl Model {
    /// Creates the state from the first answer.
    pub(crate) fn new(first: Answer, interval: Duration) -> Self {
        Self {
            losses: Losses::new(&first.status),
            status: first.status,
            interval,
            rates: None,
            history: VecDeque::new(),
            talkers: matches!(first.talkers, Talkers::Since(..)).then(TalkersWindow::default),
            failure: None,
            restarts: 0,
            received_at: first.at,
            answered: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    /// Adds an answer of the daemon, or the reason why there is none.
    pub(crate) fn add_answer(&mut self, answer: Result<Answer>, now: Duration) {
        self.now = now;
        match answer {
            Ok(answer) => self.add_status(answer),
            Err(CtlError::Failed(failure)) => self.add_failure(as_line(&failure)),
            // Asking prints nothing.
            Err(CtlError::ReaderGone) => {}
        }
    }

    /// Sets the current time.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.now = now;
    }

    /// Returns for how long the daemon has not answered, if it counts as silent.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let silent = self.now.saturating_sub(self.answered);
        (silent > self.interval * SILENT_INTERVALS).then_some(silent)
    }

    /// Returns whether a loss grew within the last seconds.
    pub(crate) fn is_recent(&self, loss: &Loss) -> bool {
        loss.at.is_some_and(|at| self.now.saturating_sub(at) < LOSS_HIGHLIGHT)
    }

    fn add_status(&mut self, answer: Answer) {
        let elapsed = answer.at.saturating_duration_since(self.received_at);
        let rates = Rates::between(&self.status, &answer.status, elapsed);
        if !is_same_run(&self.status, &answer.status) {
            self.restarts += 1;
            self.losses = Losses::new(&answer.status);
        }
        self.losses.add(&answer.status, self.now);
        self.push_history(rates);
        self.rates = rates;
        match answer.talkers {
            Talkers::Unavailable => self.talkers = None,
            Talkers::Since(after, answer) => {
                let window = self.talkers.get_or_insert_default();
                window.add(self.now, elapsed, after, answer);
            }
        }
        (self.status, self.received_at) = (answer.status, answer.at);
        (self.answered, self.failure) = (self.now, None);
    }

    fn add_failure(&mut self, reason: String) {
        self.failure = Some(reason);
        self.rates = None;
        self.push_history(None);
        if let Some(talkers) = &mut self.talkers {
            talkers.clear();
        }
    }

    fn push_history(&mut self, rates: Option<Rates>) {
        self.history.push_front(rates);
        self.history.truncate(HISTORY);
    }
}

/// The losses by reason.
#[derive(Debug)]
pub(crate) struct Losses {
    pub(crate) kernel: Loss,
    pub(crate) queue_full: Loss,
    pub(crate) denied: Loss,
    pub(crate) limited: Loss,
    pub(crate) log_lines: Loss,
}

impl Losses {
    fn new(status: &Status) -> Self {
        let [kernel, queue_full, denied, limited, log_lines] =
            totals(status).map(|total| Loss { total, ..Loss::default() });
        Self { kernel, queue_full, denied, limited, log_lines }
    }

    fn add(&mut self, status: &Status, now: Duration) {
        let Self { kernel, queue_full, denied, limited, log_lines } = self;
        let all = [kernel, queue_full, denied, limited, log_lines];
        for (loss, total) in all.into_iter().zip(totals(status)) {
            loss.add(total, now);
        }
    }
}

fn totals(status: &Status) -> [u64; 5] {
    let Dropped { denied, limited, queue_full, .. } = status.dropped;
    [status.kernel_drops, queue_full, denied, limited, status.log_lines_lost]
}

/// A counter of lost datagrams or log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) total: u64,
    /// The growth since the loss was last not recent.
    pub(crate) grown: u64,
    /// When the counter last grew.
    at: Option<Duration>,
}

impl Loss {
    fn add(&mut self, total: u64, now: Duration) {
        let grown = total.saturating_sub(self.total);
        self.total = total;
        if grown > 0 {
            let continues = self.at.is_some_and(|at| now.saturating_sub(at) < LOSS_HIGHLIGHT);
            self.grown = if continues { self.grown + grown } else { grown };
            self.at = Some(now);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use udpchat_api::call::{Talker, TalkersAnswer};

    use super::*;

    /// Parses a status from JSON, so that new fields get their defaults.
    pub(crate) fn status() -> Status {
        serde_json::from_value(serde_json::json!({
            "at": "2026-11-22T13:02:10Z", "version": "0.1.0", "pid": 4711, "started": "2026-11-22T10:00:00Z",
            "state": "ok", "problems": [], "listen": ["[::]:7788"], "socket": "/run/s", "data_dir": "/data",
            "receive_buffer": { "asked": 8_388_608, "granted": 8_388_608 },
            "received": { "datagrams": 1_000, "bytes": 64_000 }, "stored": 998, "queued": 0,
            "queue": { "bytes": 0, "max_bytes": 16_777_216 },
            "kernel_drops": 0, "dropped": { "denied": 2, "queue_full": 0 },
            "sent": { "datagrams": 3, "failed": 0 }, "log_lines_lost": 0,
            "inbox": { "entries": 1_001, "oldest_id": 1, "newest_id": 1_001, "bytes": 4_521_984,
                "wal_bytes": 4_194_304, "max_bytes": 4_294_967_296_u64, "removed": 0, "unread": 5 },
            "index": { "newest_id": 0, "behind": 0, "bytes": 0 },
        }))
        .unwrap()
    }

    /// A model and the next answer of a simulated daemon.
    pub(crate) struct TestWatch {
        pub(crate) model: Model,
        began: Instant,
        next: Status,
        seconds: u64,
    }

    impl TestWatch {
        pub(crate) fn new() -> Self {
            let began = Instant::now();
            let talkers =
                Talkers::Since(1_001, TalkersAnswer { after: 1_001, next: 1_001, ..Default::default() });
            let first = Answer { at: began, status: status(), talkers };
            let model = Model::new(first, Duration::from_secs(1));
            Self { model, began, next: status(), seconds: 0 }
        }

        /// Adds an answer one second later, with these messages by sender and another change.
        pub(crate) fn advance(&mut self, received: &[(&str, u64)], change: impl FnOnce(&mut Status)) {
            let messages: u64 = received.iter().map(|(_, messages)| messages).sum();
            let after = self.next.inbox.newest_id;
            self.seconds += 1;
            self.next.received.datagrams += messages;
            self.next.received.bytes += messages * 100;
            self.next.stored += messages;
            self.next.inbox.newest_id += messages;
            self.next.inbox.entries += messages;
            change(&mut self.next);
            let talker = |&(who, messages): &(&str, u64)| {
                let (name, address) = match who.split_once('@') {
                    Some((name, address)) => (Some(name.to_owned()), address),
                    None => (None, who),
                };
                Talker { name, address: address.to_owned(), messages, bytes: messages * 100 }
            };
            let next = self.next.inbox.newest_id;
            let answer =
                TalkersAnswer { talkers: received.iter().map(talker).collect(), after, next, messages };
            let at = self.began + Duration::from_secs(self.seconds);
            let answer = Answer { at, status: self.next.clone(), talkers: Talkers::Since(after, answer) };
            self.model.add_answer(Ok(answer), Duration::from_secs(self.seconds));
        }

        /// Adds a failure to connect one second later.
        pub(crate) fn disconnect(&mut self, reason: &str) {
            self.seconds += 1;
            self.model.add_answer(Err(CtlError::failed(reason)), Duration::from_secs(self.seconds));
        }
    }

    #[test]
    fn rates_and_history_are_newest_first() {
        let mut watch = TestWatch::new();
        assert_eq!(watch.model.rates, None);
        watch.advance(&[("a", 100)], |_| {});
        watch.advance(&[("a", 250)], |_| {});
        let received: Vec<_> = watch.model.history.iter().map(|rates| rates.unwrap().received).collect();
        assert_eq!(received, [250, 100]);
        assert_eq!(watch.model.rates.unwrap().bytes, 25_000);
        for _ in 0..2 * HISTORY {
            watch.advance(&[], |_| {});
        }
        assert_eq!(watch.model.history.len(), HISTORY);
    }

    #[test]
    fn a_loss_is_recent_for_ten_seconds() {
        let mut watch = TestWatch::new();
        let kernel = |watch: &TestWatch| {
            let loss = watch.model.losses.kernel;
            (loss.total, watch.model.is_recent(&loss).then_some(loss.grown))
        };
        watch.advance(&[], |_| {});
        assert_eq!(kernel(&watch), (0, None));
        watch.advance(&[], |next| next.kernel_drops = 7);
        watch.advance(&[], |next| next.kernel_drops = 30);
        assert_eq!(kernel(&watch), (30, Some(30)));
        for _ in 0..10 {
            assert!(kernel(&watch).1.is_some());
            watch.advance(&[], |_| {});
        }
        assert_eq!(kernel(&watch), (30, None));
        watch.advance(&[], |next| next.kernel_drops = 31);
        assert_eq!(kernel(&watch), (31, Some(1)));
        assert!(!watch.model.is_recent(&watch.model.losses.denied));
    }

    #[test]
    fn an_outage_leaves_a_hole_and_resets_rates() {
        let mut watch = TestWatch::new();
        watch.advance(&[("a", 100)], |_| {});
        watch.disconnect("no daemon was found");
        assert_eq!(watch.model.failure.as_deref(), Some("no daemon was found"));
        assert!(watch.model.talkers.as_ref().unwrap().top(1).is_empty());
        watch.advance(&[], |next| {
            (next.pid, next.kernel_drops, next.received.datagrams, next.stored) = (4712, 3, 10, 10);
        });
        assert_eq!((&watch.model.failure, watch.model.restarts), (&None, 1));
        assert!(!watch.model.is_recent(&watch.model.losses.kernel));
        watch.advance(&[("a", 50)], |_| {});
        let received: Vec<_> =
            watch.model.history.iter().map(|rates| rates.map(|rates| rates.received)).collect();
        assert_eq!(received, [Some(50), None, None, Some(100)]);
    }

    #[test]
    fn the_daemon_counts_as_silent_after_three_intervals() {
        let mut watch = TestWatch::new();
        watch.model.tick(Duration::from_secs(3));
        assert_eq!(watch.model.silent_for(), None);
        watch.model.tick(Duration::from_secs(4));
        assert_eq!(watch.model.silent_for(), Some(Duration::from_secs(4)));
    }
}
