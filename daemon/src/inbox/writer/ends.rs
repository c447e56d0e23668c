//! Every end that a daemon can come to, with its real queue, writer, log and ledger: what the next one tells as lost is
//! what was lost.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::tests::open_with;
use crate::inbox::inflight::SocketDrops;
use crate::inbox::queue::SentItem;
use crate::inbox::writer::*;
use crate::inbox::{GapReason, SentDetail};

/// What happens to a daemon.
#[derive(Clone, Debug)]
enum Step {
    /// A batch, with so many datagrams, and so many of them denied or of our own.
    Batch {
        messages: u64,
        unwanted: u64,
    },
    /// The kernel has dropped datagrams.
    Drops(u64),
    /// These have got their place in the log.
    Place,
    Send,
    /// The writer takes all that is there, and stores it.
    Store,
    /// Everything but the newest entry is removed.
    Remove,
    /// The process ends, and another begins.
    End(End),
}

#[derive(Clone, Debug)]
enum End {
    /// Everything is stored first.
    Stop,
    Kill,
    /// In the writer's hands was a transaction, and it is committed, but nobody has been told.
    KillBehindCommit,
    /// The ledger is as it was at an earlier moment, by its place among all that there were.
    PowerCut(prop::sample::Index),
    /// The ledger's first bytes are those of one moment, the others those of another.
    Tear(prop::sample::Index, prop::sample::Index, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        1 => Just(End::Stop),
        3 => Just(End::Kill),
        3 => Just(End::KillBehindCommit),
        2 => any::<prop::sample::Index>().prop_map(End::PowerCut),
        1 => (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..120_usize)
            .prop_map(|(one, other, at)| End::Tear(one, other, at)),
    ];
    let step = prop_oneof![
        6 => (0..5_u64, 0..3_u64).prop_map(|(messages, unwanted)| Step::Batch { messages, unwanted }),
        2 => (1..4_u64).prop_map(Step::Drops),
        2 => Just(Step::Place),
        1 => Just(Step::Send),
        4 => Just(Step::Store),
        1 => Just(Step::Remove),
        3 => end.prop_map(Step::End),
    ];
    prop::collection::vec(step, 1..40)
}

/// A daemon over a folder, and what is true of all daemons over it so far.
struct World {
    data_dir: PathBuf,
    queue: Arc<Queue>,
    writer: Writer,
    /// Drops that have no place in the log yet.
    unplaced: u64,
    drops: u32,
    /// What the log has got, and ought to have got: messages, and datagrams in gaps.
    held: u64,
    owed: u64,
    /// What was lost, and could not be told.
    silent: u64,
    /// The ledger's file at each moment so far.
    pages: Vec<Vec<u8>>,
}

impl World {
    fn begin(data_dir: &Path) -> Self {
        let (queue, writer, lost) = begin(data_dir);
        assert_eq!(lost, 0);
        Self {
            data_dir: data_dir.to_owned(),
            queue,
            writer,
            unplaced: 0,
            drops: 0,
            held: 0,
            owed: 0,
            silent: 0,
            pages: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Batch { messages, unwanted } => self.batch(*messages, *unwanted),
            Step::Drops(lost) => {
                self.drops = self.drops.wrapping_add(*lost as u32);
                self.owed += lost;
                self.unplaced += lost;
                self.queue.intake(|intake| intake.kernel_drops(0, *lost, self.drops));
            }
            Step::Place => self.place(),
            Step::Send => {
                assert!(self.queue.send(Box::new(sent()), |_| Ok(())).is_ok());
            }
            Step::Store => self.store(true),
            Step::Remove => {
                let oldest = "DELETE FROM entry WHERE id < (SELECT max(id) FROM entry)";
                self.writer.connection.execute(oldest, []).unwrap();
            }
            Step::End(end) => self.end(end),
        }
        self.pages.push(fs::read(self.books()).unwrap());
    }

    fn batch(&mut self, messages: u64, unwanted: u64) {
        self.owed += messages;
        let peer = "127.0.0.1:5".parse().unwrap();
        self.queue.intake(|intake| {
            (0..messages).for_each(|_| intake.datagram(1, peer, None, b"message"));
            (0..unwanted).for_each(|_| intake.denied(1));
            (0..unwanted).for_each(|_| intake.own(1));
        });
    }

    fn place(&mut self) {
        let lost = std::mem::take(&mut self.unplaced);
        if lost > 0 {
            self.queue.intake(|intake| intake.kernel_gap(2, lost));
        }
    }

    /// Stores all that there is, in transactions of some entries; tells the queue of it, or of all but the last one.
    fn store(&mut self, told: bool) {
        self.queue.nudge();
        let mut heap = Heap::default();
        self.queue.take(&mut heap, None);
        let (mut first, mut offset) = (0, 0);
        while first < heap.items.len() {
            let (items, bytes) = next_commit(&heap, first, offset, 20);
            (first, offset) = (items.end, bytes.end);
            let is_last = first == heap.items.len();
            let items = &mut heap.items[items];
            let outcome = self.writer.commit(items, &heap.bytes[bytes]).unwrap();
            let lost: u64 = outcome.stored.losses().map(|(_, lost)| lost).sum();
            self.held += outcome.stored.messages + lost;
            if told || !is_last {
                self.writer.tell(items, outcome);
            }
        }
    }

