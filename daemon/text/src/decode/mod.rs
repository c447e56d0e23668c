//! How a message is read: always an answer, by the first of a person's choice, the configuration, the bytes, what the peer is
//! known to use, a guess, the fallback.

use udpchat_config::Encoding;

use crate::content::{self, UTF_8_MARK};
use crate::cost::HalfBits;
use crate::evidence::Unicode;
use crate::reading::{by_mark, decodes, read};
use crate::score::{MULTI_BYTE, Sample, Score, is_multi_byte, same};

/// How much better another reading must be than the fallback (12 bits), or than what the peer is known to use (14 bits).
const LEAD_OVER_FALLBACK: HalfBits = 24;
const LEAD_OVER_REMEMBERED: HalfBits = 28;

/// How many frequent characters show that a peer has changed its encoding, where its message decodes in the old one.
const MIN_FREQUENT_OF_CHANGE: u32 = 2;

/// How much better than in the encoding that other ports of its host use a message must read in the fallback: 5 bits. What is not
/// valid UTF-8 may read 5 bits worse beside UTF-8, and 12 bits without a whole character of three bytes.
const LEAD_OVER_HOST: HalfBits = 10;
const CREDIT_BESIDE_UTF_8: HalfBits = 10;
const CREDIT_BESIDE_PIECES: HalfBits = 24;

/// How many places may be no character, beside as many as there are characters, in a message of a peer that is known to use UTF-8.
const MAX_FAULTS: u32 = 4;

/// How many letters of two bytes say something: the bytes of a single one are a character in most encodings.
const MIN_LETTERS: u32 = 2;

/// How much worse than the fallback damaged UTF-8 may read and still be chosen, with a whole character of three bytes: 2 bits where
/// the fallback is Chinese, whose pairs of characters have such bytes, and 10 bits otherwise.
const CREDIT_BESIDE_CHINESE: HalfBits = 4;
const CREDIT_OF_UTF_8: HalfBits = 20;

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
    /// Learned from the peer's messages.
    pub remembered: Option<Encoding>,
    /// Learned from messages of other ports of its IP address. It counts where nothing is learned from the peer's own, and less:
    /// a message that reads well in the fallback is of another program.
    pub of_host: Option<Encoding>,
    /// Whether `remembered` is known otherwise than from this very message. Only [`Decoded::by`] depends on it.
    pub known_before: bool,
    /// Configured for all that is not UTF-8.
    pub fallback: Encoding,
}

impl Knowledge {
    /// Knows nothing but the fallback.
    pub const fn none(fallback: Encoding) -> Self {
        Self { configured: None, given: None, remembered: None, of_host: None, known_before: false, fallback }
    }
}

/// Reads a message as text; what does not decode becomes U+FFFD.
pub fn decode(bytes: &[u8], knowledge: &Knowledge) -> Decoded {
    let Choice { encoding, by, cut_in_front } = choose(bytes, knowledge);
    let text = match bytes.iter().position(|byte| !byte.is_ascii()) {
        Some(first) if cut_in_front => {
            let (before, behind) = (read(&bytes[..first], encoding), read(&bytes[first + 1..], encoding));
            format!("{before}\u{fffd}{behind}")
        }
        _ => read(bytes, encoding),
    };
    Decoded { text, encoding, by }
}

/// The encoding of a message.
struct Choice {
    encoding: Encoding,
    by: Basis,
    /// Whether the first byte outside ASCII is the rest of a character that was cut.
    cut_in_front: bool,
}

impl Choice {
    fn new(encoding: Encoding, by: Basis) -> Self {
        Self { encoding, by, cut_in_front: false }
    }
}

