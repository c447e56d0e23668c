//! What a message proves about the encoding of its sender.

use udpchat_config::Encoding;

/// How many characters outside ASCII prove that bytes are in the fallback encoding.
const MIN_CHARACTERS_FOR_PROOF: usize = 2;

/// Returns the encoding that a message proves of its sender, so that it may be remembered; mostly none.
///
/// `remembered` is what the sender is known to use: to change that takes more than to learn it. Whatever is returned with
/// it would also be returned without it. Cheap for what floods are made of: ASCII and binary data are seen through at once.
pub fn evidence(bytes: &[u8], remembered: Option<Encoding>, fallback: Encoding) -> Option<Encoding> {
    let _unused = remembered;
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

pub(crate) fn decodes(bytes: &[u8], encoding: Encoding) -> bool {
    encoding.encoding().decode_without_bom_handling_and_without_replacement(bytes).is_some()
}

/// Controls that no text holds; tab, line ends and form feed do occur.
pub(crate) fn is_binary(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Leaves out the NULs that some tools put behind their text.
pub(crate) fn without_trailer(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}
