//! The inbox: an ordered log of entries in one SQLite file, `inbox.db`, which one thread writes.
//!
//! Received messages, sent messages and gaps share one sequence of rising ids. Unread messages, history, followers and a
//! script's cursor are all reads from one id on.
//!
//! What belongs here: storage only. [`queue`] takes what is to be stored, [`writer`] commits it, [`reader`] reads it, and
//! [`mod@file`] opens, creates, migrates and quarantines the file. [`inflight`] counts what is received but not yet committed.
//! [`kept`] has what is kept besides the log: held messages and silent peers.
//! [`damage`] says which ids of the file cannot be read, and [`recovery`] reads what is left of a damaged file.
//! What does not: the wire types of the control socket, decoding of text, configuration of peers. Reception, sending and
//! control may depend on this folder; it depends on [`crate::index`], which speeds up scans.

pub(crate) mod address;
pub(crate) mod bounced_peers;
pub(crate) mod commit_watch;
pub(crate) mod damage;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod file;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod inflight;
pub(crate) mod kept;
pub(crate) mod learned_encodings;
mod queries;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod recovery;
mod row;
pub(crate) mod writer;

pub(crate) use error::InboxError;
