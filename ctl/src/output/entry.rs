//! Renders entries as text.
//!
//! An entry begins with its id in column 1. Its further lines begin with spaces and a bar, whatever the text contains, so
//! that received text cannot imitate an entry.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use udpchat_api::{Direction, Entry, Gap, Message, Notice, numbers, safe};
use udpchat_locale::{tr, translated};

use super::format::{Times, counted, named};
use super::hexdump;
use super::highlight::Highlight;
use super::notice::{notice_text, reason_text, seconds};
use super::style::{ALERT, DIM, ERROR, FROM, Palette, TO};
use crate::terminal::wrap::width;

/// The prefix of each line of a message after the first.
const CONTINUATION: &str = "\n  | ";

/// How many characters of a text stand above its dump.
const MAX_DUMPED_CHARACTERS: usize = 40;

/// Renders an entry with its text, with a final line end.
pub(super) fn as_text(
    entry: &Entry,
    times: &Times,
    palette: Palette,
    highlight: Option<&Highlight>,
) -> String {
    match entry {
        Entry::Gap(gap) => gap_line(gap, times, palette),
        Entry::Notice(notice) => notice_line(notice, times, palette),
        Entry::Message(message) => {
            let header = header(message, times, palette);
            let line =
                format!("{header}  {}{}", body(message, palette, highlight), outcome(message, palette));
            format!("{}\n", line.trim_end_matches(' '))
        }
    }
}

/// Renders an entry with a hex dump below a header, with a final line end.
pub(super) fn as_dump(entry: &Entry, times: &Times, palette: Palette) -> String {
    match entry {
        Entry::Gap(gap) => gap_line(gap, times, palette),
        Entry::Notice(notice) => notice_line(notice, times, palette),
        Entry::Message(message) => dump(message, &message.raw.0, times, palette),
    }
}

/// Renders a message with a hex dump of `bytes`, all of its bytes or the first ones, below a header.
pub(super) fn dump(message: &Message, bytes: &[u8], times: &Times, palette: Palette) -> String {
    let header = header(message, times, palette);
    let size = counted(message.bytes as u64, "byte");
    let text = beside_dump(message);
    format!("{header}  {size}{text}{}\n{}", outcome(message, palette), hexdump::dump(bytes))
}

