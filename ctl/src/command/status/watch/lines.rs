//! The watch where no person looks at a screen: a line, or with --json an object, for each interval.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::connection::{Answer, Link};
use super::rates::Rates;
use crate::command::status::line;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// Prints until the reader has gone, or until the program is ended from outside.
pub(super) async fn run(
    output: &mut Output,
    mut link: Link,
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
        match link.ask().await {
            Ok(answer) => {
                if std::mem::take(&mut is_gone) {
                    output.note("the daemon answers again");
                }
                let elapsed = answer.at.saturating_duration_since(before.at);
                print(output, &answer, Rates::between(&before.status, &answer.status, elapsed).as_ref())?;
                before = answer;
            }
            Err(error) if !std::mem::replace(&mut is_gone, true) => tell(output, error),
            Err(_) => {}
        }
    }
}

fn print(output: &mut Output, answer: &Answer, rates: Option<&Rates>) -> Result<()> {
    line::print(output, &answer.status, rates)?;
    output.flush()
}

/// Says once that the daemon is gone. It is no reason to end: daemons are started again.
fn tell(output: &mut Output, error: CtlError) {
    output.failure(&error.hint("waiting for it to come back"));
}
