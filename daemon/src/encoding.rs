//! Bytes to text and back: which encoding a message is in, and how a text becomes bytes.
//!
//! Text is a view. What is stored is the bytes; which encoding they are read in is decided each time somebody
//! reads, by the first of these that tells: what somebody has said of this very message; the configuration for the peer; what the bytes themselves say
//! beyond doubt; what the peer is known to speak; what the bytes make likely; the configured fallback.
//!
//! Doubt is the difficult part. About a fifth of the common Chinese characters are, alone and in GBK, also valid
//! UTF-8: `D2 BB` is 一 and һ. Such two-byte sequences prove nothing, and what a peer is known to speak must rest on
//! proof ([`strong_evidence`]): a UTF-8 sequence of three or four bytes, or bytes that are no UTF-8 at all and
//! plain text in the fallback encoding.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::EncoderResult;
use udpchat_api::EncodingBy;
use udpchat_config::Encoding;

/// How many bytes outside ASCII a message needs before a guess from letter frequencies is worth more than the
/// fallback.
const MIN_BYTES_FOR_GUESS: usize = 8;

/// How many characters outside ASCII prove that bytes are in the fallback encoding.
const MIN_CHARACTERS_FOR_PROOF: usize = 2;

/// A message as text, with the encoding it was read in and what chose that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) encoding: Encoding,
    pub(crate) by: EncodingBy,
}

/// What is known of a message's encoding besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knowledge {
    /// Configured for the peer.
    pub(crate) configured: Option<Encoding>,
    /// Known from the peer's messages.
    pub(crate) remembered: Option<Encoding>,
    /// Whether it was known before this message came.
    pub(crate) known_before: bool,
    /// Configured for all that is not UTF-8.
    pub(crate) fallback: Encoding,
}

/// Reads a message as text; what does not decode becomes U+FFFD.
pub(crate) fn decode(bytes: &[u8], knowledge: &Knowledge) -> Decoded {
    let (encoding, by) = choose(bytes, knowledge);
    Decoded { text: read(bytes, encoding), encoding, by }
}

/// Reads bytes in an encoding; what does not decode becomes U+FFFD.
pub(crate) fn read(bytes: &[u8], encoding: Encoding) -> String {
    // Never with the handling of byte-order marks: a stranger's mark would choose the encoding.
    encoding.encoding().decode_without_bom_handling(bytes).0.into_owned()
}

fn choose(bytes: &[u8], knowledge: &Knowledge) -> (Encoding, EncodingBy) {
    if let Some(configured) = knowledge.configured {
        return (configured, EncodingBy::Configured);
    }
    if let Some(proven) = strong_evidence(bytes, knowledge.fallback) {
        let known = knowledge.known_before && knowledge.remembered == Some(proven);
        return (proven, if known { EncodingBy::Remembered } else { EncodingBy::Detected });
    }
    if is_cut_utf8(bytes, knowledge.remembered) {
        let known = knowledge.remembered == Some(Encoding::UTF_8);
        return (Encoding::UTF_8, if known { EncodingBy::Remembered } else { EncodingBy::Detected });
    }
    if let Some(remembered) = knowledge.remembered
        && decodes(bytes, remembered)
    {
        return (remembered, EncodingBy::Remembered);
    }
    if std::str::from_utf8(bytes).is_ok() {
        return (Encoding::UTF_8, EncodingBy::Detected);
    }
    match guess(bytes, knowledge.fallback) {
        Some(guessed) => (guessed, EncodingBy::Detected),
        None => (knowledge.fallback, EncodingBy::Fallback),
    }
}

/// Returns the encoding that these bytes prove, if they prove one.
///
/// Cheap for what floods are made of: ASCII and binary data are seen through at once.
pub(crate) fn strong_evidence(bytes: &[u8], fallback: Encoding) -> Option<Encoding> {
    let bytes = without_trailer(bytes);
    // A byte-order mark alone proves nothing: any program can put one before anything.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.is_ascii() || bytes.iter().any(|byte| is_binary(*byte)) {
        return None;
    }
    if std::str::from_utf8(bytes).is_ok() {
        // In valid UTF-8, a byte from E0 on begins a sequence of three or four bytes.
        return bytes.iter().any(|byte| *byte >= 0xe0).then_some(Encoding::UTF_8);
    }
    if fallback == Encoding::GB18030 || fallback == Encoding::GBK {
        return is_plain_chinese(bytes).then_some(Encoding::GB18030);
    }
    let text = fallback.encoding().decode_without_bom_handling_and_without_replacement(bytes)?;
    let foreign = text.chars().filter(|character| !character.is_ascii());
    let (letters, others) = foreign.fold((0, 0), |(letters, others), character| {
        if character.is_alphanumeric() { (letters + 1, others) } else { (letters, others + 1) }
    });
    (letters >= MIN_CHARACTERS_FOR_PROOF && letters >= others).then_some(fallback)
}

