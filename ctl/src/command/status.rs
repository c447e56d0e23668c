//! `status`: how the daemon is.

use udpchat_api::call::StatusParams;

use super::Context;
use crate::error::Result;

/// Runs `status`. A daemon that is degraded is no failure of this program.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    let status = context.connect().await?.call(&StatusParams {}).await?;
    context.output.status(&status)
}
