//! The command line: flags, subcommands and their help texts.

mod help;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;
use udpchat_api::MetricsFormat;
use udpchat_api::call::DirectionFilter;

use crate::command::completions::candidates;
pub(crate) use crate::command::recode::args::{Ids, RecodeArgs};
use crate::command::replay::Speed;
pub(crate) use crate::command::send::args::{AskArgs, LinesArgs, MessageArgs, ReplyArgs, SendArgs};

/// Sends and reads through udpchatd, the daemon that holds the UDP port.
#[derive(Debug, Parser)]
#[command(name = "udpchatctl", bin_name = "udpchatctl", version, after_help = help::MAIN)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The daemon's control socket [default: UDPCHAT_SOCKET, then the user's own, then the system's]
    #[arg(long, value_name = "PATH", global = true, value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON, one object a line; errors too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour; auto obeys NO_COLOR, TERM=dumb and pipes
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto, global = true)]
    pub(crate) color: ColorChoice,
    /// Print no notes and no confirmations, only data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send one message
    #[command(after_help = help::SEND)]
    Send(SendArgs),
    /// Send to where an entry of the inbox came from
    #[command(after_help = help::REPLY)]
    Reply(ReplyArgs),
    /// Send one message and wait for the answer
    #[command(after_help = help::ASK)]
    Ask(AskArgs),
    /// Wait for messages that arrive from now on
    #[command(after_help = help::WAIT)]
    Wait(WaitArgs),
    /// Print what is new since the last time, or history
    #[command(after_help = help::INBOX)]
    Inbox(InboxArgs),
    /// Write entries to a file or a pipe, all or those that match
    #[command(after_help = help::EXPORT)]
    Export(ExportArgs),
    /// Send messages of the inbox again, at the pace at which they came
    #[command(after_help = help::REPLAY)]
    Replay(Box<ReplayArgs>),
    /// Repair how stored messages are read
    #[command(after_help = help::RECODE)]
    Recode(Box<RecodeArgs>),
    /// Talk to peers on the full screen, both directions at once
    #[command(after_help = help::CHAT)]
    Chat(ChatArgs),
    /// List the named peers and those that were heard
    #[command(after_help = help::PEERS)]
    Peers,
    /// Show the daemon's state, addresses, counters and problems
    #[command(after_help = help::STATUS)]
    Status(StatusArgs),
    /// Say why nothing arrives: port, addresses, firewall, buffer, access, disk, self-test
    #[command(after_help = help::DOCTOR)]
    Doctor(DoctorArgs),
    /// Let the daemon read its configuration again, as SIGHUP does
    #[command(after_help = help::RELOAD)]
    Reload,
    /// Stop the daemon, as SIGTERM does, and wait until it has let go
    #[command(after_help = help::STOP)]
    Stop,
    /// Print the script that completes command lines in a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print a manual page
    #[command(after_help = help::MAN)]
    Man(ManArgs),
    /// Print the versions of both programs and of the protocol
    #[command(after_help = help::VERSION)]
    Version,
}

impl Command {
    /// Refuses what the definition of the arguments cannot express.
    fn check(&self) -> Result<(), clap::Error> {
        match self {
            Self::Send(SendArgs { message, .. }) | Self::Reply(ReplyArgs { message, .. }) => message.check(),
            Self::Ask(AskArgs { message, .. }) => message.check(),
            _ => Ok(()),
        }
    }
}

/// Which entries of the inbox: the same for everything that reads history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct FilterArgs {
    /// Only the last N entries
    #[arg(short = 'n', long = "number", value_name = "N")]
    pub(crate) number: Option<u64>,
    /// Only messages from and to PEER, a name or an address
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) from: Option<String>,
    /// Only `in`, what came (with the gaps), only `out`, what was sent, or `both`
    #[arg(long, value_name = "DIRECTION", value_enum, hide_possible_values = true)]
    pub(crate) direction: Option<Way>,
    /// Only entries of T and later
    #[arg(short = 'S', long, value_name = "T")]
    pub(crate) since: Option<String>,
    /// Only entries before T
    #[arg(short = 'U', long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// Only messages whose text matches the regular expression RE
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
}

