//! `ask`: sends a message and prints the answers.
//!
//! An answer has a higher entry id than the message. So no answer is missed, however fast it is, and no earlier message is
//! taken for one.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_api::call::{DirectionFilter, SendParams, SubscribeParams};
use udpchat_api::{Entry, Message};
use udpchat_locale::tr;

use super::completions::candidates;
use super::context::Context;
use super::filter::{ContentArgs, count};
use super::send::{self, FormArgs, MessageArgs};
use super::wait::{self, Bounces, Retry, Wanted};
use crate::connect::check_read_permission;
use crate::error::{CtlError, Result};
use crate::output::Output;

const HELP: &str = "\
Prints only the text of the answer, with --hex its bytes as hex digits; with --json the whole entry. An answer is a message that comes from the address and \
port to which the message was sent, after it was sent: so of a device that also reports by itself, the next report may be taken for the \
answer, unless --grep or --grep-hex selects the answer. It stays unread for `inbox`. With --anyone, a copy of the \
sent message that returns to its sender is not an answer. \
Exits with 4 if no answer arrives in time, and with 5 if the message cannot be sent or bounces: if the network reports that \
nobody receives it, which takes milliseconds for a closed port and 3 s for a host that is gone. With --retry only the last \
question ends it so.

Examples:
  udpchatctl ask bob 'what time is it?'
  temperature=$(udpchatctl ask sensor:9000 'T?' --timeout 500ms)
  udpchatctl ask 192.168.1.255 'who is there?' --anyone -c 100 --timeout 2s
  udpchatctl ask sensor7 'T?' --retry 3 --timeout 8s
  udpchatctl ask sensor7 'T?' --last-port
  udpchatctl --json ask plc --hex '01 03 00 00' | jq -r .raw
  udpchatctl ask plc --hex '01 03 00 0a 00 02' --append crc16-modbus
  udpchatctl ask plc --hex '01 03 00 00 00 01' --grep-hex '01 03'";

/// Send a message and wait for the answer
#[derive(Debug, Args)]
#[command(after_help = HELP)]
#[command(mut_arg("grep", |arg| arg.help("Accept only answers whose text matches the regular expression RE")))]
#[command(mut_arg("grep_hex", |arg| arg.help("Accept only answers that contain these bytes, given as hex digits")))]
pub(crate) struct AskArgs {
    // Not a documentation comment: the brackets would be links.
    #[arg(value_name = "TO", help = "A peer's name, host[:port] or [v6]:port; the default port is 7788")]
    #[arg(add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) to: String,
    /// Ask at the port that the last message of TO came from, as `chat` and `reply` do
    #[arg(long)]
    pub(crate) last_port: bool,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Give up after T, for example 500ms, 30s or 1m30s; a number alone is seconds
    #[arg(long, value_name = "T", default_value = "5s", value_parser = crate::time::span)]
    pub(crate) timeout: Duration,
    /// Ask again N times within the timeout, at equal intervals, until an answer arrives
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) retry: u32,
    /// Wait for N answers
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = count)]
    pub(crate) count: u64,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    /// Accept answers from every peer, for broadcast and multicast
    #[arg(long)]
    pub(crate) anyone: bool,
}

