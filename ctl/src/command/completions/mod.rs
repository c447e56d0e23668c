//! `completions`: the script by which a shell completes this program's command lines.

pub(crate) mod candidates;

use crate::cli::CompletionsArgs;
use crate::error::Result;
use crate::output::Output;

/// Runs `completions`.
pub(crate) fn run(output: &mut Output, arguments: &CompletionsArgs) -> Result<()> {
    output.data(&candidates::script(arguments.shell))
}
