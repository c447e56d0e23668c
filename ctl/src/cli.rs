//! The command line: flags, subcommands and their help texts.

mod help;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use udpchat_api::call::DirectionFilter;

use crate::command::replay::Speed;

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
    #[arg(long, value_name = "PATH", global = true)]
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
    /// Print what is new since the last time, or history
    #[command(after_help = help::INBOX)]
    Inbox(InboxArgs),
    /// Write entries to a file or a pipe, all or those that match
    #[command(after_help = help::EXPORT)]
    Export(ExportArgs),
    /// Send messages of the inbox again, at the pace at which they came
    #[command(after_help = help::REPLAY)]
    Replay(Box<ReplayArgs>),
    /// List the named peers and those that were heard
    #[command(after_help = help::PEERS)]
    Peers,
    /// Show the daemon's state, addresses, counters and problems
    #[command(after_help = help::STATUS)]
    Status(StatusArgs),
    /// Let the daemon read its configuration again, as SIGHUP does
    Reload,
    /// Stop the daemon, as SIGTERM does, and wait until it has let go
    Stop,
    /// Print the versions of both programs and of the protocol
    Version,
}

impl Command {
    /// Refuses what the definition of the arguments cannot express.
    fn check(&self) -> Result<(), clap::Error> {
        match self {
            Self::Send(SendArgs { message, .. }) | Self::Reply(ReplyArgs { message, .. }) => message.check(),
            _ => Ok(()),
        }
    }
}

/// `send`: where to, and what.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    // The brackets would be links in a documentation comment.
    #[arg(value_name = "TO", help = "A peer's name, host[:port] or [v6]:port; the port is 7788 if left out")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
}

/// `reply`: to what, and what.
#[derive(Debug, Args)]
pub(crate) struct ReplyArgs {
    /// The entry to answer, as `inbox` shows it: 812 or '#812'
    #[arg(value_name = "ID", value_parser = entry_id)]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
}

/// The message, the same for everything that sends.
#[derive(Debug, Default, Args)]
pub(crate) struct MessageArgs {
    /// The message; words are joined by a space. `-` or nothing reads standard input as one message
    #[arg(value_name = "TEXT", allow_negative_numbers = true, conflicts_with_all = ["file", "lines"])]
    pub(crate) text: Vec<String>,
    /// Encode the text so, for example gbk [default: what the peer speaks]
    #[arg(short, long, value_name = "ENC")]
    pub(crate) encoding: Option<String>,
    /// Read TEXT or standard input as hex digits; blanks, `:`, `-`, `,` and `0x` between them do not count
    #[arg(long, conflicts_with_all = ["encoding", "escape"])]
    pub(crate) hex: bool,
    /// Understand \n \r \t \0 \\ \xHH (a byte) and \u{H...} in the text
    #[arg(long)]
    pub(crate) escape: bool,
    /// Send the bytes of a file as they are; `-` is standard input
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Send each line of standard input, or of --file, as a message of its own, as it comes
    #[arg(long)]
    pub(crate) lines: bool,
    /// Cut a long message into datagrams of at most BYTES, between characters [default: 1024]
    #[arg(long, value_name = "BYTES", num_args = 0..=1, require_equals = true, default_missing_value = "1024")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_507))]
    pub(crate) split: Option<u32>,
    /// Send an empty datagram if the message is empty, instead of refusing
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

impl MessageArgs {
    fn check(&self) -> Result<(), clap::Error> {
        let text_only = self.hex || self.escape || self.encoding.is_some();
        if self.file.is_some() && !self.lines && text_only {
            let what = "--file sends bytes as they are: --encoding, --escape and --hex fit only with --lines";
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, what));
        }
        Ok(())
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
    #[arg(long, value_name = "PEER")]
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

/// `status`: once, or again and again.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    /// Go on showing it, as it changes: on a terminal a full screen, otherwise a line for each interval
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// With --watch: ask every T, from 100ms to 1h
    #[arg(short, long, value_name = "T", default_value = "1s", requires = "watch", value_parser = interval)]
    pub(crate) interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    let span = crate::time::span(text)?;
    let (least, most) = crate::watch::INTERVALS;
    if (least..=most).contains(&span) { Ok(span) } else { Err("it must be 100ms to 1h".to_owned()) }
}

fn entry_id(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits.parse().map_err(|_| "an entry's id is a number such as 812 or '#812'".to_owned())
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
        let parsed =
            Self::command().try_get_matches_from(arguments).and_then(|found| Self::from_arg_matches(&found));
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
