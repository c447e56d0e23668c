//! Any bytes, in any encoding and with any knowledge of their sender, become text that is safe to show.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udpchat_api::line::to_line;
use udpchat_api::safe;
use udpchat_config::Encoding;
use udpchat_fuzz::{Input, assert_safe, assert_safe_json, assert_safe_lines, unescape};
use udpchat_text::{Basis, Knowledge, decode, encode, evidence, for_answering, read, wider};

fn named(number: u8) -> Encoding {
    Encoding::NAMES[usize::from(number) % Encoding::NAMES.len()].parse().expect("the name of an encoding")
}

fn maybe(number: u8) -> Option<Encoding> {
    (number >= 128).then(|| named(number - 128))
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (configured, given, remembered) = (maybe(input.byte()), maybe(input.byte()), maybe(input.byte()));
    let (fallback, other) = (named(input.byte()), named(input.byte()));
    // A configuration with UTF-16 as the fallback is refused.
    let fallback = if fallback.is_utf_16() { Encoding::GB18030 } else { fallback };
    let bytes = input.0;

    let (known_before, of_host) = (other == Encoding::UTF_8, Some(other));
    let knowledge = Knowledge { configured, given, remembered, of_host, known_before, fallback };
    let decoded = decode(bytes, &knowledge);
    assert_eq!(decode(bytes, &knowledge), decoded, "the same bytes decode to the same text");
    if let Some(configured) = configured {
        // A person's choice decides, except about what is certainly UTF-8; a mark says the order of the bytes of UTF-16.
        let (read, chosen) = (decoded.encoding.encoding(), configured.encoding());
        match decoded.by {
            Basis::Configured => {
                assert!(read == chosen || decoded.encoding.is_utf_16() && configured.is_utf_16())
            }
            by => assert_eq!((by, read), (Basis::Detected, Encoding::UTF_8.encoding())),
        }
    }
    show(&decoded.text);
    answer(&decoded.text, for_answering(decoded.encoding, fallback));

    let proven = evidence(bytes, remembered, fallback);
    assert!(proven.is_none_or(|proven| !proven.encoding().is_single_byte() && !proven.is_utf_16()));

    let text = read(bytes, other);
    if other == Encoding::UTF_8
        && let Ok(valid) = std::str::from_utf8(bytes)
    {
        assert_eq!(text, valid.strip_prefix('\u{feff}').unwrap_or(valid), "valid UTF-8 reads as it is");
    }
    show(&text);
    answer(&text, other);
});

/// Checks everything that makes a text safe to show.
fn show(text: &str) {
    let line = safe::one_line(text);
    assert_safe(&line);
    assert_eq!(unescape(&line), text, "escaping is reversible");
    let lines = safe::lines(text);
    assert_safe_lines(&lines.replace('\t', ""));
    assert_eq!(unescape(&lines), text.replace("\r\n", "\n"));
    let json = String::from_utf8(to_line(&text).expect("a text is JSON")).expect("JSON is UTF-8");
    let json = json.strip_suffix('\n').expect("a line end");
    assert_safe_json(json);
    assert!(json.len() <= safe::json_length(text) + 2);
    assert_eq!(serde_json::from_str::<String>(json).expect("JSON"), text);
    assert!(text.starts_with(safe::without_trailer(text)));
    assert_eq!(safe::as_seen(text), safe::without_trailer(text).replace("\r\n", "\n"));
}

/// Checks that what is sent reads as it was written, or is refused for a character of the text.
fn answer(text: &str, encoding: Encoding) {
    match encode(text, encoding) {
        // A mark at the beginning is no part of the text.
        Ok(_) if text.starts_with(['\u{feff}', '\u{fffe}']) => {}
        Ok(bytes) => assert_eq!(read(&bytes, encoding.for_reading()), text),
        Err(refused) => {
            assert!(text.contains(refused.character));
            if let Some(wider) = wider(encoding) {
                let held: String =
                    text.chars().filter(|c| encode(&c.to_string(), encoding).is_ok()).collect();
                assert!(
                    encode(&held, wider).is_ok(),
                    "a wider encoding has every character of the narrower one"
                );
            }
        }
    }
}
