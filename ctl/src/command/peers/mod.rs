//! `peers`: who is named and who was heard.

pub(crate) mod table;

use udpchat_api::call::PeersParams;

use super::Context;
use crate::error::Result;

/// Runs `peers`.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    let answer = context.connect().await?.call(&PeersParams::default()).await?;
    context.output.peers(&answer.peers)?;
    if answer.peers.is_empty() && context.output.is_for_a_person() {
        context.output.note("no peer is configured, and none was heard");
    }
    Ok(())
}
