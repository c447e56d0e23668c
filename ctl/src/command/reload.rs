//! `reload`: lets the daemon read its configuration again.

use udpchat_api::call::ReloadParams;

use super::Context;
use crate::error::Result;

/// Runs `reload`.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    let answer = context.connect().await?.call(&ReloadParams {}).await?;
    if context.output.is_json() {
        return context.output.json(&answer);
    }
    context.output.done("reloaded")?;
    context.output.flush()?;
    if !answer.needs_restart.is_empty() {
        let keys = answer.needs_restart.join(", ");
        context.output.note(&format!("takes effect only when the daemon is started anew: {keys}"));
    }
    Ok(())
}
