//! Campaigns: many faults, chosen by a seed, against the real binaries, with a verdict for each.
//!
//! The usual size is short. `UDPCHAT_CAMPAIGN=full` runs everything, and `UDPCHAT_SEED` chooses another selection of the short
//! one. Each campaign prints its seed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why on standard error"
)]
#![allow(dead_code, unused_imports, reason = "the campaigns use a part of what the end-to-end tests share")]

mod churn;
mod client;
mod clients;
mod counters;
mod damage;
mod hostile;
mod memory_group;
mod random;
mod soak;
#[path = "../support/mod.rs"]
mod support;
mod system_calls;
mod traffic;
mod watch;
