//! Properties of sequences of datagrams: what is remembered of a peer stays right, whatever happens to its text on the way.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use udpchat_config::Encoding;
use udpchat_text::{Basis, Knowledge, decode, encode, evidence};

/// Words and lines in languages that are written in UTF-8.
const WORDS: &[&str] = &[
    "你好",
    "温度二十五度",
    "设备启动完成",
    "湿度：48%",
    "這個問題我昨天就說過了",
    "こんにちは",
    "ポンプ停止",
    "漢字",
    "안녕하세요",
    "온도 정상",
    "Привет, мир",
    "давление",
    "ПРИВЕТ",
    "Ёжик",
    "καλημέρα",
    "שלום",
    "مرحبا",
    "été",
    "déjà vu",
    "Zażółć gęślą jaźń",
    "Tiếng Việt",
    "สวัสดี",
    "25 °C",
    "±0.5",
    "€",
    "😀",
    "──────",
    "│25℃│",
    "\u{1f1e8}\u{1f1f3}",
    "ok",
];

/// Frequent characters, of which short messages in GBK consist.
const CHINESE: &[&str] = &[
    "你好", "再见", "收到", "温度", "湿度", "正常", "异常", "压力", "启动", "完成", "设备", "今天", "天气",
    "很好", "我们", "一些", "小心", "谢谢", "学校", "专注", "结构", "电话", "报警", "水泵", "阀门", "关闭",
    "时间", "地点", "晚上", "开会",
];

const FALLBACKS: &[&str] = &[
    "gb18030",
    "gbk",
    "big5",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "windows-1251",
    "koi8-r",
    "windows-1252",
    "windows-874",
    "utf-8",
];

/// What programs put around text.
const FRAMES: &[(&[u8], &[u8])] = &[
    (b"", b""),
    (b"", b"\r\n"),
    (b"", b"\0"),
    (b"\x02", b"\x03"),
    (b"\x0b", b"\x1c\r"),
    (b"\x1b[31m", b"\x1b[0m"),
    (b"\x07", b"..."),
    (b"{\"t\":\"", b"\"}"),
    (b"<14>1 - host app - - ", b" [truncated]"),
    (b"\xef\xbb\xbf", b""),
];

fn named(name: &str) -> Encoding {
    name.parse().expect("the name of an encoding")
}

fn fallback() -> impl Strategy<Value = Encoding> {
    select(FALLBACKS).prop_map(named)
}

/// Cuts a text at both ends, where `front` and `back` point, and frames the rest.
fn damaged(bytes: &[u8], cuts: Option<(Index, Index)>, frame: (&[u8], &[u8])) -> Vec<u8> {
    let rest = match cuts {
        Some((front, back)) => {
            let (one, other) = (front.index(bytes.len() + 1), back.index(bytes.len() + 1));
            &bytes[one.min(other)..one.max(other)]
        }
        None => bytes,
    };
    [frame.0, rest, frame.1].concat()
}

fn cuts() -> impl Strategy<Value = Option<(Index, Index)>> {
    proptest::option::of((any::<Index>(), any::<Index>()))
}