/// `inbox`: what to print, and how.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct InboxArgs {
    /// History: all entries
    #[arg(short, long, conflicts_with = "number")]
    pub(crate) all: bool,
    /// History: newest first
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) reverse: bool,
    /// Print what is new without counting it as read
    #[arg(long, conflicts_with_all = HISTORY_FLAGS)]
    pub(crate) peek: bool,
    /// Use the read mark called NAME instead of the common one
    #[arg(long, value_name = "NAME", conflicts_with_all = HISTORY_FLAGS)]
    pub(crate) consumer: Option<String>,
    /// Go on with what arrives, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print the bytes as a hex dump instead of the text
    #[arg(long)]
    pub(crate) hex: bool,
    // The last: its heading would stand above whatever comes behind it.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// `wait`: for what, and for how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct WaitArgs {
    /// Only messages from PEER, a name or an address
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) from: Option<String>,
    /// Only messages whose text matches the regular expression RE
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// End when N messages have come
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// Give up after T, for example 500ms, 30s or 1m30s [default: never]
    #[arg(long, value_name = "T", value_parser = crate::time::span)]
    pub(crate) timeout: Option<Duration>,
    /// Begin behind the entry ID instead of now: what has come since counts too
    #[arg(long, value_name = "ID", value_parser = crate::command::send::args::entry_id)]
    pub(crate) after: Option<u64>,
    /// Print the bytes as a hex dump instead of the text
    #[arg(long)]
    pub(crate) hex: bool,
}

/// The flags that turn `inbox` from what is new to history.
const HISTORY_FLAGS: [&str; 8] = ["number", "all", "from", "direction", "since", "until", "grep", "reverse"];

/// The directions that `--direction` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Received messages, and gaps
    In,
    /// Sent messages
    Out,
    /// Everything
    Both,
}

impl From<Way> for DirectionFilter {
    fn from(way: Way) -> Self {
        match way {
            Way::In => Self::In,
            Way::Out => Self::Out,
            Way::Both => Self::Both,
        }
    }
}

/// `chat`: with whom.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ChatArgs {
    // The brackets would be links in a documentation comment.
    #[arg(
        value_name = "PEER",
        help = "A peer's name, host[:port] or [v6]:port [default: the one heard last]",
        add = ArgValueCandidates::new(candidates::peers)
    )]
    pub(crate) peer: Option<String>,
    /// Send in this encoding, for example gbk [default: what the peer speaks]
    #[arg(short, long, value_name = "ENC", add = ArgValueCandidates::new(candidates::encodings))]
    pub(crate) encoding: Option<String>,
}

/// `export`: which entries, as what, and where to.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ExportArgs {
    /// `jsonl`, an entry a line as `inbox --json` prints it, or `pcap`, messages as UDP packets
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, hide_possible_values = true)]
    pub(crate) format: Format,
    /// Write to FILE instead of standard output; what is in it goes away. `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// The formats that `export` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// An entry a line, as JSON
    #[default]
    Jsonl,
    /// A capture file, for Wireshark and its like
    Pcap,
}

/// `replay`: which messages, where to, and how fast.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    // The brackets would be links in a documentation comment.
    #[arg(long, value_name = "TO", help = "A peer's name, host[:port] or [v6]:port, as `send` takes it")]
    #[arg(add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) to: String,
    /// X times as fast as it was; `max` or 0 makes no pauses
    #[arg(long, value_name = "X", default_value = "1")]
    pub(crate) speed: Speed,
    /// Make no pause longer than T, for example 1s or 500ms
    #[arg(long, value_name = "T", value_parser = crate::time::span)]
    pub(crate) max_pause: Option<Duration>,
    /// Replay what `export` wrote, instead of the inbox; `-` is standard input
    #[arg(long, value_name = "PATH", conflicts_with_all = ["number", "from", "since", "until", "grep"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// `completions`: for which shell.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell: bash, zsh or fish
    #[arg(value_name = "SHELL", value_enum, hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// The shells that can ask this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// The GNU shell
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly shell
    Fish,
}

impl Shell {
    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// `man`: which page.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ManArgs {
    /// The page: udpchatctl, udpchatd, or udpchat.toml, the configuration file
    #[arg(value_name = "PAGE", value_enum, default_value_t = ManPage::Control, hide_possible_values = true)]
    pub(crate) page: ManPage,
}

/// The manual pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManPage {
    /// This program
    #[value(name = "udpchatctl")]
    Control,
    /// The daemon
    #[value(name = "udpchatd")]
    Daemon,
    /// The configuration file
    #[value(name = "udpchat.toml")]
    File,
}

