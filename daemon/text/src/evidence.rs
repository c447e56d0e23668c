//! What a message proves about the encoding of its sender.
//!
//! Bytes prove an encoding if they are improbable in every other one: their text in it must lead by a number of bits over their
//! texts in all others that are in use, over letters of an unknown alphabet, and over binary data. That bytes decode proves nothing,
//! and encodings of one byte a character are never proven.

use udpchat_config::Encoding;

use crate::content;
use crate::cost::HalfBits;
use crate::reading::standard;
use crate::score::{MULTI_BYTE, Sample, Score, is_multi_byte, same};

/// The lead that proves Chinese where it is the configured fallback, which a person has chosen: 8 bits.
const LEAD_OF_CHINESE_FALLBACK: HalfBits = 16;

/// The lead that proves any other encoding, or that a sender has changed its encoding: 18 bits.
const LEAD: HalfBits = 36;

/// The lead that proves UTF-8 by one or two characters of three bytes: 6.5 bits.
const LEAD_OF_CHARACTER: HalfBits = 13;

/// The lead of such characters over text of two bytes a character that was cut in front: 5 bits.
const LEAD_OVER_CUT_TEXT: HalfBits = 10;

/// The lead that proves UTF-8 by sequences of two bytes: 14 bits.
const LEAD_OF_NARROW_UTF_8: HalfBits = 28;

/// How many frequent characters prove the fallback, and any other encoding.
const MIN_FREQUENT_OF_FALLBACK: u32 = 2;
const MIN_FREQUENT: u32 = 4;

/// How many places of a proof may be damaged, in other encodings than UTF-8.
const MAX_FAULTS: u32 = 1;

/// How many more frequent characters such a place takes.
const FREQUENT_FOR_A_FAULT: u32 = 2;

/// How many whole characters of three bytes prove UTF-8 that is damaged.
const MIN_WHOLE_OF_DAMAGED: u32 = 2;

/// How far bytes are UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unicode {
    /// Valid, with at least one sequence of three or four bytes.
    Wide,
    /// Valid, with sequences of two bytes only.
    Narrow,
    /// Not valid.
    Broken,
}

impl Unicode {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        // In valid UTF-8, a byte from E0 on begins a sequence of three or four bytes.
        let is_wide = |bytes: &[u8]| bytes.iter().any(|byte| *byte >= 0xe0);
        if std::str::from_utf8(bytes).is_ok() {
            return if is_wide(bytes) { Self::Wide } else { Self::Narrow };
        }
        let standard = standard(bytes);
        if std::str::from_utf8(&standard).is_ok() && is_wide(&standard) { Self::Wide } else { Self::Broken }
    }
}

/// Returns the encoding that a message proves of its sender, so that it may be remembered; mostly none.
///
/// `remembered` is what the sender is known to use: to change that takes more than to learn it, and what it is known to use need not
/// be proven again. ASCII and binary data, which floods consist of, are recognised before anything is scored.
pub fn evidence(bytes: &[u8], remembered: Option<Encoding>, fallback: Encoding) -> Option<Encoding> {
    let content = content::of(bytes)?;
    let unicode = Unicode::of(&content);
    let another = remembered.filter(|remembered| *remembered != Encoding::UTF_8);
    let mut sample = Sample::new(&content);
    match (unicode, another) {
        (Unicode::Wide, None) => {
            let is_another =
                reads_better(&content, &mut sample, fallback) || is_doubtful(&content, &mut sample);
            (!is_another).then_some(Encoding::UTF_8)
        }
        (Unicode::Wide, Some(remembered)) => {
            let leads = sample.score(Encoding::UTF_8).cost + LEAD <= sample.score(remembered).cost;
            (leads && !is_doubtful(&content, &mut sample)).then_some(Encoding::UTF_8)
        }
        (Unicode::Narrow, _) if remembered == Some(Encoding::UTF_8) => None,
        (Unicode::Narrow, _) => {
            let score = sample.score(Encoding::UTF_8);
            let proven = !may_be_double_byte(&content)
                && is_proven(&mut sample, Encoding::UTF_8, &score, LEAD_OF_NARROW_UTF_8, another);
            proven.then_some(Encoding::UTF_8)
        }
        (Unicode::Broken, _) => of_invalid_utf_8(&content, &mut sample, remembered, fallback),
    }
}

/// Tells whether valid UTF-8 reads better in the fallback, or in GB18030: rare characters of it form sequences of three bytes.
fn reads_better(content: &[u8], sample: &mut Sample<'_>, fallback: Encoding) -> bool {
    if !may_be_double_byte(content) {
        return false;
    }
    let score = sample.score(if is_multi_byte(fallback) { fallback } else { Encoding::GB18030 });
    score.faults == 0 && score.cost < sample.score(Encoding::UTF_8).cost
}

