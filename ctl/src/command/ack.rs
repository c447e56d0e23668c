//! `ack`: marks messages as read.

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_api::Client;
use udpchat_api::call::{AckAnswer, AckParams, ConsumersParams};
use udpchat_config::nearest;
use udpchat_locale::tr;

use super::completions::candidates;
use super::context::Context;
use super::filter::entry_id;
use crate::error::Result;
use crate::output::{Output, counted};

const HELP: &str = "\
Everything up to the entry ID counts as read. A read mark never goes back; `consumers NAME --set ID` sets which entry it reads next. \
When the command has ended with 0, the mark is on the disk.

`inbox --consumer` marks a message as read once the program that reads the pipe has taken it, whatever becomes of it then. A \
script that must not lose a message reads with --peek, and acknowledges each message when it is done with it:

  udpchatctl --json inbox --peek --consumer bot | while read -r message; do
      process \"$message\" || break
      id=$(printf %s \"$message\" | jq .id)
      udpchatctl -q ack --consumer bot \"$id\" || break
  done

Examples:
  udpchatctl ack 812
  udpchatctl ack '#812' --consumer bot";

/// Mark everything up to an entry as read
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct AckArgs {
    /// The id of the newest entry that is read
    #[arg(value_name = "ID", value_parser = entry_id, add = ArgValueCandidates::new(candidates::messages))]
    pub(crate) id: u64,
    /// Move the read mark of the consumer NAME, not your own
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::consumers))]
    pub(crate) consumer: Option<String>,
}

/// Runs `ack`.
pub(crate) async fn run(context: Context<'_>, arguments: &AckArgs) -> Result<()> {
    let (mut client, output) = (context.connect().await?, context.output);
    let params = AckParams { consumer: arguments.consumer.clone(), id: arguments.id };
    let answer = client.call(&params).await?;
    print(output, &answer)?;
    if arguments.id < answer.read && !output.is_json() {
        output.flush()?;
        output.note(&tr!("the read mark is at #{read} already; it never goes back", read = answer.read));
    }
    match arguments.consumer.as_deref() {
        Some(consumer) if answer.new => note_new(&mut client, output, consumer).await,
        _ => Ok(()),
    }
}

fn print(output: &mut Output, answer: &AckAnswer) -> Result<()> {
    if output.is_json() {
        return output.json(answer);
    }
    let (read, messages) = (answer.read, counted(answer.unread, "message"));
    output.done(&tr!("read up to #{read}, {messages} unread", read, messages))
}

/// Says that a read mark was created for a consumer, whose name may be misspelt.
pub(super) async fn note_new(client: &mut Client, output: &mut Output, consumer: &str) -> Result<()> {
    output.flush()?;
    output.note(&match similar(client, consumer).await? {
        None => tr!("consumer `{consumer}` is new", consumer),
        Some(similar) => tr!(
            "consumer `{consumer}` is new; if you meant `{similar}`, `udpchatctl consumers {consumer} --remove` \
             removes it again",
            consumer,
            similar
        ),
    });
    Ok(())
}

/// Returns the consumer whose name is the nearest to a name.
pub(super) async fn similar(client: &mut Client, name: &str) -> Result<Option<String>> {
    let consumers = client.call(&ConsumersParams {}).await?.consumers;
    let others = consumers.iter().map(|one| one.consumer.as_str()).filter(|other| *other != name);
    Ok(nearest(name, others).map(str::to_owned))
}
