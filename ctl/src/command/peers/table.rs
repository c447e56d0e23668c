//! The table of peers: complete for other programs, and fitted to the width of a terminal.

use std::cmp::Reverse;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use udpchat_api::call::{Peer, PeerList};
use udpchat_api::safe;
use udpchat_locale::tr;

use crate::output::{encoding_chosen_by, grouped, local_time};
use crate::terminal::wrap;

/// The space between two columns, in characters.
const GAP: u16 = 2;

/// In fewer columns, the members of a list are not wrapped.
const MIN_MEMBERS: usize = 16;

/// Names are truncated to this width before a column is left out, in columns.
const SHORT_NAME: u16 = 16;

/// Likewise, before one of the columns that are needed most is left out.
const SHORTEST_NAME: u16 = 8;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Address,
    Encoding,
    By,
    LastHeard,
    Messages,
    Unread,
    Held,
    State,
}

impl Column {
    const ALL: [Self; 9] = [
        Self::Name,
        Self::Address,
        Self::Encoding,
        Self::By,
        Self::LastHeard,
        Self::Messages,
        Self::Unread,
        Self::Held,
        Self::State,
    ];

    /// Columns that a narrow terminal leaves out, in this order.
    const LESS_NEEDED: [Self; 4] = [Self::Messages, Self::By, Self::Held, Self::Encoding];

    /// Columns that only a terminal leaves out in which an address would not fit, in this order.
    const NEEDED: [Self; 3] = [Self::Unread, Self::LastHeard, Self::State];

    /// Returns the columns for a terminal: without those that have the same to say of every peer.
    fn of_interest(peers: &[Peer]) -> Vec<Self> {
        let has_held = peers.iter().any(|peer| peer.held > 0);
        let has_state = peers.iter().any(|peer| since(peer).is_some());
        let mut columns = Self::ALL.to_vec();
        columns.retain(|column| match column {
            Self::Held => has_held,
            Self::State => has_state,
            _ => true,
        });
        columns
    }

    fn header(self) -> &'static str {
        match self {
            Self::Name => tr!("NAME"),
            Self::Address => tr!("ADDRESS"),
            Self::Encoding => tr!("ENCODING"),
            Self::By => tr!("BY"),
            Self::LastHeard => tr!("LAST HEARD"),
            Self::Messages => tr!("MESSAGES"),
            Self::Unread => tr!("UNREAD"),
            Self::Held => tr!("HELD"),
            Self::State => tr!("STATE"),
        }
    }

    fn cell(
        self,
        peer: &Peer,
        when: impl Fn(Timestamp) -> String,
        short: impl Fn(Timestamp) -> String,
    ) -> String {
        match self {
            Self::Name => peer.name.as_deref().map_or("-".to_owned(), text),
            Self::Address => text(&peer.address),
            Self::Encoding => text(&peer.encoding),
            Self::By => encoding_chosen_by(peer).to_owned(),
            Self::LastHeard => peer.last_heard.map_or("-".to_owned(), when),
            Self::Messages => grouped(peer.messages),
            Self::Unread => grouped(peer.unread),
            Self::Held => grouped(peer.held),
            Self::State => state(peer, short),
        }
    }

    fn alignment(self) -> CellAlignment {
        match self {
            Self::Messages | Self::Unread | Self::Held => CellAlignment::Right,
            _ => CellAlignment::Left,
        }
    }
}

/// Returns since when a peer is not as it should be.
fn since(peer: &Peer) -> Option<Timestamp> {
    peer.silent_since.or(peer.bounced_since)
}

/// Shows whether a peer is silent, or messages to it bounce, and since when. A silent peer's messages may bounce as well.
fn state(peer: &Peer, when: impl Fn(Timestamp) -> String) -> String {
    match (peer.silent_since, peer.bounced_since) {
        (Some(at), _) => tr!("silent, {time}", time = when(at)),
        (None, Some(at)) => tr!("bounces, {time}", time = when(at)),
        (None, None) => "-".to_owned(),
    }
}

/// Renders the peers for other programs: every column, untruncated, with sortable times; last heard first.
pub(super) fn table(peers: &[Peer], zone: &TimeZone) -> String {
    let time = |at| local_time(at, zone);
    let mut table = table_of(&Column::ALL, peers, time, time);
    lines(table.set_content_arrangement(ContentArrangement::Disabled))
}

