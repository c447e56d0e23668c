//! Renders the daemon's state as text.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use udpchat_api::call::{Dropped, GroupStatus, InboxStatus, IndexStatus, State, Status};
use udpchat_api::safe;

use crate::output::style::{ALERT, ERROR, Palette};
use crate::output::{counted, grouped, local_time, size, span};

/// The width of the column of keys.
const KEY_WIDTH: usize = 17;

/// Renders the state as lines of `key: value`, problems first.
pub(super) fn as_text(status: &Status, now: Timestamp, zone: &TimeZone, palette: Palette) -> String {
    let mut lines = vec![("state", state(status.state, palette))];
    let problems = status.problems.iter().map(|text| palette.paint(ALERT, &safe::one_line(text)));
    lines.extend(problems.map(|problem| ("problem", problem)));
    lines.extend([
        ("version", safe::one_line(&status.version).into_owned()),
        ("pid", status.pid.to_string()),
        ("running since", since(status.started, now, zone)),
    ]);
    lines.extend(status.listen.iter().map(|address| ("listening on", address.to_string())));
    lines.extend(status.groups.iter().map(|row| ("group", group(row))));
    lines.extend([
        ("control socket", safe::one_line(&status.socket.to_string_lossy()).into_owned()),
        ("data directory", safe::one_line(&status.data_dir.to_string_lossy()).into_owned()),
    ]);
    lines.extend(status.metrics.map(|address| ("metrics", format!("http://{address}/metrics"))));
    lines.extend(counters(status, palette));
    if status.lost_before > 0 {
        let lost = format!("{} by the previous daemon process", counted(status.lost_before, "datagram"));
        lines.push(("lost before", palette.paint(ALERT, &lost)));
    }
    lines.extend(inbox(&status.inbox));
    if status.inbox.removed_unread > 0 {
        let unread = counted(status.inbox.removed_unread, "entry");
        let text = format!("{unread} that no consumer had read, since the start");
        lines.push(("removed unread", palette.paint(ALERT, &text)));
    }
    lines.push(("index", index(&status.index)));
    if status.log_lines_lost > 0 {
        lines.push(("log lines lost", palette.paint(ALERT, &grouped(status.log_lines_lost))));
    }
    lines.iter().map(|(key, value)| format!("{:KEY_WIDTH$}{value}\n", format!("{key}:"))).collect()
}

fn group(group: &GroupStatus) -> String {
    let on = match group.interfaces.as_slice() {
        [] => "not joined on any interface".to_owned(),
        interfaces => format!("joined on {}", interfaces.join(", ")),
    };
    safe::one_line(&format!("{}, {on}", group.group)).into_owned()
}

fn state(state: State, palette: Palette) -> String {
    match state {
        State::Ok => "ok".to_owned(),
        State::Degraded => palette.paint(ERROR, "degraded"),
    }
}

fn since(started: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    format!("{} ({})", local_time(started, zone), span(now - started))
}

