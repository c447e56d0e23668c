//! `inbox`: prints what is new, or history, and follows what arrives.
//!
//! Entries are marked as read only after the system has accepted the output.

mod args;
mod follow;
mod plan;
mod printer;

pub(crate) use self::args::InboxArgs;
use self::plan::{Part, Plan};
use self::printer::InboxPrinter;
use super::context::Context;
use crate::error::Result;

/// Runs `inbox`.
pub(crate) async fn run(context: Context<'_>, arguments: &InboxArgs) -> Result<()> {
    let plan = Plan::of(arguments, crate::time::now)?;
    let client = context.connect().await?;
    let socket = context.socket;
    let mut inbox = InboxPrinter { client, output: context.output, hex: arguments.hex, printed: 0 };
    let next = match &plan.part {
        Part::Unread { consumer, ack } => inbox.unread(&plan, consumer, *ack).await?,
        Part::All { newest_first: false } => inbox.forward(plan.page(), None).await?,
        Part::All { newest_first: true } => inbox.backward(plan.page(), u64::MAX).await?,
        Part::Last { count, newest_first } => inbox.last(&plan, *count, *newest_first).await?,
    };
    if plan.follow {
        return follow::run(inbox, &plan, next, socket.as_deref()).await;
    }
    if inbox.printed == 0 && inbox.output.is_for_a_person() {
        let what = if matches!(plan.part, Part::Unread { .. }) { "nothing new" } else { "no entry matches" };
        inbox.output.note(what);
    }
    Ok(())
}