    /// Ends this daemon and begins the next, which is to tell what was lost.
    fn end(&mut self, end: &End) {
        match end {
            End::Stop => {
                self.place();
                self.store(true);
                assert_eq!(self.held + self.silent, self.owed);
            }
            End::KillBehindCommit => self.store(false),
            End::Kill => {}
            End::PowerCut(page) if !self.pages.is_empty() => {
                fs::write(self.books(), page.get(&self.pages)).unwrap();
            }
            End::Tear(one, other, at) if !self.pages.is_empty() => {
                let [one, other] = [one, other].map(|page| page.get(&self.pages));
                fs::write(self.books(), [&one[..*at], &other[*at..]].concat()).unwrap();
            }
            End::PowerCut(_) | End::Tear(..) => {}
        }
        let lost = self.owed - self.held - self.silent;
        let told;
        (self.queue, self.writer, told) = begin(&self.data_dir);
        match end {
            End::Stop => assert_eq!(told, 0),
            End::Kill | End::KillBehindCommit => assert_eq!(told, lost),
            // Also what was not told earlier may be told now, and nothing twice.
            End::PowerCut(_) | End::Tear(..) => assert!(told <= lost + self.silent, "{told} of {lost}"),
        }
        self.silent = self.owed - self.held - told;
        self.unplaced = 0;
    }

    fn books(&self) -> PathBuf {
        self.data_dir.join("books")
    }
}

/// Begins a daemon; returns what it tells as lost too.
fn begin(data_dir: &Path) -> (Arc<Queue>, Writer, u64) {
    let (writer, queue, _progress, mut ledger) =
        open_with(data_dir, || Ledger::open(data_dir, &Arc::default()));
    // One socket, which outlives every daemon.
    let drops = ledger.counted_before(1).unwrap_or(0);
    ledger.add_socket(SocketDrops { cookie: 1, drops });
    let lost = queue.carry_over(ledger);
    (queue, writer, lost)
}

fn sent() -> SentItem {
    SentItem {
        at_ns: 3,
        peer: "127.0.0.1:6".parse().unwrap(),
        local: None,
        payload: b"sent".to_vec(),
        detail: SentDetail::default(),
        stored: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_told_as_lost_was_lost_and_after_a_kill_it_is_all_of_it(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::begin(folder.path());
        steps.iter().for_each(|step| world.take(step));
        world.take(&Step::End(End::Kill));
        world.take(&Step::End(End::Stop));
    }
}

#[test]
fn what_has_become_a_gap_is_not_told_again_by_an_older_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::begin(folder.path());
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    world.take(&Step::End(End::Kill));
    world.take(&Step::Store);
    fs::write(world.books(), &world.pages[0]).unwrap();
    assert_eq!(begin(folder.path()).2, 0);
}

#[test]
fn a_page_behind_whose_entry_some_were_removed_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::begin(folder.path());
    world.take(&Step::Drops(10));
    world.take(&Step::Place);
    world.take(&Step::Store);
    world.take(&Step::Batch { messages: 1, unwanted: 0 });
    world.take(&Step::Store);
    world.take(&Step::Remove);
    // It knows of no entry, only of how the log began.
    fs::write(world.books(), &world.pages[1]).unwrap();
    assert_eq!(begin(folder.path()).2, 0);
}

#[test]
fn the_page_goes_on_with_each_transaction_so_that_what_is_removed_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::begin(folder.path());
    world.take(&Step::Batch { messages: 2, unwanted: 0 });
    let mut heap = Heap::default();
    world.queue.take(&mut heap, None);
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    let outcome = world.writer.commit(&heap.items, &heap.bytes).unwrap();
    world.writer.tell(&mut heap.items, outcome);
    world.take(&Step::Remove);
    assert_eq!(begin(folder.path()).2, 3);
}

#[test]
fn the_gaps_tell_the_reasons_and_the_time_of_the_last_note() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::begin(folder.path());
    let before = crate::clock::now_ns();
    world.batch(3, 1);
    world.take(&Step::Drops(2));
    world.take(&Step::End(End::Kill));
    let mut heap = Heap::default();
    world.queue.take(&mut heap, None);
    let gaps = heap.items.iter().map(|item| match item {
        Item::Gap { at_ns, lost, reason } => {
            (*at_ns >= before && *at_ns <= crate::clock::now_ns(), *lost, *reason)
        }
        item => panic!("{item:?}"),
    });
    assert_eq!(
        gaps.collect::<Vec<_>>(),
        [(true, 2, GapReason::ReceiveBufferFull), (true, 3, GapReason::DaemonEnded)]
    );
    assert_eq!(world.queue.books().lost_before, 5);
    assert_eq!(world.queue.books().queued(), 0, "they were received by another");
}

#[test]
fn what_did_not_fit_into_the_queue_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::begin(folder.path());
    let peer = "127.0.0.1:5".parse().unwrap();
    let mut received = 0;
    while world.queue.books().dropped.queue_full < 3 {
        world.queue.intake(|intake| intake.datagram(1, peer, None, &[0; 60_000]));
        received += 1;
    }
    assert_eq!(begin(folder.path()).2, received);
}

#[test]
fn a_log_that_is_not_the_one_of_the_ledger_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::begin(folder.path());
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    world.take(&Step::Store);
    world.take(&Step::Batch { messages: 2, unwanted: 0 });
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(folder.path().join(format!("{}{suffix}", file::FILE_NAME))).unwrap();
    }
    assert_eq!(begin(folder.path()).2, 0);
}

#[test]
fn a_log_that_was_replaced_while_running_is_known_by_its_own_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::begin(folder.path());
    world.take(&Step::Batch { messages: 3, unwanted: 0 });
    world.take(&Step::Store);
    fs::write(folder.path().join(file::FILE_NAME), [7; 100_000]).unwrap();
    world.writer.reopen().unwrap();
    world.take(&Step::Batch { messages: 2, unwanted: 0 });
    assert_eq!(begin(folder.path()).2, 2);
}
