//! `--confirm`: waits for a report about what was sent.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use udpchat_api::{Bounce, Client, Delivery, Message};
use udpchat_locale::tr;

use crate::command::deliveries::{SentIds, outcome_of};
use crate::error::Result;
use crate::output::{Output, counted};

/// The longest time: later messages of a peer are no answers.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether a report is awaited.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct ConfirmArgs {
    /// Wait up to T, for example 1s, for a report that the message bounced, or for an answer; if it bounced, exit with 5
    #[arg(long, value_name = "T", value_parser = time_to_wait, conflicts_with = "when_seen")]
    confirm: Option<Duration>,
}

/// What is known of a message, in JSON.
#[derive(Serialize)]
struct Report<'a> {
    r#type: &'static str,
    about: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bounce: Option<&'a Bounce>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<u64>,
}

impl ConfirmArgs {
    pub(super) fn is_given(self) -> bool {
        self.confirm.is_some()
    }

    pub(super) fn time(self) -> Option<Duration> {
        self.confirm
    }

    /// Waits, and prints what is known of each message. Returns how many bounced, for people, if any did.
    pub(super) async fn report(
        self,
        client: &mut Client,
        output: &mut Output,
        sent: &SentIds,
    ) -> Result<Option<String>> {
        let Some(messages) = sent.messages(client, self.confirm.unwrap_or_default()).await else {
            return Ok(None);
        };
        for message in &messages {
            if output.is_json() {
                output.json(&Report {
                    r#type: "delivery",
                    about: message.id,
                    delivery: message.delivery,
                    bounce: message.bounce.as_ref(),
                    answer: message.answer,
                })?;
            } else {
                output.done(&described(message, messages.len() > 1))?;
            }
        }
        output.flush()?;
        let bounced = messages.iter().filter(|message| message.bounce.is_some()).count() as u64;
        let all = counted(messages.len() as u64, "message");
        Ok((bounced > 0).then(|| tr!("{bounced} of {messages} bounced", bounced, messages = all)))
    }
}

fn described(message: &Message, with_peer: bool) -> String {
    let outcome = outcome_of(message);
    match (&message.name, with_peer) {
        (_, false) => outcome,
        (Some(name), true) => tr!("{peer}: {outcome}", peer = name, outcome),
        (None, true) => tr!("{peer}: {outcome}", peer = message.peer, outcome),
    }
}

fn time_to_wait(text: &str) -> Result<Duration, String> {
    let time = crate::time::span(text)?;
    match time <= LONGEST {
        true => Ok(time),
        false => Err(tr!("expected 1m at most").to_owned()),
    }
}
