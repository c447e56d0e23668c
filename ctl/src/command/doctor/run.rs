//! `doctor`: says why nothing arrives.

use crate::cli::DoctorArgs;
use crate::command::Context;
use crate::command::doctor::gather::gather;
use crate::command::doctor::{Level, examine};
use crate::error::{CtlError, Exit, Result};
use crate::output::counted;

pub(crate) async fn run(context: Context<'_>, arguments: &DoctorArgs) -> Result<()> {
    let facts = gather(context.socket.as_deref(), arguments.peer.as_deref()).await;
    let findings = examine(&facts);
    for finding in &findings {
        context.output.finding(finding)?;
    }
    match findings.iter().filter(|finding| finding.level == Level::Problem).count() as u64 {
        0 => Ok(()),
        1 => Err(CtlError::new(Exit::Failed, "problems", "1 problem was found")),
        more => {
            Err(CtlError::new(Exit::Failed, "problems", format!("{} were found", counted(more, "problem"))))
        }
    }
}
