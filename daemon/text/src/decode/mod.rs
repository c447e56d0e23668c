//! How a message is read.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use udpchat_config::Encoding;

use crate::evidence::{decodes, evidence, is_binary, without_trailer};

/// How many bytes outside ASCII a message needs before a guess from letter frequencies is worth more than the
/// fallback.
const MIN_BYTES_FOR_GUESS: usize = 8;

/// What chose the encoding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A person, for this very message.
    Given,
    /// The configuration.
    Configured,
    /// What is known of the peer, from its messages or from a person.
    Remembered,
    /// The bytes themselves.
    Detected,
    /// `text.fallback`, since nothing else decided.
    Fallback,
}

/// A message as text, with the encoding it was read in and what chose that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text; what did not decode is U+FFFD.
    pub text: String,
    /// The encoding that it was read in.
    pub encoding: Encoding,
    /// What chose the encoding.
    pub by: Basis,
}

/// What is known of a message's encoding besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    /// Configured for the peer.
    pub configured: Option<Encoding>,
    /// Chosen by a person for the peer. It stands until a person changes it.
    pub given: Option<Encoding>,
    /// Learned from the peer's messages, or else from those of other ports of its IP address.
    pub remembered: Option<Encoding>,
    /// Whether `remembered` was known before this message came. Only [`Decoded::by`] depends on it.
    pub known_before: bool,
    /// Configured for all that is not UTF-8.
    pub fallback: Encoding,
}

impl Knowledge {
    /// Knows nothing but the fallback.
    pub const fn none(fallback: Encoding) -> Self {
        Self { configured: None, given: None, remembered: None, known_before: false, fallback }
    }
}

/// Reads a message as text; what does not decode becomes U+FFFD.
pub fn decode(bytes: &[u8], knowledge: &Knowledge) -> Decoded {
    let (encoding, by) = choose(bytes, knowledge);
    Decoded { text: read(bytes, encoding), encoding, by }
}

/// Reads bytes in an encoding; what does not decode becomes U+FFFD.
pub fn read(bytes: &[u8], encoding: Encoding) -> String {
    // Never with the handling of byte-order marks: a stranger's mark would choose the encoding.
    encoding.encoding().decode_without_bom_handling(bytes).0.into_owned()
}

fn choose(bytes: &[u8], knowledge: &Knowledge) -> (Encoding, Basis) {
    if let Some(configured) = knowledge.configured {
        return (configured, Basis::Configured);
    }
    if let Some(given) = knowledge.given {
        return (given, Basis::Remembered);
    }
    if let Some(proven) = evidence(bytes, knowledge.remembered, knowledge.fallback) {
        let known = knowledge.known_before && knowledge.remembered == Some(proven);
        return (proven, if known { Basis::Remembered } else { Basis::Detected });
    }
    if is_cut_utf8(bytes, knowledge.remembered) {
        let known = knowledge.remembered == Some(Encoding::UTF_8);
        return (Encoding::UTF_8, if known { Basis::Remembered } else { Basis::Detected });
    }
    if let Some(remembered) = knowledge.remembered
        && decodes(bytes, remembered)
    {
        return (remembered, Basis::Remembered);
    }
    if std::str::from_utf8(bytes).is_ok() {
        return (Encoding::UTF_8, Basis::Detected);
    }
    match guess(bytes, knowledge.fallback) {
        Some(guessed) => (guessed, Basis::Detected),
        None => (knowledge.fallback, Basis::Fallback),
    }
}

/// Tells whether bytes are UTF-8 that was cut inside a character, as boards and bridges with small buffers do: at the
/// end, and with a peer that is known to speak UTF-8 also at the beginning.
fn is_cut_utf8(bytes: &[u8], remembered: Option<Encoding>) -> bool {
    const MAX_CUT_BYTES: usize = 3;
    let known = remembered == Some(Encoding::UTF_8);
    if !known && remembered.is_some() {
        return false;
    }
    let bytes = without_trailer(bytes);
    let is_continuation = |byte: &&u8| (0x80..0xc0).contains(*byte);
    let cut_in_front = bytes.iter().take(MAX_CUT_BYTES).take_while(is_continuation).count();
    let whole = &bytes[if known { cut_in_front } else { 0 }..];
    let valid = match std::str::from_utf8(whole) {
        Ok(_) => whole,
        // No error length: the end came in the middle of a character.
        Err(error) if error.error_len().is_none() => &whole[..error.valid_up_to()],
        Err(_) => return false,
    };
    valid.len() < bytes.len() && valid.iter().any(|byte| *byte >= 0xe0)
}

/// Guesses from letter frequencies, for longer messages; never UTF-16, and only what decodes without a fault. What
/// reads without a fault in the fallback needs twice the length to be something else.
fn guess(bytes: &[u8], fallback: Encoding) -> Option<Encoding> {
    let foreign = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    if foreign < MIN_BYTES_FOR_GUESS || without_trailer(bytes).iter().any(|byte| is_binary(*byte)) {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let name = detector.guess(None, Utf8Detection::Deny).name();
    let guessed: Encoding = name.parse().ok()?;
    if decodes(bytes, fallback) && (foreign < 2 * MIN_BYTES_FOR_GUESS || draws_or_counts(bytes, fallback)) {
        return None;
    }
    // Single-byte encodings hold any bytes at all, so that they decode proves nothing.
    (!guessed.encoding().is_single_byte() && decodes(bytes, guessed)).then_some(guessed)
}

/// Tells whether a text, read in the fallback, is mostly what frequencies of letters say nothing about: frames,
/// symbols, Greek and Cyrillic letters of the East Asian sets.
fn draws_or_counts(bytes: &[u8], fallback: Encoding) -> bool {
    let (text, _) = fallback.encoding().decode_without_bom_handling(bytes);
    let foreign = text.chars().filter(|character| !character.is_ascii());
    let (plain, ideographs) = foreign.fold((0, 0), |(plain, ideographs), character| match character {
        '\u{370}'..='\u{4ff}' | '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{303f}' => (plain + 1, ideographs),
        _ => (plain, ideographs + 1),
    });
    plain * 2 >= ideographs
}

#[cfg(test)]
mod tests;
