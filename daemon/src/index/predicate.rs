//! What every wanted entry has: the part of a query that the index understands.

use udpchat_config::PeerAddress;

use super::store::Fault;
use super::term::{Key, Which};

/// A condition that every wanted entry meets; others may meet it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Clue {
    /// Nothing is known.
    #[default]
    Anything,
    Key(Key),
    /// From a time on and before another, in nanoseconds since 1970.
    Times {
        since_ns: Option<i64>,
        until_ns: Option<i64>,
    },
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// What is known of up to 64 blocks, each of which has a bit.
pub(super) trait Evidence {
    /// Returns which blocks have the bit of a filter at a position.
    fn at(&mut self, which: Which, position: u32) -> Result<u64, Fault>;

    /// Returns the earliest and the latest time of a block.
    fn times(&self, block: u32) -> (i64, i64);
}

impl Clue {
    /// Returns what is known of the entries of a peer.
    pub(crate) fn of_peer(peer: PeerAddress) -> Self {
        Self::Key(Key::of_peer(peer))
    }

    /// Joins clues that all hold.
    pub(crate) fn all(clues: impl IntoIterator<Item = Self>) -> Self {
        let mut known: Vec<_> = clues.into_iter().filter(|clue| *clue != Self::Anything).collect();
        match known.len() {
            0 => Self::Anything,
            1 => known.swap_remove(0),
            _ => Self::All(known),
        }
    }

    /// Joins clues of which one holds; where one of them is anything, nothing is known.
    pub(crate) fn any(clues: impl IntoIterator<Item = Self>) -> Self {
        let mut ways: Vec<Self> = Vec::new();
        for clue in clues {
            match clue {
                Self::Anything => return Self::Anything,
                clue if ways.contains(&clue) => {}
                clue => ways.push(clue),
            }
        }
        if ways.len() == 1 { ways.swap_remove(0) } else { Self::Any(ways) }
    }

    /// Returns how many keys it has.
    pub(super) fn keys(&self) -> usize {
        match self {
            Self::Anything | Self::Times { .. } => 0,
            Self::Key(_) => 1,
            Self::All(clues) | Self::Any(clues) => clues.iter().map(Self::keys).sum(),
        }
    }

    /// Returns which of the blocks `among` may have an entry that is wanted.
    pub(super) fn survivors(&self, evidence: &mut impl Evidence, among: u64) -> Result<u64, Fault> {
        let mut left = among;
        match self {
            Self::Anything => {}
            Self::Key(key) => {
                for position in key.positions() {
                    if left == 0 {
                        break;
                    }
                    left &= evidence.at(key.which(), position)?;
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
            Self::All(clues) => {
                for clue in clues {
                    if left == 0 {
                        break;
                    }
                    left = clue.survivors(evidence, left)?;
                }
            }
            Self::Any(clues) => {
                let mut found = 0;
                for clue in clues {
                    if found == among {
                        break;
                    }
                    found |= clue.survivors(evidence, among & !found)?;
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

    /// Block n holds the key that is its number, and was written from 10 n to 10 n + 9.
    struct Numbered;

    impl Evidence for Numbered {
        fn at(&mut self, _: Which, position: u32) -> Result<u64, Fault> {
            let has = |block: &u64| {
                let key = Key::Quad(u32::try_from(*block).unwrap().to_be_bytes());
                key.positions().any(|own| own == position)
            };
            Ok((0..64).filter(has).map(|block| 1 << block).sum())
        }

        fn times(&self, block: u32) -> (i64, i64) {
            (i64::from(block) * 10, i64::from(block) * 10 + 9)
        }
    }

    fn key(block: u32) -> Clue {
        Clue::Key(Key::Quad(block.to_be_bytes()))
    }

    fn blocks(clue: &Clue) -> Vec<u32> {
        let mask = clue.survivors(&mut Numbered, u64::MAX >> 1).unwrap();
        (0..64).filter(|block| mask >> block & 1 == 1).collect()
    }

    #[test]
    fn clues_join_as_conditions_do() {
        assert_eq!(blocks(&key(7)), [7]);
        assert_eq!(blocks(&key(63)), [0; 0], "it is not among those asked for");
        assert_eq!(blocks(&Clue::any([key(7), key(9), key(7)])), [7, 9]);
        assert_eq!(blocks(&Clue::all([key(7), Clue::Anything])), [7]);
        assert_eq!(blocks(&Clue::all([key(7), key(9)])), [0; 0]);
        assert_eq!(blocks(&Clue::all([])).len(), 63);
        assert_eq!(blocks(&Clue::any([])).len(), 0);
        assert_eq!(Clue::any([key(7), Clue::Anything]), Clue::Anything);
        let times = Clue::Times { since_ns: Some(49), until_ns: Some(60) };
        assert_eq!(blocks(&times), [4, 5]);
        assert_eq!(blocks(&Clue::all([times, Clue::any([key(5), key(6)])])), [5]);
    }
}
