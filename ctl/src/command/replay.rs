//! stub
pub(crate) use schedule::Speed;
mod schedule;
use super::Context;
use crate::cli::ReplayArgs;
use crate::error::Result;
pub(crate) async fn run(_context: Context<'_>, _arguments: &ReplayArgs) -> Result<()> {
    Ok(())
}
