use std::collections::HashSet;

use encoding_rs::Encoding;
use proptest::prelude::*;
use regex::RegexBuilder;
use regex_syntax::ParserBuilder;

use crate::index::bloom::Builder;
use crate::index::error::IndexError;
use crate::index::log::{Anchor, IndexedEntry};
use crate::index::predicate::Evidence;
use crate::index::regex_terms::*;
use crate::index::term::Which;

/// Returns the names of all encodings that messages may be decoded with.
fn names() -> Vec<&'static str> {
    let is_decoded_with = |name: &&str| {
        let encoding: udpchat_config::Encoding = name.parse().unwrap();
        encoding.for_reading().to_string() == **name
    };
    udpchat_config::Encoding::NAMES.into_iter().filter(is_decoded_with).collect()
}

/// Returns the names of everything that a payload may be read as.
fn readings() -> Vec<&'static str> {
    let mut names = names();
    names.push("hex");
    names
}

fn encoding(name: &str) -> &'static Encoding {
    name.parse::<udpchat_config::Encoding>().unwrap().encoding()
}

/// The terms of a payload, without false positives.
struct Payload(HashSet<u32>);

impl Payload {
    fn of(bytes: &[u8]) -> Self {
        let bytes: Vec<u8> = bytes.iter().copied().map(folded).collect();
        let pairs = bytes.windows(2).map(|pair| Term::Pair(pair.try_into().unwrap()));
        let quads = bytes.windows(4).map(|quad| Term::Quad(quad.try_into().unwrap()));
        Self(pairs.chain(quads).flat_map(Term::positions).collect())
    }

    fn may_match(&mut self, predicate: &Predicate) -> bool {
        predicate.survivors(self, 1).unwrap() == 1
    }
}

impl Evidence for Payload {
    fn at(&mut self, _: Which, position: u32) -> Result<u64, IndexError> {
        Ok(u64::from(self.0.contains(&position)))
    }

    fn times(&self, _: u32) -> (i64, i64) {
        (0, 0)
    }
}

/// Returns the predicate of an expression in which `^` and `$` are the ends of a line.
fn predicate_of(expression: &str) -> Predicate {
    predicate(&ParserBuilder::new().multi_line(true).build().parse(expression).unwrap())
}