/// `doctor`: whom about.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DoctorArgs {
    /// Look at what is between here and PEER, too: a name, an address or a host
    #[arg(value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) peer: Option<String>,
}

/// `status`: once, or again and again.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    /// Go on showing it, as it changes: on a terminal a full screen, otherwise a line for each interval
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// With --watch: ask every T, from 100ms to 1h
    #[arg(short, long, value_name = "T", default_value = "1s", requires = "watch", value_parser = interval)]
    pub(crate) interval: Duration,
    /// `text`, `json` as with --json, or metrics for monitoring: `prometheus`, `openmetrics` [default: text]
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true, conflicts_with = "watch")]
    pub(crate) format: Option<StatusFormat>,
    /// With metrics: put FILE in the place of the one before, at once, readable by everybody
    #[arg(short, long, value_name = "FILE", requires = "format")]
    pub(crate) output: Option<PathBuf>,
}

/// The formats that `status` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// Lines for people
    Text,
    /// One object, as with --json
    Json,
    /// Metrics as the text-file collector of the node exporter reads them
    Prometheus,
    /// Metrics in the format of OpenMetrics 1.0
    Openmetrics,
}

impl StatusFormat {
    /// Returns the format of metrics, if they are wanted.
    pub(crate) fn metrics(self) -> Option<MetricsFormat> {
        match self {
            Self::Text | Self::Json => None,
            Self::Prometheus => Some(MetricsFormat::Prometheus),
            Self::Openmetrics => Some(MetricsFormat::OpenMetrics),
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let span = crate::time::span(text)?;
    let (least, most) = crate::command::status::watch::INTERVALS;
    if (least..=most).contains(&span) { Ok(span) } else { Err("it must be 100ms to 1h".to_owned()) }
}

/// What the arguments came to.
pub(crate) enum Parsed {
    /// A command to run.
    Run(Box<Cli>),
    /// Help, or the version, for standard output.
    Show(clap::builder::StyledStr),
    /// Wrong use.
    Wrong(clap::Error),
}

impl Cli {
    /// Parses the arguments, the program's name first.
    pub(crate) fn parse(arguments: Vec<OsString>) -> Parsed {
        let is_brief =
            arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "-h");
        let command = if is_brief { brief(Self::command()) } else { Self::command() };
        let parsed = command.try_get_matches_from(arguments).and_then(|found| Self::from_arg_matches(&found));
        match parsed {
            Ok(cli) => match cli.command.check() {
                Ok(()) => Parsed::Run(Box::new(cli)),
                Err(error) => Parsed::Wrong(error),
            },
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                Parsed::Show(error.render())
            }
            Err(error) => Parsed::Wrong(error),
        }
    }
}

/// Takes out of the help what only `--help` shows.
fn brief(command: clap::Command) -> clap::Command {
    let command = command.after_help(help::short(""));
    command.mut_subcommands(|subcommand| {
        let text = help::short(subcommand.get_name());
        subcommand.after_help(text)
    })
}

/// How output looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// JSON instead of text.
    pub(crate) json: bool,
    /// When to use colour.
    pub(crate) color: ColorChoice,
    /// No notes, no confirmations.
    pub(crate) quiet: bool,
}

impl Look {
    /// Reads the flags that decide how even help and a wrong command line are shown, without parsing the rest.
    pub(crate) fn peek(arguments: &[OsString]) -> Self {
        let mut look = Self::default();
        let mut arguments = arguments.iter().skip(1).map_while(|argument| match argument.to_str() {
            Some("--") => None,
            other => Some(other.unwrap_or_default()),
        });
        while let Some(argument) = arguments.next() {
            match argument.split_once('=').unwrap_or((argument, "")) {
                ("--json", _) => look.json = true,
                ("--color", "") => look.set_color(arguments.next().unwrap_or_default()),
                ("--color", when) => look.set_color(when),
                _ => {}
            }
        }
        look
    }

    fn set_color(&mut self, when: &str) {
        // What is neither of the words is refused when the whole line is parsed.
        if let Ok(color) = ColorChoice::from_str(when, false) {
            self.color = color;
        }
    }
}

impl From<&GlobalArgs> for Look {
    fn from(global: &GlobalArgs) -> Self {
        Self { json: global.json, color: global.color, quiet: global.quiet }
    }
}

#[cfg(test)]
mod tests;
