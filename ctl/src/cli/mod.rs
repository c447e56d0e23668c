//! The command line: global flags, and parsing.
//!
//! Belongs here: the root of the definition. Does not belong here: the arguments and help of a command, which are in the
//! file of the command. Only the crate root may use this folder.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, ValueEnum, ValueHint};
use udpchat_config::{Misread, misread};
use udpchat_locale::{help, tr};

use crate::command::Command;
use crate::output::style::Look;

const HELP: &str = "\
Examples:
  udpchatctl send 192.168.43.159:8080 hello
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl chat bob
  udpchatctl reply '#812' thanks
  udpchatctl export -o inbox.jsonl
  udpchatctl status
  udpchatctl doctor

Data is printed on standard output, notes and errors on standard error.

Exit codes:
  0  done          1  failed                  2  wrong usage      3  no daemon
  4  timed out     5  could not be sent       6  not permitted

Environment:
  UDPCHAT_SOCKET   the daemon's control socket
  UDPCHAT_PAGER    the pager for long output, before PAGER [default: less];
                   empty: none
  NO_COLOR         no colour, if set and not empty
  UDPCHAT_LANG     the language, if it is en or zh; otherwise the first that is
                   set of LC_ALL, LC_MESSAGES and LANG decides";

/// Sends and reads messages through udpchatd, the daemon that holds the UDP port.
#[derive(Debug, Parser)]
#[command(name = "udpchatctl", bin_name = "udpchatctl", version, after_help = HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The name of the command.
    #[arg(skip)]
    pub(crate) name: String,
}

/// The flags that every command accepts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The daemon's control socket [default: UDPCHAT_SOCKET, then the user's own, then the system's]
    #[arg(long, value_name = "PATH", global = true, value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON, one object per line; errors too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour; auto respects NO_COLOR and TERM=dumb, and uses none in pipes
    #[arg(long, value_name = "WHEN", value_enum, ignore_case = true, default_value_t = ColorChoice::Auto, global = true)]
    pub(crate) color: ColorChoice,
    /// Print only data and errors, no notes and no confirmations
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Do not show long output on a terminal in a pager
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
}

impl GlobalArgs {
    /// Returns how output looks.
    pub(crate) fn look(&self) -> Look {
        Look { json: self.json, color: self.color, quiet: self.quiet, pager: !self.no_pager }
    }
}

/// The result of parsing the command line.
pub(crate) enum Parsed {
    /// A command to run.
    Run(Box<Cli>),
    /// Help or the version, for standard output.
    Show(clap::builder::StyledStr),
    /// Wrong usage, with the command that the arguments name.
    Wrong(clap::Error, Option<String>),
    /// An option that is none, and that a command may take for text.
    Misread(Misread),
    /// An argument that is not UTF-8 where a text is expected: its number, and its bytes.
    NotUtf8(usize, Vec<u8>),
}

