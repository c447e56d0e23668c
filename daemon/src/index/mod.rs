//! The index says which parts of the log certainly hold nothing that a query wants, so that a reader skips them.
//!
//! The log is cut into [`blocks`] of 1,024 ids. Of each block the index has two Bloom filters ([`bloom`]), which have no
//! false negatives, and its earliest and latest time. A query becomes a [`predicate`], a regular expression by way of
//! [`regex_terms`]; a [`block_scan`] then leads a reader past the blocks that do not meet it. What is not in the index, or
//! cannot be read from it, is read entry by entry: the index makes answers faster and never different.
//!
//! The file ([`store`], [`mod@write`]) is derived data: the [`indexer`] creates it again from the log when it is missing,
//! damaged, of another version or of another log.
//!
//! This folder uses the log only through the trait [`Log`]; the inbox depends on it, not the reverse.

mod block_scan;
mod blocks;
mod bloom;
pub(crate) mod checksum;
mod error;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod indexer;
mod log;
pub(crate) mod predicate;
pub(crate) mod regex_terms;
mod shared;
mod spellings;
mod store;
mod term;
mod write;

pub(crate) use blocks::{SEGMENT_IDS, whole_ids};
pub(crate) use log::{Anchor, IndexedEntry, Log, LogError, Order};
pub(crate) use shared::{Index, newest_id_in, oldest_id_in};
pub(crate) use term::Term;
pub(crate) use write::remove_all as remove;

#[cfg(test)]
mod tests;
