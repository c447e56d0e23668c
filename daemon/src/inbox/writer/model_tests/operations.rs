//! What can happen to an inbox.

use proptest::prelude::*;
use udpchat_config::Encoding;

use super::machine::{DAY, HOUR, SECOND, YEAR};

pub(super) const PEERS: [&str; 5] =
    ["127.0.0.1:5", "127.0.0.1:6", "10.0.0.1:7788", "[::1]:9", "[fe80::1%7]:7788"];
pub(super) const CONSUMERS: [&str; 2] = ["", "an other"];

/// A place in something whose length is known only when it is used: a part of that length, of 2^32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) u32);

impl Place {
    /// Returns the index in something of this length, which is not 0.
    pub(super) fn index(self, length: usize) -> usize {
        ((u64::from(self.0) * length as u64) >> 32) as usize
    }
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Messages of one peer arrive at once.
    Receive {
        peer: usize,
        content: Content,
        count: usize,
    },
    /// Messages arrive until the queue is full and some were dropped.
    Flood,
    /// Datagrams arrive that are not to be stored.
    Unwanted {
        denied: u64,
        own: u64,
    },
    /// The kernel has dropped datagrams.
    KernelDrops(u64),
    /// These get their gap.
    AddGap,
    Send {
        peer: usize,
        content: Content,
        outcome: Outcome,
    },
    /// A message is to be held, in so many datagrams.
    Hold {
        content: Content,
        parts: usize,
    },
    /// A held message is cancelled.
    Cancel(Place),
    /// A held message is sent.
    SendHeld {
        peer: usize,
        at: Place,
        outcome: Outcome,
    },
    Mark {
        consumer: usize,
        at: Place,
    },
    /// Messages of one peer get another encoding, the newest of them up to a number.
    Recode {
        peer: usize,
        most: usize,
        encoding: Option<Encoding>,
        remember: bool,
    },
    Limits {
        max_mib: Option<u32>,
        max_age_hours: Option<u32>,
    },
    /// Time passes while the daemon runs.
    Pass(i64),
    /// The clock is set.
    Step(i64),
    /// The writer takes and stores everything that is queued.
    Store,
    /// The writer finds nothing to store.
    Idle,
    /// The index becomes complete.
    Index,
    Read(Page),
    /// The daemon ends, and the next one starts.
    End(End),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Empty,
    Text(usize),
    Binary,
    Chinese(Encoding),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Sent,
    Refused,
    NotNow,
}

/// Pages of a reader.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) after: Option<Place>,
    pub(super) before: Option<Place>,
    pub(super) since: Option<Place>,
    pub(super) until: Option<Place>,
    pub(super) kinds: (bool, bool, bool),
    pub(super) peer: Option<usize>,
    pub(super) falling: bool,
    pub(super) limit: usize,
    pub(super) patient: bool,
}

#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) how: How,
    /// How long the daemon does not run, though the machine does; how far the clock is set meanwhile.
    pub(super) down_ns: i64,
    pub(super) step_ns: i64,
    /// Whether the machine is restarted; after a power cut it always is.
    pub(super) reboot: bool,
}

#[derive(Clone, Debug)]
pub(super) enum How {
    /// Everything is stored first.
    Stop,
    Kill,
    /// After a transaction, which is not published.
    KillAfterCommit(Place),
    /// After so much of what a transaction writes.
    KillInCommit(Place, Place),
    /// After so much of what a step of maintenance writes.
    KillInMaintenance(Place),
    /// In a transaction; of its unsynced frames these are written, the first by the lowest bit. The journal is that of an earlier moment.
    PowerCut(Place, u64, Place),
}

pub(super) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..40)
}

