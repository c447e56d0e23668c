//! `udpchatctl`: sends and reads through the control socket of `udpchatd`.
//!
//! A run parses its arguments (`cli`), finds the daemon (`connect`), runs one `command`, and turns what
//! happened into an exit code (`error`). All that it knows of the daemon came over the socket; all that it
//! prints goes through `output`; full screens are drawn in `chat` and `watch`. Only `doctor` looks at the machine
//! itself.

mod cli;
mod command;
mod connect;
mod error;
mod output;
mod socket_access;
mod terminal;
mod time;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{Cli, Command, Look, Parsed};
use crate::command::man::run;
use crate::command::{
    Context, ask, completions, export, inbox, peers, recode, reload, replay, reply, send, status, stop,
    version, wait,
};
use crate::error::{CtlError, Result};
use crate::output::Output;

/// Runs `udpchatctl` with the arguments of the process and returns its exit code.
///
/// The codes: 0 done, 1 failed, 2 wrong use, 3 no daemon, 4 timed out, 5 could not be sent, 6 not permitted.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut output = Output::new(&Look::peek(&arguments));
    if let Some(answer) = completions::candidates::answer(&arguments) {
        // A shell has no use for an error.
        drop(output.data(&answer).and_then(|()| output.flush()));
        return ExitCode::SUCCESS;
    }
    let done = run(arguments, &mut output).and_then(|()| output.flush());
    let Err(error) = done else { return ExitCode::SUCCESS };
    output.failure(&error);
    error.exit().into()
}

fn run(arguments: Vec<OsString>, output: &mut Output) -> Result<()> {
    let cli = match Cli::parse(arguments) {
        Parsed::Run(cli) => *cli,
        Parsed::Show(help) => return output.help(&help),
        Parsed::Wrong(error) => return Err(CtlError::from_clap(&error)),
    };
    output.set_look(&Look::from(&cli.global));
    // Everything is awaited one after the other: one thread is enough, and the cheapest to start.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CtlError::failed("the program cannot start").caused_by(&error))?;
    let context = Context { output, socket: cli.global.socket };
    let done = runtime.block_on(dispatch(cli.command, context));
    // A read of standard input that is still waiting must not hold up the end.
    runtime.shutdown_background();
    done
}

async fn dispatch(command: Command, context: Context<'_>) -> Result<()> {
    match command {
        Command::Send(arguments) => send::run(context, &arguments).await,
        Command::Reply(arguments) => reply::run(context, &arguments).await,
        Command::Ask(arguments) => ask::run(context, &arguments).await,
        Command::Wait(arguments) => wait::run(context, &arguments).await,
        Command::Inbox(arguments) => inbox::run(context, &arguments).await,
        Command::Export(arguments) => export::run(context, &arguments).await,
        Command::Replay(arguments) => replay::run(context, &arguments).await,
        Command::Recode(arguments) => recode::run(context, &arguments).await,
        Command::Chat(arguments) => command::chat::run(context, &arguments).await,
        Command::Peers => peers::run(context).await,
        Command::Status(arguments) => status::run(context, &arguments).await,
        Command::Doctor(arguments) => command::doctor::run::run(context, &arguments).await,
        Command::Reload => reload::run(context).await,
        Command::Stop => stop::run(context).await,
        Command::Completions(arguments) => completions::run(context.output, &arguments),
        Command::Man(arguments) => run::run(context.output, &arguments),
        Command::Version => version::run(context).await,
    }
}
