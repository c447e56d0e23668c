//! Text to bytes.

use encoding_rs::EncoderResult;
use udpchat_config::Encoding;

/// A character that the encoding has no bytes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEncodable {
    /// The character.
    pub character: char,
    /// The encoding.
    pub encoding: Encoding,
}

/// Writes a text in an encoding. Nothing is ever replaced.
///
/// # Errors
/// [`NotEncodable`] with the first character that the encoding does not have.
pub fn encode(text: &str, encoding: Encoding) -> Result<Vec<u8>, NotEncodable> {
    if encoding.encoding() == encoding_rs::UTF_16LE {
        return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    }
    if encoding.encoding() == encoding_rs::UTF_16BE {
        return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    let mut encoder = encoding.encoding().new_encoder();
    let most = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
    let mut bytes = Vec::with_capacity(most.unwrap_or(text.len()));
    let (result, _) = encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true);
    match result {
        EncoderResult::InputEmpty => Ok(bytes),
        EncoderResult::Unmappable(character) => Err(NotEncodable { character, encoding }),
        EncoderResult::OutputFull => unreachable!("the buffer holds the longest output there can be"),
    }
}

/// Chooses the encoding for a message to a peer that is known to speak `remembered`.
///
/// A peer seen to speak Chinese in two bytes a character may know no more than GBK (Python's `gbk` fails on the
/// four-byte characters of GB18030), so it is answered in what both have in common.
pub fn for_answering(remembered: Encoding) -> Encoding {
    if remembered == Encoding::GB18030 { Encoding::GBK } else { remembered }
}
