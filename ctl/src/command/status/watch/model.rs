//! What the screen shows: the newest answer, the rates of the last minutes, what was lost lately, who sends most.
//!
//! No clock and no connection: times are handed in, as spans since the watch began.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use udpchat_api::call::Status;

use super::connection::{Answer, Talkers};
use super::rates::{Rates, is_same_run};
use super::talkers::TalkersWindow;
use crate::error::{CtlError, Result};

/// How many rates are kept: as many as the widest screen shows.
const HISTORY: usize = 1_000;

/// How long a loss stands out.
const LOSS_STANDS_OUT: Duration = Duration::from_secs(10);

/// After so many intervals without an answer, it is said.
const SILENT_INTERVALS: u32 = 3;

/// The state of the watch.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) status: Status,
    pub(crate) interval: Duration,
    /// The rates between the last two answers; none before there are two.
    pub(crate) rates: Option<Rates>,
    /// The rates of before, newest first; none where the daemon did not answer.
    pub(crate) history: VecDeque<Option<Rates>>,
    pub(crate) losses: Losses,
    /// Who sends; none if the daemon does not tell.
    pub(crate) talkers: Option<TalkersWindow>,
    /// Why the daemon is not there, if it is not.
    pub(crate) gone: Option<String>,
    /// How often the daemon was started anew while it was watched.
    pub(crate) restarts: u64,
    read: Instant,
    heard: Duration,
    now: Duration,
}

impl Model {
    /// Begins with a first answer.
    pub(crate) fn new(first: Answer, interval: Duration) -> Self {
        Self {
            losses: Losses::new(&first.status),
            status: first.status,
            interval,
            rates: None,
            history: VecDeque::new(),
            talkers: matches!(first.talkers, Talkers::Since(..)).then(TalkersWindow::default),
            gone: None,
            restarts: 0,
            read: first.at,
            heard: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    /// Takes in what the daemon answered, or why it did not.
    pub(crate) fn take(&mut self, answer: Result<Answer>, now: Duration) {
        self.now = now;
        match answer {
            Ok(answer) => self.hear(answer),
            Err(CtlError::Failed(failure)) => self.lose(failure.message),
            // Nothing is printed while asking.
            Err(CtlError::ReaderGone) => {}
        }
    }

    /// Notes how late it is.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.now = now;
    }

    /// Returns for how long the daemon has not answered, if that is long.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let silent = self.now.saturating_sub(self.heard);
        (silent > self.interval * SILENT_INTERVALS).then_some(silent)
    }

    /// Tells whether a loss is of the last seconds.
    pub(crate) fn stands_out(&self, loss: &Loss) -> bool {
        loss.at.is_some_and(|at| self.now.saturating_sub(at) < LOSS_STANDS_OUT)
    }

    fn hear(&mut self, answer: Answer) {
        let elapsed = answer.at.saturating_duration_since(self.read);
        let rates = Rates::between(&self.status, &answer.status, elapsed);
        if !is_same_run(&self.status, &answer.status) {
            self.restarts += 1;
            self.losses = Losses::new(&answer.status);
        }
        self.losses.take(&answer.status, self.now);
        self.remember(rates);
        self.rates = rates;
        match answer.talkers {
            Talkers::Unknown => self.talkers = None,
            Talkers::Since(after, told) => {
                let window = self.talkers.get_or_insert_default();
                window.take(self.now, elapsed, after, told);
            }
        }
        (self.status, self.read, self.heard, self.gone) = (answer.status, answer.at, self.now, None);
    }

    fn lose(&mut self, why: String) {
        self.gone = Some(why);
        self.rates = None;
        self.remember(None);
        if let Some(talkers) = &mut self.talkers {
            talkers.clear();
        }
    }

    fn remember(&mut self, rates: Option<Rates>) {
        self.history.push_front(rates);
        self.history.truncate(HISTORY);
    }
}

/// What is counted as lost, by reason.
#[derive(Debug)]
pub(crate) struct Losses {
    pub(crate) kernel: Loss,
    pub(crate) queue_full: Loss,
    pub(crate) denied: Loss,
    pub(crate) log_lines: Loss,
}

impl Losses {
    fn new(status: &Status) -> Self {
        let [kernel, queue_full, denied, log_lines] =
            totals(status).map(|total| Loss { total, ..Loss::default() });
        Self { kernel, queue_full, denied, log_lines }
    }

    fn take(&mut self, status: &Status, now: Duration) {
        let all = [&mut self.kernel, &mut self.queue_full, &mut self.denied, &mut self.log_lines];
        for (loss, total) in all.into_iter().zip(totals(status)) {
            loss.take(total, now);
        }
    }
}

fn totals(status: &Status) -> [u64; 4] {
    [status.kernel_drops, status.dropped.queue_full, status.dropped.denied, status.log_lines_lost]
}

/// A counter of something lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) total: u64,
    /// By how much it grew since it last began to grow.
    pub(crate) grown: u64,
    /// When it grew last.
    at: Option<Duration>,
}

