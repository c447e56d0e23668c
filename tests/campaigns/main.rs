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

mod bounces;
mod churn;
mod client;
mod clients;
mod counters;
mod damage;
mod disks;
mod hostile;
mod kills;
mod load;
mod lost_writes;
mod memory_group;
mod mounts;
mod power_cuts;
mod random;
mod soak;
mod steady;
#[path = "../support/mod.rs"]
mod support;
mod system_calls;
mod traffic;
mod watch;
mod watched;
