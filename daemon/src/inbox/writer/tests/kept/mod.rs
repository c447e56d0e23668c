//! Held messages and silent peers: the tables, what is kept in memory and the notices agree, however daemons and transactions end.

mod held;
mod order;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::clock::simulated::{self, Clocks};
use crate::inbox::entry::{NoticeDetail, SentDetail};
use crate::inbox::kept::tests::settings;
use crate::inbox::kept::{HeldFull, MAX_HELD, MAX_HELD_FOR_ONE, NewHeld, PART_OF_USER, Release, To};
use crate::inbox::queue::{CancelItem, HoldItem, SentItem};

const SECOND: i64 = 1_000_000_000;

/// `bob` has a port, `dev` has none; `gone` is not configured.
const CONFIG: &str = "[peers.bob]
address = '10.0.0.1:5'
silent_after = '10s'
[peers.dev]
address = '10.0.0.2'
silent_after = '1m'
";

/// Where messages are held for, and the sources of [`SOURCES`] that release them.
const TO: [(&str, &[usize]); 7] = [
    ("bob", &[0]),
    ("dev", &[2, 3]),
    ("gone", &[]),
    ("10.0.0.1:5", &[0]),
    ("10.0.0.1:0", &[0, 1]),
    ("10.0.0.2:6", &[3]),
    ("10.0.0.3:0", &[4]),
];
const SOURCES: [&str; 6] =
    ["10.0.0.1:5", "10.0.0.1:6", "10.0.0.2:5", "10.0.0.2:6", "10.0.0.3:7", "10.0.0.4:7"];
/// Which of the peers each source is, and for how long it may be silent.
const PEERS: [(&str, &[usize], i64); 2] = [("bob", &[0], 10), ("dev", &[2, 3], 60)];

#[derive(Clone, Debug)]
enum Step {
    Hold {
        to: usize,
        parts: usize,
        seconds: i64,
    },
    Cancel(prop::sample::Index),
    Word(usize),
    /// The first released messages are sent, as many as this, and the others of that release given back.
    Send(usize),
    Pass(i64),
    Due,
    /// The disk fails in the next transaction, although it is complete.
    Fail,
    Kill,
    Reload(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..TO.len(), 1..20_usize, 1..400_i64).prop_map(|(to, parts, seconds)| Step::Hold { to, parts, seconds }),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        8 => (0..SOURCES.len()).prop_map(Step::Word),
        6 => (0..20_usize).prop_map(Step::Send),
        3 => (1..90_i64).prop_map(Step::Pass),
        4 => Just(Step::Due),
        3 => Just(Step::Fail),
        2 => Just(Step::Kill),
        1 => any::<bool>().prop_map(Step::Reload),
    ];
    prop::collection::vec(step, 1..60)
}

/// What must be kept.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Destination and end of each message.
    held: BTreeMap<u64, (usize, i64)>,
    /// Those that are being sent, with their destinations.
    claimed: BTreeMap<u64, usize>,
    silent: BTreeSet<&'static str>,
    /// When each peer was heard, or began to be watched.
    heard: BTreeMap<&'static str, i64>,
    notices: BTreeMap<&'static str, u64>,
}

struct World {
    folder: tempfile::TempDir,
    sender: watch::Sender<Arc<Settings>>,
    writer: Writer,
    queue: Arc<Queue>,
    model: Model,
    releases: Vec<Release>,
    now: i64,
    is_watched: bool,
    fails: bool,
}

fn start(folder: &Path, settings: &watch::Sender<Arc<Settings>>) -> (Writer, Arc<Queue>) {
    let (writer, queue, _commits, _journal) =
        open_configured(folder, settings.subscribe(), InflightJournal::default);
    (writer, queue)
}

