//! Text to bytes.

use encoding_rs::{EncoderResult, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};
use udpchat_config::Encoding;

use crate::common::is_common;
use crate::hex;

/// The longest sequence of one character in bytes, with room for what an encoder demands beyond it: in ISO-2022-JP two
/// bytes between two escape sequences.
const MAX_SEQUENCE_BYTES: usize = 32;

/// A character that cannot be sent in an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEncodable {
    /// The character.
    pub character: char,
    /// The encoding.
    pub encoding: Encoding,
}

/// Writes a text in an encoding, so that every reader of that encoding reads the same text. Nothing is ever replaced.
///
/// # Errors
/// [`NotEncodable`] with the first character that the encoding does not have, that its decoder does not read back, or that
/// other programs read as another one. In [`Encoding::HEX`], the first character that is no digit where one must stand.
pub fn encode(text: &str, encoding: Encoding) -> Result<Vec<u8>, NotEncodable> {
    if encoding.is_hex() {
        return hex::write(text).map_err(|character| NotEncodable { character, encoding });
    }
    let codec = encoding.encoding();
    if codec == UTF_8 {
        return Ok(text.as_bytes().to_vec());
    }
    if codec == UTF_16LE {
        return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    }
    if codec == UTF_16BE {
        return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() && codec.is_ascii_compatible() => bytes.push(byte),
            _ => {
                let refused = || NotEncodable { character, encoding };
                bytes.extend_from_slice(&sequence(character, encoding).ok_or_else(refused)?);
            }
        }
    }
    if codec == ISO_2022_JP {
        // As a whole it needs fewer escape sequences.
        return Ok(codec.encode(text).0.into_owned());
    }
    Ok(bytes)
}

/// Returns the bytes of one character, if all programs decode them as this character.
fn sequence(character: char, encoding: Encoding) -> Option<Vec<u8>> {
    let codec = encoding.encoding();
    let mut utf_8 = [0; 4];
    let text = &*character.encode_utf8(&mut utf_8);
    let mut bytes = vec![0; MAX_SEQUENCE_BYTES];
    let (result, _, written) =
        codec.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
    if result != EncoderResult::InputEmpty {
        return None;
    }
    bytes.truncate(written);
    // The encoders of the standard replace some characters by similar ones: `¥` by `\`, `−` by `－`.
    let decoded = codec.decode_without_bom_handling_and_without_replacement(&bytes)?;
    (decoded == text && is_common(character, &bytes, encoding)).then_some(bytes)
}

/// Chooses the encoding for a message to a peer that is known to use `remembered`; `fallback` is the configured one.
///
/// A peer that has sent Chinese in two bytes a character may know no more than GBK (Python's `gbk` fails on the
/// four-byte characters of GB18030), so it is answered in what both have in common. A peer that was read by the fallback is
/// answered in what the name of the fallback promises: `cp932` has more characters than `shift_jis`.
pub fn for_answering(remembered: Encoding, fallback: Encoding) -> Encoding {
    if remembered == Encoding::GB18030 {
        Encoding::GBK
    } else if remembered == fallback.for_reading() {
        fallback
    } else {
        remembered
    }
}

