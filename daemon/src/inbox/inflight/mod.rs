//! The in-flight journal counts datagrams received but not yet committed, in a file that survives a crash of the process.
//!
//! A received message, and a datagram known to be lost, is pending until a transaction that holds it, or a gap for it, is
//! durable. Until then it is in memory only, and the process can be killed at any moment. So the journal writes a [`page`]
//! after each batch and each transaction: how much is pending, and behind which entry of the log. The page is in a file, in
//! the kernel's page cache, which survives the process. The next daemon compares the page with what the log holds behind
//! that entry, and adds gaps for what is missing.
//!
//! The comparison can miss losses, and never invents any. Each transaction is durable before the page says so, hence the
//! log holds at least what the page says it holds. After a power cut the page may be older than the log: what was committed
//! since then counts as pending, so the difference is what is missing, or less. A page that is torn, or belongs to another
//! log, is ignored.
//!
//! Only the queue writes the journal, under its lock; the writer opens it and compares it with the log.

mod counts;
mod journal;
mod page;

pub(crate) use self::counts::EntryCounts;
pub(crate) use self::journal::{InflightJournal, last_durable};
#[cfg(test)]
pub(super) use self::page::SocketDrops;
