//! `consumers`: lists, sets and removes read marks.

use clap::Args;
use clap_complete::ArgValueCandidates;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use nix::unistd::{Uid, User};
use serde::Serialize;
use udpchat_api::call::{
    AckAnswer, Consumer, ConsumersParams, InboxParams, Order, RemoveMarkParams, SetMarkParams,
};
use udpchat_api::{Client, DEFAULT_CONSUMER, safe};
use udpchat_locale::tr;

use super::ack;
use super::completions::candidates;
use super::context::Context;
use super::inbox::Start;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, counted, grouped};

const HELP: &str = "\
A consumer is a reader with a read mark of its own, for example a script that calls `inbox --consumer NAME`. Your own mark \
is `default` for root and the user that the daemon runs as, and `default@UID` for each other user, whose name is in the \
column USER. Only an administrator changes the own mark of another user.

READ, in JSON `read`, is the last entry that is read. After `--set 812`, which makes 812 the next one, it is #811. A removed \
consumer is new when it reads again.

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
    let (client, output) = (context.connect().await?, context.output);
    match (arguments.name.as_deref(), arguments.set) {
        (Some(name), Some(start)) => set(client, output, name, start).await,
        (Some(name), None) if arguments.remove => remove(client, output, name).await,
        (name, _) => list(client, output, name).await,
    }
}

async fn set(mut client: Client, output: &mut Output, name: &str, start: Start) -> Result<()> {
    let id = start.read_mark(&mut client).await?;
    let answer = client.call(&SetMarkParams { consumer: Some(name.to_owned()), id }).await?;
    if output.is_json() {
        output.json(&answer)?;
    } else {
        output.done(&confirmation(&answer))?;
    }
    if answer.new { ack::note_new(&mut client, output, name).await } else { Ok(()) }
}

/// Says what a consumer has read, and what it reads next.
fn confirmation(answer: &AckAnswer) -> String {
    let (next, messages) = (answer.read.saturating_add(1), counted(answer.unread, "message"));
    match answer.read {
        0 => tr!("nothing is read, #{next} is next; {messages} unread", next, messages),
        read => tr!("read up to #{read}, #{next} is next; {messages} unread", read, next, messages),
    }
}

async fn remove(mut client: Client, output: &mut Output, name: &str) -> Result<()> {
    let answer = client.call(&RemoveMarkParams { consumer: Some(name.to_owned()) }).await?;
    match answer.removed {
        true if output.is_json() => output.json(&answer),
        true => output.done(tr!("removed")),
        false => Err(unknown(&mut client, name).await),
    }
}

async fn list(mut client: Client, output: &mut Output, name: Option<&str>) -> Result<()> {
    let own = client.call(&own_mark()).await?.consumer;
    let is_wanted = |consumer: &Consumer| match name {
        None => true,
        Some(DEFAULT_CONSUMER) => Some(&consumer.consumer) == own.as_ref(),
        Some(name) => consumer.consumer == name,
    };
    let mut consumers = client.call(&ConsumersParams {}).await?.consumers;
    consumers.retain(is_wanted);
    if let (true, Some(name)) = (consumers.is_empty(), name) {
        return Err(unknown(&mut client, name).await);
    }
    output.use_pager();
    print(output, &consumers)
}

/// Returns a request whose answer names the own read mark.
fn own_mark() -> InboxParams {
    InboxParams { order: Some(Order::Desc), limit: Some(1), ..InboxParams::default() }
}

async fn unknown(client: &mut Client, name: &str) -> CtlError {
    let error =
        CtlError::new(Exit::Failed, "no_such_consumer", tr!("consumer `{name}` has no read mark", name));
    // The suggestions are a courtesy: without them the error is the same.
    if let Some(mark) = mark_of_user(client, name).await {
        return error.hint(tr!("the read mark of user {name} is called `{mark}`", name, mark));
    }
    error.hint(match ack::similar(client, name).await {
        Ok(Some(similar)) => {
            tr!("did you mean `{similar}`? `udpchatctl consumers` lists those that have one", similar)
        }
        _ => tr!("`udpchatctl consumers` lists those that have one").to_owned(),
    })
}

/// Returns the read mark of a user's own, if it has one. Root and the daemon's user share another one.
async fn mark_of_user(client: &mut Client, name: &str) -> Option<String> {
    let user = User::from_name(name).ok().flatten()?;
    let mark = format!("{DEFAULT_CONSUMER}@{}", user.uid);
    let consumers = client.call(&ConsumersParams {}).await.ok()?.consumers;
    consumers.iter().any(|consumer| consumer.consumer == mark).then_some(mark)
}

/// A consumer in JSON: with the name of its user, which only this machine knows.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    consumer: &'a Consumer,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

fn print(output: &mut Output, consumers: &[Consumer]) -> Result<()> {
    let user = |uid| User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    if output.is_json() {
        return consumers
            .iter()
            .try_for_each(|consumer| output.json(&Listed { consumer, user: consumer.uid.and_then(user) }));
    }
    if consumers.is_empty() {
        output.note(tr!("no consumer has read yet"));
        return Ok(());
    }
    output.text(&table(consumers, |uid| user(uid).unwrap_or_else(|| uid.to_string())))
}

fn table(consumers: &[Consumer], name: impl Fn(u32) -> String) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([tr!("CONSUMER"), tr!("USER"), tr!("READ"), tr!("UNREAD")]);
    for Consumer { consumer, uid, read, unread } in consumers {
        let user = uid.map_or("-".to_owned(), |uid| safe::one_line(&name(uid)).into_owned());
        let consumer = safe::one_line(consumer).into_owned();
        let read = if *read == 0 { "-".to_owned() } else { format!("#{read}") };
        table.add_row([consumer, user, read, grouped(*unread)]);
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
    use udpchat_locale::{Language, with_language};

    use super::*;

    #[test]
    fn the_confirmation_names_what_is_next() {
        let of = |read, unread| confirmation(&AckAnswer { read, unread, new: false });
        assert_eq!(of(811, 1), "read up to #811, #812 is next; 1 message unread");
        assert_eq!(of(0, 20_838), "nothing is read, #1 is next; 20,838 messages unread");
    }

    #[test]
    fn the_table_names_users_and_groups_numbers() {
        let consumer = |consumer: &str, uid, read, unread| {
            let consumer = consumer.to_owned();
            Consumer { consumer, uid, read, unread }
        };
        let consumers = [
            consumer("default@1000", Some(1000), 812, 20_838),
            consumer("new", None, 0, 3),
            consumer("机器人", None, 21_650, 0),
        ];
        let expected = "\
CONSUMER      USER    READ  UNREAD
default@1000  ann     #812  20,838
new           -          -       3
机器人        -     #21650       0
";
        assert_eq!(table(&consumers, |_| "ann".to_owned()), expected);
        let expected = "\
消费者        用户  已读到    未读
default@1000  ann     #812  20,838
new           -          -       3
机器人        -     #21650       0
";
        let chinese = with_language(Language::Chinese, || table(&consumers, |_| "ann".to_owned()));
        assert_eq!(chinese, expected);
    }
}
