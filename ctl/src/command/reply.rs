//! `reply`: sends a message to the peer of an entry.

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_api::call::SendParams;

use super::completions::candidates;
use super::context::Context;
use super::filter::entry_id;
use super::send::{self, LinesArgs};
use crate::error::Result;

const HELP: &str = "\
The message is sent from the local address that the entry was received on, if it is known.

Examples:
  udpchatctl reply 812 thanks
  udpchatctl reply '#812' --file answer.bin";

/// Send a message to the peer of an inbox entry
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplyArgs {
    /// The id of the entry to answer, as `inbox` shows it: 812 or '#812'
    #[arg(value_name = "ID", value_parser = entry_id, add = ArgValueCandidates::new(candidates::messages))]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) message: LinesArgs,
}

/// Runs `reply`.
pub(crate) async fn run(context: Context<'_>, arguments: &ReplyArgs) -> Result<()> {
    let target = SendParams { reply_to: Some(arguments.id), ..SendParams::default() };
    send::note_escapes(context.output, &arguments.message.message);
    send::send(context, target, &arguments.message).await
}