/// Returns the encoding and the beginning of a text of which the dump shows only dots.
fn beside_dump(message: &Message) -> String {
    if message.raw.0.is_ascii() || message.encoding == numbers::BYTES {
        return String::new();
    }
    let (encoding, text) = (safe::one_line(&message.encoding), safe::without_trailer(&message.text));
    let mut shown: String = text.chars().take(MAX_DUMPED_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("  {encoding}  {}", safe::one_line(&shown))
}

/// Renders only the text of a message, with a final line end; it may have several lines. With `hex`, renders its bytes as
/// hex digits in one line.
pub(super) fn as_answer(entry: &Entry, hex: bool) -> String {
    match entry {
        Entry::Gap(gap) => format!("{}\n", loss(gap.lost, &gap.reason, source(gap).as_deref())),
        Entry::Notice(notice) => format!("{}\n", notice_text(notice)),
        Entry::Message(message) if hex => format!("{}\n", hexdump::pairs(&message.raw.0)),
        Entry::Message(message) => format!("{}\n", safe::lines(safe::without_trailer(&message.text))),
    }
}

/// Renders the outcome of a send as one line.
pub(super) fn as_receipt(entry: &Entry, with_encoding: bool, palette: Palette) -> String {
    let id = palette.paint(DIM, &format!("#{}", entry.id()));
    match entry {
        Entry::Gap(gap) => format!("{id} ! {}\n", loss(gap.lost, &gap.reason, source(gap).as_deref())),
        Entry::Notice(notice) => format!("{id} ! {}\n", notice_text(notice)),
        Entry::Message(message) => {
            let peer = peer(message, palette);
            let size = counted(message.bytes as u64, "byte");
            let sent = match with_encoding {
                false => tr!("{id} > {peer}, {size}", id, peer, size),
                true => {
                    let encoding = safe::one_line(&message.encoding);
                    tr!("{id} > {peer}, {size}, {encoding}", id, peer, size, encoding)
                }
            };
            format!("{sent}{}\n", outcome(message, palette))
        }
    }
}

/// Returns how many columns the line of a message has whose text is one line, with times to the second.
pub(super) fn columns(message: &Message) -> usize {
    let times = Times { zone: TimeZone::UTC, milliseconds: false };
    let header = header(message, &times, Palette::new(false));
    width(&header) + 2 + width(&message.text)
}

fn header(message: &Message, times: &Times, palette: Palette) -> String {
    let sign = match message.direction {
        Direction::In => '<',
        Direction::Out => '>',
    };
    let stamp = palette.paint(DIM, &format!("#{}  {}", message.id, times.show(message.at)));
    format!("{stamp}  {sign} {}", peer(message, palette))
}

fn peer(message: &Message, palette: Palette) -> String {
    let shown = match &message.name {
        Some(name) => format!("{} {}", safe::one_line(name), message.peer),
        None => message.peer.to_string(),
    };
    let style = match message.direction {
        Direction::In => FROM,
        Direction::Out => TO,
    };
    palette.paint(style, &shown)
}

fn body<'a>(message: &'a Message, palette: Palette, highlight: Option<&Highlight>) -> Cow<'a, str> {
    if message.bytes == 0 {
        return Cow::Borrowed(tr!("(empty)"));
    }
    let text = match highlight {
        Some(highlight) => Cow::Owned(highlight.painted(&safe::as_seen(&message.text), palette)),
        None => safe::lines(safe::without_trailer(&message.text)),
    };
    if text.contains('\n') { Cow::Owned(text.replace('\n', CONTINUATION)) } else { text }
}

/// Shows what is known of a sent message, if it is worth a word: that it was held, was not sent, or was not delivered.
fn outcome(message: &Message, palette: Palette) -> String {
    let held = message.held_seconds.map(|time| tr!("(held {time})", time = seconds(time)));
    let failure = message.error.as_deref().map(|error| {
        let error = translated(error);
        tr!("[not sent: {error}]", error = safe::one_line(&error))
    });
    let bounce = message.bounce.as_ref().map(|bounce| {
        let reason = reason_text(&bounce.reason);
        tr!("[bounced: {reason}]", reason)
    });
    let failures = [failure, bounce].into_iter().flatten().map(|text| palette.paint(ERROR, &text));
    held.map(|text| palette.paint(DIM, &text))
        .into_iter()
        .chain(failures)
        .map(|text| format!("  {text}"))
        .collect()
}

fn gap_line(gap: &Gap, times: &Times, palette: Palette) -> String {
    let stamp = palette.paint(DIM, &format!("#{}  {}", gap.id, times.show(gap.at)));
    let loss = loss(gap.lost, &gap.reason, source(gap).as_deref());
    let text = match gap.first_id.filter(|first| *first < gap.id) {
        Some(first) => tr!("{loss} (#{first} to #{last})", loss, first, last = gap.id),
        None => loss,
    };
    format!("{stamp}  {}\n", palette.paint(ALERT, &format!("! {text}")))
}

fn notice_line(notice: &Notice, times: &Times, palette: Palette) -> String {
    let stamp = palette.paint(DIM, &format!("#{}  {}", notice.id, times.show(notice.at)));
    format!("{stamp}  {}\n", palette.paint(ALERT, &format!("! {}", notice_text(notice))))
}

/// Returns whose datagrams are missing: the address, with the name of the peer in front if there is one.
pub(crate) fn source(gap: &Gap) -> Option<String> {
    gap.peer.as_deref().map(|peer| named(gap.name.as_deref(), peer))
}