/// Renders the peers for a terminal of `width` columns, with how long ago each was heard; last heard first. What does not
/// fit is removed: columns, and the ends of long names. An address is never cut, since its port is at its end: where it does not fit,
/// the terminal wraps it.
pub(super) fn table_for_terminal(peers: &[Peer], now: Timestamp, zone: &TimeZone, width: u16) -> String {
    let (when, short) = (|at| ago(at, now, zone), |at| short_time(at, now, zone));
    let mut columns = Column::of_interest(peers);
    let mut table = table_of(&columns, peers, when, short);
    let removable = Column::LESS_NEEDED.map(|column| (column, SHORT_NAME)).into_iter();
    for (column, name_width) in removable.chain(Column::NEEDED.map(|column| (column, SHORTEST_NAME))) {
        if fits(&table, width, name_width) {
            break;
        }
        columns.retain(|kept| *kept != column);
        table = table_of(&columns, peers, when, short);
    }
    if fits(&table, width, u16::MAX) {
        return lines(table.set_content_arrangement(ContentArrangement::Disabled));
    }
    for (column, kind) in table.column_iter_mut().zip(columns) {
        if kind != Column::Name {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    // The gap after the last column is trimmed.
    lines(table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.saturating_add(GAP)))
}

/// Renders the lists of peers below a table, after an empty line; on a terminal of `width` columns, their members are wrapped.
pub(super) fn lists(lists: &[PeerList], width: Option<u16>) -> String {
    if lists.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([tr!("LIST"), tr!("MEMBERS")]);
    let names =
        lists.iter().map(|list| wrap::width(&safe::one_line(&list.name))).chain([wrap::width(tr!("LIST"))]);
    let names = names.max().unwrap_or(0) + usize::from(GAP);
    let room =
        width.map(|width| usize::from(width).saturating_sub(names)).filter(|room| *room >= MIN_MEMBERS);
    for PeerList { name, members } in lists {
        let members = members.join(", ");
        let members = safe::one_line(&members);
        let members =
            room.map_or_else(|| members.to_string(), |room| wrap::message(&members, room).join("\n"));
        table.add_row([text(name), members]);
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    format!("\n{}", lines(table.set_content_arrangement(ContentArrangement::Disabled)))
}

fn table_of(
    columns: &[Column],
    peers: &[Peer],
    when: impl Fn(Timestamp) -> String + Copy,
    short: impl Fn(Timestamp) -> String + Copy,
) -> Table {
    let mut sorted: Vec<&Peer> = peers.iter().collect();
    sorted.sort_by_key(|peer| Reverse(peer.last_heard));
    let mut table = Table::new();
    table.load_style(NOTHING).set_truncation_indicator("…");
    table.set_header(columns.iter().map(|column| column.header()).collect::<Vec<_>>());
    for peer in sorted {
        let mut row =
            Row::from(columns.iter().map(|column| column.cell(peer, when, short)).collect::<Vec<_>>());
        table.add_row(row.max_height(1).clone());
    }
    for (column, kind) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, GAP)).set_cell_alignment(kind.alignment());
    }
    table
}

/// Returns whether a table fits into `width` columns when names are truncated to `name_width`.
fn fits(table: &Table, width: u16, name_width: u16) -> bool {
    let mut widths = table.column_max_content_widths();
    if let Some(name) = widths.first_mut() {
        *name = (*name).min(name_width);
    }
    let gaps = usize::from(GAP) * widths.len().saturating_sub(1);
    widths.into_iter().map(usize::from).sum::<usize>() + gaps <= usize::from(width)
}

