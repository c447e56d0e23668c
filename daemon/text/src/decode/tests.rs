use super::*;
use crate::encode::{encode, for_answering};
use crate::evidence::evidence;

const NOTHING: Knowledge = Knowledge { known_before: true, ..Knowledge::none(Encoding::GB18030) };

fn strong(bytes: &[u8], fallback: Encoding) -> Option<Encoding> {
    evidence(bytes, None, fallback)
}

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

fn check(bytes: &[u8], knowledge: &Knowledge, text: &str, encoding: &str, by: Basis) {
    let decoded = decode(bytes, knowledge);
    assert_eq!(
        (decoded.text.as_str(), decoded.encoding, decoded.by),
        (text, named(encoding), by),
        "{bytes:02x?}"
    );
}

#[test]
fn the_two_readings_of_d2_bb_depend_on_who_sent_it() {
    check(b"\xd2\xbb", &knowing("gb18030"), "一", "gb18030", Basis::Remembered);
    check(b"\xd2\xbb", &knowing("utf-8"), "һ", "utf-8", Basis::Remembered);
    check(b"\xd2\xbb", &NOTHING, "һ", "utf-8", Basis::Detected);
}

#[test]
fn every_common_character_round_trips_with_a_known_gbk_peer() {
    for pair in common_characters() {
        let decoded = decode(&pair, &knowing("gb18030"));
        assert_eq!((decoded.encoding, decoded.by), (Encoding::GB18030, Basis::Remembered));
        assert_eq!(encode(&decoded.text, for_answering(Encoding::GB18030, Encoding::GB18030)).unwrap(), pair);
    }
}

#[test]
fn no_two_common_characters_form_a_sequence_of_three_bytes() {
    let characters = common_characters();
    for first in &characters {
        for second in &characters {
            let text = [first[0], first[1], second[0], second[1]];
            let is_wide = || text.iter().any(|byte| *byte >= 0xe0);
            assert!(std::str::from_utf8(&text).is_err() || !is_wide(), "{text:02x?}");
        }
    }
}

#[test]
fn a_peer_that_changes_its_encoding_is_read_right_at_once() {
    check("你好".as_bytes(), &knowing("gb18030"), "你好", "utf-8", Basis::Detected);
    check(&gbk("你好"), &knowing("utf-8"), "你好", "gb18030", Basis::Detected);
}

#[test]
fn what_other_ports_use_counts_less_than_what_this_one_has_proven() {
    let beside = |name: &str| Knowledge { of_host: Some(named(name)), ..NOTHING };
    for text in ["好", "好的", "25度", "王芳", "不会", "关闭", "韩梅梅到", "温度25"] {
        check(&gbk(text), &beside("utf-8"), text, "gb18030", Basis::Fallback);
    }
    check(b"\xd2\xbb", &beside("gb18030"), "一", "gb18030", Basis::Remembered);
    check(b"plain", &beside("gb18030"), "plain", "gb18030", Basis::Remembered);
    check(&"好的".as_bytes()[1..], &beside("utf-8"), "��的", "utf-8", Basis::Remembered);
    check(&gbk("好的"), &beside("euc-kr"), "好的", "gb18030", Basis::Fallback);
    check(
        &encode("온도 정상", named("euc-kr")).unwrap(),
        &beside("euc-kr"),
        "온도 정상",
        "euc-kr",
        Basis::Remembered,
    );
}

#[test]
fn the_configuration_has_the_last_word() {
    let knowledge = Knowledge { configured: Some(named("big5")), ..knowing("utf-8") };
    check(b"\xa7A\xa6n", &knowledge, "你好", "big5", Basis::Configured);
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
        assert_eq!(strong(bytes, Encoding::GB18030), None, "{bytes:02x?}");
    }
}

#[test]
fn a_rare_symbol_is_no_evidence_of_utf_8() {
    // Two characters of Shift_JIS without the first byte, and three of UTF-16 without the first byte.
    for bytes in [&b"\xe2\x8f\x95"[..], b"WFO\rN\xe3\x89\x90g"] {
        assert!(std::str::from_utf8(bytes).is_ok());
        for fallback in ["gb18030", "shift_jis", "windows-1252"] {
            assert_eq!(strong(bytes, named(fallback)), None, "{bytes:02x?}");
        }
    }
    for text in ["→", "完了 ✓", "25㎡", "──────"] {
        assert_eq!(strong(text.as_bytes(), named("shift_jis")), Some(Encoding::UTF_8), "{text}");
    }
}

