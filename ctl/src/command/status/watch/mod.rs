//! `status --watch`: shows the state of the daemon until the user or a signal ends it.
//!
//! On a terminal it is a full screen: `view` draws the `model`. Otherwise it prints a line, or with --json an object, for
//! each interval (`lines`). Rates are differences between two answers (`rates`, `talkers`).

mod connection;
mod fit;
mod full_screen;
mod lines;
mod model;
pub(super) mod rates;
mod talkers;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use self::connection::StatusQuery;
use crate::error::Result;
use crate::output::Output;
use crate::terminal;

/// The shortest and the longest interval.
pub(crate) const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));

/// Watches the daemon. It must answer at the start; later it may end and start again.
pub(crate) async fn run(output: &mut Output, socket: Option<PathBuf>, interval: Duration) -> Result<()> {
    let mut query = StatusQuery::new(socket);
    let first = query.ask().await?;
    if output.is_for_a_person() && terminal::supports_full_screen() {
        full_screen::run(output, query, first, interval).await
    } else {
        lines::run(output, query, first, interval).await
    }
}