fn lines(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn text(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { safe::one_line(text).into_owned() }
}

/// Shows a time of the last 24 hours to the minute, and the date of an earlier one.
fn short_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    const DAY: i64 = 24 * 60 * 60;
    let format = if now.duration_since(at).as_secs() < DAY { "%H:%M" } else { "%Y-%m-%d" };
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

/// Shows how long ago a time was, in its largest unit; from 30 days on the date, and for a future time the time itself.
fn ago(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match now.duration_since(at).as_secs() {
        seconds if now < at => {
            // A message may have arrived after the clock was read.
            if seconds > -MINUTE { tr!("{seconds}s ago", seconds = 0) } else { local_time(at, zone) }
        }
        seconds @ 0..MINUTE => tr!("{seconds}s ago", seconds),
        seconds @ MINUTE..HOUR => tr!("{minutes}m ago", minutes = seconds / MINUTE),
        seconds @ HOUR..DAY => tr!("{hours}h ago", hours = seconds / HOUR),
        seconds if seconds < 30 * DAY => tr!("{days}d ago", days = seconds / DAY),
        _ => at.to_zoned(zone.clone()).strftime("%Y-%m-%d").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::EncodingBy;
    use udpchat_locale::{Language, with_language};

    fn peer(name: Option<&str>, address: &str, last_heard: Option<&str>) -> Peer {
        Peer {
            name: name.map(str::to_owned),
            address: address.to_owned(),
            encoding: "gbk".to_owned(),
            encoding_by: EncodingBy::Configured,
            encoding_is_default: name == Some("silent"),
            last_heard: last_heard.map(|at| at.parse().unwrap()),
            last_id: None,
            last_from: None,
            messages: 1_234,
            unread: 0,
            silent_after: None,
            silent_since: None,
            bounced_since: None,
            held: 0,
            denied: false,
        }
    }

    fn peers() -> [Peer; 4] {
        [
            peer(Some("silent"), "10.0.0.1", None),
            peer(Some("小明"), "192.168.43.159:8080", Some("2026-11-22T14:03:05Z")),
            peer(None, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535", Some("2026-11-22T14:05:00Z")),
            peer(Some("a-rather-long-name-of-a-peer"), "10.0.0.2:7788", Some("2026-09-01T00:00:00Z")),
        ]
    }

    fn for_terminal(width: u16) -> String {
        let now = "2026-11-22T14:05:30Z".parse().unwrap();
        table_for_terminal(&peers(), now, &TimeZone::UTC, width)
    }

    #[test]
    fn columns_are_aligned_with_wide_characters() {
        let expected = "\
NAME    ADDRESS              ENCODING  BY          LAST HEARD           MESSAGES  UNREAD  HELD  STATE
小明    192.168.43.159:8080  gbk       configured  2026-11-22 14:03:05     1,234       0     0  -
silent  10.0.0.1             gbk       default     -                       1,234       0     0  -
";
        assert_eq!(table(&peers()[..2], &TimeZone::UTC), expected);
        assert_eq!(table(&[], &TimeZone::UTC).lines().count(), 1);
        let expected = "\
名称    地址                 编码  依据  最近收到             消息数  未读  保留  状态
小明    192.168.43.159:8080  gbk   配置  2026-11-22 14:03:05   1,234     0     0  -
silent  10.0.0.1             gbk   默认  -                     1,234     0     0  -
";
        let chinese = with_language(Language::Chinese, || table(&peers()[..2], &TimeZone::UTC));
        assert_eq!(chinese, expected);
    }

    #[test]
    fn a_chinese_table_fits_into_a_narrow_terminal() {
        for width in [120, 94, 80, 60, 50] {
            let shown = with_language(Language::Chinese, || for_terminal(width));
            assert!(shown.contains("30 秒前") || width <= 60, "{width}: {shown}");
            for line in shown.lines() {
                assert!(unicode_width::UnicodeWidthStr::width(line) <= usize::from(width), "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_narrow_terminal_omits_the_least_needed() {
        let wide = for_terminal(200);
        let by = |line: &str| line.find("gbk").map(|at| line[at..].split_once("  ").unwrap().1.to_owned());
        let heard: Vec<_> = wide.lines().map(by).collect();
        let expected = [
            None,
            Some("     configured  30s ago        1,234       0"),
            Some("     configured  2m ago         1,234       0"),
            Some("     configured  2026-09-01     1,234       0"),
            Some("     default     -              1,234       0"),
        ];
        assert_eq!(heard.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{wide}");
        for width in [120, 100, 94, 80, 60, 50] {
            for line in for_terminal(width).lines() {
                let columns: usize = line.chars().map(|c| if c > '\u{2e80}' { 2 } else { 1 }).sum();
                assert!(columns <= usize::from(width), "{width}: {line}");
            }
        }
        let usual = for_terminal(94);
        assert!(usual.contains("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535  gbk"), "{usual}");
        assert!(usual.contains("a-rather-long") && usual.contains('…') && !usual.contains("BY"), "{usual}");
        let narrow = for_terminal(60);
        assert!(
            narrow.starts_with("NAME") && narrow.contains('…') && !narrow.contains("MESSAGES"),
            "{narrow}"
        );
        assert_eq!(narrow.lines().count(), 5, "{narrow}");
        // The port stands at the end of an address.
        for width in [60, 50, 46, 20, 1] {
            assert!(for_terminal(width).contains("7348]:65535"), "{width}: {}", for_terminal(width));
        }
        let now = "2026-11-22T14:05:30Z".parse().unwrap();
        let ipv4 = table_for_terminal(&peers()[..2], now, &TimeZone::UTC, 60);
        assert!(
            ipv4.contains("192.168.43.159:8080  gbk")
                && (ipv4.contains("30s ago") || ipv4.contains("2m ago")),
            "{ipv4}"
        );
        assert!(ipv4.contains("UNREAD"), "{ipv4}");
    }

    #[test]
    fn held_messages_and_states_are_shown() {
        let at = |time: &str| Some(time.parse::<Timestamp>().unwrap());
        let door = Peer {
            held: 1,
            silent_since: at("2026-11-22T13:12:00Z"),
            ..peer(Some("door"), "10.0.0.8", None)
        };
        let bob =
            Peer { bounced_since: at("2026-11-20T13:10:00Z"), ..peer(Some("bob"), "10.0.0.9:8080", None) };
        let peers = [bob, door, peer(Some("sensor7"), "10.0.0.7", None)];
        let now = "2026-11-22T14:05:30Z".parse().unwrap();
        let shown = |width| table_for_terminal(&peers, now, &TimeZone::UTC, width);
        let expected = "\
NAME     ADDRESS        ENCODING  LAST HEARD  UNREAD  HELD  STATE
bob      10.0.0.9:8080  gbk       -                0     0  bounces, 2026-11-20
door     10.0.0.8       gbk       -                0     1  silent, 13:12
sensor7  10.0.0.7       gbk       -                0     0  -
";
        assert_eq!(shown(80), expected);
        assert!(!shown(62).contains("HELD") && shown(62).contains("silent, 13:12"), "{}", shown(62));
        assert!(!table_for_terminal(&peers[2..], now, &TimeZone::UTC, 200).contains("STATE"));
        let expected = "\
名称     地址           编码  最近收到  未读  保留  状态
bob      10.0.0.9:8080  gbk   -            0     0  被退回，2026-11-20
door     10.0.0.8       gbk   -            0     1  静默，13:12
sensor7  10.0.0.7       gbk   -            0     0  -
";
        assert_eq!(with_language(Language::Chinese, || shown(70)), expected);
        assert!(table(&peers, &TimeZone::UTC).contains("bounces, 2026-11-20 13:10:00"));
    }

    #[test]
    fn a_time_is_shown_in_its_largest_unit() {
        let at = "2026-11-22T14:00:00Z".parse::<Timestamp>().unwrap();
        for (seconds, expected) in [
            (0, "0s ago"),
            (59, "59s ago"),
            (60, "1m ago"),
            (3_599, "59m ago"),
            (3_600, "1h ago"),
            (86_400, "1d ago"),
            (29 * 86_400, "29d ago"),
            (30 * 86_400, "2026-11-22"),
            (-1, "0s ago"),
            (-3_600, "2026-11-22 14:00:00"),
        ] {
            let now = at + jiff::SignedDuration::from_secs(seconds);
            assert_eq!(ago(at, now, &TimeZone::UTC), expected, "{seconds}");
        }
    }

    #[test]
    fn lists_stand_in_a_table_of_their_own() {
        let list = |name: &str, members: [&str; 2]| PeerList {
            name: name.to_owned(),
            members: members.map(str::to_owned).to_vec(),
        };
        let shown = lists(&[list("lab", ["bob", "10.0.0.1:9"]), list("二班", ["a\u{1b}", "b"])], None);
        assert_eq!(shown, "\nLIST  MEMBERS\nlab   bob, 10.0.0.1:9\n二班  a\\u{1b}, b\n");
        assert_eq!(lists(&[], None), "");
        let long = [list("lab", ["10.100.100.1:9000", "10.100.100.2:9000"])];
        let wrapped = "\nLIST  MEMBERS\nlab   10.100.100.1:9000,\n      10.100.100.2:9000\n";
        assert_eq!(lists(&long, Some(30)), wrapped);
        assert_eq!(lists(&long, Some(8)).lines().count(), 3, "too narrow");
    }

    #[test]
    fn cells_are_safe() {
        let shown = table(&[peer(Some("a\u{1b}[2J\nb"), "x\u{9b}", None)], &TimeZone::UTC);
        assert_eq!(shown.lines().count(), 2);
        assert!(!shown.replace('\n', "").contains(safe::is_unsafe));
    }
}
