//! Renders the daemon's state as text.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use udpchat_api::call::{Dropped, GroupStatus, InboxStatus, IndexStatus, SentCounts, State, Status};
use udpchat_api::safe;
use udpchat_locale::{tr, translated};
use unicode_width::UnicodeWidthStr;

use crate::output::style::{ALERT, ERROR, Palette};
use crate::output::{counted, grouped, local_time, refused, size, span};

/// The width of the column of keys, in columns of a terminal.
const KEY_WIDTH: usize = 17;

/// How many silent peers have a line each.
const MAX_SILENT: usize = 10;

/// Renders the state as lines of `key: value`, problems first.
pub(super) fn as_text(status: &Status, now: Timestamp, zone: &TimeZone, palette: Palette) -> String {
    let mut lines = vec![(tr!("state:"), state(status.state, palette))];
    let problems =
        status.problems.iter().map(|text| palette.paint(ALERT, &safe::one_line(&problem(text, status))));
    lines.extend(problems.map(|problem| (tr!("problem:"), problem)));
    if !status.needs_restart.is_empty() {
        let keys = status.needs_restart.join(tr!(", "));
        lines.push((tr!("needs restart:"), palette.paint(ALERT, &safe::one_line(&keys))));
    }
    lines.extend([
        (tr!("version:"), safe::one_line(&status.version).into_owned()),
        (tr!("pid:"), status.pid.to_string()),
        (tr!("running since:"), since(status.started, now, zone)),
    ]);
    lines.extend(status.listen.iter().map(|address| (tr!("listening on:"), address.to_string())));
    lines.extend(status.groups.iter().map(|row| (tr!("group:"), group(row))));
    lines.extend([
        (tr!("control socket:"), safe::one_line(&status.socket.to_string_lossy()).into_owned()),
        (tr!("data directory:"), safe::one_line(&status.data_dir.to_string_lossy()).into_owned()),
    ]);
    lines.extend(status.metrics.map(|address| (tr!("metrics:"), format!("http://{address}/metrics"))));
    lines.extend(counters(status, palette));
    lines.extend(beyond_sending(status, zone, palette));
    lines.extend(status.access.limited.iter().map(|over| (tr!("over the limit:"), refused(over, zone))));
    if status.lost_before > 0 {
        let datagrams = counted(status.lost_before, "datagram");
        let lost = tr!("{datagrams} by the previous daemon process", datagrams);
        lines.push((tr!("lost before:"), palette.paint(ALERT, &lost)));
    }
    lines.extend(inbox(&status.inbox));
    if is_disk_too_small(status) {
        let text = tr!("the disk will be full before the inbox reaches its limit: lower `inbox.max_size`");
        lines.push((tr!("disk:"), palette.paint(ALERT, text)));
    }
    if status.inbox.removed_unread > 0 {
        let entries = counted(status.inbox.removed_unread, "entry");
        let text = tr!("{entries} that no consumer had read, since the start", entries);
        lines.push((tr!("removed unread:"), palette.paint(ALERT, &text)));
    }
    lines.push((tr!("index:"), index(&status.index)));
    if status.log_lines_lost > 0 {
        lines.push((tr!("log lines lost:"), palette.paint(ALERT, &grouped(status.log_lines_lost))));
    }
    lines.iter().map(|(key, value)| line(key, value)).collect()
}

/// Describes a problem; of a full disk, where it is.
fn problem(text: &str, status: &Status) -> String {
    let problem = translated(text);
    match is_full_disk(text) {
        true => tr!("{problem}; free some space at {path}", problem, path = status.data_dir.display()),
        false => problem.into_owned(),
    }
}

/// Returns whether a problem of the status is that the disk is full.
pub(in crate::command) fn is_full_disk(problem: &str) -> bool {
    ["disk is full", "no space left", "No space left", "disk quota exceeded"]
        .iter()
        .any(|text| problem.contains(text))
}

/// Returns whether the disk will be full before the inbox reaches its limit.
fn is_disk_too_small(status: &Status) -> bool {
    let used = status.inbox.bytes + status.index.bytes;
    let may_grow = status.inbox.max_bytes.saturating_sub(used);
    status.inbox.disk_free_bytes.is_some_and(|free| may_grow > free)
}

