//! Peers of one encoding, and the messages that they send.

use encoding_rs::{GB18030, GBK, UTF_16BE, UTF_16LE};
use udpchat_config::Encoding;

use super::texts::{self, Half, Language};

/// Peers that use one encoding.
pub(crate) struct Speaker {
    pub(crate) name: &'static str,
    /// What a person writes into the configuration for such a peer.
    pub(crate) configured: Encoding,
    codec: &'static encoding_rs::Encoding,
    /// The byte-order mark before each message.
    mark: &'static [u8],
    /// Whether the encoding has no more than the characters up to U+00FF.
    is_latin_1: bool,
    /// Their messages, for each language.
    pub(crate) messages: Vec<Vec<Message>>,
}

/// A text in the encoding of its sender.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    /// Where each character begins, in the text and in the bytes, and where the last one ends.
    pub(crate) starts: Vec<(usize, usize)>,
}

/// Returns a speaker of every encoding, with the lines of one half, or all; of those every `step`th.
pub(crate) fn all(half: Option<Half>, step: usize) -> Vec<Speaker> {
    let all = &texts::ALL[..];
    let speaker = |name, configured, mark: &'static [u8], languages: &[Language]| {
        Speaker::new(name, configured, mark, languages, half, step)
    };
    vec![
        speaker("utf-8", "utf-8", &[], all),
        speaker("utf-8 with mark", "utf-8", b"\xef\xbb\xbf", all),
        speaker("gbk", "gbk", &[], &[texts::CHINESE]),
        speaker("gb18030", "gb18030", &[], &[texts::CHINESE]),
        speaker("big5", "big5", &[], &[texts::TRADITIONAL_CHINESE]),
        speaker("shift_jis", "shift_jis", &[], &[texts::JAPANESE]),
        speaker("euc-jp", "euc-jp", &[], &[texts::JAPANESE]),
        speaker("euc-kr", "euc-kr", &[], &[texts::KOREAN]),
        speaker("windows-1251", "windows-1251", &[], &[texts::RUSSIAN]),
        speaker("koi8-r", "koi8-r", &[], &[texts::RUSSIAN]),
        speaker("windows-1252", "windows-1252", &[], &[texts::WESTERN]),
        speaker("iso-8859-1", "iso-8859-1", &[], &[texts::WESTERN]),
        speaker("tis-620", "tis-620", &[], &[texts::THAI]),
        speaker("utf-16le", "utf-16le", &[], all),
        speaker("utf-16le with mark", "utf-16", b"\xff\xfe", all),
        speaker("utf-16be with mark", "utf-16", b"\xfe\xff", all),
    ]
}

impl Speaker {
    fn new(
        name: &'static str,
        configured: &str,
        mark: &'static [u8],
        languages: &[Language],
        half: Option<Half>,
        step: usize,
    ) -> Self {
        let configured: Encoding = configured.parse().expect("a known encoding");
        let codec = if mark == b"\xfe\xff" { UTF_16BE } else { configured.encoding() };
        let is_latin_1 = name == "iso-8859-1";
        let mut speaker = Self { name, configured, codec, mark, is_latin_1, messages: Vec::new() };
        let messages = |language: &Language| {
            language.lines(half).step_by(step).filter_map(|line| speaker.say(line)).collect()
        };
        speaker.messages = languages.iter().map(messages).collect();
        speaker
    }

    /// Encodes a text; none if the encoding does not have one of its characters.
    pub(crate) fn say(&self, text: &str) -> Option<Message> {
        let mut bytes = self.mark.to_vec();
        let mut starts = Vec::new();
        for (at, character) in text.char_indices() {
            starts.push((at, bytes.len()));
            self.encode(character, &mut bytes)?;
        }
        starts.push((text.len(), bytes.len()));
        Some(Message { text: text.to_owned(), bytes, starts })
    }

    fn encode(&self, character: char, bytes: &mut Vec<u8>) -> Option<()> {
        let mut units = [0; 2];
        let mut utf_8 = [0; 4];
        if self.codec == UTF_16LE {
            bytes.extend(character.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_le_bytes()));
        } else if self.codec == UTF_16BE {
            bytes.extend(character.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        } else if self.is_latin_1 && character > '\u{ff}' {
            return None;
        } else {
            let (encoded, _, replaced) = self.codec.encode(character.encode_utf8(&mut utf_8));
            if replaced {
                return None;
            }
            bytes.extend_from_slice(&encoded);
        }
        Some(())
    }

    pub(crate) fn all_messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().flatten()
    }

    /// Returns whether bytes outside ASCII are part of characters only, so that a frame of ASCII bytes can be put around them.
    pub(crate) fn is_ascii_compatible(&self) -> bool {
        self.codec.is_ascii_compatible()
    }

    /// Returns whether a learned encoding is that of these peers. GBK is a part of GB 18030.
    pub(crate) fn speaks(&self, learned: Encoding) -> bool {
        let chinese = |codec: &'static encoding_rs::Encoding| codec == GBK || codec == GB18030;
        learned.encoding() == self.codec || chinese(learned.encoding()) && chinese(self.codec)
    }
}

impl Message {
    /// Returns whether the text has a character that takes three bytes or more in UTF-8.
    pub(crate) fn has_three_byte_character(&self) -> bool {
        self.text.chars().any(|character| character.len_utf8() >= 3)
    }
}