impl World {
    fn new() -> Self {
        set_clocks(1_000);
        let folder = tempfile::tempdir().unwrap();
        let sender = watch::Sender::new(Arc::new(settings(CONFIG)));
        let (writer, queue) = start(folder.path(), &sender);
        let heard = PEERS.iter().map(|(name, ..)| (*name, 1_000)).collect();
        let model = Model { heard, ..Model::default() };
        let (releases, now) = (Vec::new(), 1_000);
        Self { folder, sender, writer, queue, model, releases, now, is_watched: true, fails: false }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Hold { to, parts, seconds } => self.hold(*to, *parts, *seconds),
            Step::Cancel(at) => self.cancel(*at),
            Step::Word(source) => self.word(*source),
            Step::Send(number) => self.send(*number),
            Step::Pass(seconds) => {
                self.now += seconds;
                set_clocks(self.now);
            }
            Step::Due => self.due(),
            Step::Fail => self.fails = true,
            Step::Kill => self.kill(),
            Step::Reload(is_watched) => self.reload(*is_watched),
        }
        self.compare();
    }

    /// Stores what is queued; where the disk fails, after a transaction that is complete and does not count.
    fn store(&mut self) {
        let mut batch = Batch::default();
        assert!(self.queue.take(&mut batch, None));
        let bytes = std::mem::take(&mut batch.bytes);
        if std::mem::take(&mut self.fails) {
            assert!(self.writer.attempt(&batch.items, &bytes).is_ok());
            self.writer.has_failed = true;
        }
        assert!(self.writer.store(&mut batch.items, &bytes));
    }

    fn hold(&mut self, to: usize, parts: usize, seconds: i64) {
        let (sender, mut stored) = oneshot::channel();
        let destination = match TO[to].0.parse() {
            Ok(address) => To::Address(address),
            Err(_) => To::Name(TO[to].0.to_owned()),
        };
        let new = NewHeld {
            to: destination,
            payloads: (0..parts).map(|part| vec![part as u8; 10]).collect(),
            detail: SentDetail::default(),
            at_ns: self.now * SECOND,
            until_ns: (self.now + seconds) * SECOND,
        };
        self.queue.hold(Box::new(HoldItem { new, stored: Some(sender) })).unwrap();
        self.store();
        let ids = stored.try_recv().unwrap().unwrap();
        assert_eq!(ids.len(), parts);
        for id in ids {
            assert!(self.model.held.insert(id, (to, self.now + seconds)).is_none());
        }
    }

    fn cancel(&mut self, at: prop::sample::Index) {
        let ids: Vec<_> = self.model.held.keys().copied().chain([1 << 40]).collect();
        let id = ids[at.index(ids.len())];
        let (sender, mut stored) = oneshot::channel();
        self.queue.cancel(Box::new(CancelItem { id, stored: Some(sender) })).unwrap();
        self.store();
        let is_removed = !self.model.claimed.contains_key(&id) && self.model.held.remove(&id).is_some();
        assert_eq!(stored.try_recv().unwrap() == 1, is_removed, "{id}");
    }

    fn word(&mut self, source: usize) {
        let peer: SocketAddr = SOURCES[source].parse().unwrap();
        let at_ns = self.now * SECOND;
        self.queue.intake(|intake| intake.datagram(at_ns, peer, None, b"word"));
        self.store();
        if let Some((name, ..)) = PEERS.iter().find(|(_, sources, _)| sources.contains(&source))
            && self.is_watched
        {
            self.model.heard.insert(name, self.now);
            if self.model.silent.remove(name) {
                *self.model.notices.entry("heard").or_default() += 1;
            }
        }
        let (model, now) = (&mut self.model, self.now);
        let waits = |(id, (to, until)): &(&u64, &(usize, i64))| {
            !model.claimed.contains_key(id) && *until > now && TO[*to].1.contains(&source)
        };
        let mut sent = [0; TO.len()];
        model.claimed.values().for_each(|to| sent[*to] += 1);
        let has_room = |(_, (to, _)): &(&u64, &(usize, i64))| {
            sent[*to] += 1;
            sent[*to] <= 16
        };
        let expected: Vec<u64> =
            model.held.iter().filter(waits).filter(has_room).map(|(id, _)| *id).take(16).collect();
        let released = self.take_releases();
        let ids: Vec<u64> =
            released.iter().flat_map(|release| release.rows.iter().map(|row| row.id)).collect();
        assert_eq!(ids, expected);
        let claimed: Vec<_> = ids.iter().map(|id| (*id, self.model.held[id].0)).collect();
        self.model.claimed.extend(claimed);
        self.releases.extend(released);
    }

    fn take_releases(&self) -> Vec<Release> {
        let mut next = Vec::new();
        while let Some(release) = self.writer.parts.kept.try_next_release() {
            next.push(release);
        }
        next
    }

    fn send(&mut self, number: usize) {
        if self.releases.is_empty() {
            return;
        }
        let release = self.releases.remove(0);
        let (sent, kept) = release.rows.split_at(number.min(release.rows.len()));
        for row in sent {
            let item = SentItem {
                at_ns: self.now * SECOND,
                peer: release.peer,
                local: None,
                payload: row.payload.clone(),
                detail: row.detail.clone(),
                held: Some(row.id),
                number: None,
                stored: None,
            };
            assert!(matches!(self.queue.send(Box::new(item), true, |_, _| Ok(())), Ok(None)));
            self.model.held.remove(&row.id);
            self.model.claimed.remove(&row.id);
        }
        if !sent.is_empty() {
            self.store();
        }
        self.writer.parts.kept.give_back(release.peer.ip(), kept.iter());
        self.writer.kept.take_returned();
        self.model.claimed.retain(|id, _| kept.iter().all(|row| row.id != *id));
    }

    /// What is due is noted at the second look, which comes soon after the first.
    fn due(&mut self) {
        for _ in 0..3 {
            for now_ns in [self.now * SECOND, self.now * SECOND + SECOND / 2] {
                set_clocks_ns(now_ns);
                let now = self.writer.kept.now();
                self.writer.note_due(now);
            }
            self.now += 1;
            set_clocks(self.now);
        }
        let now = self.now - 1;
        let Model { held, claimed, silent, heard, notices } = &mut self.model;
        if self.is_watched {
            for (name, _, after) in PEERS {
                if heard[name] + after < now && silent.insert(name) {
                    *notices.entry("silent").or_default() += 1;
                }
            }
        }
        let expired = |id: &u64, until: i64| !claimed.contains_key(id) && until <= now;
        held.retain(|id, (_, until)| !expired(id, *until));
        self.settle();
    }

    /// A peer whose deadline is this very moment may be silent or not.
    fn settle(&mut self) {
        let rows = silent_rows(&self.writer);
        for (name, _, after) in PEERS {
            let is_at_border = (self.now - 4..=self.now).contains(&(self.model.heard[name] + after));
            if is_at_border && rows.contains(name) && self.model.silent.insert(name) {
                *self.model.notices.entry("silent").or_default() += 1;
            }
        }
        let held: BTreeSet<u64> = held_rows(&self.writer).into_iter().collect();
        let (model, now) = (&mut self.model, self.now);
        model.held.retain(|id, (_, until)| held.contains(id) || !(now - 4..=now).contains(until));
    }

    fn kill(&mut self) {
        let (writer, queue) = start(self.folder.path(), &self.sender);
        (self.writer, self.queue) = (writer, queue);
        self.releases.clear();
        self.model.claimed.clear();
        self.model.heard = PEERS.iter().map(|(name, ..)| (*name, self.now)).collect();
    }

    fn reload(&mut self, is_watched: bool) {
        let text =
            if is_watched { CONFIG.to_owned() } else { CONFIG.replace("silent_after", "# silent_after") };
        self.sender.send_replace(Arc::new(settings(&text)));
        let now = self.writer.kept.now();
        self.writer.note_due(now);
        if !is_watched {
            self.model.silent.clear();
        } else if !self.is_watched {
            self.model.heard = PEERS.iter().map(|(name, ..)| (*name, self.now)).collect();
        }
        self.is_watched = is_watched;
        self.due();
    }

    fn compare(&self) {
        let held: Vec<u64> = self.model.held.keys().copied().collect();
        assert_eq!(held_rows(&self.writer), held, "in the table");
        let seen = self.writer.parts.kept.held_after(0, usize::MAX);
        assert_eq!(seen.iter().map(|row| row.id).collect::<Vec<_>>(), held, "in memory");
        let silent: BTreeSet<String> = self.model.silent.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(silent_rows(&self.writer), silent);
        let mut notices = BTreeMap::new();
        for notice in all_notices(&self.writer) {
            *notices.entry(notice.notice).or_insert(0) += 1;
        }
        for kind in ["silent", "heard"] {
            let expected = self.model.notices.get(kind).copied().unwrap_or(0);
            assert_eq!(notices.get(kind).copied().unwrap_or(0), expected, "{kind}");
        }
    }
}