fn line(key: &str, value: &str) -> String {
    let blanks = " ".repeat(KEY_WIDTH.saturating_sub(key.width()).max(1));
    format!("{key}{blanks}{value}\n")
}

fn group(group: &GroupStatus) -> String {
    let name = &group.group;
    let text = match group.interfaces.as_slice() {
        [] => tr!("{group}, not joined on any interface", group = name),
        interfaces => {
            tr!("{group}, joined on {interfaces}", group = name, interfaces = interfaces.join(tr!(", ")))
        }
    };
    safe::one_line(&text).into_owned()
}

fn state(state: State, palette: Palette) -> String {
    match state {
        State::Ok => tr!("ok").to_owned(),
        State::Degraded => palette.paint(ERROR, tr!("degraded")),
    }
}

fn since(started: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    tr!("{time} ({span})", time = local_time(started, zone), span = span(now - started))
}

fn counters(status: &Status, palette: Palette) -> [(&'static str, String); 7] {
    let buffer = status.receive_buffer;
    let granted = size(buffer.granted);
    let granted = if buffer.granted < buffer.asked { palette.paint(ALERT, &granted) } else { granted };
    let drops = match status.kernel_drops {
        0 => "0".to_owned(),
        drops => palette.paint(ALERT, &grouped(drops)),
    };
    let (received, sent) = (status.received, status.sent);
    [
        (
            tr!("receive buffer:"),
            tr!("{asked} asked, {granted} granted", asked = size(buffer.asked), granted),
        ),
        (
            tr!("received:"),
            tr!(
                "{datagrams}, {size}",
                datagrams = counted(received.datagrams, "datagram"),
                size = size(received.bytes)
            ),
        ),
        (tr!("stored:"), grouped(status.stored)),
        (tr!("queued:"), queued(status)),
        (tr!("kernel drops:"), drops),
        (tr!("dropped:"), dropped(&status.dropped)),
        (tr!("sent:"), sent_counts(sent)),
    ]
}

/// Shows what was sent; bounces only if there are any.
fn sent_counts(sent: SentCounts) -> String {
    let (datagrams, failed) = (counted(sent.datagrams, "datagram"), grouped(sent.failed));
    match sent.bounced {
        0 => tr!("{datagrams}, {failed} failed", datagrams, failed),
        bounced => tr!(
            "{datagrams}, {failed} failed, {bounced} bounced",
            datagrams,
            failed,
            bounced = grouped(bounced)
        ),
    }
}

/// Shows what else concerns peers, where there is something to show: messages that are held, peers that are silent, and reports
/// of the network that match no message.
fn beyond_sending(status: &Status, zone: &TimeZone, palette: Palette) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if status.held.messages > 0 {
        let messages = counted(status.held.messages, "message");
        lines.push((tr!("held:"), tr!("{messages}, {size}", messages, size = size(status.held.bytes))));
    }
    lines.extend(silent(status, zone).iter().map(|text| (tr!("silent:"), palette.paint(ALERT, text))));
    if status.icmp.ignored > 0 {
        let text =
            tr!("{number} reports match no message, and are ignored", number = grouped(status.icmp.ignored));
        lines.push((tr!("ICMP:"), text));
    }
    lines
}

/// Shows the silent peers: the first ones, and how many there are besides.
fn silent(status: &Status, zone: &TimeZone) -> Vec<String> {
    let silent = status.watched_peers.iter().filter_map(|peer| Some((peer, peer.silent_since?)));
    let mut lines: Vec<String> = silent
        .map(|(peer, since)| {
            let (name, since) = (safe::one_line(&peer.name), local_time(since, zone));
            match peer.last_heard {
                Some(heard) => {
                    tr!(
                        "{name} since {since}, last heard {time}",
                        name,
                        since,
                        time = local_time(heard, zone)
                    )
                }
                None => tr!("{peer} since {time}", peer = name, time = since),
            }
        })
        .collect();
    if let more @ 1.. = lines.len().saturating_sub(MAX_SILENT) {
        lines.truncate(MAX_SILENT);
        lines.push(tr!("and {more} more: see `udpchatctl peers --silent`", more));
    }
    lines
}

/// Shows the queue: its datagrams, and their size of the limit.
fn queued(status: &Status) -> String {
    let queue = status.queue;
    match status.queued {
        0 => "0".to_owned(),
        queued => tr!(
            "{queued}, {used} of {max}",
            queued = grouped(queued),
            used = size(queue.bytes),
            max = size(queue.max_bytes)
        ),
    }
}

