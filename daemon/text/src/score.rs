//! How well a message reads in an encoding: the cost of its text in the model of [`characters`](crate::characters).
//!
//! The difference of two scores is a logarithm of a likelihood ratio, so a lead of n bits happens by chance in one of 2^n messages
//! at most, as far as the model holds
//! ([sequential tests of Wald](https://en.wikipedia.org/wiki/Sequential_probability_ratio_test) rest on the same bound).

use std::sync::LazyLock;

use encoding_rs::{DecoderResult, Encoding as Codec};
use udpchat_config::Encoding;

use crate::characters::{ANY_BYTE, Text, Writing, ascii};
use crate::cost::HalfBits;
use crate::reading::standard;

/// How much of a message is looked at, in bytes from the first one outside ASCII. It bounds the work.
const MAX_SAMPLE_BYTES: usize = 400;

/// A character that was cut, at a place where text is cut: at either end, or beside ASCII.
const CUT: HalfBits = 10;

/// At how many places text is cut; what looks like further cuts are bytes that are no character.
const MAX_CUTS: u32 = 2;

/// A character that was cut in front, in an encoding that does not show where its characters begin.
const CUT_IN_FRONT: HalfBits = 16;

/// A further byte of a character that was cut in front.
const CUT_FURTHER: HalfBits = 2;

/// Bytes that are no character.
const FAULT: HalfBits = 30;

/// A byte of binary data.
const BINARY_BYTE: HalfBits = 16;

/// What a character outside ASCII may cost on average in text that reads well.
const GOOD_CHARACTER: HalfBits = 26;
const GOOD_LETTER: HalfBits = 15;

/// What it may cost on average where no character is rare: those of the first level of a standard.
const NO_RARE_CHARACTER: HalfBits = 30;

/// The encodings of several bytes a character: those that can be proven and guessed.
pub(crate) const MULTI_BYTE: [Encoding; 6] = [
    Encoding::UTF_8,
    Encoding::GB18030,
    Encoding::BIG5,
    Encoding::EUC_KR,
    Encoding::EUC_JP,
    Encoding::SHIFT_JIS,
];

/// The encodings of one byte a character that are in use, one for each place of the letters of an alphabet.
const ALPHABETS: [&Codec; 10] = [
    encoding_rs::WINDOWS_1251,
    encoding_rs::KOI8_R,
    encoding_rs::WINDOWS_1252,
    encoding_rs::WINDOWS_1250,
    encoding_rs::WINDOWS_874,
    encoding_rs::WINDOWS_1253,
    encoding_rs::WINDOWS_1255,
    encoding_rs::WINDOWS_1256,
    encoding_rs::ISO_8859_5,
    encoding_rs::IBM866,
];

/// The upper half of each of them.
static CHARACTERS: LazyLock<Vec<Vec<char>>> = LazyLock::new(|| {
    let upper: Vec<u8> = (0x80..=0xff).collect();
    let characters = |codec: &&'static Codec| codec.decode_without_bom_handling(&upper).0.chars().collect();
    ALPHABETS.iter().map(characters).collect()
});

/// How well a message reads in an encoding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    /// The whole cost; the lower, the better.
    pub(crate) cost: HalfBits,
    /// The number of characters outside ASCII, and of frequent ones among them.
    pub(crate) foreign: u32,
    pub(crate) frequent: u32,
    /// The number of characters of three or four bytes in UTF-8.
    pub(crate) whole: u32,
    /// The number of places that are no character.
    pub(crate) faults: u32,
    /// Whether it reads better without its first byte, the rest of a character that was cut.
    pub(crate) cut_in_front: bool,
    /// Where the first of them begins, in bytes.
    first_fault: Option<usize>,
    foreign_cost: HalfBits,
    good_character: HalfBits,
}

impl Score {
    /// Tells whether the text has no fault and is what people write.
    pub(crate) fn reads_well(&self) -> bool {
        self.faults == 0 && self.foreign_cost <= self.foreign * self.good_character
    }

    /// Tells whether the text has no fault and is of characters that are not rare.
    pub(crate) fn has_no_rare_text(&self) -> bool {
        self.faults == 0 && self.foreign_cost <= self.foreign * NO_RARE_CHARACTER
    }
}

/// Tells whether an encoding has characters of several bytes, apart from Unicode's.
pub(crate) fn is_multi_byte(encoding: Encoding) -> bool {
    !encoding.encoding().is_single_byte() && encoding != Encoding::UTF_8 && !encoding.is_utf_16()
}

