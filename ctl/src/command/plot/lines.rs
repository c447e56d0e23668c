//! The plot as lines: one for each number.

use std::pin::pin;

use serde::Serialize;
use tokio::time::timeout;
use udpchat_api::{Client, safe};
use udpchat_locale::tr;

use super::feed::{Feed, Sample};
use crate::error::Result;
use crate::output::{Output, READER_CHECK, shown_number};

/// A number, in JSON.
#[derive(Serialize)]
struct Number<'a> {
    id: u64,
    at: String,
    peer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    field: &'a str,
    value: f64,
}

/// Prints until the end of the period or, if it has none, until the command is interrupted, no program reads the output any more,
/// or the daemon ends.
pub(super) async fn run(output: &mut Output, mut feed: Feed, mut client: Client) -> Result<()> {
    while let Some(page) = feed.history(&mut client).await? {
        page.iter().try_for_each(|sample| print(output, sample))?;
        output.flush()?;
        output.check_reader()?;
    }
    if let Some(note) = feed.note() {
        output.note(&note);
    }
    if feed.has_end() {
        return Ok(());
    }
    if output.is_watched() && !output.is_terminal() {
        output.note(tr!("waiting for numbers in what arrives; Ctrl+C ends"));
    }
    feed.follow(&mut client).await?;
    loop {
        let sample = next(&mut feed, &mut client, output).await?;
        print(output, &sample)?;
        output.flush()?;
        output.check_reader()?;
    }
}

/// Returns the next message of which the plot shows something.
async fn next(feed: &mut Feed, client: &mut Client, output: &Output) -> Result<Sample> {
    // One future for all checks: reading is never cancelled halfway.
    let mut next = pin!(feed.next(client));
    loop {
        match timeout(READER_CHECK, next.as_mut()).await {
            Ok(sample) => return sample,
            Err(_) => output.check_reader()?,
        }
    }
}

fn print(output: &mut Output, sample: &Sample) -> Result<()> {
    let Sample { id, at, peer, name, numbers, .. } = sample;
    let at = format!("{at:.6}");
    for (field, value) in numbers {
        if output.is_json() {
            let (id, at, name) = (*id, at.clone(), name.as_deref());
            output.json(&Number { id, at, peer, name, field, value: *value })?;
            continue;
        }
        let peer = safe::one_line(name.as_deref().unwrap_or(peer));
        let (field, value) = (safe::one_line(field), shown_number(*value));
        output.text(&format!("{at}\t{peer}\t{field}\t{value}\n"))?;
    }
    Ok(())
}
