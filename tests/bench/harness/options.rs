//! The command line of a benchmark: words such as `quick`, and a number.

/// The arguments, without those that Cargo adds.
pub(crate) struct Options {
    words: Vec<String>,
}

impl Options {
    pub(crate) fn read() -> Self {
        Self { words: std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect() }
    }

    /// Returns whether only a short run was asked for: it shows that the benchmark works, and no figures.
    pub(crate) fn quick(&self) -> bool {
        self.has("quick")
    }

    /// Returns whether a word is on the command line.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|given| given == word)
    }

    /// Returns whether a part of the benchmark is to run: all of them do if none was named.
    pub(crate) fn wants(&self, part: &str, all: &[&str]) -> bool {
        self.has(part) || !all.iter().any(|other| self.has(other))
    }

    /// Returns the number that was given.
    pub(crate) fn number(&self) -> Option<u64> {
        self.words.iter().find_map(|word| word.replace('_', "").parse().ok())
    }

    /// Returns one of two figures: for a short run, and for a full one.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick() { quick } else { full }
    }
}
