//! Cuts bytes into datagrams between characters.

use encoding_rs::{ISO_2022_JP, UTF_8};
use udpchat_config::Encoding;

/// The longest character in any encoding, in bytes.
const MAX_CHARACTER_BYTES: usize = 4;

/// Cuts bytes into datagrams of at most `most` bytes, between characters of UTF-8 if they are UTF-8, otherwise of `encoding`,
/// otherwise anywhere.
pub(super) fn cut(bytes: &[u8], most: usize, encoding: Encoding) -> Vec<Vec<u8>> {
    let codec = encoding.encoding();
    let is_whole = |bytes: &[u8]| codec.decode_without_bom_handling_and_without_replacement(bytes).is_some();
    let is_utf_8 = codec == UTF_8 || std::str::from_utf8(bytes).is_ok();
    let is_text = is_utf_8 || is_whole(bytes);
    let mut datagrams = Vec::with_capacity(bytes.len() / most + 1);
    let mut rest = bytes;
    while rest.len() > most {
        let mut ends = (most.saturating_sub(MAX_CHARACTER_BYTES - 1)..=most).rev();
        let end = if !is_text {
            None
        } else if is_utf_8 {
            ends.find(|end| !is_continuation(rest[*end]))
        } else if codec == ISO_2022_JP {
            end_in_ascii(&rest[..most]).or_else(|| ends.find(|end| is_whole(&rest[..*end])))
        } else {
            // What is before was whole, so that what decodes without a fault ends between characters.
            ends.find(|end| is_whole(&rest[..*end]))
        };
        let (datagram, tail) = rest.split_at(end.unwrap_or(most));
        datagrams.push(datagram.to_vec());
        rest = tail;
    }
    datagrams.push(rest.to_vec());
    datagrams
}

fn is_continuation(byte: u8) -> bool {
    (0x80..0xc0).contains(&byte)
}

/// Returns the last place in ISO-2022-JP behind the beginning at which ASCII is in effect or an escape sequence follows, so
/// that the next datagram needs none of this one.
fn end_in_ascii(bytes: &[u8]) -> Option<usize> {
    const TO_ASCII: &[u8] = b"\x1b(B";
    let escape = bytes.iter().rposition(|byte| *byte == 0x1b);
    let end = escape.filter(|at| !bytes[*at..].starts_with(TO_ASCII)).unwrap_or(bytes.len());
    (end > 0).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_text::encode;

    proptest::proptest! {
        #[test]
        fn every_datagram_is_readable_by_itself(
            text in r"([a-z,。☆]|あ|中|天|😀|é|д|가|\n){0,300}",
            most in 16..64usize,
            name in proptest::sample::select(&Encoding::NAMES[..]),
        ) {
            let encoding: Encoding = name.parse().unwrap();
            let text: String = text.chars().filter(|c| encode(&c.to_string(), encoding).is_ok()).collect();
            let bytes = encode(&text, encoding).unwrap();
            let parts = cut(&bytes, most, encoding);
            proptest::prop_assert_eq!(parts.concat(), bytes.clone());
            proptest::prop_assert!(parts.iter().all(|part| part.len() <= most));
            let read: String = parts.iter().map(|part| udpchat_text::read(part, encoding)).collect();
            if name != "iso-2022-jp" {
                proptest::prop_assert_eq!(read, text);
                // No datagram could have held the next character too.
                let lengths: Vec<_> = parts.iter().map(Vec::len).collect();
                proptest::prop_assert!(lengths.windows(2).all(|pair| pair[0] + MAX_CHARACTER_BYTES > most));
            }
        }

        #[test]
        fn bytes_that_are_no_text_are_cut_anywhere(
            bytes in proptest::collection::vec(0x80..=0xffu8, 100..300),
            most in 16..64usize,
        ) {
            let bytes = [&bytes[..], b"\xff\xff\xff"].concat();
            let parts = cut(&bytes, most, Encoding::GB18030);
            proptest::prop_assert_eq!(parts, bytes.chunks(most).map(<[u8]>::to_vec).collect::<Vec<_>>());
        }
    }

    #[test]
    fn utf_8_is_cut_as_utf_8_whatever_the_peer_uses() {
        let text = "今天天气很好".repeat(20);
        for name in Encoding::NAMES {
            let parts = cut(text.as_bytes(), 64, name.parse().unwrap());
            assert!(parts.iter().all(|part| std::str::from_utf8(part).is_ok()), "{name}");
        }
    }

    #[test]
    fn utf_8_with_a_bad_byte_is_cut_between_characters() {
        let bytes = [b"\xff", "今天天气很好".repeat(20).as_bytes()].concat();
        let parts = cut(&bytes, 64, Encoding::UTF_8);
        assert!(parts[1..].iter().all(|part| std::str::from_utf8(part).is_ok()));
    }

    #[test]
    fn a_datagram_of_iso_2022_jp_begins_in_ascii() {
        let bytes = encode(&"abc 天気, ".repeat(30), "iso-2022-jp".parse().unwrap()).unwrap();
        for part in cut(&bytes, 40, "iso-2022-jp".parse().unwrap()) {
            let text = udpchat_text::read(&part, "iso-2022-jp".parse().unwrap());
            assert!(text.matches("天").count() > 0 && !text.contains("E75"), "{text}");
        }
    }
}