/// Tells whether bytes are ASCII and GB2312 only, at least two characters of it, and three quarters of those common
/// ones: level 1 (the 3,755, B0 to D7) or punctuation (A1 and A3). In other encodings' texts the second bytes fall
/// outside GB2312, or the characters are rare ones.
fn is_plain_chinese(bytes: &[u8]) -> bool {
    let (mut characters, mut common) = (0, 0);
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if first.is_ascii() {
            continue;
        }
        let [0xa1..=0xfe, tail @ ..] = tail else { return false };
        rest = tail;
        match first {
            0xb0..=0xd7 | 0xa1 | 0xa3 => common += 1,
            0xa2 | 0xa4..=0xa9 | 0xd8..=0xf7 => {}
            _ => return false,
        }
        characters += 1;
    }
    characters >= MIN_CHARACTERS_FOR_PROOF && common * 4 >= characters * 3
}

/// Tells whether bytes are UTF-8 that was cut inside a character, as boards and bridges with small buffers do: at the
/// end, and with a peer that is known to speak UTF-8 also at the beginning.
fn is_cut_utf8(bytes: &[u8], remembered: Option<Encoding>) -> bool {
    const MAX_CUT_BYTES: usize = 3;
    let known = remembered == Some(Encoding::UTF_8);
    if !known && remembered.is_some() {
        return false;
    }
    let bytes = without_trailer(bytes);
    let is_continuation = |byte: &&u8| (0x80..0xc0).contains(*byte);
    let cut_in_front = bytes.iter().take(MAX_CUT_BYTES).take_while(is_continuation).count();
    let whole = &bytes[if known { cut_in_front } else { 0 }..];
    let valid = match std::str::from_utf8(whole) {
        Ok(_) => whole,
        // No error length: the end came in the middle of a character.
        Err(error) if error.error_len().is_none() => &whole[..error.valid_up_to()],
        Err(_) => return false,
    };
    valid.len() < bytes.len() && valid.iter().any(|byte| *byte >= 0xe0)
}