/// Returns what is remembered after these messages.
fn remembered(messages: &[Vec<u8>], start: Option<Encoding>, fallback: Encoding) -> Option<Encoding> {
    messages.iter().fold(start, |known, bytes| evidence(bytes, known, fallback).or(known))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_changes_what_a_utf_8_speaker_is_known_to_use(
        messages in vec((vec(select(WORDS), 1..4), cuts(), select(FRAMES)), 1..12),
        is_known: bool,
        fallback in fallback(),
    ) {
        let of_words = |words: &Vec<&str>| words.join(" ");
        let messages: Vec<_> =
            messages.iter().map(|(words, cuts, frame)| damaged(of_words(words).as_bytes(), *cuts, *frame)).collect();
        let start = is_known.then_some(Encoding::UTF_8);
        let end = remembered(&messages, start, fallback);
        prop_assert!(end.is_none_or(|end| end == Encoding::UTF_8), "{end:?} {messages:02x?}");
        prop_assert!(end.is_some() || !is_known);
    }

    #[test]
    fn rare_characters_change_no_known_utf_8_speaker(
        messages in vec((r"[一-龥ぁ-ヶ가-힣]{1,12}", cuts(), select(FRAMES)), 1..8),
        fallback in fallback(),
    ) {
        let messages: Vec<_> =
            messages.iter().map(|(text, cuts, frame)| damaged(text.as_bytes(), *cuts, *frame)).collect();
        prop_assert_eq!(remembered(&messages, Some(Encoding::UTF_8), fallback), Some(Encoding::UTF_8));
    }

    #[test]
    fn nothing_changes_what_a_gbk_speaker_is_known_to_use(
        messages in vec((vec(select(CHINESE), 1..6), 0..2usize, select(FRAMES)), 1..12),
        is_known: bool,
    ) {
        let messages: Vec<_> = messages
            .iter()
            .map(|(words, cut, frame)| {
                let bytes = encode(&words.concat(), Encoding::GBK).unwrap();
                // Two whole characters stay.
                let cut = if bytes.len() > 5 { *cut } else { 0 };
                [frame.0, &bytes[..bytes.len() - cut], frame.1].concat()
            })
            .collect();
        for fallback in [Encoding::GB18030, Encoding::GBK, named("windows-1251")] {
            let start = is_known.then_some(Encoding::GB18030);
            let end = remembered(&messages, start, fallback);
            prop_assert!(end.is_none_or(|end| end == Encoding::GB18030), "{end:?} {messages:02x?}");
        }
    }

    /// Two programs on a host: one uses UTF-8, the other has sent nothing that proves GBK.
    #[test]
    fn chinese_words_are_read_on_a_host_that_uses_utf_8(
        words in vec(select(CHINESE), 1..6),
        frame in select(FRAMES),
    ) {
        let text = words.concat();
        let bytes = [frame.0, &encode(&text, Encoding::GBK).unwrap(), frame.1].concat();
        let alone = decode(&bytes, &Knowledge::none(Encoding::GB18030));
        let beside = Knowledge { of_host: Some(Encoding::UTF_8), ..Knowledge::none(Encoding::GB18030) };
        let decoded = decode(&bytes, &beside);
        // Without a host, some words are read as another encoding; UTF-8 on the host changes no reading that is right.
        prop_assert!(!alone.text.contains(&text) || decoded == alone, "{decoded:?} {bytes:02x?}");
    }

    #[test]
    fn cut_utf_8_is_read_on_a_host_that_uses_it(
        words in vec(select(CHINESE), 2..6),
        (front, back) in (0..3usize, 0..3usize),
    ) {
        let text = words.concat();
        let bytes = &text.as_bytes()[front..text.len() - back];
        let of_host = Knowledge { of_host: Some(Encoding::UTF_8), ..Knowledge::none(Encoding::GB18030) };
        prop_assert_eq!(decode(bytes, &of_host).encoding, Encoding::UTF_8, "{:02x?}", bytes);
    }

    #[test]
    fn nothing_overrules_a_person(
        bytes in vec(any::<u8>(), 0..60),
        chosen in select(FALLBACKS).prop_map(named),
        remembered in proptest::option::of(fallback()),
        fallback in fallback(),
        is_configured: bool,
    ) {
        let none = Knowledge { remembered, ..Knowledge::none(fallback) };
        let knowledge = if is_configured {
            Knowledge { configured: Some(chosen), given: Some(fallback), ..none }
        } else {
            Knowledge { given: Some(chosen), ..none }
        };
        let decoded = decode(&bytes, &knowledge);
        let by = if is_configured { Basis::Configured } else { Basis::Remembered };
        let is_valid = std::str::from_utf8(&bytes).is_ok();
        prop_assert!(
            (decoded.encoding, decoded.by) == (chosen, by) || decoded.encoding == Encoding::UTF_8 && is_valid,
            "{:?}", decoded
        );
    }
}

#[test]
fn text_of_another_encoding_is_never_learned_as_chinese() {
    let lines: &[(&str, &[&str])] = &[
        (
            "euc-kr",
            &[
                "안녕하세요 세계",
                "설비 가동 시작",
                "온도 정상",
                "수위가 너무 높습니다",
                "문이 열렸습니다",
                "서울특별시",
            ],
        ),
        ("euc-jp", &["設備の起動が完了しました", "温度は正常です", "湿度も正常", "東京都千代田区", "警報"]),
        ("shift_jis", &["設備の起動が完了しました", "温度は正常です", "ｴﾗｰ ﾎﾟﾝﾌﾟ ﾃｲｼ", "東京都千代田区"]),
        ("big5", &["設備啟動完成", "溫度正常", "臺北市信義區", "連線已中斷"]),
        ("windows-1251", &["ПРИВЕТ", "АВАРИЯ НАСОСА", "Всё хорошо", "Температура в норме"]),
        ("koi8-r", &["привет всем", "ДАТЧИК", "температура в норме"]),
        ("windows-874", &["อุณหภูมิปกติ", "เริ่มทำงาน", "ความชื้น"]),
        ("windows-1252", &["déjà vu", "ÄÖÜ äöü ß", "température élevée à l'entrée"]),
    ];
    for (name, texts) in lines {
        for text in *texts {
            let bytes = encode(text, named(name)).unwrap();
            for cut in 0..bytes.len() {
                for part in [&bytes[cut..], &bytes[..bytes.len() - cut]] {
                    for known in [None, Some(named(name))] {
                        let proven = evidence(part, known, Encoding::GB18030);
                        assert!(
                            proven.is_none_or(|proven| proven == named(name)),
                            "{text} {part:02x?}: {proven:?}"
                        );
                    }
                }
            }
        }
    }
}