/// Describes a gap: how many datagrams are missing, why, and whose; `reason` is the protocol's name.
pub(crate) fn loss(lost: u64, reason: &str, peer: Option<&str>) -> String {
    let datagrams = counted(lost, "datagram");
    match reason {
        "limited" => match peer.map(safe::one_line) {
            Some(peer) => tr!("{datagrams} of {peer} left out here: over the limit", datagrams, peer),
            None => tr!("{datagrams} of several addresses left out here: over the limit", datagrams),
        },
        "retention" => {
            let entries = counted(lost, "entry");
            tr!("{entries} removed here: over the maximum size or age of the inbox", entries)
        }
        "receive_buffer_full" => tr!("{datagrams} lost here: the receive buffer was full", datagrams),
        "queue_full" => tr!("{datagrams} lost here: the inbox could not keep up", datagrams),
        "daemon_ended" => tr!("{datagrams} lost here: the daemon ended before they were stored", datagrams),
        "damaged" => tr!("{datagrams} lost here: the inbox was damaged", datagrams),
        other => tr!("{datagrams} lost here: {reason}", datagrams, reason = safe::one_line(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::{Bounce, Delivery, EncodingBy, Raw};
    use udpchat_locale::{Language, with_language};

    const UTC: Times = Times { zone: TimeZone::UTC, milliseconds: false };

    const OFF: fn() -> Palette = || Palette::new(false);

    fn message(text: &str) -> Message {
        Message {
            id: 812,
            at: "2026-11-22T14:03:05.123456Z".parse().unwrap(),
            direction: Direction::In,
            peer: "192.168.43.159:8080".parse().unwrap(),
            name: Some("bob".to_owned()),
            local: None,
            text: text.to_owned(),
            encoding: "gbk".to_owned(),
            encoding_by: EncodingBy::Remembered,
            encoding_is_default: false,
            bytes: text.len(),
            raw: Raw(text.as_bytes().to_vec()),
            error: None,
            by: None,
            delivery: None,
            answer: None,
            bounce: None,
            held_seconds: None,
        }
    }

    fn shown(message: Message) -> String {
        as_text(&Entry::Message(message), &UTC, OFF(), None)
    }

    #[test]
    fn a_message_shows_id_time_direction_peer_text() {
        let head = "#812  2026-11-22 14:03:05  < bob 192.168.43.159:8080";
        assert_eq!(shown(message("你好\r\n\0")), format!("{head}  你好\n"));
        assert_eq!(shown(message("a\r\nb\n\nc")), format!("{head}  a\n  | b\n  | \n  | c\n"));
        assert_eq!(shown(message("")), format!("{head}  (empty)\n"));
        assert_eq!(shown(message("\n")), format!("{head}\n"));
        let nameless = Message { name: None, direction: Direction::Out, ..message("x") };
        assert_eq!(shown(nameless), "#812  2026-11-22 14:03:05  > 192.168.43.159:8080  x\n");
    }

    #[test]
    fn times_can_have_milliseconds() {
        let times = Times { zone: TimeZone::UTC, milliseconds: true };
        let shown = as_text(&Entry::Message(message("x")), &times, OFF(), None);
        assert_eq!(shown, "#812  2026-11-22 14:03:05.123  < bob 192.168.43.159:8080  x\n");
    }

    #[test]
    fn a_failed_send_shows_the_reason() {
        let error = Some("network is unreachable".to_owned());
        let failed = Message { direction: Direction::Out, error, ..message("hello") };
        assert!(shown(failed.clone()).ends_with("  hello  [not sent: network is unreachable]\n"));
        let receipt = as_receipt(&Entry::Message(failed), true, OFF());
        assert_eq!(
            receipt,
            "#812 > bob 192.168.43.159:8080, 5 bytes, gbk  [not sent: network is unreachable]\n"
        );
    }

    #[test]
    fn only_a_bounce_and_a_held_message_are_marked() {
        let out =
            || Message { direction: Direction::Out, delivery: Some(Delivery::Sent), ..message("hello") };
        let normal = "#812  2026-11-22 14:03:05  > bob 192.168.43.159:8080  hello\n";
        assert_eq!(shown(out()), normal);
        assert_eq!(shown(Message { delivery: Some(Delivery::Answered), answer: Some(9), ..out() }), normal);
        let held = Message { held_seconds: Some(3_720), ..out() };
        assert!(shown(held.clone()).ends_with("  hello  (held 1h 2m)\n"));
        let (reason, at) = ("port_unreachable".to_owned(), held.at);
        let bounce = Some(Bounce { reason, from: None, at });
        let bounced = Message { delivery: Some(Delivery::Bounced), bounce, ..held };
        assert!(shown(bounced.clone()).ends_with("  hello  (held 1h 2m)  [bounced: port unreachable]\n"));
        let chinese = with_language(Language::Chinese, || shown(bounced));
        assert!(chinese.ends_with("  hello  （已保留 1 小时 2 分钟）  [被退回：端口不可达]\n"), "{chinese}");
    }

    #[test]
    fn a_notice_is_one_line() {
        let fields =
            r#"{"id":813,"at":"2026-11-22T14:03:06Z","notice":"silent","name":"sensor7","seconds":600}"#;
        let notice = Entry::Notice(serde_json::from_str(fields).unwrap());
        let line = "#813  2026-11-22 14:03:06  ! sensor7 is silent, for 10m\n";
        assert_eq!(as_text(&notice, &UTC, OFF(), None), line);
        assert_eq!(as_dump(&notice, &UTC, OFF()), line);
    }

    #[test]
    fn gaps_show_count_and_reason() {
        let gap = |lost, reason: &str| {
            let at = "2026-11-22T14:03:06Z".parse().unwrap();
            as_text(
                &Entry::Gap(Gap {
                    id: 813,
                    at,
                    lost,
                    reason: reason.to_owned(),
                    first_id: None,
                    peer: None,
                    name: None,
                }),
                &UTC,
                OFF(),
                None,
            )
        };
        let head = "#813  2026-11-22 14:03:06  !";
        assert_eq!(
            gap(37, "receive_buffer_full"),
            format!("{head} 37 datagrams lost here: the receive buffer was full\n")
        );
        assert_eq!(
            gap(21_970, "retention"),
            format!("{head} 21,970 entries removed here: over the maximum size or age of the inbox\n")
        );
        assert_eq!(
            gap(1, "queue_full"),
            format!("{head} 1 datagram lost here: the inbox could not keep up\n")
        );
        assert_eq!(gap(12_345, "new\n"), format!("{head} 12,345 datagrams lost here: new\\u{{a}}\n"));
    }

    #[test]
    fn a_gap_for_a_limit_names_its_source() {
        let (peer, reason) = (Some("10.0.0.5"), "limited");
        let shown = [loss(5_120, reason, peer), loss(1, reason, None), loss(1, reason, Some("a\n"))];
        let expected = [
            "5,120 datagrams of 10.0.0.5 left out here: over the limit",
            "1 datagram of several addresses left out here: over the limit",
            "1 datagram of a\\u{a} left out here: over the limit",
        ];
        assert_eq!(shown, expected);
        let chinese = with_language(Language::Chinese, || [loss(5_120, reason, peer), loss(7, reason, None)]);
        let expected =
            ["此处略去 10.0.0.5 的 5,120 个数据报：超过限额", "此处略去多个地址的 7 个数据报：超过限额"];
        assert_eq!(chinese, expected);
    }

    #[test]
    fn entries_are_shown_in_chinese() {
        let at = "2026-11-22T14:03:06Z".parse().unwrap();
        let gap = |reason: &str, first_id| {
            Entry::Gap(Gap {
                id: 813,
                at,
                lost: 37,
                reason: reason.to_owned(),
                first_id,
                peer: None,
                name: None,
            })
        };
        let error = Some("network is unreachable".to_owned());
        let failed = Entry::Message(Message { direction: Direction::Out, error, ..message("") });
        let shown = with_language(Language::Chinese, || {
            let receipt = as_receipt(&failed, true, OFF());
            let entries =
                [gap("queue_full", None), gap("damaged", Some(800)), gap("retention", None), failed];
            entries.map(|entry| as_text(&entry, &UTC, OFF(), None)).concat() + &receipt
        });
        let expected = "\
#813  2026-11-22 14:03:06  ! 此处丢失 37 个数据报：收件箱来不及保存
#813  2026-11-22 14:03:06  ! 此处丢失 37 个数据报：收件箱已损坏（#800 至 #813）
#813  2026-11-22 14:03:06  ! 此处有 37 个条目已被删除：超过了收件箱的大小上限或保留时间
#812  2026-11-22 14:03:05  > bob 192.168.43.159:8080  （空）  [未发送：网络不可达]
#812 > bob 192.168.43.159:8080，0 字节，gbk  [未发送：网络不可达]
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_dump_follows_a_header() {
        let dump = as_dump(&Entry::Message(message("hi\n")), &UTC, OFF());
        let lines: Vec<_> = dump.lines().collect();
        assert_eq!(lines[0], "#812  2026-11-22 14:03:05  < bob 192.168.43.159:8080  3 bytes");
        assert!(lines[1].starts_with("00000000  68 69 0a "));
        let shown = |text: String, encoding: &str| {
            let raw = Raw(b"\xba\xc3".to_vec());
            let dumped = Message { bytes: raw.0.len(), raw, encoding: encoding.to_owned(), ..message(&text) };
            as_dump(&Entry::Message(dumped), &UTC, OFF()).lines().next().unwrap().to_owned()
        };
        assert!(shown("好\r\n".to_owned(), "gbk").ends_with("bytes  gbk  好"));
        assert!(shown("好".repeat(41), "gbk").ends_with(&format!("gbk  {}...", "好".repeat(40))));
        assert!(shown("ba c3".to_owned(), "hex").ends_with("bytes"));
    }

    #[test]
    fn colour_does_not_change_the_text() {
        let entry = Entry::Message(message("a\nb"));
        let painted = as_text(&entry, &UTC, Palette::new(true), None);
        assert_ne!(painted, as_text(&entry, &UTC, OFF(), None));
        let stripped = anstream::adapter::strip_str(&painted).to_string();
        assert_eq!(stripped, as_text(&entry, &UTC, OFF(), None));
    }

    /// Checks what must hold for every rendered entry.
    fn check(rendered: &str) {
        assert_eq!(safe::find_unsafe(&rendered.replace(['\n', '\t'], " ")), None, "{rendered:?}");
        assert!(rendered.starts_with("#812  ") && rendered.ends_with('\n'));
        for line in rendered.lines().skip(1) {
            assert!(line.starts_with("  | "), "{rendered:?}");
        }
    }

    #[test]
    fn no_character_is_harmful_or_starts_an_entry() {
        // Several in one text, because a million entries take a debug build most of a minute.
        let characters: Vec<_> = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
        for some in characters.chunks(64) {
            let text: String =
                some.iter().map(|character| format!("a{character}#999  x{character}")).collect();
            check(&shown(message(&text)));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_harmful_or_starts_an_entry(text in r"(\PC|[\x00-\x9f]|\n#1  |\r|\u{202e}|\u{2028}|\u{85}|一|ی|\u{200c})*") {
            let hostile = Message {
                name: Some(text.clone()),
                error: Some(text.clone()),
                encoding: text.clone(),
                ..message(&text)
            };
            check(&shown(hostile.clone()));
            let receipt = as_receipt(&Entry::Message(hostile), true, OFF());
            proptest::prop_assert_eq!(receipt.lines().count(), 1);
            proptest::prop_assert_eq!(safe::find_unsafe(receipt.trim_end_matches('\n')), None);
        }
    }
}