/// Guesses from letter frequencies, for longer messages; never UTF-16, and only what decodes without a fault. What
/// reads without a fault in the fallback needs twice the length to be something else.
fn guess(bytes: &[u8], fallback: Encoding) -> Option<Encoding> {
    let foreign = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    if foreign < MIN_BYTES_FOR_GUESS || without_trailer(bytes).iter().any(|byte| is_binary(*byte)) {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let name = detector.guess(None, Utf8Detection::Deny).name();
    let guessed: Encoding = name.parse().ok()?;
    if decodes(bytes, fallback) && (foreign < 2 * MIN_BYTES_FOR_GUESS || draws_or_counts(bytes, fallback)) {
        return None;
    }
    // Single-byte encodings hold any bytes at all, so that they decode proves nothing.
    (!guessed.encoding().is_single_byte() && decodes(bytes, guessed)).then_some(guessed)
}

/// Tells whether a text, read in the fallback, is mostly what frequencies of letters say nothing about: frames,
/// symbols, Greek and Cyrillic letters of the East Asian sets.
fn draws_or_counts(bytes: &[u8], fallback: Encoding) -> bool {
    let (text, _) = fallback.encoding().decode_without_bom_handling(bytes);
    let foreign = text.chars().filter(|character| !character.is_ascii());
    let (plain, ideographs) = foreign.fold((0, 0), |(plain, ideographs), character| match character {
        '\u{370}'..='\u{4ff}' | '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{303f}' => (plain + 1, ideographs),
        _ => (plain, ideographs + 1),
    });
    plain * 2 >= ideographs
}

fn decodes(bytes: &[u8], encoding: Encoding) -> bool {
    encoding.encoding().decode_without_bom_handling_and_without_replacement(bytes).is_some()
}

/// Controls that no text holds; tab, line ends and form feed do occur.
fn is_binary(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Leaves out the NULs that some tools put behind their text.
fn without_trailer(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// A character that the encoding has no bytes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotEncodable {
    pub(crate) character: char,
    pub(crate) encoding: Encoding,
}

/// Writes a text in an encoding. Nothing is ever replaced: what the encoding cannot hold is an error.
pub(crate) fn encode(text: &str, encoding: Encoding) -> Result<Vec<u8>, NotEncodable> {
    if encoding.encoding() == encoding_rs::UTF_16LE {
        return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    }
    if encoding.encoding() == encoding_rs::UTF_16BE {
        return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    let mut encoder = encoding.encoding().new_encoder();
    let most = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
    let mut bytes = Vec::with_capacity(most.unwrap_or(text.len()));
    let (result, _) = encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true);
    match result {
        EncoderResult::InputEmpty => Ok(bytes),
        EncoderResult::Unmappable(character) => Err(NotEncodable { character, encoding }),
        EncoderResult::OutputFull => unreachable!("the buffer holds the longest output there can be"),
    }
}

/// Chooses the encoding for a message to a peer that is known to speak `remembered`.
///
/// A peer seen to speak Chinese in two bytes a character may know no more than GBK (Python's `gbk` fails on the
/// four-byte characters of GB18030), so it is answered in what both have in common.
pub(crate) fn for_answering(remembered: Encoding) -> Encoding {
    if remembered == Encoding::GB18030 { Encoding::GBK } else { remembered }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Knowledge =
        Knowledge { configured: None, remembered: None, known_before: true, fallback: Encoding::GB18030 };

    fn named(name: &str) -> Encoding {
        name.parse().unwrap()
    }

    fn knowing(name: &str) -> Knowledge {
        Knowledge { remembered: Some(named(name)), ..NOTHING }
    }

    fn gbk(text: &str) -> Vec<u8> {
        encode(text, Encoding::GBK).unwrap()
    }

    /// The 3,755 characters of GB2312's first level.
    fn common_characters() -> Vec<[u8; 2]> {
        let pairs = (0xb0..=0xd7u8).flat_map(|lead| (0xa1..=0xfeu8).map(move |trail| [lead, trail]));
        let all: Vec<_> = pairs.filter(|pair| pair[0] != 0xd7 || pair[1] <= 0xf9).collect();
        assert_eq!(all.len(), 3755);
        all
    }

    fn check(bytes: &[u8], knowledge: &Knowledge, text: &str, encoding: &str, by: EncodingBy) {
        let decoded = decode(bytes, knowledge);
        assert_eq!(
            (decoded.text.as_str(), decoded.encoding, decoded.by),
            (text, named(encoding), by),
            "{bytes:02x?}"
        );
    }

    #[test]
    fn the_two_readings_of_d2_bb_depend_on_who_sent_it() {
        check(b"\xd2\xbb", &knowing("gb18030"), "一", "gb18030", EncodingBy::Remembered);
        check(b"\xd2\xbb", &knowing("utf-8"), "һ", "utf-8", EncodingBy::Remembered);
        check(b"\xd2\xbb", &NOTHING, "һ", "utf-8", EncodingBy::Detected);
    }

    #[test]
    fn every_common_character_round_trips_with_a_known_gbk_peer() {
        for pair in common_characters() {
            let decoded = decode(&pair, &knowing("gb18030"));
            assert_eq!((decoded.encoding, decoded.by), (Encoding::GB18030, EncodingBy::Remembered));
            assert_eq!(encode(&decoded.text, for_answering(Encoding::GB18030)).unwrap(), pair);
        }
    }

    #[test]
    fn no_text_of_common_characters_passes_for_proven_utf_8() {
        let characters = common_characters();
        for first in &characters {
            for second in &characters {
                let text = [first[0], first[1], second[0], second[1]];
                assert_ne!(strong_evidence(&text, Encoding::GB18030), Some(Encoding::UTF_8), "{text:02x?}");
            }
        }
    }

    #[test]
    fn a_peer_that_changes_its_encoding_is_read_right_at_once() {
        check("你好".as_bytes(), &knowing("gb18030"), "你好", "utf-8", EncodingBy::Detected);
        check(&gbk("你好"), &knowing("utf-8"), "你好", "gb18030", EncodingBy::Detected);
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let knowledge = Knowledge { configured: Some(named("big5")), ..knowing("utf-8") };
        check(b"\xa7A\xa6n", &knowledge, "你好", "big5", EncodingBy::Configured);
    }

    #[test]
    fn weak_or_binary_bytes_prove_nothing() {
        let weak: [&[u8]; 8] = [
            b"",
            b"plain ASCII",
            b"\xd2\xbb",
            "é".as_bytes(),
            b"\xba\xc3",
            b"caf\xe9",
            b"\xc4\xe3\xba\xc3\x01",
            b"25\xb0C",
        ];
        for bytes in weak {
            assert_eq!(strong_evidence(bytes, Encoding::GB18030), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn evidence_is_found_behind_trailers_of_tools() {
        assert_eq!(strong_evidence(b"\xc4\xe3\xba\xc3\r\n\0\0", Encoding::GB18030), Some(Encoding::GB18030));
        assert_eq!(strong_evidence("好\r\n\0".as_bytes(), Encoding::GB18030), Some(Encoding::UTF_8));
    }

    #[test]
    fn the_fallback_can_be_another_world() {
        let korean = named("euc-kr");
        let bytes = encode("안녕하세요", korean).unwrap();
        assert_eq!(strong_evidence(&bytes, korean), Some(korean));
        let knowledge = Knowledge { fallback: named("windows-1252"), ..NOTHING };
        check(b"caf\xe9", &knowledge, "café", "windows-1252", EncodingBy::Fallback);
    }

    #[test]
    fn a_longer_text_in_a_third_encoding_is_guessed_not_remembered() {
        let text = "これは日本語の文章です。文字化けしないでほしい。";
        let bytes = encode(text, named("shift_jis")).unwrap();
        assert_eq!(strong_evidence(&bytes, Encoding::GB18030), None);
        check(&bytes, &NOTHING, text, "shift_jis", EncodingBy::Detected);
    }

    #[test]
    fn utf_8_that_was_cut_inside_a_character_is_still_utf_8() {
        let bytes = "今天天气很好，温度 25 ℃".as_bytes();
        for end in 1..3 {
            let cut = &bytes[..bytes.len() - end];
            assert_eq!(decode(cut, &NOTHING).encoding, Encoding::UTF_8);
            assert_eq!(decode(cut, &knowing("utf-8")).by, EncodingBy::Remembered);
        }
        for begin in 1..3 {
            check_encoding(&bytes[begin..], &knowing("utf-8"), "utf-8");
        }
    }

    #[test]
    fn frames_and_letters_of_gbk_are_not_taken_for_another_encoding() {
        let texts =
            ["────────", "┌────┐", "│温度│25℃│湿度│60％│", "αβγδεζ", "привет мир", "你好，世界，朋友們"];
        for text in texts {
            assert_eq!(decode(&gbk(text), &NOTHING).text, text);
        }
    }

    fn check_encoding(bytes: &[u8], knowledge: &Knowledge, encoding: &str) {
        assert_eq!(decode(bytes, knowledge).encoding, named(encoding), "{bytes:02x?}");
    }

    #[test]
    fn a_strangers_byte_order_mark_changes_nothing() {
        assert_eq!(strong_evidence(b"\xef\xbb\xbfplain", Encoding::GB18030), None);
        for mark in [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbf"] {
            let bytes = [mark, b"a\0b\0"].concat();
            let decoded = decode(&bytes, &NOTHING);
            assert!(!decoded.encoding.is_utf_16(), "{decoded:?}");
            assert!(decoded.text.ends_with("b\0"), "{decoded:?}");
        }
    }

    #[test]
    fn utf_16_is_never_guessed() {
        for text in ["hi", "你好", "short text in UTF-16 that is a little longer"] {
            for bytes in [encode(text, named("utf-16le")).unwrap(), encode(text, named("utf-16be")).unwrap()]
            {
                assert!(!decode(&bytes, &NOTHING).encoding.is_utf_16());
            }
        }
    }

    #[test]
    fn what_an_encoding_cannot_hold_is_named() {
        let refused = encode("a😀b", Encoding::GBK).unwrap_err();
        assert_eq!((refused.character, refused.encoding), ('😀', Encoding::GBK));
        assert_eq!(encode("a😀b", Encoding::GB18030).unwrap(), b"a\x94\x39\xfc\x36b");
    }

    #[test]
    fn utf_16_can_be_sent_where_it_is_asked_for() {
        assert_eq!(encode("a😀", named("utf-16le")).unwrap(), b"a\0\x3d\xd8\x00\xde");
        assert_eq!(encode("a😀", named("utf-16be")).unwrap(), b"\0a\xd8\x3d\xde\x00");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_under_any_knowledge(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            remembered in proptest::option::of(proptest::sample::select(vec!["utf-8", "gb18030", "big5", "utf-16le"])),
        ) {
            let knowledge = Knowledge { remembered: remembered.map(named), ..NOTHING };
            decode(&bytes, &knowledge);
        }

        #[test]
        fn what_is_encoded_decodes_to_the_same(text in r"[\x20-\x7e一-龥，。]{0,80}") {
            for encoding in [Encoding::UTF_8, Encoding::GBK, Encoding::GB18030] {
                let bytes = encode(&text, encoding).unwrap();
                let knowledge = Knowledge { configured: Some(encoding), ..NOTHING };
                proptest::prop_assert_eq!(&decode(&bytes, &knowledge).text, &text);
            }
        }
    }
}
