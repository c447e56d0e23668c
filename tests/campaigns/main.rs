//! Campaigns: many seeded variants of a fault against the real binaries. Each prints its seed, its size and a verdict.
//!
//! `cargo test --test campaigns` runs a small number; the environment sets larger ones, see each module.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why on standard error"
)]

mod damage;
#[expect(dead_code, unused_imports, reason = "the end-to-end tests use the rest of it")]
#[path = "../support/mod.rs"]
mod support;