impl Cli {
    /// Parses the arguments; the first one is the name of the program.
    pub(crate) fn parse(arguments: Vec<OsString>) -> Parsed {
        if let Some(misread) = misread(&arguments, Self::command) {
            return Parsed::Misread(misread);
        }
        let parsed = match Self::of_one_command(&arguments) {
            Some(cli) => Ok(cli),
            None => Self::parse_as(Self::command(), &arguments),
        };
        match parsed {
            Ok(cli) => Parsed::Run(Box::new(cli)),
            Err(error) if error.kind() == ErrorKind::DisplayVersion => Parsed::Show(error.render()),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                Parsed::Show(Self::help(&arguments).unwrap_or(error).render())
            }
            Err(error) => {
                if error.kind() == ErrorKind::InvalidUtf8
                    && let Some((number, argument)) = not_utf8(&arguments)
                {
                    return Parsed::NotUtf8(number, argument.as_encoded_bytes().to_vec());
                }
                Parsed::Wrong(Self::unstyled(&arguments).unwrap_or(error), command_name(&arguments))
            }
        }
    }

    /// Parses arguments by the definition of their command alone: that of all commands takes more time than `version`.
    /// Returns nothing if they are wrong or ask for help.
    fn of_one_command(arguments: &[OsString]) -> Option<Self> {
        let command = Command::definition_of(&command_word(arguments)?)?;
        let root = GlobalArgs::augment_args(clap::Command::new("udpchatctl"));
        Self::parse_as(root.subcommand(command), arguments).ok()
    }

    /// Returns the definition of the command line, with help in the user's language.
    pub(crate) fn definition() -> clap::Command {
        help::translated(Self::command())
    }

    /// Returns the help that arguments ask for, in the user's language. A run that shows no help does not translate it.
    fn help(arguments: &[OsString]) -> Option<clap::Error> {
        let is_brief =
            arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "-h");
        let definition = if is_brief { brief(Self::definition()) } else { Self::definition() };
        Self::parse_as(help::prepared(definition), arguments).err()
    }

    fn parse_as(command: clap::Command, arguments: &[impl AsRef<OsStr>]) -> Result<Self, clap::Error> {
        let arguments = arguments.iter().map(AsRef::as_ref);
        let found = command.try_get_matches_from(arguments)?;
        let name = found.subcommand_name().unwrap_or_default().to_owned();
        Self::from_arg_matches(&found).map(|cli| Self { name, ..cli })
    }

    /// Returns the error of wrong arguments without styles, which cannot be removed from its text later: an argument that
    /// the text quotes may look like one. A line end in an argument is shown as `\n`, since the parts of the text are
    /// paragraphs.
    fn unstyled(arguments: &[OsString]) -> Option<clap::Error> {
        let arguments: Vec<_> =
            arguments.iter().map(|argument| argument.to_string_lossy().replace('\n', r"\n")).collect();
        Self::parse_as(Self::command().styles(Styles::plain()), &arguments).err()
    }
}

/// Returns the first argument that is not UTF-8, and its number. A path may be so as well, but hardly in front of a text that is.
fn not_utf8(arguments: &[OsString]) -> Option<(usize, &OsString)> {
    arguments.iter().enumerate().skip(1).find(|(_, argument)| argument.to_str().is_none())
}

/// Returns the command that arguments name, if the rest of them is wrong.
fn command_name(arguments: &[OsString]) -> Option<String> {
    let word = command_word(arguments)?;
    Cli::command().find_subcommand(&*word).map(|command| command.get_name().to_owned())
}

/// Returns the first argument that is no global option.
fn command_word(arguments: &[OsString]) -> Option<Cow<'_, str>> {
    let mut arguments = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--socket" | "--color" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            _ => return Some(argument),
        }
    }
    None
}

/// Shortens the help of `-h`: replaces what follows the options by a pointer to `--help`.
fn brief(command: clap::Command) -> clap::Command {
    let command = command.after_help(pointer("udpchatctl"));
    command.mut_subcommands(|subcommand| {
        let text = pointer(&format!("udpchatctl {}", subcommand.get_name()));
        subcommand.after_help(text)
    })
}

/// Returns the text that replaces the examples in the help of `-h`.
fn pointer(command: &str) -> String {
    tr!("`{command} --help` shows more, with examples.", command)
}

/// Finds `--json` and `--color` without parsing the rest, to show help and the errors of a wrong command line.
pub(crate) fn peek_look(arguments: &[OsString]) -> Look {
    let mut look = Look::default();
    let mut arguments = arguments.iter().skip(1).map_while(|argument| match argument.to_str() {
        Some("--") => None,
        other => Some(other.unwrap_or_default()),
    });
    while let Some(argument) = arguments.next() {
        match argument.split_once('=').unwrap_or((argument, "")) {
            ("--json", _) => look.json = true,
            ("--color", "") => set_color(&mut look, arguments.next().unwrap_or_default()),
            ("--color", when) => set_color(&mut look, when),
            _ => {}
        }
    }
    look
}

fn set_color(look: &mut Look, when: &str) {
    // An invalid value is an error when the whole line is parsed.
    if let Ok(color) = ColorChoice::from_str(when, true) {
        look.color = color;
    }
}

#[cfg(test)]
mod tests;