fn operation() -> impl Strategy<Value = Operation> {
    let content = || {
        prop_oneof![
            1 => Just(Content::Empty),
            4 => (0..200_usize).prop_map(Content::Text),
            2 => (200..9_000_usize).prop_map(Content::Text),
            1 => (9_000..65_000_usize).prop_map(Content::Text),
            1 => Just(Content::Binary),
            1 => chinese().prop_map(Content::Chinese),
        ]
    };
    let peer = || 0..PEERS.len();
    let outcome =
        || prop_oneof![6 => Just(Outcome::Sent), 1 => Just(Outcome::Refused), 1 => Just(Outcome::NotNow)];
    prop_oneof![
        16 => (peer(), content(), 1..12_usize)
            .prop_map(|(peer, content, count)| Operation::Receive { peer, content, count }),
        5 => (peer(), 500..2_500_usize)
            .prop_map(|(peer, count)| Operation::Receive { peer, content: Content::Text(20), count }),
        1 => prop::bool::weighted(0.2).prop_map(|really| if really { Operation::Flood } else { Operation::Store }),
        2 => (0..3_u64, 0..3_u64).prop_map(|(denied, own)| Operation::Unwanted { denied, own }),
        2 => (1..50_u64).prop_map(Operation::KernelDrops),
        2 => Just(Operation::AddGap),
        4 => (peer(), content(), outcome())
            .prop_map(|(peer, content, outcome)| Operation::Send { peer, content, outcome }),
        4 => (0..200_usize, 1..6_usize)
            .prop_map(|(length, parts)| Operation::Hold { content: Content::Text(length), parts }),
        2 => place().prop_map(Operation::Cancel),
        4 => (peer(), place(), outcome())
            .prop_map(|(peer, at, outcome)| Operation::SendHeld { peer, at, outcome }),
        10 => (0..CONSUMERS.len(), place()).prop_map(|(consumer, at)| Operation::Mark { consumer, at }),
        5 => (peer(), 1..200_usize, prop::option::weighted(0.7, chinese()), any::<bool>()).prop_map(
            |(peer, most, encoding, remember)| Operation::Recode { peer, most, encoding, remember }
        ),
        4 => limits(),
        4 => time().prop_map(Operation::Pass),
        4 => step().prop_map(Operation::Step),
        14 => Just(Operation::Store),
        6 => Just(Operation::Idle),
        2 => Just(Operation::Index),
        10 => page().prop_map(Operation::Read),
        9 => end().prop_map(Operation::End),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    any::<u32>().prop_map(Place)
}

fn chinese() -> impl Strategy<Value = Encoding> {
    prop_oneof![Just(Encoding::GB18030), Just(Encoding::UTF_8)]
}

fn limits() -> impl Strategy<Value = Operation> {
    let max_mib = prop::option::of(prop_oneof![Just(1_u32), Just(2), Just(8)]);
    let max_age_hours = prop::option::weighted(0.6, prop_oneof![Just(1_u32), Just(24), Just(24 * 90)]);
    (max_mib, max_age_hours).prop_map(|(max_mib, max_age_hours)| Operation::Limits { max_mib, max_age_hours })
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(SECOND / 10),
        Just(SECOND),
        Just(HOUR),
        Just(DAY),
        Just(50 * DAY),
        (0..100 * DAY).prop_map(|ns| ns),
    ]
}

fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0),
        Just(SECOND / 2),
        Just(HOUR),
        Just(-HOUR),
        Just(YEAR),
        Just(-YEAR),
        Just(-56 * YEAR),
        Just(56 * YEAR),
        -100 * DAY..100 * DAY,
    ]
}

fn page() -> impl Strategy<Value = Page> {
    let maybe = || prop::option::weighted(0.4, place());
    let limit = prop_oneof![1..20_usize, 20..1_500_usize, Just(usize::MAX)];
    let kinds = prop_oneof![
        3 => Just((true, true, true)),
        2 => any::<(bool, bool, bool)>(),
    ];
    (
        (maybe(), maybe(), maybe(), maybe()),
        kinds,
        prop::option::weighted(0.4, 0..PEERS.len()),
        (any::<bool>(), any::<bool>()),
        limit,
    )
        .prop_map(|((after, before, since, until), kinds, peer, (falling, patient), limit)| Page {
            after,
            before,
            since: since.filter(|_| patient),
            until: until.filter(|_| patient),
            kinds,
            peer,
            falling,
            limit,
            patient,
        })
}

fn end() -> impl Strategy<Value = End> {
    let at = place;
    let how = prop_oneof![
        3 => Just(How::Stop),
        2 => Just(How::Kill),
        2 => at().prop_map(How::KillAfterCommit),
        3 => (at(), at()).prop_map(|(commit, at)| How::KillInCommit(commit, at)),
        2 => at().prop_map(How::KillInMaintenance),
        3 => (at(), any::<u64>(), at()).prop_map(|(commit, kept, page)| How::PowerCut(commit, kept, page)),
    ];
    let sometimes = |strategy: BoxedStrategy<i64>| prop_oneof![2 => Just(0), 1 => strategy];
    (how, sometimes(time().boxed()), sometimes(step().boxed()), prop::bool::weighted(0.3))
        .prop_map(|(how, down_ns, step_ns, reboot)| End { how, down_ns, step_ns, reboot })
}
