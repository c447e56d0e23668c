//! What a regular expression needs: the pieces of text that every match contains, as they may stand in payloads.
//!
//! Payloads are indexed as bytes, since what they are read in may change. So a piece of text is looked for in every
//! encoding at once.

use std::collections::BTreeSet;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::predicate::Clue;
use super::spellings::{Coding, ISO_2022_JP_ESCAPES, Ways};
use super::term::{Key, folded};

/// How many characters one place of a text may have: `k`, `K` and the sign of kelvin are one place under `(?i)`.
const MAX_ALTERNATIVES: usize = 4;

/// In how many ways a piece of text is looked for in one encoding; one with more is cut.
const MAX_SPELLINGS: usize = 8;

/// How many pieces of four bytes are looked for in a spelling, spread over it.
const MAX_QUADS: usize = 12;

/// How many bytes a spelling has whose pairs are looked for too: longer ones are told by their pieces of four.
const MAX_BYTES_FOR_PAIRS: usize = 7;

/// How many characters of an expression are considered.
const MAX_CHARACTERS: usize = 512;

/// How many keys a clue may have; one with more would take longer than it spares.
const MAX_KEYS: usize = 1_024;

/// Returns what is known of the messages whose text matches an expression in which `^` and `$` are the ends of a line.
pub(crate) fn clue(expression: &str) -> Clue {
    let Ok(expression) = ParserBuilder::new().multi_line(true).build().parse(expression) else {
        return Clue::Anything;
    };
    let mut characters_left = MAX_CHARACTERS;
    let need = Need::of(&expression, &mut characters_left);
    let mut characters = BTreeSet::new();
    need.collect(&mut characters);
    let clue = need.clue(&Coding::all(&characters));
    if clue.keys() > MAX_KEYS { Clue::Anything } else { clue }
}

/// The characters that may stand at one place of a text.
type Place = Vec<char>;

/// What a match contains.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// A text, place by place.
    Text(Vec<Place>),
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
            Self::Text(places) => characters.extend(places.iter().flatten()),
            Self::All(needs) | Self::Any(needs) => needs.iter().for_each(|need| need.collect(characters)),
        }
    }

    fn clue(&self, codings: &[Coding]) -> Clue {
        match self {
            Self::All(needs) => Clue::all(needs.iter().map(|need| need.clue(codings))),
            Self::Any(needs) => Clue::any(needs.iter().map(|need| need.clue(codings))),
            Self::Text(places) => {
                let written = codings.iter().filter_map(|coding| written(places, coding));
                Clue::any(written.chain(ISO_2022_JP_ESCAPES.into_iter().map(spelling)))
            }
        }
    }
}

/// Reads an expression from left to right.
struct Walk<'a> {
    needs: Vec<Need>,
    /// The text that goes on.
    run: Vec<Place>,
    characters_left: &'a mut usize,
}

impl Walk<'_> {
    fn read(&mut self, expression: &Hir) {
        match expression.kind() {
            // What has no length does not part its neighbours.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => text.chars().for_each(|character| self.place(vec![character])),
                Err(_) => self.interrupt(),
            },
            HirKind::Class(class) => match few(class) {
                Some(characters) => self.place(characters),
                None => self.interrupt(),
            },
            HirKind::Capture(capture) => self.read(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.read(part)),
            HirKind::Repetition(repetition) => {
                // The first one follows what stands before it; what comes behind it follows the last one.
                if repetition.min > 0 {
                    self.read(&repetition.sub);
                }
                self.interrupt();
            }
            HirKind::Alternation(ways) => {
                self.interrupt();
                let ways = ways.iter().map(|way| Need::of(way, self.characters_left)).collect();
                self.needs.push(Need::Any(ways));
            }
        }
    }

    fn place(&mut self, characters: Place) {
        // What does not decode reads as U+FFFD, so this one may have been anything.
        if characters.contains(&char::REPLACEMENT_CHARACTER) || *self.characters_left < characters.len() {
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
fn few(class: &Class) -> Option<Place> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
        Class::Bytes(class) if class.is_ascii() => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        Class::Bytes(_) => return None,
    };
    let characters: Place =
        ranges.into_iter().flat_map(|(from, to)| from..=to).take(MAX_ALTERNATIVES + 1).collect();
    (characters.len() <= MAX_ALTERNATIVES).then_some(characters)
}

/// Returns what is known of a payload that was read as a text in one encoding; none if it cannot be.
fn written(places: &[Place], coding: &Coding) -> Option<Clue> {
    let mut pieces = Vec::new();
    let mut spellings: Vec<Vec<u8>> = vec![Vec::new()];
    let cut = |spellings: &mut Vec<Vec<u8>>| {
        let piece = std::mem::replace(spellings, vec![Vec::new()]);
        Clue::any(piece.iter().map(|bytes| spelling(bytes)))
    };
    for place in places {
        match ways(place, coding) {
            Some(ways) if ways.is_empty() => return None,
            Some(ways) if ways.len() <= MAX_SPELLINGS => {
                if spellings.len() * ways.len() > MAX_SPELLINGS {
                    pieces.push(cut(&mut spellings));
                }
                let longer =
                    |spelling: &Vec<u8>| ways.iter().map(|way| [&spelling[..], way].concat()).collect();
                spellings = spellings.iter().flat_map(|spelling| -> Vec<_> { longer(spelling) }).collect();
            }
            _ => pieces.push(cut(&mut spellings)),
        }
    }
    pieces.push(cut(&mut spellings));
    Some(Clue::all(pieces))
}

/// Returns how an encoding writes what may stand at a place, folded; none if that is not known.
fn ways(place: &Place, coding: &Coding) -> Option<BTreeSet<Vec<u8>>> {
    let mut all = BTreeSet::new();
    for character in place {
        match coding.ways(*character) {
            Ways::Of(ways) => all.extend(ways.into_iter().map(|way| way.into_iter().map(folded).collect())),
            Ways::Unknown => return None,
        }
    }
    Some(all)
}

/// Returns what is known of a payload that holds these bytes.
fn spelling(bytes: &[u8]) -> Clue {
    let bytes: Vec<u8> = bytes.iter().copied().map(folded).collect();
    let quads: Vec<_> =
        bytes.windows(4).map(|quad| Key::Quad([quad[0], quad[1], quad[2], quad[3]])).collect();
    let step = quads.len().div_ceil(MAX_QUADS).max(1);
    let quads = quads.into_iter().step_by(step);
    let pairs = bytes.windows(2).map(|pair| Key::Pair([pair[0], pair[1]]));
    let pairs = pairs.filter(|_| bytes.len() <= MAX_BYTES_FOR_PAIRS);
    Clue::all(quads.chain(pairs).map(Clue::Key))
}

#[cfg(test)]
mod tests;
