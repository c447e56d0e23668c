//! The service: the units and the programs under a real systemd, which each test boots as process 1 of namespaces of its
//! own.
//!
//! It takes root and systemd, so `cargo test` leaves it out: `cargo test --test service` runs it, and
//! `UDPCHAT_CAMPAIGN=full cargo test --release --test service` with larger figures.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why on standard error"
)]

mod crash_loop;
mod lifecycle;
mod machine;
mod restarts;
mod sockets;
mod suite;
#[expect(dead_code, unused_imports, reason = "the end-to-end tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod units;
mod user;
mod watchdog;