fn dropped(dropped: &Dropped) -> String {
    let (total, denied, full) =
        (grouped(dropped.total()), grouped(dropped.denied), grouped(dropped.queue_full));
    let (limited, own) = (grouped(dropped.limited), grouped(dropped.own));
    match (dropped.limited, dropped.own) {
        (0, 0) => tr!("{total} (denied {denied}, queue full {full})", total, denied, full),
        (0, _) => tr!(
            "{total} (denied {denied}, queue full {full}, copies of own messages {own})",
            total,
            denied,
            full,
            own
        ),
        (_, 0) => tr!(
            "{total} (denied {denied}, over the limit {limited}, queue full {full})",
            total,
            denied,
            limited,
            full
        ),
        (_, _) => tr!(
            "{total} (denied {denied}, over the limit {limited}, queue full {full}, copies of own messages {own})",
            total,
            denied,
            limited,
            full,
            own
        ),
    }
}

fn inbox(inbox: &InboxStatus) -> [(&'static str, String); 2] {
    let entries = counted(inbox.entries, "entry");
    let used = match inbox.max_bytes {
        0 => size(inbox.bytes),
        max => tr!("{used} of {max}", used = size(inbox.bytes), max = size(max)),
    };
    let shown = match inbox.entries {
        0 => tr!("{entries}, {used}", entries, used),
        _ => tr!(
            "{entries}, #{oldest} to #{newest}, {used}",
            entries,
            oldest = inbox.oldest_id,
            newest = inbox.newest_id,
            used
        ),
    };
    let shown = match inbox.removed {
        0 => shown,
        removed => tr!("{inbox}; {removed} old entries removed", inbox = shown, removed = grouped(removed)),
    };
    [(tr!("inbox:"), shown), (tr!("unread:"), grouped(inbox.unread))]
}

fn index(index: &IndexStatus) -> String {
    let reached = match (index.newest_id, index.behind) {
        (0, 0) => return tr!("none (too few entries to need one)").to_owned(),
        (0, _) => tr!("being built").to_owned(),
        (newest_id, _) => tr!("up to #{id}", id = newest_id),
    };
    let size = size(index.bytes);
    match index.behind {
        0 => tr!("{index}, {size}", index = reached, size),
        behind => {
            tr!("{index}, {count} behind, {size}", index = reached, count = grouped(behind), size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use udpchat_api::call::{Refusal, WatchedPeer};
    use udpchat_locale::{Language, with_language};

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
dropped:         6 (denied 3, queue full 1, copies of own messages 2)
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
    fn a_disk_that_is_full_or_will_be_is_shown() {
        let mut status = status();
        let shown = |status: &Status| {
            as_text(status, "2026-11-22T13:02:10Z".parse().unwrap(), &TimeZone::UTC, Palette::new(false))
        };
        status.problems = vec!["the inbox cannot be written: database or disk is full".to_owned()];
        let place = "problem:         the inbox cannot be written: database or disk is full; free some space at /data\n";
        assert!(shown(&status).contains(place), "{}", shown(&status));
        let may_grow = status.inbox.max_bytes - status.inbox.bytes - status.index.bytes;
        for (free, is_too_small) in [(Some(may_grow), false), (Some(may_grow - 1), true), (None, false)] {
            status.inbox.disk_free_bytes = free;
            let line = "disk:            the disk will be full before the inbox reaches its limit";
            assert_eq!(shown(&status).contains(line), is_too_small, "{free:?}");
        }
    }

    #[test]
    fn values_are_aligned_in_chinese() {
        let now = "2026-11-22T13:02:10Z".parse().unwrap();
        let expected = "\
状态：           降级
问题：           the disk\\u{1b} is full
版本：           0.1.0
进程号：         4711
启动时间：       2026-11-22 10:00:00（3 小时 2 分钟）
监听地址：       [::]:7788
组播组：         239.1.2.3，已在 eth0、wlan0 上加入
组播组：         ff02::1%eth9，未在任何网络接口上加入
控制套接字：     /run/s
数据目录：       /data
指标：           http://127.0.0.1:17788/metrics
接收缓冲区：     请求 8.0 MiB，实际 416.0 KiB
已接收：         1,236 个数据报，55.5 KiB
已存储：         1,230
排队：           2，占用 1.0 KiB / 16.0 MiB
内核丢弃：       7
丢弃：           6（访问列表拒绝 3，队列已满 1，自己消息的副本 2）
已发送：         1 个数据报，失败 0
此前丢失：       前一个守护进程丢失 12 个数据报
收件箱：         1,230 个条目，#21 至 #1250，128.0 KiB / 4.0 GiB；已删除 20 个旧条目
未读：           5
未读即删除：     自启动以来有 12 个条目在任何消费者读到之前被删除
索引：           到 #1023，128.0 KiB
";
        let shown =
            with_language(Language::Chinese, || as_text(&status(), now, &TimeZone::UTC, Palette::new(false)));
        assert_eq!(shown, expected);
    }

    #[test]
    fn addresses_over_the_limit_are_shown() {
        let mut status = status();
        status.dropped.limited = 5_120;
        let at = "2026-11-22T12:00:00Z".parse().unwrap();
        status.access.limited =
            vec![Refusal { address: "2001:db8::/64".to_owned(), name: None, at, datagrams: 5_100 }];
        let shown = || as_text(&status, at, &TimeZone::UTC, Palette::new(false));
        let english = [
            "\ndropped:         5,126 (denied 3, over the limit 5,120, queue full 1, copies of own messages 2)\n",
            "\nover the limit:  2001:db8::/64 (5,100, at 2026-11-22 12:00:00)\n",
        ];
        let chinese = [
            "\n丢弃：           5,126（访问列表拒绝 3，超过限额 5,120，队列已满 1，自己消息的副本 2）\n",
            "\n超过限额：       2001:db8::/64（5,100 个，2026-11-22 12:00:00）\n",
        ];
        assert!(english.iter().all(|line| shown().contains(line)), "{}", shown());
        let shown = with_language(Language::Chinese, shown);
        assert!(chinese.iter().all(|line| shown.contains(line)), "{shown}");
    }

    #[test]
    fn bounces_held_messages_and_silent_peers_are_shown() {
        let mut status = status();
        (status.sent.bounced, status.icmp.ignored) = (7, 2);
        (status.held.messages, status.held.bytes) = (3, 2_048);
        let at = "2026-11-22T12:00:00Z".parse().unwrap();
        let peer =
            |name: &str, silent_since| WatchedPeer { name: name.to_owned(), last_heard: None, silent_since };
        let heard = Some("2026-11-22T11:00:00Z".parse().unwrap());
        let known = WatchedPeer { last_heard: heard, ..peer("gate", Some(at)) };
        status.watched_peers = vec![peer("door\u{1b}", Some(at)), peer("sensor7", None), known];
        let shown = || as_text(&status, at, &TimeZone::UTC, Palette::new(false));
        let english = "\
sent:            1 datagram, 0 failed, 7 bounced
held:            3 messages, 2.0 KiB
silent:          door\\u{1b} since 2026-11-22 12:00:00
silent:          gate since 2026-11-22 12:00:00, last heard 2026-11-22 11:00:00
ICMP:            2 reports match no message, and are ignored
";
        let chinese = "\
已发送：         1 个数据报，失败 0，退回 7
保留：           3 条消息，2.0 KiB
静默：           door\\u{1b}，自 2026-11-22 12:00:00 起
静默：           gate，自 2026-11-22 12:00:00 起，最后一条消息在 2026-11-22 11:00:00
ICMP：           有 2 个报告不对应任何消息，已忽略
";
        assert!(shown().contains(english), "{}", shown());
        let shown = with_language(Language::Chinese, shown);
        assert!(shown.contains(chinese), "{shown}");
    }

    #[test]
    fn many_silent_peers_are_counted() {
        let mut status = status();
        let at = "2026-11-22T12:00:00Z".parse().unwrap();
        let peer =
            |number| WatchedPeer { name: format!("p{number}"), last_heard: None, silent_since: Some(at) };
        status.watched_peers = (0..50).map(peer).collect();
        let shown = as_text(&status, at, &TimeZone::UTC, Palette::new(false));
        assert_eq!(shown.matches("\nsilent: ").count(), MAX_SILENT + 1, "{shown}");
        assert!(
            shown.contains("\nsilent:          and 40 more: see `udpchatctl peers --silent`\n"),
            "{shown}"
        );
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
