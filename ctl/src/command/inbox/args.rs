//! The arguments of `inbox`.

use clap::Args;

use crate::command::filter::FilterArgs;

const HELP: &str = "\
Without history flags: prints the messages that arrived since the last time, oldest first, and marks them as read once \
they are written. With -a, -r or any flag that selects entries: prints history, both directions unless --direction is \
given, oldest first unless -r is given, the last 20 entries unless -n or -a is given; marks nothing as read.

T is a time (2026-11-22 14:00, 2026-11-22, RFC 3339), a duration back from now (90s, 10m, 2h, 1h30m, 3d, 2w), or one of \
now, today and yesterday (their midnights).

Each entry begins with its id; `<` is a received message, `>` a sent message, `!` a gap, where datagrams were lost. \
Further lines of a message begin with `  | `. Control characters and invisible characters appear as \\u{..}. \
--hex has no effect on --json, whose `raw` always contains the bytes.

Examples:
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl inbox -n 50 --from bob
  udpchatctl inbox --all --since yesterday --grep 'error|warn'
  udpchatctl --json inbox --consumer backup";

/// The flags that select history instead of what is new.
const HISTORY_FLAGS: [&str; 8] = ["number", "all", "from", "direction", "since", "until", "grep", "reverse"];

/// Print new messages, or history
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = HELP)]
pub(crate) struct InboxArgs {
    /// History: all entries
    #[arg(short, long, conflicts_with = "number")]
    pub(crate) all: bool,
    /// History: newest first
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) reverse: bool,
    /// Print new messages without marking them as read
    #[arg(long, conflicts_with_all = HISTORY_FLAGS)]
    pub(crate) peek: bool,
    /// Use the read mark of the consumer NAME instead of the common one
    #[arg(long, value_name = "NAME", conflicts_with_all = HISTORY_FLAGS)]
    pub(crate) consumer: Option<String>,
    /// Continue with entries as they arrive, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print the bytes as a hex dump instead of the text
    #[arg(long)]
    pub(crate) hex: bool,
    // Last, since its heading would apply to every argument after it.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}
