//! `inbox`: prints what is new, or history, and follows what arrives.
//!
//! Entries are marked as read only after the reader of the output has taken them, as far as the system shows it.

mod args;
mod follow;
mod form;
mod format;
mod mark;
mod plan;
mod printer;
mod start;

use udpchat_api::call::{InboxParams, StatusParams};
use udpchat_api::{Client, DEFAULT_CONSUMER};
use udpchat_locale::tr;

pub(crate) use self::args::InboxArgs;
use self::follow::Marking;
use self::form::Form;
use self::mark::Mark;
use self::plan::{Part, Plan, Wanted};
use self::printer::InboxPrinter;
use self::start::Consumer;
pub(crate) use self::start::Start;
use super::context::Context;
use super::filter::is_like_hex;
use super::removed::note_removed;
use super::senders;
use crate::connect::newest_id;
use crate::error::{CtlError, Result};
use crate::output::grouped;

/// Runs `inbox`.
pub(crate) async fn run(mut context: Context<'_>, arguments: &InboxArgs) -> Result<()> {
    let form = Form::of(arguments, context.output)?;
    let mut plan = Plan::of(arguments, context.output.is_for_a_person(), crate::time::now)?;
    let mut client = match plan.reconnect {
        true => follow::first_connection(&mut context).await?,
        false => context.connect().await?,
    };
    senders::resolve(&mut client, &mut plan.filter.from).await?;
    senders::resolve(&mut client, &mut plan.filter.not_from).await?;
    if form.has_notices() || matches!(plan.wanted, Wanted::History(Part::Ids(_))) {
        // A daemon of an earlier release refuses to be asked for notices. Pages of the history are then requested without; a
        // subscription and a read mark are not, so they ask first.
        let is_history = matches!(plan.wanted, Wanted::History(_)) && !plan.follow;
        plan.read_notices(is_history || newest_id(&mut client).await?.1);
    }
    if arguments.milliseconds {
        context.output.show_milliseconds();
    }
    if let Some(grep) = &plan.filter.grep {
        context.output.highlight(grep);
    }
    if !plan.follow {
        context.output.use_pager();
    }
    match &plan.wanted {
        Wanted::New(consumer) => new(context, client, &plan, consumer, form).await,
        Wanted::History(part) => {
            note_removed(&mut client, context.output, &plan.filter).await;
            history(InboxPrinter::new(client, context.output, form), &plan, part).await
        }
    }
}

/// Prints a part of the history.
async fn history(mut inbox: InboxPrinter<'_>, plan: &Plan, part: &Part) -> Result<()> {
    let (next, left_out) = match part {
        Part::Ids(ids) => return inbox.ids(&plan.page(), ids).await,
        Part::Last { count, newest_first: true, .. } => (0, inbox.backward(plan.page(), *count).await?),
        Part::Last { count, newest_first: false, .. } => inbox.last(plan, *count).await?,
        Part::All { newest_first: true } => (0, inbox.backward(plan.page(), u64::MAX).await?),
        Part::All { newest_first: false } => (inbox.all(plan).await?, false),
    };
    if let Part::Last { implied: true, .. } = part
        && left_out
    {
        let entries = grouped(inbox.client.call(&StatusParams {}).await?.inbox.entries);
        let shown = inbox.printed;
        inbox.output.note(&tr!(
            "the last {shown} of {entries} entries; -a shows all, -n N the last N",
            shown,
            entries
        ));
    }
    if plan.follow {
        return follow::run(inbox, plan, next, None).await;
    }
    match part {
        // `-n 0` asks for none.
        Part::Last { count: 0, .. } => {}
        _ if plan.filter.is_open() && !inbox.form.is_selective() => {
            note_if_empty(&mut inbox, tr!("the inbox is empty"));
        }
        _ if inbox.form.is_hex() && plan.filter.grep.as_deref().is_some_and(is_like_hex) => {
            let note = tr!("no entry matches; --grep searches the text, --grep-hex searches the bytes");
            note_if_empty(&mut inbox, note);
        }
        _ if plan.filter.is_to_come() => {
            note_if_empty(&mut inbox, tr!("no entry matches: the time of --since is still to come"));
        }
        _ if plan.filter.grep.is_some() => note_if_empty(
            &mut inbox,
            tr!(
                "no entry matches; --grep looks at the texts of messages only: `--delivery bounced` shows what bounced, \
                 `--only notices` what became known"
            ),
        ),
        _ => note_if_empty(&mut inbox, tr!("no entry matches")),
    }
    note_unknown(&mut inbox)?;
    Ok(())
}

/// Notes numbers of `-F` that no message had, behind the messages.
fn note_unknown(inbox: &mut InboxPrinter<'_>) -> Result<()> {
    inbox.output.flush()?;
    inbox.form.note_unknown(inbox.output);
    Ok(())
}

/// Prints what a consumer has not read.
async fn new(
    context: Context<'_>,
    mut client: Client,
    plan: &Plan,
    consumer: &Consumer,
    form: Form,
) -> Result<()> {
    let beginning = start::begin(&mut client, context.output, consumer).await?;
    let page =
        InboxParams { consumer: Some(beginning.consumer.clone()), after: beginning.after, ..plan.page() };
    let mut mark = consumer.ack.then(|| Mark::new(beginning.consumer));
    // A second connection moves the mark while the first one follows.
    let second = if plan.follow && consumer.ack { Some(context.connect().await?) } else { None };
    let mut inbox = InboxPrinter::new(client, context.output, form);
    let printed = inbox.unread(page, mark.as_mut()).await;
    if let (Err(CtlError::ReaderGone), true) = (&printed, inbox.output.is_for_a_person()) {
        note_unread(&mut inbox, consumer.name.as_deref()).await?;
    }
    let next = printed?;
    if plan.follow {
        let marking = mark.zip(second).map(|(mark, client)| Marking { mark, client });
        return follow::run(inbox, plan, next, marking).await;
    }
    note_if_empty(&mut inbox, tr!("nothing new"));
    note_unknown(&mut inbox)
}

/// Says what stays unread because the user has left the pager.
async fn note_unread(inbox: &mut InboxPrinter<'_>, consumer: Option<&str>) -> Result<()> {
    let consumer = Some(consumer.unwrap_or(DEFAULT_CONSUMER).to_owned());
    let page = InboxParams { consumer, limit: Some(1), ..InboxParams::default() };
    let left = inbox.client.call(&page).await?.unread;
    match left {
        0 => {}
        1 => inbox.output.note(tr!("1 message stays unread")),
        left => inbox.output.note(&tr!("{messages} messages stay unread", messages = grouped(left))),
    }
    Ok(())
}

fn note_if_empty(inbox: &mut InboxPrinter<'_>, what: &str) {
    if inbox.printed == 0 && inbox.output.is_for_a_person() {
        inbox.output.note(what);
    }
}