fn set_clocks(seconds: i64) {
    set_clocks_ns(seconds * SECOND);
}

fn set_clocks_ns(now_ns: i64) {
    simulated::set(Clocks { wall_ns: now_ns, boottime_ns: now_ns, boot_id: 1 });
}

fn held_rows(writer: &Writer) -> Vec<u64> {
    let log = writer.connection.as_ref().unwrap();
    let mut statement = log.prepare("SELECT id FROM held ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn silent_rows(writer: &Writer) -> BTreeSet<String> {
    let log = writer.connection.as_ref().unwrap();
    let mut statement = log.prepare("SELECT name FROM silent").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn all_notices(writer: &Writer) -> Vec<NoticeDetail> {
    let (mut all, range) = (Vec::new(), Range { notices: true, ..Range::default() });
    let visit = |entry: Stored| {
        if let Body::Notice(notice) = entry.body {
            all.push(notice);
        }
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&range, visit, || true).unwrap();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_survives_kills_and_failed_transactions(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
    }
}

fn hold(writer: &mut Writer, to: &str, payloads: Vec<Vec<u8>>) -> Result<Vec<u64>, HeldFull> {
    hold_by(writer, "ann", to, payloads)
}

fn hold_by(writer: &mut Writer, by: &str, to: &str, payloads: Vec<Vec<u8>>) -> Result<Vec<u64>, HeldFull> {
    let (sender, mut stored) = oneshot::channel();
    let to = to.parse().map_or_else(|_| To::Name(to.to_owned()), To::Address);
    let detail = SentDetail { by: Some(by.to_owned()), ..SentDetail::default() };
    let new = NewHeld { to, payloads, detail, at_ns: 0, until_ns: i64::MAX };
    assert!(writer.store(&mut [Item::Hold(Box::new(HoldItem { new, stored: Some(sender) }))], &[]));
    stored.try_recv().unwrap()
}

#[test]
fn a_damaged_inbox_passes_on_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, ..) = open(folder.path());
    let ids = hold(&mut writer, "bob", vec![vec![1; 60_000], vec![2; 5], vec![3; 40_000]]).unwrap();
    let last = hold(&mut writer, "10.0.0.1:0", vec![vec![4; 10]]).unwrap()[0];
    let log = writer.connection.as_ref().unwrap();
    log.execute("INSERT INTO silent VALUES ('bob', 7, 5)", []).unwrap();
    log.execute("DELETE FROM held WHERE id = ?1", [last]).unwrap();
    checkpoint(log);
    drop(writer);
    // The root of the table `entry`.
    zero_page(folder.path(), 2);
    let (mut writer, ..) = open(folder.path());
    assert!(!writer.parts.health.problems().is_empty(), "it was replaced");
    let rows = writer.parts.kept.held_after(0, 10);
    let found: Vec<_> = rows.iter().map(|row| (row.id, row.payload.clone())).collect();
    assert_eq!(found, [(ids[0], vec![1; 60_000]), (ids[1], vec![2; 5]), (ids[2], vec![3; 40_000])]);
    assert_eq!(hold(&mut writer, "bob", vec![vec![5]]), Ok(vec![last + 1]), "no number is used again");
    // While the daemon runs, it knows better than the file.
    writer.parts.reader.damage().marker().give_up();
    writer.replace_damaged_or_report();
    assert_eq!(held_rows(&writer), [ids[0], ids[1], ids[2], last + 1]);
}

