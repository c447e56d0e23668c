//! How many of some cases are right.

/// How many wrong ones are shown.
const MAX_EXAMPLES: usize = 5;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    pub(crate) right: u64,
    /// The first wrong ones.
    pub(crate) examples: Vec<String>,
}

impl Tally {
    /// Counts a case; describes it if it is wrong.
    pub(crate) fn count(&mut self, is_right: bool, describe: impl FnOnce() -> String) {
        self.cases += 1;
        if is_right {
            self.right += 1;
        } else if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(describe());
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.right += other.right;
        self.examples.extend(other.examples);
        self.examples.truncate(MAX_EXAMPLES);
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.cases - self.right
    }

    /// Returns the share of the right ones in per cent. It rounds towards the wrong ones: 100 is all of them.
    pub(crate) fn share(&self) -> String {
        match self.cases {
            0 => "-".to_owned(),
            cases if cases == self.right => "100".to_owned(),
            cases => format!("{:.2}", (self.right as f64 / cases as f64 * 10_000.0).floor() / 100.0),
        }
    }
}
