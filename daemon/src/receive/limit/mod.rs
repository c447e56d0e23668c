//! Limits how many datagrams and bytes are accepted from one source, before they reach the queue.
//!
//! [`bucket`] is the algorithm for one source, [`source`] what counts as one, [`table`] holds a bounded number of them and
//! counts what is dropped, and [`limits`] is what reception, a reload and `status` share. Only [`limits`] reads a clock.

mod bucket;
mod limits;
mod source;
mod table;

pub(super) use limits::Gate;
pub(crate) use limits::Limits;
pub(super) use table::Excess;
