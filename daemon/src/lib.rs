//! `udpchatd`: the daemon that holds a UDP port, keeps what arrives, and serves the control socket.
//!
//! `receive` moves datagrams from the kernel into the queue of the `inbox`, whose writer makes them durable; `control` and
//! `message_log` read them from there; `send` records sent messages in the same log. `startup` opens all of it in order.

mod accept;
mod backup;
mod clock;
mod configuration;
mod control;
mod error;
mod failure;
mod faults;
#[cfg(fuzzing)]
pub mod fuzzing;
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
mod recover;
mod repair_thread;
mod send;
mod service;
mod signals;
mod startup;
mod state;
mod status_line;

use std::ffi::OsString;
use std::process::ExitCode;

use udpchat_api::safe::one_line;
use udpchat_config::Flags;

/// Runs the daemon until it is stopped; returns its exit status.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let flags = match Flags::of(&arguments) {
        Ok(flags) => flags,
        Err(error) => {
            // The error quotes arguments: it is made again of arguments that are safe to show.
            let safe = arguments.iter().map(|argument| one_line(&argument.to_string_lossy()).into_owned());
            Flags::of(safe).err().unwrap_or(error).exit()
        }
    };
    match startup::run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}
