//! Crash tests: every way a daemon can end, with its real queue, writer, log and in-flight journal. The next daemon
//! reports as lost what was lost.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::tests::open_with;
use crate::inbox::entry::{GapReason, SentDetail};
use crate::inbox::inflight::{InflightJournal, SocketDrops};
use crate::inbox::queue::SentItem;
use crate::inbox::writer::*;

/// Something that happens to a daemon.
#[derive(Clone, Debug)]
enum Step {
    /// Reception of a number of messages, and of denied and looped-back datagrams.
    Batch {
        messages: u64,
        unwanted: u64,
    },
    /// The kernel has dropped datagrams.
    Drops(u64),
    /// These get their gap in the log.
    AddGap,
    Send,
    /// The writer takes and stores everything that is queued.
    Store,
    /// Everything but the newest entry is removed.
    Remove,
    /// The process ends, and another starts.
    End(End),
}

#[derive(Clone, Debug)]
enum End {
    /// Everything is stored first.
    Stop,
    Kill,
    /// A transaction was committed, but not yet published.
    KillAfterCommit,
    /// The journal's file has the content of an earlier moment, by its index among all of them.
    PowerCut(prop::sample::Index),
    /// The first bytes of the journal's file are those of one moment, the others those of another.
    Tear(prop::sample::Index, prop::sample::Index, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        1 => Just(End::Stop),
        3 => Just(End::Kill),
        3 => Just(End::KillAfterCommit),
        2 => any::<prop::sample::Index>().prop_map(End::PowerCut),
        1 => (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..120_usize)
            .prop_map(|(one, other, at)| End::Tear(one, other, at)),
    ];
    let step = prop_oneof![
        6 => (0..5_u64, 0..3_u64).prop_map(|(messages, unwanted)| Step::Batch { messages, unwanted }),
        2 => (1..4_u64).prop_map(Step::Drops),
        2 => Just(Step::AddGap),
        1 => Just(Step::Send),
        4 => Just(Step::Store),
        1 => Just(Step::Remove),
        3 => end.prop_map(Step::End),
    ];
    prop::collection::vec(step, 1..40)
}

/// A daemon on a data directory, and the sums over all daemons there so far.
struct World {
    data_dir: PathBuf,
    queue: Arc<Queue>,
    writer: Writer,
    /// Kernel drops that have no gap in the log yet.
    unplaced: u64,
    drops: u32,
    /// How many messages and datagrams in gaps the log holds, and how many it should hold.
    held: u64,
    due: u64,
    /// How many were lost and could not be reported.
    silent: u64,
    /// The content of the journal's file at each moment so far.
    pages: Vec<Vec<u8>>,
}

impl World {
    fn new(data_dir: &Path) -> Self {
        let (queue, writer, lost) = start(data_dir);
        assert_eq!(lost, 0);
        Self {
            data_dir: data_dir.to_owned(),
            queue,
            writer,
            unplaced: 0,
            drops: 0,
            held: 0,
            due: 0,
            silent: 0,
            pages: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Batch { messages, unwanted } => self.batch(*messages, *unwanted),
            Step::Drops(lost) => {
                self.drops = self.drops.wrapping_add(*lost as u32);
                self.due += lost;
                self.unplaced += lost;
                self.queue.intake(|intake| intake.kernel_drops(0, *lost, self.drops));
            }
            Step::AddGap => self.add_gap(),
            Step::Send => {
                assert!(self.queue.send(Box::new(sent()), true, |_, _| Ok(())).is_ok());
            }
            Step::Store => self.store(true),
            Step::Remove => {
                let oldest = "DELETE FROM entry WHERE id < (SELECT max(id) FROM entry)";
                self.writer.connection.as_mut().unwrap().execute(oldest, []).unwrap();
            }
            Step::End(end) => self.end(end),
        }
        self.pages.push(fs::read(self.journal()).unwrap());
    }

    fn batch(&mut self, messages: u64, unwanted: u64) {
        self.due += messages;
        let peer = "127.0.0.1:5".parse().unwrap();
        self.queue.intake(|intake| {
            (0..messages).for_each(|_| intake.datagram(1, peer, None, b"message"));
            (0..unwanted).for_each(|_| intake.denied(1));
            (0..unwanted).for_each(|_| intake.looped_back(1));
        });
    }

    fn add_gap(&mut self) {
        let lost = std::mem::take(&mut self.unplaced);
        if lost > 0 {
            self.queue.intake(|intake| intake.kernel_gap(2, lost));
        }
    }

    /// Stores everything in transactions of some entries; publishes all of them, or all but the last one.
    fn store(&mut self, all_published: bool) {
        self.queue.wake();
        let mut batch = Batch::default();
        self.queue.take(&mut batch, None);
        let (mut first, mut offset) = (0, 0);
        while first < batch.items.len() {
            let (items, bytes) = next_commit(&batch, first, offset, 20);
            (first, offset) = (items.end, bytes.end);
            let is_last = first == batch.items.len();
            let items = &mut batch.items[items];
            let outcome = self.writer.commit(items, &batch.bytes[bytes]).unwrap();
            let lost: u64 = outcome.stored.losses().map(|(_, lost)| lost).sum();
            self.held += outcome.stored.messages + lost;
            if all_published || !is_last {
                self.writer.publish_commit(items, outcome);
            }
        }
    }

