//! Reports what has arrived and what was lost.

use udpchat_api::Message;
use udpchat_api::call::Status;
use udpchat_locale::tr;

use super::facts::{Facts, Newest};
use super::finding::Finding;
use crate::output::{counted, grouped};

const TOPIC: &str = "traffic";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let received = Facts::received_of_others(status);
    let mut found = vec![match received {
        0 => nothing(facts, status),
        _ => Finding::ok(
            TOPIC,
            tr!(
                "{datagrams} arrived since the start, {stored} stored",
                datagrams = counted(received, "datagram"),
                stored = grouped(status.stored)
            ),
        ),
    }];
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
                .hint(tr!("`udpchatctl inbox --delivery not-sent` shows them with the reason")),
        );
    }
    found
}

/// Reports that nothing has arrived, with the command that shows whether datagrams reach this machine. That senders use the
/// previous port is only suspected if the last message was received on a port which the daemon has no more.
fn nothing(facts: &Facts, status: &Status) -> Finding {
    let seen = tr!("nothing has arrived since the start at {time}", time = facts.local_time(status.started));
    if let Newest::Message(last) = &facts.last_received
        && let Some(port) = last.local.map(|local| local.port())
        && !facts.ports().contains(&port)
    {
        let Message { id, at, peer, .. } = last.as_ref();
        let time = facts.local_time(*at);
        let seen = tr!(
            "{seen}; the last message in the inbox, #{id} from {peer} at {time}, came to port {port}, on which this daemon \
             does not listen",
            seen,
            id,
            peer,
            time,
            port
        );
        return Finding::warning(TOPIC, seen).hint(tr!(
            "`sudo tcpdump -ni any udp port {port}` shows whether datagrams still come to that port, and \
             `sudo ss -lunp 'sport = :{port}'` which program listens there; give the senders the new port, or add the old one to \
             `listen`",
            port
        ));
    }
    let ports: Vec<_> = facts.ports().iter().map(|port| format!("port {port}")).collect();
    Finding::ok(TOPIC, seen).hint(tr!(
        "`sudo tcpdump -ni any 'udp and ({ports})'` shows whether datagrams reach this machine",
        ports = ports.join(" or ")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Warning};
    use super::super::testing::{facts, levels, text, with_status};
    use super::*;
    use udpchat_api::Entry;

    #[test]
    fn received_and_lost_datagrams_are_counted() {
        assert_eq!(text(&findings(&facts())), "12 datagrams arrived since the start, 12 stored");
        let silent = with_status(|status| status.dropped.own = 12);
        assert_eq!(text(&findings(&silent)), "nothing has arrived since the start at 2026-11-22 10:00:00");
        let hint = findings(&silent)[0].hint.clone().unwrap();
        assert!(hint.starts_with("`sudo tcpdump -ni any 'udp and (port 7788)'` shows"), "{hint}");
        let lossy = with_status(|status| {
            status.dropped.queue_full = 2;
            status.lost_before = 3;
            status.sent.failed = 1;
        });
        assert_eq!(levels(&findings(&lossy)), [Fine, Warning, Warning, Warning]);
    }

    #[test]
    fn a_message_to_a_previous_port_is_a_warning() {
        for (port, level) in [(7788, Fine), (7790, Warning)] {
            let message = format!(
                r#"{{"type":"message","id":812,"at":"2026-11-21T09:00:00Z","direction":"in","peer":"10.1.0.9:5000",
                "local":"10.1.0.1:{port}","text":"x","encoding":"utf-8","encoding_by":"detected","bytes":1,"raw":"eA=="}}"#
            );
            let Ok(Entry::Message(message)) = serde_json::from_str(&message) else { panic!("{message}") };
            let silent = with_status(|status| status.dropped.own = 12);
            let facts = Facts { last_received: Newest::Message(Box::new(message)), ..silent };
            let found = findings(&facts);
            assert_eq!(levels(&found), [level], "{found:?}");
            let tells =
                text(&found).contains("#812 from 10.1.0.9:5000 at 2026-11-21 09:00:00, came to port 7790");
            assert_eq!(tells, level == Warning, "{found:?}");
        }
    }
}
