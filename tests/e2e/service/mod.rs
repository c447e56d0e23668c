//! The daemon as a service: its service manager, its environment, its log and its metrics.
//!
//! Tests that need a real systemd are in `tests/service`.

mod log;
mod metrics;
mod problems;
mod refused_start;
mod surroundings;
mod systemd;
