//! End-to-end tests: the real binaries over real sockets.
//!
//! Every daemon listens on port 0 of loopback in a folder of its own, and every wait is for an event. Longer
//! campaigns run the same tests with larger figures: `UDPCHAT_CAMPAIGN=full cargo test --release --test e2e`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why on standard error"
)]

mod access;
mod any_datagram;
mod audit;
mod backup;
mod bad_use;
mod chat;
mod completion;
mod configuration;
mod control_socket;
mod doctor;
mod durable;
mod encodings;
mod ended;
mod export;
mod faults;
mod groups;
mod index;
mod layering;
mod log;
mod manual;
mod metrics;
mod migration;
mod peers;
mod protocol;
mod reading;
mod readme;
mod recode;
mod replay;
mod retention;
mod roles;
mod safe_text;
mod sending;
mod socket_file;
mod supervised;
mod support;
mod surroundings;
mod waiting;
mod watch;
