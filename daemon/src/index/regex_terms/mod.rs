//! Turns a regular expression into a predicate: the pieces of text that every match contains, as bytes of payloads.
//!
//! Payloads are indexed as bytes, since the encoding they are decoded with may change. So a piece of text is looked for in
//! every encoding at once. The idea is that of trigram indexes, <https://swtch.com/~rsc/regexp/regexp4.html>.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::predicate::Predicate;
use super::spellings::{Coding, ISO_2022_JP_ESCAPES, Spellings};
use super::term::{Term, folded};

/// The maximum number of characters possible at one position of a text: under `(?i)` these are `k`, `K` and the kelvin sign.
const MAX_ALTERNATIVES: usize = 4;

/// How many spellings of a piece of text are looked for in one encoding; a piece with more is cut.
const MAX_SPELLINGS: usize = 8;

/// How many terms of four bytes are looked for in a spelling, spread over it.
const MAX_QUADS: usize = 12;

/// Up to this length in bytes the pairs of a spelling are looked for too: for longer ones the terms of four bytes suffice.
const MAX_BYTES_FOR_PAIRS: usize = 7;

/// How many characters of an expression are considered.
const MAX_CHARACTERS: usize = 512;

/// How many terms a predicate may have; one with more would take longer than it saves.
const MAX_TERMS: usize = 1_024;

/// Returns a predicate of the messages whose text matches an expression. The text is the payload's, without what it begins
/// and ends with, and with `\n` for `\r\n`.
pub(crate) fn predicate(expression: &Hir) -> Predicate {
    let mut characters_left = MAX_CHARACTERS;
    let need = Need::of(expression, &mut characters_left);
    let mut characters = BTreeSet::new();
    need.collect(&mut characters);
    let predicate = need.predicate(&Coding::all(&characters));
    if predicate.terms() > MAX_TERMS { Predicate::Anything } else { predicate }
}

/// The characters possible at one position of a text.
type CharacterSet = Vec<char>;

/// What every match contains.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// A text, with the possible characters of each position.
    Text(Vec<CharacterSet>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Need {
    fn of(expression: &Hir, characters_left: &mut usize) -> Self {
        let mut walk = Walk { needs: Vec::new(), run: Vec::new(), characters_left };
        walk.read(expression);
        walk.interrupt();
        Self::All(walk.needs)
    }

    fn collect(&self, characters: &mut BTreeSet<char>) {
        match self {
            Self::Text(sets) => characters.extend(sets.iter().flatten()),
            Self::All(needs) | Self::Any(needs) => needs.iter().for_each(|need| need.collect(characters)),
        }
    }

    fn predicate(&self, codings: &[Coding]) -> Predicate {
        match self {
            Self::All(needs) => Predicate::all(needs.iter().map(|need| need.predicate(codings))),
            Self::Any(needs) => Predicate::any(needs.iter().map(|need| need.predicate(codings))),
            Self::Text(sets) => {
                let by_encoding = codings.iter().filter_map(|coding| predicate_in(sets, coding));
                let escapes = ISO_2022_JP_ESCAPES.into_iter().map(bytes_predicate);
                Predicate::any(by_encoding.chain(escapes).chain(predicate_in_hex(sets)))
            }
        }
    }
}

/// Walks through an expression from left to right.
struct Walk<'a> {
    needs: Vec<Need>,
    /// The current text, which the next part may continue.
    run: Vec<CharacterSet>,
    characters_left: &'a mut usize,
}

impl Walk<'_> {
    fn read(&mut self, expression: &Hir) {
        match expression.kind() {
            // A part without length does not separate its neighbours.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => text.chars().for_each(|character| self.push(vec![character])),
                Err(_) => self.interrupt(),
            },
            HirKind::Class(class) => match few(class) {
                Some(characters) => self.push(characters),
                None => self.interrupt(),
            },
            HirKind::Capture(capture) => self.read(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.read(part)),
            HirKind::Repetition(repetition) => {
                // The first repetition follows the text before it; the text behind it follows the last one.
                if repetition.min > 0 {
                    self.read(&repetition.sub);
                }
                self.interrupt();
            }
            HirKind::Alternation(alternatives) => {
                self.interrupt();
                let needs = alternatives.iter().map(|part| Need::of(part, self.characters_left)).collect();
                self.needs.push(Need::Any(needs));
            }
        }
    }

    fn push(&mut self, characters: CharacterSet) {
        // Bytes that do not decode become U+FFFD, so this character may have been any bytes. `\n` may have been `\r\n`.
        let is_anything = |character: &char| matches!(*character, char::REPLACEMENT_CHARACTER | '\n');
        if characters.iter().any(is_anything) || *self.characters_left < characters.len() {
            return self.interrupt();
        }
        *self.characters_left -= characters.len();
        self.run.push(characters);
    }

    fn interrupt(&mut self) {
        if !self.run.is_empty() {
            self.needs.push(Need::Text(std::mem::take(&mut self.run)));
        }
    }
}

