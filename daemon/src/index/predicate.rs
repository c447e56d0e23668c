//! A predicate that the index can evaluate: the part of a query that it understands.

use udpchat_config::PeerAddress;

use super::error::IndexError;
use super::term::{Term, Which};

/// A condition that every wanted entry meets; others may meet it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Predicate {
    /// Any entry meets it.
    #[default]
    Anything,
    /// The entry has this term.
    Term(Term),
    /// From a time on and before another, in nanoseconds since 1970.
    Times {
        since_ns: Option<i64>,
        until_ns: Option<i64>,
    },
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The indexed properties of up to 64 blocks, each of which is a bit of a word.
pub(super) trait Evidence {
    /// Returns which blocks have the bit at a position of a filter set.
    fn at(&mut self, which: Which, position: u32) -> Result<u64, IndexError>;

    /// Returns the earliest and the latest time of a block.
    fn times(&self, block: u32) -> (i64, i64);
}

impl Predicate {
    /// Returns the predicate of a peer's entries.
    pub(crate) fn of_peer(peer: &PeerAddress) -> Self {
        Self::Term(Term::of_peer(peer))
    }

    /// Joins predicates that all hold.
    pub(crate) fn all(predicates: impl IntoIterator<Item = Self>) -> Self {
        let mut known: Vec<_> =
            predicates.into_iter().filter(|predicate| *predicate != Self::Anything).collect();
        match known.len() {
            0 => Self::Anything,
            1 => known.swap_remove(0),
            _ => Self::All(known),
        }
    }

    /// Joins predicates of which one holds; if any entry meets one of them, any entry meets the result.
    pub(crate) fn any(predicates: impl IntoIterator<Item = Self>) -> Self {
        let mut alternatives: Vec<Self> = Vec::new();
        for predicate in predicates {
            match predicate {
                Self::Anything => return Self::Anything,
                predicate if alternatives.contains(&predicate) => {}
                predicate => alternatives.push(predicate),
            }
        }
        if alternatives.len() == 1 { alternatives.swap_remove(0) } else { Self::Any(alternatives) }
    }

    /// Returns how many terms it has.
    pub(crate) fn terms(&self) -> usize {
        match self {
            Self::Anything | Self::Times { .. } => 0,
            Self::Term(_) => 1,
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::terms).sum(),
        }
    }

    /// Returns which of the blocks `among` may have an entry that meets it.
    pub(super) fn survivors(&self, evidence: &mut impl Evidence, among: u64) -> Result<u64, IndexError> {
        let mut left = among;
        match self {
            Self::Anything => {}
            Self::Term(term) => {
                for position in term.positions() {
                    if left == 0 {
                        break;
                    }
                    left &= evidence.at(term.which(), position)?;
                }
            }
            Self::Times { since_ns, until_ns } => {
                for block in (0..u64::BITS).filter(|block| among >> block & 1 == 1) {
                    let (oldest, newest) = evidence.times(block);
                    if since_ns.is_some_and(|since| newest < since)
                        || until_ns.is_some_and(|until| oldest >= until)
                    {
                        left &= !(1 << block);
                    }
                }
            }
            Self::All(parts) => {
                for part in parts {
                    if left == 0 {
                        break;
                    }
                    left = part.survivors(evidence, left)?;
                }
            }
            Self::Any(parts) => {
                let mut found = 0;
                for part in parts {
                    if found == among {
                        break;
                    }
                    found |= part.survivors(evidence, among & !found)?;
                }
                left = found;
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block n has its number as its only term, and the times from 10 n to 10 n + 9.
    struct Numbered;

    impl Evidence for Numbered {
        fn at(&mut self, _: Which, position: u32) -> Result<u64, IndexError> {
            let has = |block: &u64| {
                let term = Term::Quad(u32::try_from(*block).unwrap().to_be_bytes());
                term.positions().any(|own| own == position)
            };
            Ok((0..64).filter(has).map(|block| 1 << block).sum())
        }

        fn times(&self, block: u32) -> (i64, i64) {
            (i64::from(block) * 10, i64::from(block) * 10 + 9)
        }
    }

    fn term(block: u32) -> Predicate {
        Predicate::Term(Term::Quad(block.to_be_bytes()))
    }

    fn blocks(predicate: &Predicate) -> Vec<u32> {
        let mask = predicate.survivors(&mut Numbered, u64::MAX >> 1).unwrap();
        (0..64).filter(|block| mask >> block & 1 == 1).collect()
    }

    #[test]
    fn predicates_join_as_conditions_do() {
        assert_eq!(blocks(&term(7)), [7]);
        assert_eq!(blocks(&term(63)), [0; 0], "block 63 is not among those asked for");
        assert_eq!(blocks(&Predicate::any([term(7), term(9), term(7)])), [7, 9]);
        assert_eq!(blocks(&Predicate::all([term(7), Predicate::Anything])), [7]);
        assert_eq!(blocks(&Predicate::all([term(7), term(9)])), [0; 0]);
        assert_eq!(blocks(&Predicate::all([])).len(), 63);
        assert_eq!(blocks(&Predicate::any([])).len(), 0);
        assert_eq!(Predicate::any([term(7), Predicate::Anything]), Predicate::Anything);
        let times = Predicate::Times { since_ns: Some(49), until_ns: Some(60) };
        assert_eq!(blocks(&times), [4, 5]);
        assert_eq!(blocks(&Predicate::all([times, Predicate::any([term(5), term(6)])])), [5]);
    }
}
