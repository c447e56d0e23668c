//! End-to-end tests: the real binaries over real sockets.
//!
//! Every daemon listens on port 0 of loopback in a folder of its own, and every wait is for an event. Longer
//! campaigns run the same tests with larger figures: `UDPCHAT_CAMPAIGN=full cargo test --release --test e2e`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why on standard error"
)]

mod commands;
mod configuration;
mod control;
mod inbox;
mod project;
mod receiving;
mod sending;
mod service;
#[path = "../support/mod.rs"]
mod support;
mod text;
