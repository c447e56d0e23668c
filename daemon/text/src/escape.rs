//! Escapes in a text to send: `\n \r \t \0 \\`, `\xHH` for a byte, `\u{H...}` for a character.

use udpchat_config::Encoding;

use crate::{NotEncodable, encode};

/// A part of a text with escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text, to be encoded for the peer.
    Text(&'a str),
    /// A character, to be encoded for the peer.
    Char(char),
    /// A byte, sent as it is.
    Byte(u8),
}

/// The beginning of a text that looks like an escape and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEscape(pub String);

impl Piece<'_> {
    /// Returns the bytes in an encoding.
    ///
    /// # Errors
    /// [`NotEncodable`].
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, NotEncodable> {
        match self {
            Piece::Text(text) => encode(text, encoding),
            Piece::Char(character) => encode(character.encode_utf8(&mut [0; 4]), encoding),
            Piece::Byte(byte) => Ok(vec![*byte]),
        }
    }
}

/// Splits a text at its escapes.
///
/// # Errors
/// [`UnknownEscape`].
pub fn parse_escapes(text: &str) -> Result<Vec<Piece<'_>>, UnknownEscape> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let (piece, length) = escape(&rest[at..]).ok_or_else(|| unknown(&rest[at..]))?;
        pieces.push(piece);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Reads the escape at the beginning of `text`; returns it and its length in bytes.
fn escape(text: &str) -> Option<(Piece<'_>, usize)> {
    let simple = |character| Some((Piece::Text(character), 2));
    match text[1..].chars().next()? {
        'n' => simple("\n"),
        'r' => simple("\r"),
        't' => simple("\t"),
        '0' => simple("\0"),
        '\\' => simple("\\"),
        'x' => {
            let digits =
                text.get(2..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            Some((Piece::Byte(u8::from_str_radix(digits, 16).ok()?), 4))
        }
        'u' => {
            let (digits, _) = text[2..].strip_prefix('{')?.split_once('}')?;
            let plain =
                (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
            Some((Piece::Char(char::from_u32(code)?), digits.len() + 4))
        }
        _ => None,
    }
}

fn unknown(text: &str) -> UnknownEscape {
    UnknownEscape(text.chars().take(12).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_parsed() {
        use Piece::{Byte, Char, Text};
        let pieces = parse_escapes(r"a\n\r\t\0\\\x1b\xFF\u{4f60}好").unwrap();
        let expected = [
            Text("a"),
            Text("\n"),
            Text("\r"),
            Text("\t"),
            Text("\0"),
            Text("\\"),
            Byte(0x1b),
            Byte(0xff),
            Char('你'),
            Text("好"),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn unknown_escapes_are_refused_and_shown() {
        for text in [r"\", r"\q", r"\x1", r"\xzz", r"\x好", r"\u{}", r"\u{d800}", r"\u{1234567}", r"\u4f60"]
        {
            let error = parse_escapes(text).unwrap_err();
            assert!(text.starts_with(&error.0), "{text}: {error:?}");
        }
    }
}