fn choose(bytes: &[u8], knowledge: &Knowledge) -> Choice {
    let chosen = knowledge.configured.map(|encoding| (encoding, Basis::Configured));
    let chosen = chosen.or_else(|| knowledge.given.map(|encoding| (encoding, Basis::Remembered)));
    if let Some((encoding, by)) = chosen {
        return by_person(bytes, encoding, by);
    }
    let mut knowledge = *knowledge;
    let of_host = knowledge.of_host.filter(|_| knowledge.remembered.is_none());
    if of_host.is_some() {
        (knowledge.remembered, knowledge.known_before) = (of_host, true);
    }
    if is_marked(bytes) {
        return Choice::new(Encoding::UTF_8, basis(Encoding::UTF_8, &knowledge));
    }
    if bytes.is_ascii() {
        return match knowledge.remembered {
            Some(remembered) if decodes(bytes, remembered) => Choice::new(remembered, Basis::Remembered),
            _ => Choice::new(Encoding::UTF_8, Basis::Detected),
        };
    }
    let content = content::inside(bytes);
    let mut sample = Sample::new(&content);
    let unicode = Unicode::of(&content);
    let is_no_utf_8 = |sample: &mut Sample<'_>| {
        let is_known = knowledge.remembered == Some(Encoding::UTF_8) && unicode == Unicode::Broken;
        is_known && (content::of(bytes).is_none() || is_hopeless(sample))
    };
    let is_of_another = |of_host, sample: &mut Sample<'_>| {
        is_of_another_program(unicode, sample, of_host, knowledge.fallback)
    };
    if is_no_utf_8(&mut sample) || of_host.is_some_and(|of_host| is_of_another(of_host, &mut sample)) {
        knowledge.remembered = None;
    }
    let (encoding, cut_in_front) = by_content(unicode, &mut sample, &knowledge);
    Choice { encoding, by: basis(encoding, &knowledge), cut_in_front }
}

/// Tells whether hardly anything is UTF-8: then, as binary data, it is no damaged text of a peer that uses it.
fn is_hopeless(sample: &mut Sample<'_>) -> bool {
    let score = sample.score(Encoding::UTF_8);
    score.faults > score.foreign + MAX_FAULTS
}

/// Tells whether a message reads as common text in the fallback, and not much better in what other ports of the host use.
fn is_of_another_program(
    unicode: Unicode,
    sample: &mut Sample<'_>,
    of_host: Encoding,
    fallback: Encoding,
) -> bool {
    if unicode == Unicode::Wide || !is_multi_byte(fallback) || same(of_host, fallback) {
        return false;
    }
    if of_host == Encoding::UTF_8 && unicode == Unicode::Narrow {
        return is_common_text(sample, fallback);
    }
    let (in_fallback, in_host) = (sample.score(fallback), sample.score(of_host));
    let limit = match of_host == Encoding::UTF_8 {
        true if in_host.whole == 0 => in_host.cost + CREDIT_BESIDE_PIECES,
        true => in_host.cost + CREDIT_BESIDE_UTF_8,
        false => in_host.cost.saturating_sub(LEAD_OVER_HOST),
    };
    in_fallback.has_no_rare_text() && in_fallback.cost <= limit
}

/// Tells whether this is valid UTF-8 behind the mark of UTF-8.
fn is_marked(bytes: &[u8]) -> bool {
    bytes.starts_with(UTF_8_MARK) && std::str::from_utf8(bytes).is_ok()
}

/// Reads in what a person has chosen, except what is certainly UTF-8 and no text in the chosen encoding.
fn by_person(bytes: &[u8], chosen: Encoding, by: Basis) -> Choice {
    if chosen.is_hex() {
        return Choice::new(chosen, by);
    }
    let is_certain = || Unicode::of(bytes) == Unicode::Wide && !decodes(bytes, chosen);
    if chosen != Encoding::UTF_8 && (is_marked(bytes) || is_certain()) {
        return Choice::new(Encoding::UTF_8, Basis::Detected);
    }
    Choice::new(by_mark(bytes, chosen), by)
}

/// Returns what chose an encoding that no person has chosen.
fn basis(encoding: Encoding, knowledge: &Knowledge) -> Basis {
    match knowledge.remembered {
        Some(remembered) if same(remembered, encoding) && knowledge.known_before => Basis::Remembered,
        None if encoding != Encoding::UTF_8 && same(encoding, knowledge.fallback) => Basis::Fallback,
        _ => Basis::Detected,
    }
}

/// Chooses by the bytes, what the peer is known to use, and the fallback; returns whether the first byte belongs to a cut character.
fn by_content(unicode: Unicode, sample: &mut Sample<'_>, knowledge: &Knowledge) -> (Encoding, bool) {
    let another = knowledge.remembered.filter(|remembered| *remembered != Encoding::UTF_8);
    let is_utf_8 = match unicode {
        Unicode::Broken => return of_invalid_utf_8(sample, knowledge),
        Unicode::Wide => another.is_none_or(|another| !leads(sample, another, Encoding::UTF_8)),
        Unicode::Narrow => match another {
            None if knowledge.remembered.is_some() => true,
            None => !is_common_text(sample, knowledge.fallback),
            Some(another) => {
                let of_utf_8 = sample.score(Encoding::UTF_8);
                let of_another = sample.score(another);
                let leads = of_utf_8.cost + LEAD_OVER_REMEMBERED <= of_another.cost;
                of_another.faults > 0 || leads && of_utf_8.foreign >= MIN_LETTERS
            }
        },
    };
    (if is_utf_8 { Encoding::UTF_8 } else { another.unwrap_or(knowledge.fallback) }, false)
}

