//! The arguments of `recode`.

use clap::Args;
use clap_complete::ArgValueCandidates;

use crate::command::completions::candidates;
use crate::command::filter::{FilterArgs, Ids};

const HELP: &str = "\
The stored bytes do not change: from now on the messages are decoded as ENC wherever they are shown and searched. Each \
recoded message takes about 50 bytes more in the inbox. Without --direction, only received messages are recoded. \
T is a time or a duration back from now, as for `inbox`. What --remember records stands until a person changes it, whatever \
later messages prove; an encoding in the configuration takes precedence over it.

Examples:
  udpchatctl recode --as gbk --from bob --since yesterday --dry-run
  udpchatctl recode --as gbk --from bob --since yesterday --remember
  udpchatctl recode --as big5 812 820-831
  udpchatctl recode --as auto --all";

/// The flags that select messages by other criteria than ids.
const OTHER_SELECTORS: [&str; 9] =
    ["all", "number", "from", "not_from", "direction", "since", "until", "grep", "grep_hex"];

/// Correct the encoding in which stored messages are decoded
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct RecodeArgs {
    /// Ids of messages: 812, '#812' or 812-820
    #[arg(value_name = "ID", conflicts_with_all = OTHER_SELECTORS)]
    pub(crate) ids: Vec<Ids>,
    /// Decode the messages as ENC, for example gbk; `auto` undoes an earlier recode
    #[arg(long = "as", value_name = "ENC", add = ArgValueCandidates::new(candidates::recodings))]
    pub(crate) encoding: String,
    /// All messages
    #[arg(short, long, conflicts_with = "number")]
    pub(crate) all: bool,
    /// Read what the senders send later in ENC, too, and answer them in it; with `--as auto`, forget what is known of them
    #[arg(long)]
    pub(crate) remember: bool,
    /// Change nothing; show how the first messages would be decoded
    #[arg(long)]
    pub(crate) dry_run: bool,
    // Last, since its heading would apply to every argument after it.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

impl RecodeArgs {
    /// Returns whether the arguments select messages.
    pub(crate) fn select_any(&self) -> bool {
        self.all || !self.ids.is_empty() || self.filter != FilterArgs::default()
    }
}
