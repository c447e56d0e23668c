//! `man`: the manual pages, as source for groff.

use crate::cli::ManArgs;
use crate::command::man;
use crate::error::Result;
use crate::output::Output;

/// Runs `man`.
pub(crate) fn run(output: &mut Output, arguments: &ManArgs) -> Result<()> {
    output.data(man::source(arguments.page).as_bytes())
}
