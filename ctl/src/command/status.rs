//! `status`: how the daemon is, once or again and again.

use udpchat_api::call::StatusParams;

use super::Context;
use crate::cli::StatusArgs;
use crate::error::Result;
use crate::watch;

/// Runs `status`. A daemon that is degraded is no failure of this program.
pub(crate) async fn run(context: Context<'_>, arguments: &StatusArgs) -> Result<()> {
    if arguments.watch {
        return watch::run(context.output, context.socket, arguments.interval).await;
    }
    let status = context.connect().await?.call(&StatusParams {}).await?;
    context.output.status(&status)
}
