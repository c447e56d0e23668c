//! The arguments of `replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::schedule::Speed;
use crate::command::completions::candidates;
use crate::command::condition::WhereArgs;
use crate::command::filter::FilterArgs;

const HELP: &str = "\
Sends the bytes of received messages again, from the daemon's port, in their order and with their pauses. \
--direction out or both also replays sent messages. Gaps are skipped. Messages that arrive during the replay are not \
replayed. T of --since and --until is a time or a duration back from now, as for `inbox`.

A file may be a capture (pcap or pcapng): its UDP payloads are sent, whatever their direction. \
A pause of 10 seconds or more is announced; a longer one than an hour is shortened, unless --max-pause says otherwise.

If the kernel refuses to send a message, the replay continues, and the exit status is 5.

Examples:
  udpchatctl replay --to 192.168.43.7:7788
  udpchatctl replay --from bob --since 2h --to test-bench --speed 10
  udpchatctl replay -n 1000 --to 127.0.0.1:9999 --speed max
  udpchatctl replay --to bob --max-pause 1s
  udpchatctl replay --file inbox.jsonl --to 127.0.0.1:9999
  udpchatctl replay --file capture.pcap --to 127.0.0.1:9999";

/// Send recorded messages again, with their original timing
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplayArgs {
    // Not a documentation comment: the brackets would be links.
    #[arg(long, value_name = "TO", help = "A peer's name, host[:port] or [v6]:port, as for `send`")]
    #[arg(add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) to: String,
    /// Replay at X times the original speed; `max` or 0 makes no pauses
    #[arg(long, value_name = "X", default_value = "1")]
    pub(crate) speed: Speed,
    /// Limit each pause to T, for example 500ms; a number alone is seconds
    #[arg(long, value_name = "T", default_value = "1h", value_parser = crate::time::span)]
    pub(crate) max_pause: Duration,
    /// Replay a file that `export` wrote, or a capture of tcpdump or Wireshark, instead of the inbox; `-` is standard input
    #[arg(long, value_name = "PATH")]
    #[arg(conflicts_with_all = ["number", "from", "since", "until", "grep", "grep_hex", "conditions"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) conditions: WhereArgs,
}
