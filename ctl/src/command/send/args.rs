//! The arguments of what sends: `send`, `reply` and `ask`, and the message that they share.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use clap_complete::ArgValueCandidates;

use crate::cli::Cli;
use crate::command::completions::candidates;

/// `send`: where to, and what.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    // The brackets would be links in a documentation comment.
    #[arg(value_name = "TO", help = "A peer's name, host[:port] or [v6]:port; the port is 7788 if left out")]
    #[arg(add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) message: LinesArgs,
}

/// `reply`: to what, and what.
#[derive(Debug, Args)]
pub(crate) struct ReplyArgs {
    /// The entry to answer, as `inbox` shows it: 812 or '#812'
    #[arg(value_name = "ID", value_parser = entry_id, add = ArgValueCandidates::new(candidates::messages))]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) message: LinesArgs,
}

/// `ask`: whom, what, and how long to wait for the answer.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    // The brackets would be links in a documentation comment.
    #[arg(value_name = "TO", help = "A peer's name, host[:port] or [v6]:port; the port is 7788 if left out")]
    #[arg(add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    /// Give up after T, for example 500ms, 30s or 1m30s
    #[arg(long, value_name = "T", default_value = "5s", value_parser = crate::time::span)]
    pub(crate) timeout: Duration,
    /// Wait for N answers
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// Only messages whose text matches the regular expression RE are answers
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// Take answers from anyone, not only from where the message went: for broadcast and multicast
    #[arg(long)]
    pub(crate) anyone: bool,
}

/// The message, the same for everything that sends.
#[derive(Debug, Default, Args)]
pub(crate) struct MessageArgs {
    /// The message; words are joined by a space. `-` or nothing reads standard input as one message
    #[arg(value_name = "TEXT", allow_negative_numbers = true, conflicts_with = "file")]
    pub(crate) text: Vec<String>,
    /// Encode the text so, for example gbk [default: what the peer speaks]
    #[arg(short, long, value_name = "ENC", add = ArgValueCandidates::new(candidates::encodings))]
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
    /// Cut a long message into datagrams of at most BYTES, between characters [default: 1024]
    #[arg(long, value_name = "BYTES", num_args = 0..=1, require_equals = true, default_missing_value = "1024")]
    #[arg(value_parser = clap::value_parser!(u32).range(16..=65_507))]
    pub(crate) split: Option<u32>,
    /// Send an empty datagram if the message is empty, instead of refusing
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

/// One message, or one for each line.
#[derive(Debug, Default, Args)]
pub(crate) struct LinesArgs {
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    /// Send each line of standard input, or of --file, as a message of its own, as it comes
    #[arg(long, conflicts_with = "text")]
    pub(crate) lines: bool,
}

impl MessageArgs {
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let text_only = self.hex || self.escape || self.encoding.is_some();
        if self.file.is_some() && text_only {
            let what = "--file sends bytes as they are: --encoding, --escape and --hex do not fit";
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, what));
        }
        Ok(())
    }
}

impl LinesArgs {
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        if self.lines {
            return Ok(());
        }
        self.message.check().map_err(|_| {
            let what = "--file sends bytes as they are: --encoding, --escape and --hex fit only with --lines";
            Cli::command().error(ErrorKind::ArgumentConflict, what)
        })
    }
}

/// Reads the id of an entry as it is shown.
pub(crate) fn entry_id(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits.parse().map_err(|_| "an entry's id is a number such as 812 or '#812'".to_owned())
}
