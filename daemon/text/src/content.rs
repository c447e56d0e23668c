//! What programs put around text: marks, frames, escape sequences of terminals; and what is no text at all.

use std::borrow::Cow;

/// The byte-order mark of UTF-8.
pub(crate) const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";

const BELL: u8 = 0x07;
const ESCAPE: u8 = 0x1b;

/// Controls that begin a frame: SOH, STX, BEL, VT (MLLP).
const OPENING: [u8; 4] = [0x01, 0x02, 0x07, 0x0b];

/// Controls that end a frame or a text: NUL, ETX, EOT, BEL, line ends, ETB, SUB, FS (MLLP).
const CLOSING: [u8; 9] = [0x00, 0x03, 0x04, 0x07, b'\n', b'\r', 0x17, 0x1a, 0x1c];

/// More than one control for as many bytes outside ASCII is binary data: half that many characters in two bytes each.
const BYTES_FOR_A_CONTROL: usize = 4;

/// Returns the text of a message without mark, frame and escape sequences, if it has bytes outside ASCII and is no binary data.
pub(crate) fn of(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    if bytes.is_ascii() {
        return None;
    }
    let text = inside(bytes);
    let foreign = text.iter().filter(|byte| !byte.is_ascii()).count();
    let controls = text.iter().filter(|byte| is_binary(**byte)).count();
    (foreign > 0 && controls * BYTES_FOR_A_CONTROL <= foreign).then_some(text)
}

/// Returns whether a message is text with characters outside ASCII. ASCII alone and binary data show no encoding.
pub fn shows_encoding(bytes: &[u8]) -> bool {
    of(bytes).is_some()
}

/// Returns what is inside of mark, frame and escape sequences.
pub(crate) fn inside(bytes: &[u8]) -> Cow<'_, [u8]> {
    without_escapes(without_frame(without_mark(bytes)))
}

pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes)
}

fn without_frame(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && OPENING.contains(first)
    {
        bytes = rest;
    }
    loop {
        bytes = match bytes {
            [rest @ .., last] if CLOSING.contains(last) => rest,
            // A byte with a checksum follows the end of the frame.
            [rest @ .., 0x03 | 0x17, _] => rest,
            _ => return bytes,
        }
    }
}

/// Controls that no text holds; tab, line ends and form feed do occur.
fn is_binary(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Leaves out the escape sequences of terminals: colours, titles (ECMA-48, 5.4 and 5.6).
fn without_escapes(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&ESCAPE) {
        return Cow::Borrowed(bytes);
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(place) = rest.iter().position(|byte| *byte == ESCAPE) {
        text.extend_from_slice(&rest[..place]);
        rest = &rest[place + 1 + escape_length(&rest[place + 1..])..];
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// Returns how many bytes behind ESC belong to its sequence.
fn escape_length(bytes: &[u8]) -> usize {
    let [introducer, parameters @ ..] = bytes else { return 0 };
    match introducer {
        b'[' => {
            let length = parameters.iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
            let has_end = parameters.get(length).is_some_and(|byte| matches!(byte, 0x40..=0x7e));
            1 + length + usize::from(has_end)
        }
        b']' => {
            // A string for the terminal, up to BEL or ST. No search goes beyond the next ESC, so that the work is linear.
            let end = parameters.iter().position(|byte| matches!(*byte, BELL | ESCAPE));
            match end.map(|end| (end, &parameters[end..])) {
                Some((end, [BELL, ..])) => end + 2,
                Some((end, [ESCAPE, b'\\', ..])) => end + 3,
                _ => 1,
            }
        }
        0x20..=0x2f => 1 + usize::from(parameters.first().is_some_and(u8::is_ascii_graphic)),
        0x30..=0x7e => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(bytes: &[u8]) -> Option<Vec<u8>> {
        of(bytes).map(Cow::into_owned)
    }

    #[test]
    fn frames_and_escape_sequences_are_left_out() {
        for framed in [
            &b"\x02\xc4\xe3\x03"[..],
            b"\x02\xc4\xe3\x03\x7f",
            b"\x0b\xc4\xe3\x1c\r",
            b"\xc4\xe3\r\n\0\0",
            b"\x07\xc4\xe3\x07",
            b"\x1b[1;31m\xc4\xe3\x1b[0m\n",
            b"\x1b]0;title\x07\xc4\xe3",
            b"\x1b]0;title\x1b\\\xc4\xe3\x07",
            b"\x1b]\xc4\xe3\x1b[0m\x07",
            b"\x1b(B\xc4\xe3",
            b"\xef\xbb\xbf\xc4\xe3",
        ] {
            assert_eq!(of_text(framed).as_deref(), Some(&b"\xc4\xe3"[..]), "{framed:02x?}");
        }
    }

    #[test]
    fn ascii_and_binary_data_have_no_text() {
        for bytes in
            [&b""[..], b"plain", b"\x1b[1mplain\x1b[0m", b"\xc4\x01\xe3\x02\x10", b"\xef\xbb\xbfplain"]
        {
            assert_eq!(of_text(bytes), None, "{bytes:02x?}");
        }
    }
}
