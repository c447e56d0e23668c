//! The interface of the log that the index requires.

use std::net::SocketAddr;

use super::term::Term;

/// An error of reading the log.
pub(crate) type LogError = Box<dyn std::error::Error + Send + Sync>;

/// The log that an index is built from.
pub(crate) trait Log: Send + Sync {
    /// Returns the oldest and the newest id.
    fn id_range(&self) -> Result<(u64, u64), LogError>;

    /// Returns whether the log has an entry.
    fn has(&self, anchor: Anchor) -> Result<bool, LogError>;

    /// Calls `visit` with the entries from `ids.0` up to and without `ids.1`, if the log has the entry `known`; false if it
    /// does not.
    fn visit(
        &self,
        known: Option<Anchor>,
        ids: (u64, u64),
        visit: &mut dyn FnMut(IndexedEntry<'_>),
    ) -> Result<bool, LogError>;
}

/// An entry by which a log is recognised: another log hardly has one with the same id and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) id: u64,
    /// Nanoseconds since 1970.
    pub(crate) at_ns: i64,
}

/// The parts of an entry that are indexed.
pub(crate) struct IndexedEntry<'a> {
    pub(crate) anchor: Anchor,
    /// The term of its kind; received messages have none.
    pub(crate) kind: Option<Term>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) payload: &'a [u8],
}

/// The order of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Rising ids.
    #[default]
    Asc,
    /// Falling ids.
    Desc,
}
