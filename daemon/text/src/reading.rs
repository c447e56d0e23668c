//! Bytes read in a given encoding.

use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE};
use udpchat_config::Encoding;

use crate::content::without_mark;
use crate::hex;

/// Reads bytes in an encoding; what does not decode becomes U+FFFD.
///
/// A mark of this encoding at the beginning is no part of the text, and a mark of UTF-16 decides the order of its bytes; no mark
/// changes the encoding otherwise. In UTF-8, the bytes C0 80 of Java are U+0000, and a pair of surrogates in three bytes each
/// ([CESU-8](https://www.unicode.org/reports/tr26/)) is its character. [`Encoding::HEX`] is read as hexadecimal digits.
pub fn read(bytes: &[u8], encoding: Encoding) -> String {
    if encoding.is_hex() {
        return hex::read(bytes);
    }
    if encoding == Encoding::UTF_8 {
        return String::from_utf8_lossy(&standard(without_mark(bytes))).into_owned();
    }
    let codec = by_mark(bytes, encoding).encoding();
    if codec == UTF_16LE || codec == UTF_16BE {
        return codec.decode_with_bom_removal(bytes).0.into_owned();
    }
    codec.decode_without_bom_handling(bytes).0.into_owned()
}

/// Returns the order of bytes that a mark of UTF-16 shows; without one, and of any other encoding, the encoding itself.
pub(crate) fn by_mark(bytes: &[u8], encoding: Encoding) -> Encoding {
    match bytes {
        [0xff, 0xfe, ..] if encoding.is_utf_16() => Encoding::UTF_16LE,
        [0xfe, 0xff, ..] if encoding.is_utf_16() => Encoding::UTF_16BE,
        _ => encoding,
    }
}

/// Tells whether bytes decode without a fault.
pub(crate) fn decodes(bytes: &[u8], encoding: Encoding) -> bool {
    encoding.encoding().decode_without_bom_handling_and_without_replacement(bytes).is_some()
}

/// Returns the bytes in standard UTF-8: U+0000 for C0 80, and a character for two surrogates.
pub(crate) fn standard(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = (0..bytes.len()).find(|place| variant(&bytes[*place..]).is_some()) else {
        return Cow::Borrowed(bytes);
    };
    let mut text = bytes[..first].to_vec();
    let mut rest = &bytes[first..];
    while let [byte, tail @ ..] = rest {
        match variant(rest) {
            Some((character, length)) => {
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
            None => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(text)
}

/// Returns the character that the bytes begin with in a variant of UTF-8, and its length there.
fn variant(bytes: &[u8]) -> Option<(char, usize)> {
    match *bytes {
        [0xc0, 0x80, ..] => Some(('\0', 2)),
        [0xed, b @ 0xa0..=0xaf, c @ 0x80..=0xbf, 0xed, e @ 0xb0..=0xbf, f @ 0x80..=0xbf, ..] => {
            let half = |upper: u8, lower: u8| u32::from(upper & 0xf) << 6 | u32::from(lower & 0x3f);
            let character = char::from_u32(0x1_0000 + (half(b, c) << 10) + half(e, f))?;
            Some((character, 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_utf_8_read_as_their_characters() {
        for (bytes, text) in [
            (&b"a\xc0\x80b"[..], "a\0b"),
            (b"\xed\xa0\xbd\xed\xb8\x80!", "😀!"),
            (b"\xed\xaf\xbf\xed\xbf\xbf", "\u{10ffff}"),
            (b"\xed\xa0\xbd", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xc0\xaf", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(read(bytes, Encoding::UTF_8), text, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_mark_of_the_encoding_is_not_shown() {
        assert_eq!(read(b"\xef\xbb\xbfok", Encoding::UTF_8), "ok");
        for encoding in [Encoding::UTF_16LE, Encoding::UTF_16BE] {
            assert_eq!(read(b"\xff\xfeo\0k\0", encoding), "ok");
            assert_eq!(read(b"\xfe\xff\0o\0k", encoding), "ok");
        }
        assert_eq!(read(b"\xff\xfea", "windows-1252".parse().unwrap()), "ÿþa");
    }

    proptest::proptest! {
        #[test]
        fn valid_utf_8_is_its_own_standard_form(text: String) {
            proptest::prop_assert_eq!(&*standard(text.as_bytes()), text.as_bytes());
        }
    }
}