    /// Ends this daemon and starts the next, which must report what was lost.
    fn end(&mut self, end: &End) {
        match end {
            End::Stop => {
                self.add_gap();
                self.store(true);
                assert_eq!(self.held + self.silent, self.due);
            }
            End::KillAfterCommit => self.store(false),
            End::Kill => {}
            End::PowerCut(page) if !self.pages.is_empty() => {
                fs::write(self.journal(), page.get(&self.pages)).unwrap();
            }
            End::Tear(one, other, at) if !self.pages.is_empty() => {
                let [one, other] = [one, other].map(|page| page.get(&self.pages));
                fs::write(self.journal(), [&one[..*at], &other[*at..]].concat()).unwrap();
            }
            End::PowerCut(_) | End::Tear(..) => {}
        }
        let lost = self.due - self.held - self.silent;
        let reported;
        (self.queue, self.writer, reported) = start(&self.data_dir);
        match end {
            End::Stop => assert_eq!(reported, 0),
            End::Kill | End::KillAfterCommit => assert_eq!(reported, lost),
            // Losses that were not reported earlier may be reported now, and nothing twice.
            End::PowerCut(_) | End::Tear(..) => {
                assert!(reported <= lost + self.silent, "{reported} of {lost}");
            }
        }
        self.silent = self.due - self.held - reported;
        self.unplaced = 0;
    }

    fn journal(&self) -> PathBuf {
        self.data_dir.join("books")
    }
}

/// Starts a daemon; returns also how much it reports as lost.
fn start(data_dir: &Path) -> (Arc<Queue>, Writer, u64) {
    let (writer, queue, _commits, mut journal) =
        open_with(data_dir, || InflightJournal::open(data_dir, &Arc::default()));
    // One socket, which survives every daemon.
    let drops = journal.counted_before(1).unwrap_or(0);
    journal.add_socket(SocketDrops { cookie: 1, drops });
    let lost = queue.carry_over(journal);
    (queue, writer, lost)
}

fn sent() -> SentItem {
    SentItem {
        at_ns: 3,
        peer: "127.0.0.1:6".parse().unwrap(),
        local: None,
        payload: b"sent".to_vec(),
        detail: SentDetail::default(),
        held: None,
        number: None,
        stored: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn reported_losses_are_true_and_complete_after_a_kill(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        steps.iter().for_each(|step| world.take(step));
        world.take(&Step::End(End::Kill));
        world.take(&Step::End(End::Stop));
    }
}

#[test]
fn an_older_page_does_not_report_a_stored_gap_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    world.take(&Step::End(End::Kill));
    world.take(&Step::Store);
    fs::write(world.journal(), &world.pages[0]).unwrap();
    assert_eq!(start(folder.path()).2, 0);
}

#[test]
fn a_page_whose_entry_was_removed_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.take(&Step::Drops(10));
    world.take(&Step::AddGap);
    world.take(&Step::Store);
    world.take(&Step::Batch { messages: 1, unwanted: 0 });
    world.take(&Step::Store);
    world.take(&Step::Remove);
    // That page has no entry as its anchor, only the beginning of the log.
    fs::write(world.journal(), &world.pages[1]).unwrap();
    assert_eq!(start(folder.path()).2, 0);
}

#[test]
fn each_transaction_moves_the_page_past_removed_entries() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.take(&Step::Batch { messages: 2, unwanted: 0 });
    let mut batch = Batch::default();
    world.queue.take(&mut batch, None);
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    let outcome = world.writer.commit(&batch.items, &batch.bytes).unwrap();
    world.writer.publish_commit(&mut batch.items, outcome);
    world.take(&Step::Remove);
    assert_eq!(start(folder.path()).2, 3);
}

#[test]
fn gaps_have_the_reasons_and_the_time_of_the_last_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let before = crate::clock::now_ns();
    world.batch(3, 1);
    world.take(&Step::Drops(2));
    world.take(&Step::End(End::Kill));
    let mut batch = Batch::default();
    world.queue.take(&mut batch, None);
    let gaps = batch.items.iter().map(|item| match item {
        Item::Gap { at_ns, lost, reason, .. } => {
            (*at_ns >= before && *at_ns <= crate::clock::now_ns(), *lost, *reason)
        }
        item => panic!("{item:?}"),
    });
    assert_eq!(
        gaps.collect::<Vec<_>>(),
        [(true, 2, GapReason::ReceiveBufferFull), (true, 3, GapReason::DaemonEnded)]
    );
    assert_eq!(world.queue.counters().lost_before, 5);
    assert_eq!(world.queue.counters().queued(), 0, "they were received by another daemon");
}

#[test]
fn datagrams_beyond_the_queue_are_reported_too() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let peer = "127.0.0.1:5".parse().unwrap();
    let mut received = 0;
    while world.queue.counters().dropped.queue_full < 3 {
        world.queue.intake(|intake| intake.datagram(1, peer, None, &[0; 60_000]));
        received += 1;
    }
    assert_eq!(start(folder.path()).2, received);
}

#[test]
fn a_log_other_than_the_journals_reports_no_losses() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    world.take(&Step::Store);
    world.take(&Step::Batch { messages: 2, unwanted: 0 });
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(folder.path().join(format!("{}{suffix}", file::FILE_NAME))).unwrap();
    }
    assert_eq!(start(folder.path()).2, 0);
}

#[test]
fn a_log_replaced_while_running_is_tracked_by_its_own_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    world.take(&Step::Store);
    fs::write(folder.path().join(file::FILE_NAME), [7; 100_000]).unwrap();
    world.writer.reopen().unwrap();
    world.take(&Step::Batch { messages: 2, unwanted: 0 });
    assert_eq!(start(folder.path()).2, 2);
}
