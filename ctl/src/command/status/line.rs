//! Renders the daemon's state in one line, for `status --watch` into a pipe or a file.

use jiff::tz::TimeZone;
use udpchat_api::call::{State, Status};
use udpchat_api::safe;

use super::watch::rates::Rates;
use crate::error::Result;
use crate::output::style::{ALERT, ERROR, Palette};
use crate::output::{Output, grouped, local_time};

/// Prints the state as one line, or in JSON as an object; with `rates` each counter has its growth per second.
pub(super) fn print(output: &mut Output, status: &Status, rates: Option<&Rates>) -> Result<()> {
    if output.is_json() {
        return output.json(status);
    }
    output.text(&as_line(status, rates, output.zone(), output.palette()))
}

/// Renders time, state and counters.
fn as_line(status: &Status, rates: Option<&Rates>, zone: &TimeZone, palette: Palette) -> String {
    let state = match status.state {
        State::Ok => "ok".to_owned(),
        State::Degraded => palette.paint(ERROR, "degraded"),
    };
    let growth =
        |of: fn(&Rates) -> u64| rates.map(|rates| format!(" +{}/s", grouped(of(rates)))).unwrap_or_default();
    let dropped = status.dropped.total() - status.dropped.own;
    let dropped = match status.kernel_drops + dropped {
        0 => "0".to_owned(),
        dropped => palette.paint(ALERT, &grouped(dropped)),
    };
    let silent = status.watched_peers.iter().filter(|peer| peer.silent_since.is_some()).count();
    let of_interest =
        [("bounced", status.sent.bounced), ("held", status.held.messages), ("silent", silent as u64)];
    let of_interest: String = of_interest
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("  {name} {}", grouped(count)))
        .collect();
    let problems: String =
        status.problems.iter().map(|problem| format!("  problem: {}", safe::one_line(problem))).collect();
    format!(
        "{}  {state}  received {}{}  stored {}{}  queued {}  dropped {dropped}  unread {}{of_interest}{}\n",
        local_time(status.at, zone),
        grouped(status.received.datagrams),
        growth(|rates| rates.received),
        grouped(status.stored),
        growth(|rates| rates.stored),
        grouped(status.queued),
        grouped(status.inbox.unread),
        palette.paint(ALERT, &problems),
    )
}

#[cfg(test)]
mod tests {
    use udpchat_api::call::WatchedPeer;

    use super::*;

    fn status() -> Status {
        serde_json::from_value(serde_json::json!({
            "at": "2026-11-22T13:02:10Z", "version": "0.1.0", "pid": 1, "started": "2026-11-22T10:00:00Z",
            "state": "degraded", "problems": ["the disk\u{1b} is full"], "listen": [], "socket": "", "data_dir": "",
            "receive_buffer": { "asked": 1, "granted": 1 }, "received": { "datagrams": 1_234, "bytes": 5 },
            "stored": 1_230, "queued": 0, "kernel_drops": 7, "dropped": { "denied": 3, "queue_full": 1 },
            "sent": { "datagrams": 1, "failed": 0 },
            "inbox": { "entries": 1, "oldest_id": 1, "newest_id": 1, "bytes": 1, "unread": 5 },
        }))
        .unwrap()
    }

    #[test]
    fn a_line_has_counters_growth_and_problems() {
        let line = |rates: Option<&Rates>| as_line(&status(), rates, &TimeZone::UTC, Palette::new(false));
        let expected = "2026-11-22 13:02:10  degraded  received 1,234  stored 1,230  queued 0  dropped 11  unread 5  \
                        problem: the disk\\u{1b} is full\n";
        assert_eq!(line(None), expected);
        let mut concerned = status();
        (concerned.sent.bounced, concerned.held.messages) = (1_234, 2);
        let peer = |silent_since| WatchedPeer { name: "sensor7".to_owned(), last_heard: None, silent_since };
        concerned.watched_peers = vec![peer(None), peer(Some(concerned.at))];
        let line_of_peers = as_line(&concerned, None, &TimeZone::UTC, Palette::new(false));
        assert!(
            line_of_peers.contains("unread 5  bounced 1,234  held 2  silent 1  problem"),
            "{line_of_peers}"
        );
        let rates = Rates { received: 1_000, bytes: 0, stored: 999, sent: 0 };
        assert!(line(Some(&rates)).contains("received 1,234 +1,000/s  stored 1,230 +999/s  queued"));
    }
}