impl Loss {
    fn take(&mut self, total: u64, now: Duration) {
        let grown = total.saturating_sub(self.total);
        self.total = total;
        if grown > 0 {
            let goes_on = self.at.is_some_and(|at| now.saturating_sub(at) < LOSS_STANDS_OUT);
            self.grown = if goes_on { self.grown + grown } else { grown };
            self.at = Some(now);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use udpchat_api::call::{Talker, TalkersAnswer};

    use super::*;

    /// A status as a daemon gives it, read from JSON: fields that others add have their defaults.
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

    /// A model that has just begun, and how an answer after it looks: so many more datagrams.
    pub(crate) struct Story {
        pub(crate) model: Model,
        began: Instant,
        next: Status,
        seconds: u64,
    }

    impl Story {
        pub(crate) fn begin() -> Self {
            let began = Instant::now();
            let talkers =
                Talkers::Since(1_001, TalkersAnswer { after: 1_001, next: 1_001, ..Default::default() });
            let first = Answer { at: began, status: status(), talkers };
            let model = Model::new(first, Duration::from_secs(1));
            Self { model, began, next: status(), seconds: 0 }
        }

        /// A second later: so much more was received and stored, by these, and what else has changed.
        pub(crate) fn goes_on(&mut self, received: &[(&str, u64)], change: impl FnOnce(&mut Status)) {
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
            let told =
                TalkersAnswer { talkers: received.iter().map(talker).collect(), after, next, messages };
            let at = self.began + Duration::from_secs(self.seconds);
            let answer = Answer { at, status: self.next.clone(), talkers: Talkers::Since(after, told) };
            self.model.take(Ok(answer), Duration::from_secs(self.seconds));
        }

        /// A second later there is no daemon.
        pub(crate) fn breaks_off(&mut self, why: &str) {
            self.seconds += 1;
            self.model.take(Err(CtlError::failed(why)), Duration::from_secs(self.seconds));
        }
    }

    #[test]
    fn rates_and_history_follow_the_answers_newest_first() {
        let mut story = Story::begin();
        assert_eq!(story.model.rates, None);
        story.goes_on(&[("a", 100)], |_| {});
        story.goes_on(&[("a", 250)], |_| {});
        let received: Vec<_> = story.model.history.iter().map(|rates| rates.unwrap().received).collect();
        assert_eq!(received, [250, 100]);
        assert_eq!(story.model.rates.unwrap().bytes, 25_000);
        for _ in 0..2 * HISTORY {
            story.goes_on(&[], |_| {});
        }
        assert_eq!(story.model.history.len(), HISTORY);
    }

    #[test]
    fn a_loss_stands_out_while_it_grows_and_ten_seconds_longer() {
        let mut story = Story::begin();
        let kernel = |story: &Story| {
            let loss = story.model.losses.kernel;
            (loss.total, story.model.stands_out(&loss).then_some(loss.grown))
        };
        story.goes_on(&[], |_| {});
        assert_eq!(kernel(&story), (0, None));
        story.goes_on(&[], |next| next.kernel_drops = 7);
        story.goes_on(&[], |next| next.kernel_drops = 30);
        assert_eq!(kernel(&story), (30, Some(30)));
        for _ in 0..10 {
            assert!(kernel(&story).1.is_some());
            story.goes_on(&[], |_| {});
        }
        assert_eq!(kernel(&story), (30, None));
        story.goes_on(&[], |next| next.kernel_drops = 31);
        assert_eq!(kernel(&story), (31, Some(1)));
        assert!(!story.model.stands_out(&story.model.losses.denied));
    }

    #[test]
    fn a_daemon_that_was_gone_leaves_a_hole_and_one_that_restarts_begins_anew() {
        let mut story = Story::begin();
        story.goes_on(&[("a", 100)], |_| {});
        story.breaks_off("no daemon was found");
        assert_eq!(story.model.gone.as_deref(), Some("no daemon was found"));
        assert!(story.model.talkers.as_ref().unwrap().top(1).is_empty());
        story.goes_on(&[], |next| {
            (next.pid, next.kernel_drops, next.received.datagrams, next.stored) = (4712, 3, 10, 10);
        });
        assert_eq!((&story.model.gone, story.model.restarts), (&None, 1));
        assert!(!story.model.stands_out(&story.model.losses.kernel));
        story.goes_on(&[("a", 50)], |_| {});
        let received: Vec<_> =
            story.model.history.iter().map(|rates| rates.map(|rates| rates.received)).collect();
        assert_eq!(received, [Some(50), None, None, Some(100)]);
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_told_after_three_intervals() {
        let mut story = Story::begin();
        story.model.tick(Duration::from_secs(3));
        assert_eq!(story.model.silent_for(), None);
        story.model.tick(Duration::from_secs(4));
        assert_eq!(story.model.silent_for(), Some(Duration::from_secs(4)));
    }
}
