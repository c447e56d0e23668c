//! `inbox`: prints what is new, or history, and follows what arrives.
//!
//! Entries are marked as read only after the reader of the output has taken them, as far as the system shows it.

mod args;
mod follow;
mod mark;
mod plan;
mod printer;
mod start;

use udpchat_api::call::{InboxParams, StatusParams};
use udpchat_api::{Client, DEFAULT_CONSUMER};

pub(crate) use self::args::InboxArgs;
use self::follow::Marking;
use self::mark::Mark;
use self::plan::{Part, Plan};
use self::printer::InboxPrinter;
pub(crate) use self::start::Start;
use super::context::Context;
use super::senders;
use crate::error::{CtlError, Result};
use crate::output::{counted, grouped};

/// Runs `inbox`.
pub(crate) async fn run(context: Context<'_>, arguments: &InboxArgs) -> Result<()> {
    let mut plan = Plan::of(arguments, context.output.is_for_a_person(), crate::time::now)?;
    let mut client = context.connect().await?;
    senders::resolve(&mut client, &mut plan.filter.from).await?;
    if arguments.milliseconds {
        context.output.show_milliseconds();
    }
    if !plan.follow {
        context.output.use_pager();
    }
    if let Part::Unread { consumer, ack } = &plan.part {
        return unread(context, client, &plan, consumer.as_deref(), *ack, arguments).await;
    }
    let mut inbox = InboxPrinter { client, output: context.output, hex: arguments.hex, printed: 0 };
    let (next, left_out) = match &plan.part {
        Part::Ids(ids) => return inbox.ids(ids).await,
        Part::Last { count, newest_first: true, .. } => (0, inbox.backward(plan.page(), *count).await?),
        Part::Last { count, newest_first: false, .. } => inbox.last(&plan, *count).await?,
        Part::All { newest_first: true } => (0, inbox.backward(plan.page(), u64::MAX).await?),
        Part::All { newest_first: false } | Part::Unread { .. } => (inbox.all(&plan).await?, false),
    };
    if let Part::Last { implied: true, .. } = plan.part
        && left_out
    {
        let entries = inbox.client.call(&StatusParams {}).await?.inbox.entries;
        inbox.output.note(&format!(
            "the last {} of {} entries; -a shows all, -n N the last N",
            inbox.printed,
            grouped(entries)
        ));
    }
    if plan.follow {
        return follow::run(inbox, &plan, next, None).await;
    }
    note_if_empty(&mut inbox, "no entry matches");
    Ok(())
}

/// Prints what a consumer has not read.
async fn unread(
    context: Context<'_>,
    mut client: Client,
    plan: &Plan,
    consumer: Option<&str>,
    ack: bool,
    arguments: &InboxArgs,
) -> Result<()> {
    let beginning = start::begin(&mut client, context.output, consumer, arguments.start, ack).await?;
    let page =
        InboxParams { consumer: Some(beginning.consumer.clone()), after: beginning.after, ..plan.page() };
    let mut mark = ack.then(|| Mark::new(beginning.consumer));
    // A second connection moves the mark while the first one follows.
    let second = if plan.follow && ack { Some(context.connect().await?) } else { None };
    let mut inbox = InboxPrinter { client, output: context.output, hex: arguments.hex, printed: 0 };
    let printed = inbox.unread(page, mark.as_mut()).await;
    if let (Err(CtlError::ReaderGone), true) = (&printed, inbox.output.is_for_a_person()) {
        note_unread(&mut inbox, consumer).await?;
    }
    let next = printed?;
    if plan.follow {
        let marking = mark.zip(second).map(|(mark, client)| Marking { mark, client });
        return follow::run(inbox, plan, next, marking).await;
    }
    note_if_empty(&mut inbox, "nothing new");
    Ok(())
}

/// Says what stays unread because the user has left the pager.
async fn note_unread(inbox: &mut InboxPrinter<'_>, consumer: Option<&str>) -> Result<()> {
    let consumer = Some(consumer.unwrap_or(DEFAULT_CONSUMER).to_owned());
    let page = InboxParams { consumer, limit: Some(1), ..InboxParams::default() };
    let left = inbox.client.call(&page).await?.unread;
    match left {
        0 => {}
        1 => inbox.output.note("1 message stays unread"),
        left => inbox.output.note(&format!("{} stay unread", counted(left, "message"))),
    }
    Ok(())
}

fn note_if_empty(inbox: &mut InboxPrinter<'_>, what: &str) {
    if inbox.printed == 0 && inbox.output.is_for_a_person() {
        inbox.output.note(what);
    }
}