fn counters(status: &Status, palette: Palette) -> [(&'static str, String); 7] {
    let buffer = status.receive_buffer;
    let granted = format!("{} granted", size(buffer.granted));
    let granted = if buffer.granted < buffer.asked { palette.paint(ALERT, &granted) } else { granted };
    let drops = match status.kernel_drops {
        0 => "0".to_owned(),
        drops => palette.paint(ALERT, &grouped(drops)),
    };
    let received = status.received;
    let sent = status.sent;
    [
        ("receive buffer", format!("{} asked, {granted}", size(buffer.asked))),
        ("received", format!("{}, {}", counted(received.datagrams, "datagram"), size(received.bytes))),
        ("stored", grouped(status.stored)),
        ("queued", queued(status)),
        ("kernel drops", drops),
        ("dropped", dropped(&status.dropped)),
        ("sent", format!("{}, {} failed", counted(sent.datagrams, "datagram"), grouped(sent.failed))),
    ]
}

/// Shows the queue: its datagrams, and their size of the limit.
fn queued(status: &Status) -> String {
    match status.queued {
        0 => "0".to_owned(),
        queued => {
            format!("{}, {} of {}", grouped(queued), size(status.queue.bytes), size(status.queue.max_bytes))
        }
    }
}

fn dropped(dropped: &Dropped) -> String {
    let (denied, full) = (grouped(dropped.denied), grouped(dropped.queue_full));
    let own = match dropped.own {
        0 => String::new(),
        own => format!(", own multicast copies {}", grouped(own)),
    };
    format!("{} (denied {denied}, queue full {full}{own})", grouped(dropped.total()))
}

fn inbox(inbox: &InboxStatus) -> [(&'static str, String); 2] {
    let entries =
        if inbox.entries == 1 { "1 entry".to_owned() } else { format!("{} entries", grouped(inbox.entries)) };
    let ids = match inbox.entries {
        0 => String::new(),
        _ => format!(", #{} to #{}", inbox.oldest_id, inbox.newest_id),
    };
    let most = if inbox.max_bytes == 0 { String::new() } else { format!(" of {}", size(inbox.max_bytes)) };
    let removed = match inbox.removed {
        0 => String::new(),
        removed => format!("; {} old entries removed", grouped(removed)),
    };
    [
        ("inbox", format!("{entries}{ids}, {}{most}{removed}", size(inbox.bytes))),
        ("unread", grouped(inbox.unread)),
    ]
}

fn index(index: &IndexStatus) -> String {
    let reached = match (index.newest_id, index.behind) {
        (0, 0) => return "none (too few entries to need one)".to_owned(),
        (0, _) => "being built".to_owned(),
        (newest_id, _) => format!("up to #{newest_id}"),
    };
    let behind = match index.behind {
        0 => String::new(),
        behind => format!(", {} behind", grouped(behind)),
    };
    format!("{reached}{behind}, {}", size(index.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        let value = json!({
            "at": "2026-11-22T13:02:10Z", "version": "0.1.0", "pid": 4711, "started": "2026-11-22T10:00:00Z",
            "state": "degraded", "problems": ["the disk\u{1b} is full"], "listen": ["[::]:7788"],
            "groups": [
                { "group": "239.1.2.3", "interfaces": ["eth0", "wlan0"] },
                { "group": "ff02::1%eth9", "interfaces": [] },
            ],
            "socket": "/run/s", "data_dir": "/data", "metrics": "127.0.0.1:17788",
            "receive_buffer": { "asked": 8 << 20, "granted": 425_984 },
            "received": { "datagrams": 1_236, "bytes": 56_789 }, "stored": 1_230, "queued": 2,
            "queue": { "bytes": 1_024, "max_bytes": 16 << 20 }, "kernel_drops": 7,
            "dropped": { "denied": 3, "queue_full": 1, "own": 2 }, "lost_before": 12,
            "sent": { "datagrams": 1, "failed": 0 }, "log_lines_lost": 0,
            "inbox": {
                "entries": 1_230, "oldest_id": 21, "newest_id": 1_250, "bytes": 131_072, "wal_bytes": 32_768,
                "max_bytes": 4_u64 << 30, "removed": 20, "removed_unread": 12, "unread": 5,
            },
            "index": { "newest_id": 1_023, "behind": 0, "bytes": 131_072 },
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn problems_come_first_and_every_counter_is_shown() {
        let now = "2026-11-22T13:02:10Z".parse().unwrap();
        let expected = "\
state:           degraded
problem:         the disk\\u{1b} is full
version:         0.1.0
pid:             4711
running since:   2026-11-22 10:00:00 (3h 2m)
listening on:    [::]:7788
group:           239.1.2.3, joined on eth0, wlan0
group:           ff02::1%eth9, not joined on any interface
control socket:  /run/s
data directory:  /data
metrics:         http://127.0.0.1:17788/metrics
receive buffer:  8.0 MiB asked, 416.0 KiB granted
received:        1,236 datagrams, 55.5 KiB
stored:          1,230
queued:          2, 1.0 KiB of 16.0 MiB
kernel drops:    7
dropped:         6 (denied 3, queue full 1, own multicast copies 2)
sent:            1 datagram, 0 failed
lost before:     12 datagrams by the previous daemon process
inbox:           1,230 entries, #21 to #1250, 128.0 KiB of 4.0 GiB; 20 old entries removed
unread:          5
removed unread:  12 entries that no consumer had read, since the start
index:           up to #1023, 128.0 KiB
";
        assert_eq!(as_text(&status(), now, &TimeZone::UTC, Palette::new(false)), expected);
    }

    #[test]
    fn the_index_shows_its_progress() {
        assert_eq!(index(&IndexStatus::default()), "none (too few entries to need one)");
        let begun = IndexStatus { newest_id: 0, behind: 1_024, bytes: 32_768 };
        assert_eq!(index(&begun), "being built, 1,024 behind, 32.0 KiB");
        let behind = IndexStatus { newest_id: 2_047, behind: 10_240, bytes: 1 << 20 };
        assert_eq!(index(&behind), "up to #2047, 10,240 behind, 1.0 MiB");
    }

    #[test]
    fn an_empty_inbox_has_no_ids() {
        let [(_, text), _] = inbox(&InboxStatus::default());
        assert_eq!(text, "0 entries, 0 B");
    }
}