/// Tells whether bytes may be text of the national standards in two bytes each, such as GB 2312 and KS X 1001: they have no bytes in
/// this range, and UTF-8 nearly always has.
fn may_be_double_byte(content: &[u8]) -> bool {
    !content.iter().any(|byte| (0x80..=0xa0).contains(byte))
}

/// Tells whether valid UTF-8 has few sequences of three bytes, and reads hardly better than unknown letters: a short word in another
/// encoding can be the same bytes.
fn is_doubtful(content: &[u8], sample: &mut Sample<'_>) -> bool {
    const FEW: usize = 2;
    let has_few = content.iter().filter(|byte| **byte >= 0xe0).nth(FEW).is_none();
    if !has_few {
        return false;
    }
    let cost = sample.score(Encoding::UTF_8).cost;
    let needed = cost + LEAD_OF_CHARACTER;
    if needed > sample.in_nothing_known() || sample.is_alphabet_below(needed) {
        return true;
    }
    let limit = cost + LEAD_OVER_CUT_TEXT;
    let mut others = MULTI_BYTE.into_iter().filter(|other| *other != Encoding::UTF_8);
    may_be_double_byte(content) && others.any(|other| sample.score_up_to(other, limit).cost < limit)
}

/// Returns what bytes prove that are not valid UTF-8.
fn of_invalid_utf_8(
    content: &[u8],
    sample: &mut Sample<'_>,
    remembered: Option<Encoding>,
    fallback: Encoding,
) -> Option<Encoding> {
    if remembered.is_some_and(|remembered| sample.score(remembered).reads_well()) {
        return None;
    }
    let (encoding, score) = best(sample, fallback)?;
    // Kana and Cyrillic letters have the same bytes in several standards: they prove none of these.
    let is_alike = |known: Encoding| !same(known, encoding) && sample.reads_alike(known, encoding);
    if is_alike(fallback) || remembered.is_some_and(is_alike) {
        return None;
    }
    let is_fallback = same(encoding, fallback);
    let is_chinese_fallback = is_fallback && encoding == Encoding::GB18030;
    let lead = if is_chinese_fallback { LEAD_OF_CHINESE_FALLBACK } else { LEAD };
    let frequent = if is_fallback { MIN_FREQUENT_OF_FALLBACK } else { MIN_FREQUENT };
    let faults = score.faults + u32::from(score.cut_in_front);
    let is_enough = if encoding == Encoding::UTF_8 {
        score.whole >= MIN_WHOLE_OF_DAMAGED && !may_be_double_byte(content)
    } else {
        score.frequent >= frequent + faults * FREQUENT_FOR_A_FAULT && faults <= MAX_FAULTS
    };
    (is_enough && is_proven(sample, encoding, &score, lead, remembered)).then_some(encoding)
}

/// Finds the encoding with the lowest cost, if that is below the cost of unknown letters and of binary data.
fn best(sample: &mut Sample<'_>, fallback: Encoding) -> Option<(Encoding, Score)> {
    let mut limit = sample.in_nothing_known();
    let mut best = None;
    // The likeliest one first, so that the others are given up early.
    let fallback = MULTI_BYTE.into_iter().filter(|encoding| same(*encoding, fallback));
    for encoding in fallback.chain(MULTI_BYTE) {
        let score = sample.score_up_to(encoding, limit);
        if score.cost < limit {
            limit = score.cost;
            best = Some((encoding, score));
        }
    }
    best
}

/// Tells whether a reading leads over all others.
fn is_proven(
    sample: &mut Sample<'_>,
    encoding: Encoding,
    score: &Score,
    lead: HalfBits,
    remembered: Option<Encoding>,
) -> bool {
    let reached = score.cost + lead;
    if reached > sample.in_nothing_known() {
        return false;
    }
    let needed = score.cost + LEAD;
    let keeps = |remembered: Encoding| {
        !same(remembered, encoding) && sample.score_up_to(remembered, needed).cost < needed
    };
    if remembered.is_some_and(keeps) {
        return false;
    }
    let mut others = MULTI_BYTE.into_iter().filter(|other| *other != encoding);
    others.all(|other| sample.score_up_to(other, reached).cost >= reached)
        && !sample.is_alphabet_below(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_the_fallback_reads_alike_proves_no_other_encoding() {
        let (gbk, euc_jp) = (Encoding::GBK, Encoding::EUC_JP);
        for text in ["ありがとう", "カタカナ", "ありがとう、ございます。", "Привет"]
        {
            let bytes = encoding_rs::GBK.encode(text).0;
            assert_ne!(evidence(&bytes, None, Encoding::GB18030), Some(euc_jp), "{text}");
            for remembered in [gbk, Encoding::GB18030, Encoding::UTF_8] {
                assert_eq!(evidence(&bytes, Some(remembered), Encoding::GB18030), None, "{text}");
            }
        }
        let japanese = encoding_rs::EUC_JP.encode("今日はいい天気ですね、ありがとう").0;
        assert_eq!(evidence(&japanese, None, Encoding::GB18030), Some(euc_jp));
    }
}
