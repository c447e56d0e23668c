//! `held`: lists and cancels messages that are held until their peers send one.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table};
use jiff::tz::TimeZone;
use udpchat_api::call::{CancelParams, HeldMessage, HeldParams};
use udpchat_api::{Client, ClientError, ErrorKind, safe};
use udpchat_locale::tr;

use super::completions::candidates;
use super::context::Context;
use super::senders;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, counted, grouped, local_minute};
use crate::terminal::wrap;

const HELP: &str = "\
`udpchatctl send TO TEXT --when-seen` holds a message until a message from TO arrives, and sends it then. UNTIL is when it \
expires: then it is not sent, and a notice in the inbox says so. What --cancel removes is not sent either; its error for a \
number that is not held is that it was sent, cancelled or has expired. A user without the role `read` lists, and cancels with \
`all`, only the messages that this user has given.

Examples:
  udpchatctl held
  udpchatctl held --to sensor7
  udpchatctl held --cancel 17,18
  udpchatctl held --to sensor7 --cancel all
  udpchatctl --json held | jq -r 'select(.by == \"ann\").held'";

/// The space between two columns, in characters.
const GAP: u16 = 2;
/// The fewest columns of the text on a narrow terminal.
const MIN_TEXT_COLUMNS: u16 = 8;

/// The positions of columns in the table.
const NUMBER: usize = 0;
const FOR: usize = 1;
const BYTES: usize = 3;
const TEXT: usize = 5;

/// List or cancel messages that wait until their peers send one
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct HeldArgs {
    /// Only messages for TO: a peer's name or an address, as the list shows it, or a list of peers for those of its
    /// members; with `--cancel all` it cancels those
    #[arg(long, value_name = "TO", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) to: Option<String>,
    /// Cancel these messages: their numbers, with commas between them, or `all` that the list shows
    #[arg(long, value_name = "NUMBER", value_delimiter = ',', num_args = 1.., add = ArgValueCandidates::new(candidates::held))]
    pub(crate) cancel: Vec<Cancelled>,
}

/// Which messages are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// Those that the list shows.
    All,
    /// The one with this number.
    Number(u64),
}

impl FromStr for Cancelled {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let number = crate::command::filter::count(text).map(Self::Number);
        number.map_err(|_| tr!("expected the number of a held message, or `all`").to_owned())
    }
}

/// Runs `held`.
pub(crate) async fn run(context: Context<'_>, arguments: &HeldArgs) -> Result<()> {
    let mut client = context.connect().await?;
    if !arguments.cancel.is_empty() {
        return match numbers(&arguments.cancel, arguments.to.is_some())? {
            Some(numbers) => cancel(&mut client, context.output, &numbers).await,
            None => cancel_all(&mut client, context.output, arguments.to.as_deref()).await,
        };
    }
    context.output.use_pager();
    let held = all(&mut client, arguments.to.as_deref()).await?;
    if context.output.is_json() {
        return held.iter().try_for_each(|message| context.output.json(message));
    }
    if held.is_empty() {
        return say_none(context.output, arguments.to.as_deref());
    }
    let table = table(&held, context.output.zone(), context.output.terminal_width());
    context.output.text(&table)
}

/// Says that no message is held.
fn say_none(output: &mut Output, to: Option<&str>) -> Result<()> {
    match to {
        None => output.done(tr!("no message is held")),
        Some(to) => output.done(&tr!("no message is held for {peer}", peer = to)),
    }
}

/// Returns the numbers of the messages to cancel; none for all.
fn numbers(cancelled: &[Cancelled], has_to: bool) -> Result<Option<Vec<u64>>> {
    let number = |cancelled: &Cancelled| match cancelled {
        Cancelled::All => None,
        Cancelled::Number(number) => Some(*number),
    };
    let numbers: Vec<u64> = cancelled.iter().filter_map(number).collect();
    match (numbers.is_empty(), has_to) {
        (true, _) => Ok(None),
        (false, false) if numbers.len() == cancelled.len() => Ok(Some(numbers)),
        _ => Err(CtlError::usage(tr!(
            "a number stands for one message: it goes neither with `all` nor with --to"
        ))
        .hint(tr!("`udpchatctl held --to TO --cancel all` cancels what is held for TO"))),
    }
}

