//! `reply`: sends a message to the peer of an entry.

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_api::call::SendParams;

use super::completions::candidates;
use super::context::Context;
use super::filter::entry_id;
use super::send::{self, FormArgs, LinesArgs};
use crate::error::Result;

const HELP: &str = "\
The message is sent from the local address that the entry was received on, if it is known.

Examples:
  udpchatctl reply 812 thanks
  udpchatctl reply '#812' --file answer.bin
  udpchatctl reply 812 'AT+RST' --eol crlf
  udpchatctl reply 812 --hex '01 03 00 0a 00 02' --append crc16-modbus";

/// Send a message to the peer of an inbox entry
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplyArgs {
    /// The id of the entry to answer, as `inbox` shows it: 812 or '#812'
    #[arg(value_name = "ID", value_parser = entry_id, add = ArgValueCandidates::new(candidates::messages))]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) message: LinesArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

/// Runs `reply`.
pub(crate) async fn run(context: Context<'_>, arguments: &ReplyArgs) -> Result<()> {
    let ReplyArgs { id, message, form } = arguments;
    form.note_literal(context.output, &message.message);
    if !form.is_unused() {
        return send::reply(context, *id, message, form).await;
    }
    let target = SendParams { reply_to: Some(*id), ..SendParams::default() };
    send::send(context, target, message).await
}
