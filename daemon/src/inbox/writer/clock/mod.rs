//! The history of the system's clock, by which retention judges the age of entries.
//!
//! Times of entries are those of a clock that anyone may set. While the machine runs, `CLOCK_BOOTTIME` shows how much time has
//! passed; where `CLOCK_REALTIME` shows something else, it was set. The table `clock` keeps these steps, so that a later step
//! changes no age. The reasons are in the decision record "The log keeps a history of the clock".
//!
//! What belongs here: finding steps ([`history`]), judging ages with them ([`ages`]), and the table ([`store`]). Removing
//! entries belongs to [`super::retention`].

pub(super) mod ages;
pub(super) mod history;
pub(super) mod period;
mod store;
pub(super) mod tracker;
