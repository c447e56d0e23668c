//! The arguments of `inbox`.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::format::Format;
use super::start::Start;
use crate::command::completions::candidates;
use crate::command::condition::WhereArgs;
use crate::command::filter::{FilterArgs, Ids, KindArgs};

const HELP: &str = "\
Without history flags: prints the messages that arrived since the last time, oldest first, and marks them as read.

What is certain: the read mark moves over a message only after it was written, and in a pipe only after the program at the \
other end has taken it (on Linux; elsewhere once the pipe has it). `| head -1` takes one message, and the others stay unread; \
so do all if the program ends before it reads. But a pipe does not show what a program does with what it has taken: a message \
on which it fails counts as read, and so does all that it has read ahead while it was slow. A script that must not lose a \
message uses --peek and `ack`. If anything is killed in between, messages are shown again rather than lost. A program that \
waits for the end of `inbox` before it has read the pipe to its end waits for ever; after 5 seconds a note says so.

--consumer NAME uses a read mark of its own. A new consumer begins at the oldest entry, and says so on standard error (with \
--json as an object `note`); --start now begins with what arrives next, --start ID at an entry. For a consumer that has a \
read mark, --start does nothing and says so; `consumers` lists, sets and removes read marks. Each user has a mark of their \
own; root and the user that the daemon runs as share one.

History: with IDs, -a, -r, -n or any flag that selects entries. Both directions unless --direction is given, oldest first \
unless -r is given; marks nothing as read. A flag that selects entries shows all that match; -n N shows only the last N of \
them. If nothing selects entries (-r or --direction both alone), a terminal shows the last 20, and a pipe, a file and --json \
get everything. With -f, the entries that exist come first, then those that arrive; `-n 0` leaves out the former.

-f ends with an error when the daemon ends. With --reconnect it waits until a daemon answers at the same socket, and prints \
what has arrived since its last entry: no entry is missing, and none is printed twice. Another inbox, with lower ids, is \
followed from its beginning.

On a terminal, output that is longer than the screen is shown in a pager: UDPCHAT_PAGER, PAGER, otherwise less; not with \
-f or --no-pager. The pager gets new messages one by one as it shows them; when you leave it, the others stay unread.

T is a time (22:00, 7:00, '2026-11-22 14:00', 2026-11-22, RFC 3339), a duration back from now (90s, 10m, 2h, 1h30m, 3d, 2w), \
or one of now, today, yesterday and 'yesterday 22:00'. 22:00 is the last one that has passed; as --until it is the first one \
after --since if that is later. A PEER without a port matches every port of the host.

