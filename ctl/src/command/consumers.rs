//! `consumers`: lists, sets and removes read marks.

use clap::Args;
use clap_complete::ArgValueCandidates;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use nix::unistd::{Uid, User};
use udpchat_api::call::{Consumer, ConsumersParams, InboxParams, Order, RemoveMarkParams, SetMarkParams};
use udpchat_api::{DEFAULT_CONSUMER, safe};

use super::ack;
use super::completions::candidates;
use super::context::Context;
use super::inbox::Start;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, grouped};

const HELP: &str = "\
A consumer is a reader with a read mark of its own, for example a script that calls `inbox --consumer NAME`. Your own mark \
is `default` for root and the user that the daemon runs as, and `default@UID` for each other user. READ is the entry up to \
which it has read. A removed consumer is new when it reads again. Only an administrator changes the own mark of \
another user.

Examples:
  udpchatctl consumers
  udpchatctl consumers bot --set 812
  udpchatctl consumers bot --set now
  udpchatctl consumers old-bot --remove";

/// List, set and remove read marks
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ConsumersArgs {
    /// Only this consumer; `default` is your own read mark
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::consumers))]
    pub(crate) name: Option<String>,
    /// Set where it reads next: at the `oldest` entry, at what arrives from `now` on, or at the entry ID
    #[arg(long, value_name = "START", requires = "name")]
    pub(crate) set: Option<Start>,
    /// Remove its read mark
    #[arg(long, requires = "name", conflicts_with = "set")]
    pub(crate) remove: bool,
}

/// Runs `consumers`.
pub(crate) async fn run(context: Context<'_>, arguments: &ConsumersArgs) -> Result<()> {
    let (mut client, output) = (context.connect().await?, context.output);
    let consumer = arguments.name.clone();
    if let Some(start) = arguments.set {
        let id = start.read_mark(&mut client).await?;
        return ack::print(output, &client.call(&SetMarkParams { consumer, id }).await?);
    }
    if arguments.remove {
        let answer = client.call(&RemoveMarkParams { consumer }).await?;
        return match answer.removed {
            true if output.is_json() => output.json(&answer),
            true => output.done("removed"),
            false => Err(unknown(arguments.name.as_deref())),
        };
    }
    let own = client.call(&own_mark()).await?.consumer;
    let is_wanted = |consumer: &Consumer| match arguments.name.as_deref() {
        None => true,
        Some(DEFAULT_CONSUMER) => Some(&consumer.consumer) == own.as_ref(),
        Some(name) => consumer.consumer == name,
    };
    let mut consumers = client.call(&ConsumersParams {}).await?.consumers;
    consumers.retain(is_wanted);
    if consumers.is_empty() && arguments.name.is_some() {
        return Err(unknown(arguments.name.as_deref()));
    }
    output.use_pager();
    print(output, &consumers)
}

/// Returns a request whose answer names the own read mark.
fn own_mark() -> InboxParams {
    InboxParams { order: Some(Order::Desc), limit: Some(1), ..InboxParams::default() }
}

fn unknown(name: Option<&str>) -> CtlError {
    let text = format!("consumer `{}` has no read mark", name.unwrap_or_default());
    CtlError::new(Exit::Failed, "no_such_consumer", text)
        .hint("`udpchatctl consumers` lists those that have one")
}

fn print(output: &mut Output, consumers: &[Consumer]) -> Result<()> {
    if output.is_json() {
        return consumers.iter().try_for_each(|consumer| output.json(consumer));
    }
    if consumers.is_empty() {
        if output.is_for_a_person() {
            output.note("no consumer has read yet");
        }
        return Ok(());
    }
    output.text(&table(consumers, |uid| {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or(uid.to_string(), |user| user.name)
    }))
}

fn table(consumers: &[Consumer], name: impl Fn(u32) -> String) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["CONSUMER", "USER", "READ", "UNREAD"]);
    for Consumer { consumer, uid, read, unread } in consumers {
        let user = uid.map_or("-".to_owned(), |uid| safe::one_line(&name(uid)).into_owned());
        let consumer = safe::one_line(consumer).into_owned();
        table.add_row([consumer, user, format!("#{read}"), grouped(*unread)]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if at >= 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_users_and_groups_numbers() {
        let consumer = |consumer: &str, uid, read, unread| {
            let consumer = consumer.to_owned();
            Consumer { consumer, uid, read, unread }
        };
        let consumers =
            [consumer("default@1000", Some(1000), 812, 20_838), consumer("机器人", None, 21_650, 0)];
        let expected = "\
CONSUMER      USER    READ  UNREAD
default@1000  ann     #812  20,838
机器人        -     #21650       0
";
        assert_eq!(table(&consumers, |_| "ann".to_owned()), expected);
    }
}