/// Tells whether two encodings decode alike: GBK is decoded as GB18030.
pub(crate) fn same(one: Encoding, other: Encoding) -> bool {
    let whole = |encoding| if encoding == Encoding::GBK { Encoding::GB18030 } else { encoding };
    whole(one) == whole(other)
}

/// The part of a message that is scored.
pub(crate) struct Sample<'a> {
    bytes: &'a [u8],
    /// Whether the message goes on behind it. Then it may end inside a character.
    goes_on: bool,
    /// Holds decoded text; kept to allocate once.
    buffer: String,
}

impl<'a> Sample<'a> {
    pub(crate) fn new(content: &'a [u8]) -> Self {
        let first = content.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
        // With the character before it, which a word may begin with.
        let content = &content[first.saturating_sub(1)..];
        let length = content.len().min(MAX_SAMPLE_BYTES);
        Self { bytes: &content[..length], goes_on: length < content.len(), buffer: String::new() }
    }

    /// Returns whether every byte outside ASCII continues a character of UTF-8, and there are several: no text that was cut has them
    /// behind ASCII, or as all that there is. In GBK, 到 and 不 are such bytes.
    pub(crate) fn has_only_continuation_bytes(&self) -> bool {
        let mut foreign = self.bytes.iter().filter(|byte| !byte.is_ascii());
        let number = foreign.clone().count();
        let is_at_start = self.bytes.first().is_some_and(|first| !first.is_ascii());
        number > 1
            && foreign.all(|byte| matches!(byte, 0x80..=0xbf))
            && (!is_at_start || number == self.bytes.len())
    }

    /// Scores the reading in an encoding.
    pub(crate) fn score(&mut self, encoding: Encoding) -> Score {
        self.score_up_to(encoding, HalfBits::MAX)
    }

    /// Scores the reading in an encoding; stops where its cost is above a limit, since then it only matters that it is.
    pub(crate) fn score_up_to(&mut self, encoding: Encoding, limit: HalfBits) -> Score {
        if encoding == Encoding::UTF_8 {
            return self.in_utf_8(limit);
        }
        let codec = encoding.encoding();
        let score = self.in_codec(codec, 0, limit);
        let may_be_cut = is_multi_byte(encoding)
            && score.first_fault.is_some_and(|place| self.bytes[..place].iter().all(|byte| !byte.is_ascii()));
        if !may_be_cut {
            return score;
        }
        let behind = self.in_codec(codec, 1, limit);
        let cost = behind.cost + CUT_IN_FRONT;
        if cost < score.cost { Score { cost, cut_in_front: true, ..behind } } else { score }
    }

    /// Tells whether the bytes read as the same text in two encodings.
    pub(crate) fn reads_alike(&self, one: Encoding, other: Encoding) -> bool {
        let text = |encoding: Encoding| encoding.encoding().decode_without_bom_handling(self.bytes).0;
        text(one) == text(other)
    }

    /// Tells whether the bytes read in an encoding of an alphabet at less than this cost.
    pub(crate) fn is_alphabet_below(&self, limit: HalfBits) -> bool {
        CHARACTERS.iter().any(|characters| self.in_alphabet(characters, limit) < limit)
    }

    /// Returns the cost as what no model knows: letters of an unknown alphabet, or binary data.
    pub(crate) fn in_nothing_known(&self) -> HalfBits {
        let letters = |byte: &u8| if byte.is_ascii() { ascii(*byte) } else { ANY_BYTE };
        let binary = self.bytes.len() as HalfBits * BINARY_BYTE;
        self.bytes.iter().map(letters).sum::<HalfBits>().min(binary)
    }

    fn in_alphabet(&self, characters: &[char], limit: HalfBits) -> HalfBits {
        let mut text = Text::new(Writing::Alphabet);
        for byte in self.bytes {
            text.push(if byte.is_ascii() { char::from(*byte) } else { characters[usize::from(byte & 0x7f)] });
            if text.cost >= limit {
                break;
            }
        }
        text.interrupt();
        text.cost
    }

