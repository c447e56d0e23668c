//! The plot as lines: one for each number.

use serde::Serialize;
use udpchat_api::{Client, safe};

use super::feed::{Feed, Sample};
use crate::error::Result;
use crate::output::{Output, shown_number};

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

/// Prints until the command is interrupted, or the daemon ends.
pub(super) async fn run(
    output: &mut Output,
    mut feed: Feed,
    mut client: Client,
    fields: &[String],
) -> Result<()> {
    while let Some(page) = feed.history(&mut client).await? {
        page.iter().try_for_each(|sample| print(output, sample, fields))?;
        output.flush()?;
        output.check_reader()?;
    }
    feed.follow(&mut client).await?;
    loop {
        let sample = feed.next(&mut client).await?;
        print(output, &sample, fields)?;
        output.flush()?;
    }
}

fn print(output: &mut Output, sample: &Sample, fields: &[String]) -> Result<()> {
    let Sample { id, at, peer, name, numbers } = sample;
    let at = format!("{at:.6}");
    for (field, value) in numbers.iter().filter(|(name, _)| fields.is_empty() || fields.contains(name)) {
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
