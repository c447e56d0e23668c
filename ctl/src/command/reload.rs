//! `reload`: has the daemon read its configuration again.

use clap::Args;
use udpchat_api::call::ReloadParams;
use udpchat_locale::{tr, translated};

use super::context::Context;
use crate::error::Result;

const HELP: &str = "\
If the configuration is invalid, nothing changes. Keys that take effect only after a restart are listed.

Examples:
  udpchatctl reload
  udpchatd --check-config && udpchatctl reload";

/// Have the daemon read its configuration again, as SIGHUP does
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReloadArgs {}

/// Runs `reload`.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    let answer = context.connect().await?.call(&ReloadParams {}).await?;
    if context.output.is_json() {
        return context.output.json(&answer);
    }
    context.output.done(tr!("reloaded"))?;
    context.output.flush()?;
    for note in answer.groups.iter().chain(&answer.notes) {
        context.output.note(&translated(note));
    }
    if !answer.needs_restart.is_empty() {
        let keys = answer.needs_restart.join(tr!(", "));
        context.output.note(&tr!("these keys take effect only after a restart: {keys}", keys));
    }
    Ok(())
}