/// Tells whether a reading without a fault costs less than another.
fn leads(sample: &mut Sample<'_>, one: Encoding, other: Encoding) -> bool {
    let score = sample.score(one);
    score.faults == 0 && score.cost < sample.score(other).cost
}

/// Tells whether sequences of two bytes, valid in UTF-8, read better as common text in the fallback: letters of several scripts in
/// one word, or such as hardly any language has. A single sequence is a letter.
fn is_common_text(sample: &mut Sample<'_>, fallback: Encoding) -> bool {
    if !is_multi_byte(fallback) || sample.score(Encoding::UTF_8).foreign < MIN_LETTERS {
        return false;
    }
    sample.score(fallback).has_no_rare_text() && leads(sample, fallback, Encoding::UTF_8)
}

/// Chooses for bytes that are not valid UTF-8: what the peer is known to use, or else the fallback, unless another reading leads.
fn of_invalid_utf_8(sample: &mut Sample<'_>, knowledge: &Knowledge) -> (Encoding, bool) {
    let base = knowledge.remembered.unwrap_or(knowledge.fallback);
    let of_base = sample.score(base);
    let is_known = knowledge.remembered.is_some();
    if is_known && of_base.reads_well() {
        return (base, false);
    }
    let is_no_utf_8 =
        |sample: &Sample<'_>| is_no_damaged_utf_8(&of_base) || sample.has_only_continuation_bytes();
    if is_known && base == Encoding::UTF_8 && is_no_utf_8(sample) {
        let fallback = knowledge.fallback;
        if is_multi_byte(fallback) && sample.score(fallback).has_no_rare_text() {
            return (fallback, false);
        }
    }
    let mut best = (of_base.cost, base, of_base.cut_in_front);
    let lead = if is_known { LEAD_OVER_REMEMBERED } else { LEAD_OVER_FALLBACK };
    let credit = if same(base, Encoding::GB18030) { CREDIT_BESIDE_CHINESE } else { CREDIT_OF_UTF_8 };
    for other in MULTI_BYTE.into_iter().chain([knowledge.fallback]).filter(|other| !same(*other, base)) {
        let score = sample.score(other);
        let is_rare = score.frequent < MIN_FREQUENT_OF_CHANGE;
        let cost = match (other == Encoding::UTF_8, is_known) {
            (true, _) if score.whole == 0 && score.foreign < MIN_LETTERS => continue,
            (true, _) if score.faults > score.foreign + 1 => continue,
            // What reads without a fault in what is remembered stands, unless the text is a common one in another encoding.
            (false, true) if of_base.faults == 0 && is_multi_byte(base) && is_rare => continue,
            // A guess explains all bytes, unless the text is cut in either reading.
            (false, _) if score.faults > 1 || score.faults > of_base.faults => continue,
            // Damaged UTF-8 is met more often than any third encoding.
            (true, false) if score.whole > 0 => score.cost.saturating_sub(credit),
            _ => score.cost + lead,
        };
        if cost < best.0 && is_better_than_alphabets(sample, other, &score) {
            best = (cost, other, score.cut_in_front);
        }
    }
    (best.1, best.2)
}

/// Tells whether bytes, few as they may be, are more than UTF-8 that was cut at one place: at two places or more there is no
/// character, and elsewhere no more than by chance.
fn is_no_damaged_utf_8(score: &Score) -> bool {
    score.faults > 1 && score.whole == 0 && score.faults >= score.foreign
}

/// Tells whether a reading is better than as letters of any alphabet, where it is in several bytes a character.
fn is_better_than_alphabets(sample: &mut Sample<'_>, encoding: Encoding, score: &Score) -> bool {
    !is_multi_byte(encoding)
        || score.cost < sample.in_nothing_known() && !sample.is_alphabet_below(score.cost)
}

#[cfg(test)]
mod tests;