/// Returns the characters of a class that has few.
fn few(class: &Class) -> Option<CharacterSet> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
        Class::Bytes(class) if class.is_ascii() => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        Class::Bytes(_) => return None,
    };
    let characters: CharacterSet =
        ranges.into_iter().flat_map(|(from, to)| from..=to).take(MAX_ALTERNATIVES + 1).collect();
    (characters.len() <= MAX_ALTERNATIVES).then_some(characters)
}

/// Returns a predicate of payloads that decode to a text in one encoding; none if no payload does.
fn predicate_in(sets: &[CharacterSet], coding: &Coding) -> Option<Predicate> {
    let mut pieces = Vec::new();
    let mut spellings: Vec<Vec<u8>> = vec![Vec::new()];
    let cut = |spellings: &mut Vec<Vec<u8>>| {
        let piece = std::mem::replace(spellings, vec![Vec::new()]);
        Predicate::any(piece.iter().map(|bytes| bytes_predicate(bytes)))
    };
    for set in sets {
        match spellings_of(set, coding) {
            Some(next) if next.is_empty() => return None,
            Some(next) if next.len() <= MAX_SPELLINGS => {
                if spellings.len() * next.len() > MAX_SPELLINGS {
                    pieces.push(cut(&mut spellings));
                }
                let append = |spelling: &Vec<u8>| -> Vec<_> {
                    next.iter().map(|bytes| [&spelling[..], bytes].concat()).collect()
                };
                spellings = spellings.iter().flat_map(append).collect();
            }
            _ => pieces.push(cut(&mut spellings)),
        }
    }
    pieces.push(cut(&mut spellings));
    Some(Predicate::all(pieces))
}

/// Returns a predicate of payloads that read as a text in hexadecimal digits, two for each byte and a space between two
/// bytes; none if no payload does.
fn predicate_in_hex(sets: &[CharacterSet]) -> Option<Predicate> {
    let positions = sets.iter().map(|set| {
        let possible = set.iter().copied().filter(|c| matches!(c, '0'..='9' | 'a'..='f' | ' '));
        let possible: Vec<char> = possible.collect();
        // Where several are possible, as in `[12]`, the character is unknown.
        (!possible.is_empty()).then(|| possible.first().copied().filter(|_| possible.len() == 1))
    });
    let positions: Vec<Option<char>> = positions.collect::<Option<_>>()?;
    // Every third character is a space. A text of one or two characters may begin at several places of a byte.
    let by_shift: Vec<_> = (0..3).filter_map(|shift| bytes_at(&positions, shift)).collect();
    let of_runs = |runs: &Vec<Vec<u8>>| Predicate::all(runs.iter().map(|run| bytes_predicate(run)));
    (!by_shift.is_empty()).then(|| Predicate::any(by_shift.iter().map(of_runs)))
}

/// Returns the runs of whole bytes in hexadecimal digits of which the characters at `shift`, `shift + 3` and so on are spaces;
/// none if they cannot be.
fn bytes_at(positions: &[Option<char>], shift: usize) -> Option<Vec<Vec<u8>>> {
    let is_possible = |(place, known): (usize, &Option<char>)| {
        known.is_none_or(|character| (character == ' ') == (place % 3 == shift))
    };
    if !positions.iter().enumerate().all(is_possible) {
        return None;
    }
    let digit = |place: usize| positions.get(place).copied().flatten()?.to_digit(16);
    let mut runs = vec![Vec::new()];
    for place in ((shift + 1) % 3..positions.len()).step_by(3) {
        let byte = digit(place)
            .zip(digit(place + 1))
            .and_then(|(upper, lower)| u8::try_from(upper << 4 | lower).ok());
        match (byte, runs.last_mut()) {
            (Some(byte), Some(run)) => run.push(byte),
            _ => runs.push(Vec::new()),
        }
    }
    Some(runs)
}

/// Returns the folded bytes that an encoding has for the characters of a set; none if they are unknown.
fn spellings_of(set: &CharacterSet, coding: &Coding) -> Option<BTreeSet<Vec<u8>>> {
    let mut all = BTreeSet::new();
    for character in set {
        match coding.spellings(*character) {
            Spellings::Known(spellings) => {
                all.extend(spellings.into_iter().map(|bytes| bytes.into_iter().map(folded).collect()));
            }
            Spellings::Unknown => return None,
        }
    }
    Some(all)
}

/// Returns a predicate of payloads that contain these bytes.
pub(crate) fn bytes_predicate(bytes: &[u8]) -> Predicate {
    let bytes: Vec<u8> = bytes.iter().copied().map(folded).collect();
    let quads: Vec<_> =
        bytes.windows(4).map(|quad| Term::Quad([quad[0], quad[1], quad[2], quad[3]])).collect();
    let step = quads.len().div_ceil(MAX_QUADS).max(1);
    let quads = quads.into_iter().step_by(step);
    let pairs = bytes.windows(2).map(|pair| Term::Pair([pair[0], pair[1]]));
    let pairs = pairs.filter(|_| bytes.len() <= MAX_BYTES_FOR_PAIRS);
    Predicate::all(quads.chain(pairs).map(Predicate::Term))
}

#[cfg(test)]
mod tests;