/// Cancels all messages that are listed. One that is sent meanwhile is not counted.
async fn cancel_all(client: &mut Client, output: &mut Output, to: Option<&str>) -> Result<()> {
    let held = all(client, to).await?;
    let mut cancelled = 0;
    for HeldMessage { held, .. } in &held {
        match client.call(&CancelParams { held: *held }).await {
            Ok(_) => cancelled += 1,
            Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::NoSuchHeld => {}
            Err(error) => return Err(error.into()),
        }
    }
    if output.is_json() {
        return Ok(());
    }
    match cancelled {
        0 => say_none(output, to),
        _ => output.done(&tr!("{messages} cancelled", messages = counted(cancelled, "message"))),
    }
}

/// Reads what is held, or what is held for `to`: for a list of peers what is held for its members, since each has its own.
///
/// # Errors
/// Nothing is held for `to`, and it is the name of no peer and no host. A peer that was removed from the configuration can still
/// have held messages.
async fn all(client: &mut Client, to: Option<&str>) -> Result<Vec<HeldMessage>> {
    let mut held = pages(client, to).await?;
    let Some(to) = to.filter(|_| held.is_empty()) else { return Ok(held) };
    for member in members(client, to).await {
        held.extend(pages(client, Some(&member)).await?);
    }
    held.sort_by_key(|message| message.held);
    if held.is_empty() {
        match senders::resolve(client, &mut vec![to.to_owned()]).await {
            Err(unknown) if unknown.exit() == Exit::Usage => return Err(unknown),
            // A user without the role `read` cannot ask who the peers are.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(held)
}

/// Returns the members of a list of peers. A user without the role `read` cannot ask for lists.
async fn members(client: &mut Client, to: &str) -> Vec<String> {
    let lists = client.peers(Some(0)).await.map(|answer| answer.lists).unwrap_or_default();
    lists.into_iter().find(|list| list.name == to).map(|list| list.members).unwrap_or_default()
}

/// Reads all pages.
async fn pages(client: &mut Client, to: Option<&str>) -> Result<Vec<HeldMessage>> {
    let mut held = Vec::new();
    loop {
        let after = held.last().map(|message: &HeldMessage| message.held);
        let page = client.call(&HeldParams { after, to: to.map(str::to_owned) }).await?;
        let is_over = !page.more || page.held.is_empty();
        held.extend(page.held);
        if is_over {
            return Ok(held);
        }
    }
}

/// Cancels messages. One that is not held does not stop the others.
async fn cancel(client: &mut Client, output: &mut Output, numbers: &[u64]) -> Result<()> {
    let numbers: BTreeSet<u64> = numbers.iter().copied().collect();
    let (mut cancelled, mut first_failure) = (0, None);
    for &held in &numbers {
        match client.call(&CancelParams { held }).await {
            Ok(_) => cancelled += 1,
            Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::NoSuchHeld => {
                let error = CtlError::from(ClientError::Refused(error));
                if numbers.len() > 1 {
                    output.failure(&error);
                }
                first_failure = first_failure.or(Some(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if cancelled > 0 && !output.is_json() {
        output.done(&tr!("{messages} cancelled", messages = counted(cancelled, "message")))?;
    }
    match first_failure {
        None => Ok(()),
        Some(only) if numbers.len() == 1 => Err(only),
        Some(_) => {
            let missing = grouped(numbers.len() as u64 - cancelled);
            let all = counted(numbers.len() as u64, "message");
            let error = CtlError::failed(tr!("{missing} of {all} could not be cancelled", missing, all));
            Err(error.hint(tr!("`udpchatctl held` lists them")))
        }
    }
}

/// Renders the messages. On a terminal of `width` columns, the beginnings of texts and, if that is not enough, of the names of peers
/// are shown; other programs get all that the daemon lists of a text.
fn table(held: &[HeldMessage], zone: &TimeZone, width: Option<u16>) -> String {
    let mut table = Table::new();
    let headers = [tr!("NUMBER"), tr!("FOR"), tr!("UNTIL"), tr!("BYTES"), tr!("USER"), tr!("TEXT")];
    table.load_style(NOTHING).set_truncation_indicator("…");
    table.set_header(Row::from(headers).max_height(1).clone());
    for HeldMessage { held, to, until, bytes, by, text, .. } in held {
        let mut row = Row::from([
            held.to_string(),
            safe::one_line(to).into_owned(),
            local_minute(*until, zone),
            grouped(*bytes as u64),
            by.as_deref().map_or("-".to_owned(), |by| safe::one_line(by).into_owned()),
            wrap::display_line(text.as_deref().unwrap_or_default()).into_owned(),
        ]);
        table.add_row(row.max_height(1).clone());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if matches!(at, NUMBER | BYTES) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    match width {
        Some(width) => fit(&mut table, width),
        None => drop(table.set_content_arrangement(ContentArrangement::Disabled)),
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Has what does not fit into `width` columns truncated: texts, then also the names of peers.
fn fit(table: &mut Table, width: u16) {
    let widths = table.column_max_content_widths();
    let others: u16 =
        widths.iter().enumerate().filter(|(at, _)| *at != TEXT).map(|(_, width)| width + GAP).sum();
    let is_text_enough = others + widths[TEXT].min(MIN_TEXT_COLUMNS) <= width;
    for (at, column) in table.column_iter_mut().enumerate() {
        if at != TEXT && (at != FOR || is_text_enough) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    // The gap after the last column is trimmed.
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.saturating_add(GAP));
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

    use super::*;

    #[test]
    fn the_table_shows_each_text_as_far_as_it_fits() {
        let message = |held, to: &str, text: &str, by: Option<&str>| HeldMessage {
            held,
            to: to.to_owned(),
            at: "2026-11-26T22:10:00Z".parse().unwrap(),
            until: "2026-11-28T22:10:59Z".parse().unwrap(),
            text: Some(text.to_owned()),
            encoding: None,
            encoding_is_default: false,
            bytes: text.len(),
            by: by.map(str::to_owned),
        };
        let held = [
            message(7, "sensor7", "interval=60", Some("ann")),
            message(18, "小明\u{1b}", "你好\nagain", None),
            message(19, "10.0.0.7", &"x".repeat(100), Some("0")),
        ];
        let table_of = |width| table(&held, &TimeZone::UTC, width);
        let expected = format!(
            "\
NUMBER  FOR         UNTIL             BYTES  USER  TEXT
     7  sensor7     2026-11-28 22:10     11  ann   interval=60
    18  小明\\u{{1b}}  2026-11-28 22:10     12  -     你好\\u{{a}}again
    19  10.0.0.7    2026-11-28 22:10    100  0     {}
",
            "x".repeat(100)
        );
        assert_eq!(table_of(None), expected, "other programs get all");
        assert_eq!(table_of(Some(152)), expected);
        assert_eq!(table_of(Some(80)), expected.replace(&"x".repeat(100), &format!("{}…", "x".repeat(28))));
        for width in 48..152 {
            let table = table_of(Some(width));
            assert_eq!(table.lines().count(), 4, "{table}");
            assert!(table.lines().all(|line| wrap::width(line) <= width.into()), "{width}:\n{table}");
        }
        let chinese = with_language(Language::Chinese, || table(&held[..1], &TimeZone::UTC, Some(80)));
        let expected = "\
编号  目的地   保留至            字节  用户  文本
   7  sensor7  2026-11-28 22:10    11  ann   interval=60
";
        assert_eq!(chinese, expected);
    }
}
