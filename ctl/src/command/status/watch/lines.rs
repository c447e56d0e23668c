//! The watch into a pipe or a file: a line, or with --json an object, for each interval.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use udpchat_locale::{tr, translated};

use super::connection::{Answer, StatusQuery, is_final};
use super::rates::Rates;
use crate::command::status::line;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// Prints until the reader of the output closes it, or a signal ends the program.
pub(super) async fn run(
    output: &mut Output,
    mut query: StatusQuery,
    first: Answer,
    interval: Duration,
) -> Result<()> {
    print(output, &first, None)?;
    let mut before = first;
    let mut is_gone = false;
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match query.ask().await {
            Ok(answer) => {
                if std::mem::take(&mut is_gone) {
                    output.note(tr!("the daemon answers again"));
                }
                let elapsed = answer.at.saturating_duration_since(before.at);
                print(output, &answer, Rates::between(&before.status, &answer.status, elapsed).as_ref())?;
                before = answer;
            }
            Err(error) if is_final(&error) => return Err(error),
            Err(error) if !std::mem::replace(&mut is_gone, true) => report_lost_daemon(output, error),
            Err(_) => {}
        }
    }
}

fn print(output: &mut Output, answer: &Answer, rates: Option<&Rates>) -> Result<()> {
    line::print(output, &answer.status, rates)?;
    output.flush()
}

/// Reports that the daemon does not answer. The watch continues, because daemons are restarted.
fn report_lost_daemon(output: &mut Output, error: CtlError) {
    let CtlError::Failed(failure) = &error else { return };
    let hint = translated(failure.hint.as_deref().unwrap_or_default()).into_owned();
    output.failure(&error.hint(tr!("{hint}; waiting for it to come back", hint)));
}
