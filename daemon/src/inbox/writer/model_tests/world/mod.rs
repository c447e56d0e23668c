//! Applies each operation to the daemon and to the reference, and compares them.
//!
//! [`state`] holds both, and each other file has the operations of one subject: [`queueing`] what arrives and what clients
//! request, [`storing`] transactions and retention, [`comparing`] reads, [`ending`] crashes and starts. [`applying`] chooses.

mod applying;
mod comparing;
mod ending;
mod queueing;
mod state;
mod storing;

pub(super) use self::state::World;