/// Runs `ask`.
pub(crate) async fn run(context: Context<'_>, arguments: &AskArgs) -> Result<()> {
    send::check_order("ask", &arguments.to, &arguments.message)?;
    send::refuse_port(&context, "ask", &arguments.to, &arguments.message).await?;
    arguments.form.note_literal(context.output, &arguments.message);
    arguments.form.check(&arguments.message, false)?;
    arguments.message.check()?;
    let reading = arguments.form.for_reading(&arguments.message);
    let (mut client, output, payload) = send::prepare(context, &reading).await?;
    // Before anything is sent: without this role its answer could not be read.
    check_read_permission(&mut client).await?;
    let payload =
        arguments.form.of_one((&mut client, output), &arguments.to, &arguments.message, payload).await?;
    let target = match arguments.last_port {
        true => send::params_to_last_port(&mut client, &arguments.to).await?,
        false => SendParams { to: Some(arguments.to.clone()), ..SendParams::default() },
    };
    let question = send::params(&target, &arguments.message, payload);
    let sent = client.call(&question).await.map_err(CtlError::of_send)?;
    send::note_large(output, &sent);
    let sent = sent.into_entries();
    let mut known = send::KnownPeers::default();
    send::note_unread_input(&mut client, &mut known, output, &arguments.to, &arguments.message).await;
    if let Some(refusal) = sent.iter().find_map(send::refusal) {
        return Err(refusal);
    }
    let Some(Entry::Message(first)) = sent.first() else {
        return Err(CtlError::failed(tr!("the daemon did not return the sent message")));
    };
    send::note_encoding(output, first);
    let other_port = send::OtherPort::of(&mut client, &mut known, &arguments.to, first).await;
    if let Some(other) = other_port.as_ref().filter(|other| other.is_of_host()) {
        output.note(&other.describe("ask"));
    }
    let other_port = other_port.filter(|other| !other.is_of_host());
    let wanted = answers(arguments, first, &sent);
    let at_last_port = arguments.last_port.then(|| arguments.to.clone());
    let retry = Retry::of(question, arguments.retry, at_last_port, &sent);
    // Some devices answer from another port than the one that they are asked at.
    let mut elsewhere = None;
    let print = |output: &mut Output, entry: &Entry| match entry {
        Entry::Message(Message { peer, local, .. })
            if !arguments.anyone && *peer == first.peer && *local == Some(first.peer) =>
        {
            Err(asks_the_daemon(first))
        }
        Entry::Message(message) if !arguments.anyone && !retry.has_asked(message.peer) => {
            elsewhere = Some(Message::clone(message));
            Ok(false)
        }
        _ => output.answer(entry, arguments.message.hex).map(|()| true),
    };
    let newest = sent.iter().map(Entry::id).collect();
    let bounces = Bounces::of(client.path(), newest, wanted.subscription.from.clone()).await;
    let socket = client.path().to_owned();
    let waited = wait::for_messages(client, output, &wanted, Some((&retry, bounces)), print).await;
    // What another peer of that host has sent is no answer if this one has answered something else.
    let is_from_another = elsewhere.as_ref().is_none_or(|message| is_of_another(first, message));
    // A device may have another port since it started again.
    let moved = match &waited {
        Err(error) if elsewhere.is_none() && (error.is_timeout() || error.is_bounce()) => {
            let last = Message { peer: retry.last_asked().unwrap_or(first.peer), ..first.clone() };
            let moved = send::OtherPort::since(&socket, &arguments.to, &last).await;
            match arguments.last_port {
                true => moved.and_then(|moved| moved.of_last_port(first.id)),
                false => moved,
            }
        }
        _ => None,
    };
    let other_port = other_port.or(moved);
    waited.map_err(|error| match error {
        // What came and does not match is named already.
        error if error.is_timeout() && error.has_hint() && is_from_another => error,
        error if error.is_timeout() => {
            let other_port = other_port.as_ref().map(|other| other.describe("ask"));
            error.hint(how_to_get_an_answer(arguments.anyone, first, elsewhere.as_ref(), other_port))
        }
        // The peer may listen on another port.
        error if error.is_bounce() => match (&elsewhere, &other_port) {
            (None, None) => error,
            (Some(message), _) => error.hint(from_another_port(first, message)),
            (None, Some(other)) => error.hint(other.describe("ask")),
        },
        error if error.is_lost() => {
            error.amended(|reason| tr!("{reason}; #{id} was sent", reason, id = first.id))
        }
        error => error,
    })
}

/// Returns the error of a question to an address on which the daemon itself listens: what it sends there comes back.
fn asks_the_daemon(question: &Message) -> CtlError {
    let Message { id, peer, .. } = question;
    CtlError::not_sent(
        "own_address",
        tr!("{peer} is an address of the daemon itself: #{id} is the question", peer, id),
    )
    .hint(tr!("`udpchatctl peers` lists the ports that devices were heard from"))
}

/// Returns what to do after the timeout. `elsewhere` is the last message from another port of the host, and `other_port` says
/// that the host was heard from another port before.
fn how_to_get_an_answer(
    anyone: bool,
    question: &Message,
    elsewhere: Option<&Message>,
    other_port: Option<String>,
) -> String {
    match (elsewhere, other_port) {
        (Some(message), _) => from_another_port(question, message),
        (None, Some(other_port)) if !anyone => other_port,
        (None, _) if !anyone && send::is_for_many(question) => {
            tr!("`--anyone` accepts answers from every peer").to_owned()
        }
        (None, _) => tr!("`--timeout` waits longer; a later answer is in the inbox").to_owned(),
    }
}

