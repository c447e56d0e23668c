//! `udpchatd`: the daemon that holds a UDP port, keeps what arrives, and serves the control socket.
//!
//! `receive` moves datagrams from the kernel into the queue of the `inbox`, whose writer makes them durable; `control` and
//! `message_log` read them from there; `send` records sent messages in the same log. `startup` opens all of it in order.

mod backup;
mod clock;
mod configuration;
mod control;
mod encoding;
mod error;
mod failure;
mod faults;
mod health;
mod inbox;
mod index;
mod index_thread;
mod log;
mod message_log;
mod metrics;
mod net;
mod peers;
mod problem_watch;
mod receive;
mod send;
mod service;
mod signals;
mod startup;
mod state;
mod status_line;

use std::process::ExitCode;

use udpchat_config::Flags;

/// Runs the daemon until it is stopped; returns its exit status.
pub fn main() -> ExitCode {
    match startup::run(&Flags::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}