thread_local! {
    /// Another program's lock on the inbox, and for how many seconds it has it.
    static LOCK: RefCell<Option<(Connection, i64)>> = const { RefCell::new(None) };
}

/// Lets time pass while the inbox is locked, then ends that.
fn wait_for_lock(_attempts: i32) -> bool {
    let now_ns = simulated::get().unwrap().boottime_ns;
    if let Some((_lock, seconds)) = LOCK.take() {
        set_clocks(now_ns / SECOND + seconds);
    }
    true
}

#[test]
fn the_time_of_a_commit_that_hangs_counts_for_nobody() {
    let mut world = World::new();
    world.writer.connection.as_mut().unwrap().busy_handler(Some(wait_for_lock)).unwrap();
    LOCK.set(Some((lock(world.folder.path()), 60)));
    receive(&world.queue, b"of somebody else");
    let taken = world.writer.kept.now();
    let mut batch = Batch::default();
    assert!(world.queue.take(&mut batch, None));
    while !world.queue.is_filling() {
        receive(&world.queue, &[7; 60_000]);
    }
    assert!(world.writer.store(&mut batch.items, &batch.bytes));
    world.now += 60;
    for taken in [taken, world.writer.kept.now()] {
        world.writer.note_due(taken);
    }
    world.due();
    assert!(all_notices(&world.writer).is_empty(), "messages of bob may have been dropped");
}

#[test]
fn silence_is_noticed_where_every_commit_is_slow() {
    const SECONDS: i64 = 3;
    let mut world = World::new();
    world.writer.connection.as_mut().unwrap().busy_handler(Some(wait_for_lock)).unwrap();
    let began = world.now;
    while all_notices(&world.writer).is_empty() {
        LOCK.set(Some((lock(world.folder.path()), SECONDS)));
        receive(&world.queue, b"of somebody else");
        let taken = world.writer.kept.now();
        store_all(&mut world.writer, &world.queue);
        world.writer.note_due(taken);
        world.now += SECONDS;
        assert!(world.now <= began + 10 + 5 * SECONDS, "within five commits");
    }
    let notices = all_notices(&world.writer);
    assert_eq!((notices[0].notice.as_str(), notices[0].name.as_deref()), (NoticeDetail::SILENT, Some("bob")));
}
