//! `udpchatd`: the daemon that holds a UDP port, keeps what arrives, and serves the control socket.
//!
//! `receive` moves datagrams from the kernel into the queue of the `inbox`, whose writer makes them durable; `control` and
//! `message_log` read them from there; `send` records sent messages in the same log. `startup` opens all of it in order.

mod accept;
mod backup;
mod clock;
mod command_line;
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

use udpchat_config::LogFormat;
use udpchat_locale::{Language, set_language};

/// Runs the daemon until it is stopped; returns its exit status.
pub fn main() -> ExitCode {
    // What goes to the journal is a part of the log, which is English.
    let is_for_the_log = service::systemd::stderr_is_journal();
    set_language(if is_for_the_log { Language::English } else { Language::of_environment() });
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let flags = match command_line::parse(&arguments) {
        Ok(flags) => flags,
        Err(exit_code) => return exit_code,
    };
    let mut log_format = LogFormat::Text;
    match startup::run(&flags, &mut log_format) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match log_format {
                LogFormat::Text => failure.print(),
                LogFormat::Json => failure.log(),
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
