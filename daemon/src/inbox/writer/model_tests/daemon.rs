//! A daemon in a data directory: the real queue, writer, reader, in-flight journal and index, without threads.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::watch;
use udpchat_config::{MaxAge, Settings, Size};

use crate::inbox::commit_watch::CommitWatch;
use crate::inbox::entry::Stored;
use crate::inbox::inflight::{InflightJournal, SocketDrops};
use crate::inbox::queue::Queue;
use crate::inbox::reader::{Range, Reader};
use crate::inbox::writer::{Parts, Writer};
use crate::index::indexer::{Indexer, Step};
use crate::index::{Log, Order};
use crate::service::data_dir::DataDir;
use crate::service::watchdog::Heartbeat;

/// The limits of the inbox, in MiB and hours.
pub(super) type Kept = (Option<u32>, Option<u32>);

pub(super) struct Daemon {
    pub(super) queue: Arc<Queue>,
    pub(super) writer: Writer,
    pub(super) commits: CommitWatch,
    pub(super) reader: Arc<Reader>,
    settings: watch::Sender<Arc<Settings>>,
    indexer: Indexer,
    pub(super) folder: TempDir,
}

impl Daemon {
    /// Starts a daemon; returns also how many datagrams it reports as lost.
    pub(super) fn start(folder: TempDir, kept: Kept) -> (Self, u64) {
        let data_dir = folder.path();
        let queue = Arc::new(Queue::default());
        let (sender, settings) = watch::channel(Arc::new(settings(folder.path().to_owned(), kept)));
        let reader = Arc::new(Reader::new(data_dir));
        let parts = Parts {
            data_dir: Arc::new(DataDir::take_over(data_dir)),
            queue: Arc::clone(&queue),
            reader: Arc::clone(&reader),
            learned: Arc::default(),
            bounced_peers: Arc::default(),
            health: Arc::default(),
            settings,
            heartbeat: Heartbeat::unwatched(),
            kept: Arc::default(),
            interfaces: Arc::default(),
        };
        let open_journal = || InflightJournal::open(data_dir, &Arc::default());
        let (writer, commits, mut journal) = Writer::open(parts, open_journal).unwrap();
        // One socket, which survives every daemon.
        let drops = journal.counted_before(1).unwrap_or(0);
        journal.add_socket(SocketDrops { cookie: 1, drops });
        let lost = queue.carry_over(journal);
        let log: Arc<dyn Log> = Arc::<Reader>::clone(&reader);
        let indexer = Indexer::new(Arc::clone(reader.index()), log);
        (Self { queue, writer, commits, reader, settings: sender, indexer, folder }, lost)
    }

    pub(super) fn set_limits(&self, kept: Kept) {
        let settings = settings(self.folder.path().to_owned(), kept);
        self.settings.send(Arc::new(settings)).unwrap();
    }

    /// Brings the index up to date.
    pub(super) fn index(&mut self) {
        while self.indexer.has_work(self.commits.now().newest_id)
            && self.indexer.step().unwrap() != Step::Idle
        {}
    }

    /// Reads a range in pages of `limit` entries, those that `wanted` accepts, as a client does.
    pub(super) fn pages(
        &self,
        mut range: Range,
        limit: usize,
        patient: bool,
        wanted: impl Fn(&Stored) -> bool,
    ) -> Vec<Stored> {
        let mut entries = Vec::new();
        loop {
            let page_end = limit.saturating_add(entries.len());
            let visit = |entry: Stored| {
                if wanted(&entry) {
                    entries.push(entry);
                }
                if entries.len() < page_end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let scanned = self.reader.scan(&range, visit, || patient).unwrap();
            assert_eq!(self.reader.damage().awaited(), None, "nothing is to be waited for");
            match range.order {
                Order::Asc => range.after = scanned.cursor,
                Order::Desc => range.before = Some(scanned.cursor),
            }
            if !scanned.more {
                return entries;
            }
        }
    }
}

fn settings(data_dir: PathBuf, (max_mib, max_age_hours): Kept) -> Settings {
    let mut settings = Settings::default_in(data_dir);
    settings.inbox.max_size.value = Size::from_mib(max_mib.unwrap_or(4_096));
    let hours = max_age_hours.map(|hours| format!("{hours}h"));
    settings.inbox.max_age.value = hours.map_or(MaxAge::UNLIMITED, |hours| hours.parse().unwrap());
    settings
}