#[test]
fn evidence_is_found_behind_trailers_of_tools() {
    assert_eq!(strong(b"\xc4\xe3\xba\xc3\r\n\0\0", Encoding::GB18030), Some(Encoding::GB18030));
    assert_eq!(strong("好\r\n\0".as_bytes(), Encoding::GB18030), Some(Encoding::UTF_8));
}

#[test]
fn the_fallback_can_be_another_world() {
    let korean = named("euc-kr");
    let bytes = encode("안녕하세요", korean).unwrap();
    assert_eq!(strong(&bytes, korean), Some(korean));
    let knowledge = Knowledge { fallback: named("windows-1252"), ..NOTHING };
    check(b"caf\xe9", &knowledge, "café", "windows-1252", Basis::Fallback);
}

#[test]
fn a_text_that_no_other_encoding_explains_is_learned() {
    let text = "これは日本語の文章です。文字化けしないでほしい。";
    let bytes = encode(text, named("shift_jis")).unwrap();
    assert_eq!(strong(&bytes, Encoding::GB18030), Some(Encoding::SHIFT_JIS));
    check(&bytes, &NOTHING, text, "shift_jis", Basis::Detected);
}

#[test]
fn utf_8_that_was_cut_inside_a_character_is_still_utf_8() {
    let bytes = "今天天气很好，温度 25 ℃".as_bytes();
    for end in 1..3 {
        let cut = &bytes[..bytes.len() - end];
        assert_eq!(decode(cut, &NOTHING).encoding, Encoding::UTF_8);
        assert_eq!(decode(cut, &knowing("utf-8")).by, Basis::Remembered);
    }
    for begin in 1..3 {
        check_encoding(&bytes[begin..], &knowing("utf-8"), "utf-8");
    }
}

#[test]
fn bytes_that_only_continue_characters_are_of_the_fallback() {
    for text in ["到", "不", "A到", "id=7 到"] {
        check(&gbk(text), &knowing("utf-8"), text, "gb18030", Basis::Detected);
    }
    // The rest of a character in front of a text.
    check(b"\xb5\xbdhello", &knowing("utf-8"), "\u{fffd}\u{fffd}hello", "utf-8", Basis::Remembered);
}

#[test]
fn a_short_message_without_a_character_of_utf_8_is_of_the_fallback() {
    let of_utf_8 = knowing("utf-8");
    for text in ["好", "好的", "ok 好", "温度正常"] {
        assert_eq!(decode(&gbk(text), &of_utf_8).text, text);
    }
    // What is cut or of one byte a character stays: the beginning of 你, and é in Latin-1.
    for bytes in [&b"hello\xe4\xbd"[..], b"caf\xe9", b"\xe9t\xe9"] {
        check_encoding(bytes, &of_utf_8, "utf-8");
    }
}

#[test]
fn frames_and_letters_of_gbk_are_not_taken_for_another_encoding() {
    let texts = ["────────", "┌────┐", "│温度│25℃│湿度│60％│", "αβγδεζ", "привет мир", "你好，世界，朋友們"];
    for text in texts {
        assert_eq!(decode(&gbk(text), &NOTHING).text, text);
    }
}

fn check_encoding(bytes: &[u8], knowledge: &Knowledge, encoding: &str) {
    assert_eq!(decode(bytes, knowledge).encoding, named(encoding), "{bytes:02x?}");
}

#[test]
fn a_strangers_byte_order_mark_changes_nothing() {
    assert_eq!(strong(b"\xef\xbb\xbfplain", Encoding::GB18030), None);
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
        for bytes in [encode(text, named("utf-16le")).unwrap(), encode(text, named("utf-16be")).unwrap()] {
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
    fn what_is_encoded_decodes_to_the_same(text in r"[\x20-\x7e一-龥，。]{0,80}") {
        for encoding in [Encoding::UTF_8, Encoding::GBK, Encoding::GB18030] {
            let bytes = encode(&text, encoding).unwrap();
            let knowledge = Knowledge { configured: Some(encoding), ..NOTHING };
            proptest::prop_assert_eq!(&decode(&bytes, &knowledge).text, &text);
        }
    }
}
