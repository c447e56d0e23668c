//! The table of peers.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use jiff::tz::TimeZone;
use udpchat_api::call::Peer;
use udpchat_api::{EncodingBy, safe};

use super::{grouped, local_time};

const HEADER: [&str; 7] = ["NAME", "ADDRESS", "ENCODING", "BY", "LAST HEARD", "MESSAGES", "UNREAD"];
/// The columns of numbers, which are aligned to the right.
const NUMBERS: [usize; 2] = [5, 6];

/// Renders the peers as a table for any width: rows are not wrapped, so that other programs can cut them.
pub(super) fn table(peers: &[Peer], zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(HEADER);
    table.add_rows(peers.iter().map(|peer| row(peer, zone)));
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if NUMBERS.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn row(peer: &Peer, zone: &TimeZone) -> [String; 7] {
    [
        peer.name.as_deref().map_or("-".to_owned(), cell),
        cell(&peer.address),
        cell(&peer.encoding),
        chosen_by(peer.encoding_by).to_owned(),
        peer.last_heard.map_or("-".to_owned(), |at| local_time(at, zone)),
        grouped(peer.messages),
        grouped(peer.unread),
    ]
}

fn cell(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { safe::one_line(text).into_owned() }
}

/// Says what chose an encoding, in the protocol's word.
pub(crate) fn chosen_by(by: EncodingBy) -> &'static str {
    match by {
        EncodingBy::Given => "given",
        EncodingBy::Configured => "configured",
        EncodingBy::Remembered => "remembered",
        EncodingBy::Detected => "detected",
        EncodingBy::Fallback => "fallback",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: Option<&str>, address: &str) -> Peer {
        Peer {
            name: name.map(str::to_owned),
            address: address.to_owned(),
            encoding: "gbk".to_owned(),
            encoding_by: EncodingBy::Configured,
            last_heard: name.map(|_| "2026-11-22T14:03:05Z".parse().unwrap()),
            last_id: None,
            messages: 1_234,
            unread: 0,
        }
    }

    #[test]
    fn columns_are_aligned_also_below_wide_characters() {
        let rows = [peer(Some("小明"), "192.168.43.159:8080"), peer(None, "10.0.0.1:7788")];
        let expected = "\
NAME  ADDRESS              ENCODING  BY          LAST HEARD           MESSAGES  UNREAD
小明  192.168.43.159:8080  gbk       configured  2026-11-22 14:03:05     1,234       0
-     10.0.0.1:7788        gbk       configured  -                       1,234       0
";
        assert_eq!(table(&rows, &TimeZone::UTC), expected);
        assert_eq!(table(&[], &TimeZone::UTC).lines().count(), 1);
    }

    #[test]
    fn cells_are_safe() {
        let shown = table(&[peer(Some("a\u{1b}[2J\nb"), "x\u{9b}")], &TimeZone::UTC);
        assert_eq!(shown.lines().count(), 2);
        assert!(!shown.replace('\n', "").contains(safe::is_unsafe));
    }
}