/// Returns an encoding with more characters that many programs for the same language read.
pub fn wider(encoding: Encoding) -> Option<Encoding> {
    let name = match encoding.to_string().as_str() {
        "gb2312" | "gbk" => "gb18030",
        "big5" => "cp950",
        "shift_jis" => "cp932",
        "euc-kr" => "cp949",
        "ascii" | "iso-8859-1" => "windows-1252",
        "iso-8859-9" => "windows-1254",
        "tis-620" => "windows-874",
        _ => return None,
    };
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Encoding {
        name.parse().unwrap()
    }

    fn bytes_of(text: &str, name: &str) -> Vec<u8> {
        encode(text, named(name)).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    #[track_caller]
    fn refuses(text: &str, name: &str, character: char) {
        assert_eq!(
            encode(text, named(name)),
            Err(NotEncodable { character, encoding: named(name) }),
            "{text}"
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_sent_is_read_as_it_was_written(
            text in r"([ -~]|[é¥‾−～①€ｱ·—]|[а-я]|[ก-๛]|[一-龥]|[あ-ん]|[가-힣]|\PC){0,20}",
            name in proptest::sample::select(&Encoding::NAMES[..]),
        ) {
            let encoding = named(name);
            let refused = |character: &char| encode(&character.to_string(), encoding).is_err();
            match encode(&text, encoding) {
                Ok(bytes) => proptest::prop_assert_eq!(&crate::read(&bytes, encoding.for_reading()), &text),
                Err(error) => proptest::prop_assert_eq!(text.chars().find(refused), Some(error.character)),
            }
            let held: String = text.chars().filter(|character| !refused(character)).collect();
            proptest::prop_assert_eq!(crate::read(&bytes_of(&held, name), encoding.for_reading()), held);
        }
    }

    #[test]
    fn every_name_holds_printable_ascii() {
        let text: String = (' '..='~').chain(['\t', '\r', '\n']).collect();
        for name in Encoding::NAMES {
            assert_eq!(crate::read(&bytes_of(&text, name), named(name)), text, "{name}");
        }
    }

    #[test]
    fn characters_that_the_encoder_would_replace_are_refused() {
        refuses("a¥100", "shift_jis", '¥');
        refuses("a‾", "euc-jp", '‾');
        refuses("10−5", "shift_jis", '−');
        refuses("10−5", "cp932", '−');
        refuses("ｱ", "iso-2022-jp", 'ｱ');
        refuses("\u{e78d}", "gb18030", '\u{e78d}');
        refuses("\u{1b}", "iso-2022-jp", '\u{1b}');
        assert_eq!(bytes_of("¥ｱ天".get(2..).unwrap(), "shift_jis"), b"\xb1\x93\x56");
    }

    #[test]
    fn characters_that_others_misread_are_refused() {
        refuses("5€", "gbk", '€');
        refuses("ḿ", "gb18030", 'ḿ');
        for character in ['①', '～', '－', '￠', '髙'] {
            refuses(&character.to_string(), "shift_jis", character);
            assert!(encode(&character.to_string(), named("cp932")).is_ok(), "{character}");
        }
        refuses("①", "euc-jp", '①');
        refuses("①", "iso-2022-jp", '①');
        refuses("똠", "euc-kr", '똠');
        refuses("恒", "big5", '恒');
        refuses("\u{81}", "windows-1252", '\u{81}');
    }

    #[test]
    fn a_narrow_name_keeps_to_its_characters() {
        refuses("aé", "ascii", 'é');
        refuses("é€", "iso-8859-1", '€');
        refuses("朱镕基", "gb2312", '镕');
        refuses("ก€", "tis-620", '€');
        refuses("你——好", "gb2312", '—');
        assert_eq!(bytes_of("朱镕基", "gbk").len(), 6);
        assert_eq!(bytes_of("朱基，α①", "gb2312").len(), 10);
    }

    #[test]
    fn a_wider_encoding_holds_what_the_narrower_one_does() {
        for (name, character) in
            [("gbk", "€"), ("gb2312", "镕"), ("shift_jis", "①"), ("euc-kr", "똠"), ("big5", "恒")]
        {
            assert!(encode(character, wider(named(name)).unwrap()).is_ok(), "{name}");
        }
        assert_eq!(wider(Encoding::UTF_8), None);
    }

    #[test]
    fn a_peer_is_answered_in_what_it_reads() {
        let fallback = named("cp932");
        assert_eq!(for_answering(Encoding::GB18030, Encoding::GB18030), Encoding::GBK);
        assert_eq!(for_answering(named("shift_jis"), fallback), fallback);
        assert_eq!(for_answering(named("shift_jis"), Encoding::GB18030), named("shift_jis"));
    }
}
