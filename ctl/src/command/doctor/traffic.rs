//! Reports what has arrived and what was lost.

use udpchat_locale::tr;

use super::facts::Facts;
use super::finding::Finding;
use crate::output::{counted, grouped};

const TOPIC: &str = "traffic";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let received = Facts::received_of_others(status);
    let mut found = vec![Finding::ok(
        TOPIC,
        match received {
            0 => {
                tr!("nothing has arrived since the start at {time}", time = facts.local_time(status.started))
            }
            _ => tr!(
                "{datagrams} arrived since the start, {stored} stored",
                datagrams = counted(received, "datagram"),
                stored = grouped(status.stored)
            ),
        },
    )];
    if status.dropped.queue_full > 0 {
        let datagrams = counted(status.dropped.queue_full, "datagram");
        let seen = tr!("{datagrams} were lost because the inbox could not keep up", datagrams);
        found.push(
            Finding::warning(TOPIC, seen)
                .hint(tr!("use a faster disk or fewer senders; each loss is a gap in the inbox")),
        );
    }
    if status.lost_before > 0 {
        let datagrams = counted(status.lost_before, "datagram");
        let seen = tr!("{datagrams} were lost when the previous daemon process ended", datagrams);
        found.push(
            Finding::warning(TOPIC, seen)
                .hint(tr!("a gap in the inbox shows when; the daemon's log may show why it ended")),
        );
    }
    if status.sent.failed > 0 {
        let messages = counted(status.sent.failed, "message");
        let seen = tr!("{messages} could not be sent", messages);
        found.push(
            Finding::warning(TOPIC, seen)
                .hint(tr!("`udpchatctl inbox --direction out` shows them with the reason")),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Warning};
    use super::super::testing::{facts, levels, text, with_status};
    use super::*;

    #[test]
    fn received_and_lost_datagrams_are_counted() {
        assert_eq!(text(&findings(&facts())), "12 datagrams arrived since the start, 12 stored");
        let silent = with_status(|status| status.dropped.own = 12);
        assert_eq!(text(&findings(&silent)), "nothing has arrived since the start at 2026-11-22 10:00:00");
        let lossy = with_status(|status| {
            status.dropped.queue_full = 2;
            status.lost_before = 3;
            status.sent.failed = 1;
        });
        assert_eq!(levels(&findings(&lossy)), [Fine, Warning, Warning, Warning]);
    }
}