/// Returns whether a message came from another configured peer than the one that was asked.
fn is_of_another(question: &Message, message: &Message) -> bool {
    message.name.is_some() && message.name != question.name
}

/// Describes a message that came after the question from another port of the host that was asked.
fn from_another_port(question: &Message, message: &Message) -> String {
    let Message { id, peer, .. } = message;
    match &message.name {
        Some(name) if question.name.as_ref() == Some(name) => tr!(
            "#{id} came from {peer}, another port of `{name}`; `udpchatctl ask {peer}` asks that port, and `--anyone` accepts \
             answers from every port",
            id,
            peer,
            name
        ),
        Some(name) => tr!(
            "#{id} came from `{name}` ({peer}), another peer at that address; `udpchatctl ask {name}` asks that peer",
            id,
            name,
            peer
        ),
        None => tr!(
            "#{id} came from {peer}, another port of that host; `udpchatctl ask {peer}` asks that port, and `--anyone` accepts \
             answers from every port",
            id,
            peer
        ),
    }
}

/// Returns what may be an answer: messages after the first datagram that was sent, from every port of the host that was asked,
/// so that an answer from another port can be named.
fn answers(arguments: &AskArgs, first: &Message, sent: &[Entry]) -> Wanted {
    let asked = || vec![first.peer.to_string(), first.peer.ip().to_string()];
    let subscription = SubscribeParams {
        after: Some(first.id),
        from: if arguments.anyone { Vec::new() } else { asked() },
        direction: Some(DirectionFilter::In),
        grep: arguments.content.pattern(),
        contains: arguments.content.grep_hex.clone(),
        ..SubscribeParams::default()
    };
    let from = (!arguments.anyone).then(|| match &first.name {
        Some(name) => tr!("{name} ({address})", name, address = first.peer),
        None => first.peer.to_string(),
    });
    let payload = |entry: &Entry| match entry {
        Entry::Message(message) => Some(message.raw.clone()),
        Entry::Gap(_) | Entry::Notice(_) => None,
    };
    let own = if arguments.anyone { sent.iter().filter_map(payload).collect() } else { Vec::new() };
    let senders = if arguments.anyone { Vec::new() } else { vec![first.peer.to_string()] };
    let (timeout, hex) = (Some(arguments.timeout), arguments.message.hex);
    Wanted { subscription, from, senders, count: arguments.count, timeout, own, hex, ..Wanted::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(peer: &str) -> Message {
        let message = serde_json::json!({
            "id": 4, "at": "2026-11-22T12:00:00Z", "direction": "in", "peer": peer, "text": "22", "encoding": "utf-8",
            "encoding_by": "fallback", "bytes": 2, "raw": "MjI=",
        });
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn a_timeout_names_what_may_have_been_the_answer() {
        let (question, elsewhere) = (message("10.0.0.7:9000"), message("10.0.0.7:5000"));
        let after =
            |question: &Message, elsewhere| how_to_get_an_answer(false, question, Some(elsewhere), None);
        let named =
            |name: &str, message: &Message| Message { name: Some(name.to_owned()), ..message.clone() };
        let that_port =
            "`udpchatctl ask 10.0.0.7:5000` asks that port, and `--anyone` accepts answers from every port";
        assert_eq!(
            after(&question, &elsewhere),
            format!("#4 came from 10.0.0.7:5000, another port of that host; {that_port}")
        );
        let (asked, own, other) =
            (named("board", &question), named("board", &elsewhere), named("plc", &elsewhere));
        assert_eq!(
            after(&asked, &own),
            format!("#4 came from 10.0.0.7:5000, another port of `board`; {that_port}")
        );
        assert_eq!(
            after(&asked, &other),
            "#4 came from `plc` (10.0.0.7:5000), another peer at that address; `udpchatctl ask plc` asks that peer"
        );
        let one = |anyone, heard: Option<&str>| {
            how_to_get_an_answer(anyone, &question, None, heard.map(str::to_owned))
        };
        assert_eq!(one(false, Some("heard before")), "heard before");
        assert!(one(false, None).contains("--timeout") && one(true, Some("x")).contains("--timeout"));
        let many = |anyone| how_to_get_an_answer(anyone, &message("10.0.0.255:9000"), None, None);
        assert!(many(false).contains("--anyone") && many(true).contains("--timeout"));
    }
}
