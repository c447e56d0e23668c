//! The names of the numbers that messages have, for notes on one that none has.

use std::collections::BTreeSet;

use udpchat_config::nearest;

/// How many names are kept at most: strangers choose them.
const MAX_KEPT: usize = 100;

/// How many names are listed at most.
const MAX_LISTED: usize = 10;

/// Some names of numbers.
#[derive(Debug, Default)]
pub(super) struct KnownNames(BTreeSet<String>);

impl KnownNames {
    /// Takes further names.
    pub(super) fn extend(&mut self, names: impl IntoIterator<Item = String>) {
        let room = MAX_KEPT.saturating_sub(self.0.len());
        self.0.extend(names.into_iter().take(room));
    }

    /// Returns the names to list: those like one that is wanted, then those that somebody gave, then those of columns.
    pub(super) fn listed<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> Vec<&str> {
        let wanted: Vec<&str> = wanted.into_iter().collect();
        let is_near = |name: &str| wanted.iter().any(|wanted| nearest(wanted, [name]).is_some());
        let mut names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        names.sort_by_cached_key(|name| (!is_near(name), is_of_column(name)));
        names.truncate(MAX_LISTED);
        names
    }
}

/// Returns whether a name is that of a column, such as `2`, or of a field of an NMEA sentence, such as `GPGGA.2`.
fn is_of_column(name: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_sentence =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_number(name)
        || name.rsplit_once('.').is_some_and(|(sentence, field)| is_sentence(sentence) && is_number(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first_and_columns_last() {
        let mut known = KnownNames::default();
        known.extend((1..15).map(|column| format!("GPGGA.{column}")));
        known.extend(["1", "bat", "hum", "temp", "acc.x"].map(str::to_owned));
        assert_eq!(known.listed(["tmp"])[..5], ["temp", "acc.x", "bat", "hum", "1"]);
        assert_eq!((known.listed([]).len(), known.listed([])[0]), (MAX_LISTED, "acc.x"));
        known.extend((0..1_000).map(|number| format!("n{number}")));
        assert_eq!(known.0.len(), MAX_KEPT);
    }
}