    fn in_codec(&mut self, codec: &'static Codec, start: usize, limit: HalfBits) -> Score {
        let mut sum = Sum::new(writing(codec));
        let mut decoder = codec.new_decoder_without_bom_handling();
        let mut at = start;
        while sum.text.cost <= limit {
            self.buffer.clear();
            let rest = &self.bytes[at..];
            let most = decoder.max_utf8_buffer_length_without_replacement(rest.len());
            self.buffer.reserve(most.unwrap_or(rest.len()));
            let (result, read) =
                decoder.decode_to_string_without_replacement(rest, &mut self.buffer, !self.goes_on);
            sum.push_all(&self.buffer, limit);
            at += read;
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => unreachable!("the buffer holds the longest output there can be"),
                DecoderResult::Malformed(length, behind) => {
                    let end = at - usize::from(behind);
                    let start = end - usize::from(length);
                    let is_lead = length == 1 && (0x81..=0xfe).contains(&self.bytes[start]);
                    let is_cut = is_lead && self.bytes.get(end).is_none_or(u8::is_ascii);
                    sum.first_fault.get_or_insert(start);
                    sum.fault(is_cut);
                }
            }
        }
        sum.score()
    }

    fn in_utf_8(&self, limit: HalfBits) -> Score {
        let bytes = standard(self.bytes);
        let mut sum = Sum::new(Writing::Universal);
        let (mut at, mut further) = (0, 0);
        for chunk in bytes.utf8_chunks() {
            sum.push_all(chunk.valid(), limit);
            if sum.text.cost > limit {
                break;
            }
            at += chunk.valid().len();
            let bad = chunk.invalid();
            let Some(first) = bad.first() else { break };
            let is_rest = (0x80..0xc0).contains(first);
            if self.goes_on && !is_rest && at + bad.len() == bytes.len() {
                break;
            }
            let begins = at == 0 || bytes[at - 1].is_ascii();
            let ends = bytes.get(at + bad.len()).is_none_or(u8::is_ascii);
            if is_rest && chunk.valid().is_empty() && further > 0 {
                sum.text.cost += CUT_FURTHER;
                further -= 1;
            } else {
                let begins = is_rest && begins;
                sum.fault(begins || ends && !is_rest);
                further = if begins { 2 } else { 0 };
            }
            at += bad.len();
        }
        sum.score()
    }
}

/// Adds up a score.
struct Sum {
    writing: Writing,
    text: Text,
    whole: u32,
    faults: u32,
    cuts: u32,
    first_fault: Option<usize>,
}

impl Sum {
    fn new(writing: Writing) -> Self {
        Self { writing, text: Text::new(writing), whole: 0, faults: 0, cuts: 0, first_fault: None }
    }

    fn push_all(&mut self, text: &str, limit: HalfBits) {
        for character in text.chars() {
            self.whole += u32::from(character.len_utf8() >= 3);
            self.text.push(character);
            if self.text.cost > limit {
                return;
            }
        }
    }

    fn fault(&mut self, is_cut: bool) {
        self.text.interrupt();
        let is_cut = is_cut && self.cuts < MAX_CUTS;
        self.cuts += u32::from(is_cut);
        self.text.cost += if is_cut { CUT } else { FAULT };
        self.faults += 1;
    }

    fn score(mut self) -> Score {
        self.text.interrupt();
        let Text { cost, foreign, foreign_cost, frequent, .. } = self.text;
        let good_character = if self.writing == Writing::Alphabet { GOOD_LETTER } else { GOOD_CHARACTER };
        let (whole, faults, first_fault) = (self.whole, self.faults, self.first_fault);
        let cut_in_front = false;
        Score {
            cost,
            foreign,
            frequent,
            whole,
            faults,
            cut_in_front,
            first_fault,
            foreign_cost,
            good_character,
        }
    }
}

fn writing(codec: &'static Codec) -> Writing {
    if codec == encoding_rs::GB18030 || codec == encoding_rs::GBK {
        Writing::Simplified
    } else if codec == encoding_rs::BIG5 {
        Writing::Traditional
    } else if codec == encoding_rs::EUC_KR {
        Writing::Korean
    } else if codec.is_single_byte() {
        Writing::Alphabet
    } else if codec == encoding_rs::UTF_16LE || codec == encoding_rs::UTF_16BE {
        Writing::Universal
    } else {
        Writing::Japanese
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_sample_is_no_fault() {
        let text = "设备启动完成".repeat(30);
        for encoding in [Encoding::UTF_8, Encoding::GB18030] {
            for inside in ["", "a", "ab"] {
                let (bytes, ..) = encoding.encoding().encode(&text);
                let bytes = [&bytes[..6], inside.as_bytes(), &bytes[6..]].concat();
                assert_eq!(Sample::new(&bytes).score(encoding).faults, 0, "{encoding} {inside}");
            }
        }
    }
}