/// Generates bytes that are likely to be text in some encoding, and others.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        r"[a-zA-Z0-9 :=.\[\]]{1,30}",
        r"[\u{4e00}-\u{9fff}]{1,8}",
        r"\PC{1,12}",
        r"[а-яА-ЯёЁ ſKkKsSßéÉÊê€\u{304}\u{30c}ﾊﾛ～—·你好温度]{1,12}",
    ];
    let encoded = (text, prop::sample::select(names())).prop_map(|(text, name)| match name {
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        name => encoding(name).encode(&text).0.into_owned(),
    });
    let escapes = prop::sample::select(vec![
        &b"\x1b$B"[..],
        b"\x1b(J",
        b"\x1b(B",
        b"\x1b(I",
        b"\x1b$@",
        b"\x8f",
        b"\x88",
    ]);
    let piece = prop_oneof![
        4 => encoded,
        2 => prop::collection::vec(any::<u8>(), 1..12),
        2 => prop::collection::vec(0x80..=0xffu8, 1..8),
        1 => prop::collection::vec(0x21..=0x7eu8, 1..8),
        1 => escapes.prop_map(<[u8]>::to_vec),
        1 => prop::sample::select(vec![
            &b"\r\n"[..],
            b"\n",
            b"\r",
            b"\0",
            b"\xc0\x80",
            b"\xed\xa0\xbd\xed\xb8\x80",
        ]).prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// Changes the case of every other letter.
fn flipped(text: &str) -> String {
    let flip = |(nth, character): (usize, char)| -> String {
        match nth % 2 {
            0 if character.is_lowercase() => character.to_uppercase().collect(),
            0 => character.to_lowercase().collect(),
            _ => character.into(),
        }
    };
    text.chars().enumerate().map(flip).collect()
}

/// Builds an expression around a text that it must match.
fn around(text: &str, form: u8, cut: usize) -> String {
    let middle = text.char_indices().nth(cut % text.chars().count()).map_or(0, |(at, _)| at);
    let (whole, head, tail) =
        (regex::escape(text), regex::escape(&text[..middle]), regex::escape(&text[middle..]));
    match form {
        0 => whole,
        1 => format!("(?i){}", regex::escape(&flipped(text))),
        2 => format!("never so|({whole})|no"),
        3 => format!("{head}(?:{tail})+"),
        4 => format!("(?:{head})?{tail}"),
        5 => format!("({head})(?P<tail>{tail}){{1,3}}"),
        6 => format!("{head}(?:)(?-u:\\B)?.*?{tail}"),
        7 => format!("(?i)({head}|x){tail}"),
        8 => format!("{head}[^x]*{tail}"),
        _ => format!("{head}x?(?:{tail}|yyyyyy)"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_match_is_ruled_out(
        bytes in payloads(),
        name in prop::sample::select(readings()),
        (begin, length, cut) in (0..40usize, 1..12usize, 0..12usize),
        form in 0..10u8,
    ) {
        let text = udpchat_text::read(&bytes, name.parse().unwrap());
        let text = udpchat_api::safe::as_seen(&text);
        let count = text.chars().count();
        prop_assume!(count > 0);
        let part: String = text.chars().skip(begin % count).take(length).collect();
        let expression = around(&part, form, cut);
        let regex = RegexBuilder::new(&expression).multi_line(true).build();
        prop_assume!(regex.is_ok_and(|regex| regex.is_match(&text)));
        let predicate = predicate_of(&expression);
        prop_assert!(Payload::of(&bytes).may_match(&predicate), "{name} {bytes:x?} {expression:?} {predicate:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn no_block_with_a_match_is_ruled_out(
        payloads in prop::collection::vec(payloads(), 1..40),
        name in prop::sample::select(readings()),
    ) {
        let mut builder = Builder::new();
        for payload in &payloads {
            let anchor = Anchor { id: 1, at_ns: 1 };
            builder.add(&IndexedEntry { anchor, kind: None, peer: None, payload });
        }
        let mut block = builder.finish();
        for payload in payloads.iter().take(3) {
            let text = udpchat_text::read(payload, name.parse().unwrap());
            let predicate = predicate_of(&regex::escape(&udpchat_api::safe::as_seen(&text)));
            prop_assert_eq!(predicate.survivors(&mut block, 1).unwrap(), 1);
        }
    }
}

#[test]
fn every_character_of_every_encoding_is_found() {
    for name in "gb18030 big5 euc-jp shift_jis euc-kr koi8-r".split(' ') {
        let sequences = (0x80..=0xffu8).flat_map(|lead| (0x00..=0xffu8).map(move |trail| vec![lead, trail]));
        let jis_x_0212 =
            (0xa1..=0xfeu8).flat_map(|row| (0xa1..=0xfeu8).map(move |cell| vec![0x8f, row, cell]));
        let fours = (0x81..=0x84u8).flat_map(|first| {
            (0x30..=0x39u8).flat_map(move |second| {
                (0x81..=0xfe).flat_map(move |third| {
                    (0x30..=0x39).map(move |fourth| vec![first, second, third, fourth])
                })
            })
        });
        let more: Vec<_> = match name {
            "euc-jp" => jis_x_0212.collect(),
            "gb18030" => fours.collect(),
            _ => Vec::new(),
        };
        let read = |bytes: &Vec<u8>| encoding(name).decode_without_bom_handling(bytes).0.into_owned();
        let all = sequences.chain(more).map(|bytes| (read(&bytes), bytes));
        let all: Vec<_> = all.filter(|(text, _)| !text.contains('\u{fffd}')).collect();
        let characters = all.iter().flat_map(|(text, _)| text.chars()).collect();
        let coding = Coding::national(encoding(name), &characters);
        for (text, bytes) in all {
            let mut payload = Payload::of(&[b"ab", &bytes[..], b"cd"].concat());
            for literal in [text.clone(), format!("b{text}c")] {
                let sets: Vec<CharacterSet> = literal.chars().map(|character| vec![character]).collect();
                let predicate = predicate_in(&sets, &coding);
                assert!(
                    predicate.is_some_and(|predicate| payload.may_match(&predicate)),
                    "{name} {bytes:x?} {literal:?}"
                );
            }
        }
    }
}

/// Returns whether an expression rules out a payload.
fn rules_out(expression: &str, payload: &[u8]) -> bool {
    !Payload::of(payload).may_match(&predicate_of(expression))
}

#[test]
fn payloads_without_the_needed_text_are_ruled_out() {
    let payload = "sensor=42 温度=21.5 state=ok";
    let (gbk, _, _) = encoding_rs::GBK.encode(payload);
    let utf_16: Vec<u8> = payload.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for payload in [payload.as_bytes(), &gbk, &utf_16] {
        for expression in [
            "alarm",
            "湿度",
            "温室",
            "(?i)ALARM",
            "^alarm$",
            "alarm|fire",
            "(alarm)+",
            "sensor=42.*alarm",
            "[Aa]larm",
            r"\balarm\b",
            "xy",
            "温度.{1,9}alarm",
            "(?i)sensors=",
        ] {
            assert!(rules_out(expression, payload), "{expression} {payload:x?}");
        }
        for expression in
            ["", ".", "(alarm)?", "alarm|.", "[0-9]+", "a*", "温", "温度", "(?i)SENSOR", "sensor|alarm"]
        {
            assert!(!rules_out(expression, payload), "{expression} {payload:x?}");
        }
    }
}

#[test]
fn unusual_spellings_are_not_ruled_out() {
    for (expression, name, payload) in [
        ("alarm", "iso-2022-jp", &b"al\x1b(Barm"[..]),
        ("alarm", "iso-2022-jp", b"ala\x1b(Jrm"),
        ("温度", "iso-2022-jp", b"\x1b$B29EY\x1b(B"),
        ("x(ab)+y", "utf-8", b"xabababy"),
        ("wx(?:ab)?yz", "utf-8", b"wxyz"),
        ("wxa{2,}yz", "utf-8", b"wxaaaayz"),
        ("(?i)kelvin", "utf-8", "\u{212a}elvin".as_bytes()),
        ("(?m)^ab$", "utf-8", b"1\nab\n2"),
        ("\u{ca}\u{304}", "big5", b"\x88\x62"),
        ("€5", "gbk", b"\x805"),
        ("caf\u{fffd}", "utf-8", b"caf\xff"),
        ("^done$", "utf-8", b"done\r\n"),
        ("^done$", "utf-8", b"\xef\xbb\xbfdone\0"),
        ("one$\n^two", "utf-8", b"one\r\ntwo"),
        (r"one\s?two", "utf-8", b"one\r\ntwo"),
        ("[\n;]two", "utf-8", b"one\r\ntwo"),
        ("ok 😀", "utf-8", b"ok \xed\xa0\xbd\xed\xb8\x80"),
        ("a\0b", "utf-8", b"a\xc0\x80b"),
        ("e4 09", "hex", b"\x01\xe4\x09"),
        ("4 0", "hex", b"\x01\xe4\x09"),
        ("(?i)E4 [0-9]9$", "hex", b"\x01\xe4\x09"),
        ("e4", "hex", b"\xe4"),
    ] {
        let text = udpchat_text::read(payload, name.parse().unwrap());
        let text = udpchat_api::safe::as_seen(&text);
        assert!(
            RegexBuilder::new(expression).multi_line(true).build().unwrap().is_match(&text),
            "{expression} {text}"
        );
        assert!(!rules_out(expression, payload), "{expression} {payload:x?}");
    }
}

#[test]
fn digits_rule_out_payloads_with_other_bytes() {
    let payload = b"\x01\x03\xe4\x09";
    for expression in ["e4 0a", "01 e4", "(?i)E4 0A", "03 e4 09 09", "[01]1 04 e4"] {
        assert!(rules_out(expression, payload), "{expression}");
    }
    for expression in ["03 e4", "1 03 e", "e4 [0-9]9", "(?:03 )e4"] {
        assert!(!rules_out(expression, payload), "{expression}");
    }
    // These are no digits of bytes.
    assert!(rules_out("bad", b"\xba\xd0") && rules_out("100", b"\x10\x00") && rules_out("E4 09", payload));
}

#[test]
fn an_expression_with_too_many_terms_rules_out_nothing() {
    let words: Vec<_> = (0..5_000).map(|word| format!("word{word}")).collect();
    assert_eq!(predicate_of(&words.join("|")), Predicate::Anything);
    assert!(predicate_of(&"x1".repeat(10_000)).terms() <= MAX_TERMS);
}