Each entry begins with its id; `<` is a received message, `>` a sent message, `!` a gap, where datagrams were lost, or a \
notice of what became known: that a message bounced, that a peer is silent or is back, that a held message expired. Notices \
count for -n as gaps do, and never as unread; --grep and --grep-hex select none. --only notices shows only \
them, --delivery bounced the messages themselves that bounced. \
Further lines of a message are indented, behind a bar. Control characters and invisible characters appear as \\u{..}. \
--where compares numbers that a text has as name=value, name:value, JSON, columns (named 1, 2, ...), teleplot or NMEA; of \
several with the same name one is enough, and a message without the number is not printed. In binary frames a place stands \
for the name: @6:i16/10 is the number at byte 6 (the first byte is 0, the last one -1), signed, of 16 bits, divided by 10. The \
types are u8 to u64, i8 to i64, f32 and f64; `le` behind it is for the least significant byte first; *0.1 multiplies. With -F \
each message is one line; {{{{ is {{, and \\t is a tab.

JSON has no notices unless --notices or --only notices is given: `type` is `notice`, and `notice` says which. \
In JSON, `raw` has the bytes in base64, --hex adds them in hexadecimal digits as `hex`, times always have microseconds, and \
`by` is the user who sent a message.

--grep matches the text as it is shown: without the line end at its end, and with \\n for \\r\\n. In JSON, `text` has both.

Examples:
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl inbox --follow --reconnect
  udpchatctl inbox 812 820-831
  udpchatctl inbox -n 50 --from bob
  udpchatctl inbox --from bob --from 192.168.43.0/24 --since 22:00
  udpchatctl inbox --since yesterday -i --grep 'error|warn'
  udpchatctl inbox --not-from 192.168.43.7 --since today
  udpchatctl inbox --delivery bounced -n 50
  udpchatctl inbox --only gaps,notices --since today
  udpchatctl inbox --hex --grep-hex '01 e4 09'
  udpchatctl inbox --where 'temp > 30' --where 'hum < 20'
  udpchatctl inbox -f -F '{{time:%H:%M:%S}} {{name}} {{text}}'
  udpchatctl inbox --where '@6:i16/10 > 20' -F '{{time}} {{@6:i16/10:.1}}'
  udpchatctl --json inbox -f --notices | jq 'select(.type == \"notice\")'
  udpchatctl --json inbox --consumer backup";

/// The flags that select history by what it is. Neither ids nor the read mark of a consumer are combined with them.
const SELECTORS: [&str; 12] = [
    "number",
    "all",
    "from",
    "not_from",
    "only",
    "delivery",
    "direction",
    "since",
    "until",
    "grep",
    "grep_hex",
    "conditions",
];

/// The other flags that show history.
const OTHER_HISTORY: [&str; 2] = ["ids", "reverse"];

/// Print new messages, or history
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = HELP)]
pub(crate) struct InboxArgs {
    /// History: these entries, for example 812, '#812' or 812-820
    #[arg(value_name = "ID", conflicts_with_all = SELECTORS, conflicts_with_all = ["reverse", "follow"])]
    pub(crate) ids: Vec<Ids>,
    /// History: all entries
    #[arg(short, long, conflicts_with = "number")]
    pub(crate) all: bool,
    /// History: newest first
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) reverse: bool,
    /// Print new messages without marking them as read
    #[arg(long, conflicts_with_all = SELECTORS, conflicts_with_all = OTHER_HISTORY)]
    pub(crate) peek: bool,
    /// Use the read mark of the consumer NAME, not your own
    #[arg(long, value_name = "NAME", conflicts_with_all = SELECTORS, conflicts_with_all = OTHER_HISTORY)]
    #[arg(add = ArgValueCandidates::new(candidates::consumers))]
    pub(crate) consumer: Option<String>,
    /// Where a consumer without a read mark begins: `oldest` entry, `now`, or the entry ID [default: oldest]
    #[arg(long, value_name = "START", conflicts_with_all = SELECTORS, conflicts_with_all = OTHER_HISTORY)]
    pub(crate) start: Option<Start>,
    /// Continue with entries as they arrive, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// With --follow: wait until a daemon runs, at the start and when it ends, and continue after the last entry
    #[arg(long, requires = "follow")]
    pub(crate) reconnect: bool,
    /// Print the bytes as a hex dump instead of the text; JSON has them as `hex` too
    #[arg(long)]
    pub(crate) hex: bool,
    /// Print each message as FORM, with {{id}}, {{time:%H:%M:%S}}, {{arrow}} (< or >), {{peer}}, {{name}}, {{text}}, {{hex}},
    /// {{bytes}}, {{json}} and numbers by their names or places, such as {{temp}}, {{temp:.1}} and {{@6:i16/10:.1}}
    #[arg(short = 'F', long = "form", value_name = "FORM", value_parser = Format::parse)]
    #[arg(conflicts_with_all = ["hex", "milliseconds"])]
    pub(crate) format: Option<Format>,
    /// In JSON, notices too: messages that bounced, peers that are silent; text has them in any case
    #[arg(long, conflicts_with_all = ["format", "conditions"])]
    pub(crate) notices: bool,
    /// Print times to the second, the default
    #[arg(long, overrides_with = "milliseconds")]
    pub(crate) seconds: bool,
    /// Print times with milliseconds
    #[arg(long, visible_alias = "ms", overrides_with = "seconds")]
    pub(crate) milliseconds: bool,
    // Last, since its heading would apply to every argument after it.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) conditions: WhereArgs,
    #[command(flatten)]
    pub(crate) kinds: KindArgs,
}
