//! `reply`: sends to where an entry came from.

use udpchat_api::call::SendParams;

use super::{Context, send};
use crate::cli::ReplyArgs;
use crate::error::Result;

/// Runs `reply`.
pub(crate) async fn run(context: Context<'_>, arguments: &ReplyArgs) -> Result<()> {
    let target = SendParams { reply_to: Some(arguments.id), ..SendParams::default() };
    send::send(context, target, &arguments.message).await
}
