//! Dumps bytes in the format of `hexdump -Cv`.

use std::fmt::Write as _;

/// Bytes per line.
const LINE_BYTES: usize = 16;

/// Dumps bytes: per line the offset, sixteen bytes in two groups and their ASCII; at the end the length. Empty for no bytes.
pub(super) fn dump(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 5 + 16);
    for (at, line) in bytes.chunks(LINE_BYTES).enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{:08x}  {}", at * LINE_BYTES, line_of(line, LINE_BYTES));
    }
    if !bytes.is_empty() {
        let _ = writeln!(out, "{:08x}", bytes.len());
    }
    out
}

/// Returns two hexadecimal digits for each byte, as `send --hex` reads them.
pub(super) fn digits(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Returns the digits of each byte, with a space between two bytes.
pub(crate) fn pairs(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Returns the bytes of a line in hex, blanks up to the number of bytes in a full line, and the bytes as ASCII.
pub(crate) fn line_of(bytes: &[u8], line_bytes: usize) -> String {
    let mut out = String::with_capacity(line_bytes * 4 + 4);
    for column in 0..line_bytes {
        // Writing to a `String` does not fail.
        let _ = match bytes.get(column) {
            Some(byte) => write!(out, "{byte:02x} "),
            None => write!(out, "   "),
        };
        if column == LINE_BYTES / 2 - 1 && line_bytes == LINE_BYTES {
            out.push(' ');
        }
    }
    out.push_str(" |");
    out.extend(bytes.iter().map(|&byte| shown(byte)));
    out.push('|');
    out
}

fn shown(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dump_equals_that_of_hexdump() {
        let bytes: Vec<u8> = b"hello, world!\r\n\0".iter().copied().chain([0x7e, 0x7f, 0xff]).collect();
        let expected = "\
00000000  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 0d 0a 00  |hello, world!...|
00000010  7e 7f ff                                          |~..|
00000013
";
        assert_eq!(dump(&bytes), expected);
        assert_eq!(dump(b""), "");
        assert_eq!(dump(&[0; 16]).lines().count(), 2);
        assert_eq!(digits(&bytes[12..]), "210d0a007e7fff");
        assert_eq!(pairs(&bytes[12..]), "21 0d 0a 00 7e 7f ff");
        assert_eq!(pairs(b""), "");
    }
}
