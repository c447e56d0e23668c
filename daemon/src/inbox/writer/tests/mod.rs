//! Tests of the writer without threads.

mod commits;
mod damage;
mod damaged_again;
mod delivery;
mod failures;
mod ids;
mod kept;

use std::path::Path;

use crate::inbox::commit_watch::CommitWatch;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::file::FILE_NAME;
use crate::inbox::inflight::InflightJournal;
use crate::inbox::queue::RecoveredItem;
use crate::inbox::reader::Range;
use crate::inbox::recovery::segment;
use crate::inbox::writer::*;

pub(super) fn open(data_dir: &Path) -> (Writer, Arc<Queue>, CommitWatch) {
    let (writer, queue, commits, _journal) = open_with(data_dir, InflightJournal::default);
    (writer, queue, commits)
}

/// Opens a writer without running it.
pub(in crate::inbox::writer) fn open_with(
    data_dir: &Path,
    open_journal: impl FnOnce() -> InflightJournal,
) -> (Writer, Arc<Queue>, CommitWatch, InflightJournal) {
    let (_sender, settings) = watch::channel(Arc::new(Settings::default_in(data_dir)));
    open_configured(data_dir, settings, open_journal)
}

fn open_configured(
    data_dir: &Path,
    settings: watch::Receiver<Arc<Settings>>,
    open_journal: impl FnOnce() -> InflightJournal,
) -> (Writer, Arc<Queue>, CommitWatch, InflightJournal) {
    let queue = Arc::new(Queue::default());
    let parts = Parts {
        data_dir: Arc::new(DataDir::take_over(data_dir)),
        queue: Arc::clone(&queue),
        reader: Arc::new(Reader::new(data_dir)),
        learned: Arc::default(),
        bounced_peers: Arc::default(),
        health: Arc::default(),
        settings,
        heartbeat: Heartbeat::unwatched(),
        kept: Arc::default(),
        interfaces: Arc::default(),
    };
    let (writer, commits, journal) = Writer::open(parts, open_journal).unwrap();
    (writer, queue, commits, journal)
}

pub(super) fn receive(queue: &Queue, payload: &[u8]) {
    queue.intake(|intake| intake.datagram(1, "127.0.0.1:5".parse().unwrap(), None, payload));
}

pub(super) fn store_all(writer: &mut Writer, queue: &Queue) {
    let mut batch = Batch::default();
    assert!(queue.take(&mut batch, None));
    let bytes = std::mem::take(&mut batch.bytes);
    assert!(writer.store(&mut batch.items, &bytes));
}

/// Recovers what the plan has, as the repair thread does.
pub(super) fn recover_all(writer: &mut Writer) {
    loop {
        let plan = writer.parts.reader.recovery_plan().unwrap();
        if plan.is_empty() {
            return;
        }
        let stored = |chunk| {
            let item = RecoveredItem { chunk, stored: None };
            writer.store(&mut [Item::Recovered(Box::new(item))], &[])
        };
        assert!(segment::recover(&plan, &|| true, stored).unwrap());
    }
}

/// Returns first id, last id and number of each gap of damaged entries.
pub(super) fn gaps(writer: &Writer) -> Vec<(u64, u64, u64)> {
    let (mut gaps, range) = (Vec::new(), Range { gaps: true, ..Range::default() });
    let visit = |entry: Stored| {
        let Body::Gap(gap) = entry.body else { panic!("no gap") };
        assert_eq!(gap.reason, "damaged");
        gaps.push((gap.first_id.unwrap(), entry.id, gap.lost));
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&range, visit, || true).unwrap();
    gaps
}

pub(super) fn received(writer: &Writer) -> Vec<(u64, Vec<u8>)> {
    let (mut all, range) = (Vec::new(), Range { received: true, ..Range::default() });
    let visit = |entry: Stored| {
        if let Body::Received { payload, .. } = entry.body {
            all.push((entry.id, payload));
        }
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&range, visit, || true).unwrap();
    all
}

/// Opens an inbox with messages of 1,000 bytes, and returns them.
pub(super) fn filled(data_dir: &Path, messages: u64) -> Vec<(u64, Vec<u8>)> {
    let (mut writer, queue, _commits) = open(data_dir);
    let all: Vec<_> = (1..=messages).map(|id| (id, vec![id as u8; 1_000])).collect();
    all.iter().for_each(|(_, payload)| receive(&queue, payload));
    store_all(&mut writer, &queue);
    checkpoint(writer.connection.as_ref().unwrap());
    all
}

pub(super) fn zero_page(data_dir: &Path, page: usize) {
    let path = data_dir.join(FILE_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[page * 16_384..(page + 1) * 16_384].fill(0);
    std::fs::write(&path, bytes).unwrap();
}

/// Opens a writer with the in-flight journal of the data directory; returns how many datagrams were lost.
pub(in crate::inbox::writer) fn open_with_journal(data_dir: &Path) -> (Writer, Arc<Queue>, CommitWatch, u64) {
    let journal = || InflightJournal::open(data_dir, &Arc::default());
    let (writer, queue, commits, journal) = open_with(data_dir, journal);
    let lost = queue.carry_over(journal);
    (writer, queue, commits, lost)
}

pub(super) fn next_id(writer: &mut Writer, queue: &Queue, commits: &CommitWatch) -> u64 {
    receive(queue, b"next");
    store_all(writer, queue);
    commits.now().newest_id
}

pub(super) fn lock(data_dir: &Path) -> Connection {
    let lock = Connection::open(data_dir.join(FILE_NAME)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock
}
