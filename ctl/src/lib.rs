//! `udpchatctl`: sends and reads through the control socket of `udpchatd`.
//!
//! A run parses its arguments (`cli`), runs one `command`, which connects to the daemon (`connect`), and turns the result
//! into an exit code (`error`). All its data about the daemon comes over the control socket. Everything that it
//! prints goes through `output`; `chat` and `status --watch` draw full screens on the `terminal`. Only `doctor` examines
//! the machine itself.

mod cli;
mod command;
mod connect;
mod error;
mod other_words;
mod output;
mod process;
mod reconnect;
mod socket_access;
mod systemd;
mod template;
mod terminal;
mod time;

use std::ffi::OsString;
use std::process::ExitCode;

use nix::sys::signal::Signal::SIGXFSZ;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use udpchat_config::Misread;
use udpchat_locale::{Language, set_language, tr};

use crate::cli::{Cli, Parsed, peek_look};
use crate::command::completions;
use crate::command::context::Context;
use crate::command::send::apparent_encoding;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// Runs `udpchatctl` with the arguments of the process and returns its exit code.
///
/// The codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 timed out, 5 could not be sent, 6 not permitted.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let look = peek_look(&arguments);
    // What programs read is English.
    set_language(if look.json { Language::English } else { Language::of_environment() });
    let mut output = Output::new(&look);
    if let Some(answer) = completions::answer(&arguments, Cli::definition) {
        // A shell cannot use an error.
        drop(output.data(&answer).and_then(|()| output.flush()));
        return ExitCode::SUCCESS;
    }
    let done = run(arguments, &mut output);
    let done = done.and(output.finish());
    let Err(error) = done else { return ExitCode::SUCCESS };
    output.failure(&error);
    error.exit().into()
}

fn run(arguments: Vec<OsString>, output: &mut Output) -> Result<()> {
    let cli = match Cli::parse(arguments) {
        Parsed::Run(cli) => *cli,
        Parsed::Show(help) => return output.help(&help),
        Parsed::Wrong(error, name) => return Err(CtlError::from_clap(&error, name.as_deref())),
        Parsed::Misread(Misread { argument, option }) => {
            let text = tr!("`{argument}` has a dash that is no hyphen", argument);
            return Err(CtlError::usage(text)
                .hint(tr!("write `{option}` with hyphens; as a text it stands behind `--`", option)));
        }
        Parsed::NotUtf8(number, bytes) => return Err(not_utf8(number, &bytes)),
    };
    output.set_look(&cli.global.look());
    // A command awaits one thing after the other, so one thread is enough, and it is the cheapest to start.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CtlError::failed(tr!("the program cannot start")).caused_by(&error))?;
    let _file_size = catch_file_size_limit(&runtime);
    let socket = cli.global.socket;
    let context = Context { output, socket: socket.clone() };
    let done = runtime.block_on(async {
        match command::run(cli.command, context, Cli::definition).await {
            Err(error) => Err(connect::explain_lost(socket.as_deref(), error).await.of_command(&cli.name)),
            done => done,
        }
    });
    // A pending read of standard input must not delay the exit.
    runtime.shutdown_background();
    done
}

/// Returns the error of an argument that is not UTF-8, as a terminal with another encoding writes it.
fn not_utf8(number: usize, bytes: &[u8]) -> CtlError {
    CtlError::usage(tr!("argument {number} is not UTF-8", number)).hint(match apparent_encoding(bytes) {
        Some(encoding) => tr!(
            "it looks like {encoding}: switch the terminal to UTF-8; a text can also come from standard input, through `iconv -f {encoding} -t utf-8`",
            encoding
        ),
        None => tr!("switch the terminal to UTF-8").to_owned(),
    })
}

/// Makes a file size limit (setrlimit(2)) an error of a write, and not the end of the process. The signal is only caught, and
/// only where there is a limit.
fn catch_file_size_limit(runtime: &Runtime) -> Option<Signal> {
    udpchat_config::size_limit()?;
    let _entered = runtime.enter();
    signal(SignalKind::from_raw(SIGXFSZ as i32)).ok()
}
