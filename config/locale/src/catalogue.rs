//! The translations that are compiled into the programs.

use crate::{Language, language};

/// The translations into Chinese.
pub(crate) static CHINESE: Catalogue = include!(concat!(env!("OUT_DIR"), "/chinese.rs"));

/// English texts and their translations, sorted by the texts.
///
/// All are one text: a table of references has an address for each, which the dynamic loader writes at each start of a
/// program, in any language (a `-pie` executable, ld.so(8)).
pub(crate) struct Catalogue {
    /// Each text, followed by its translation.
    texts: &'static str,
    /// Where each text begins and where its translation does.
    places: &'static [(usize, usize)],
}

impl Catalogue {
    /// Returns all texts with their translations.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        (0..self.places.len()).filter_map(|index| self.pair(index))
    }

    /// Returns the translation of a text.
    fn find(&self, text: &str) -> Option<&'static str> {
        let known = |&(start, end): &(usize, usize)| self.texts.get(start..end);
        let index = self.places.binary_search_by(|place| known(place).cmp(&Some(text))).ok()?;
        self.pair(index).map(|(_, translation)| translation)
    }

    fn pair(&self, index: usize) -> Option<(&'static str, &'static str)> {
        let &(start, middle) = self.places.get(index)?;
        let end = self.places.get(index + 1).map_or(self.texts.len(), |&(next, _)| next);
        Some((self.texts.get(start..middle)?, self.texts.get(middle..end)?))
    }
}

/// Returns a text in the user's language, or the text itself if the catalogue lacks it.
pub fn translation(text: &'static str) -> &'static str {
    match language() {
        Language::English => text,
        Language::Chinese => find(text).unwrap_or(text),
    }
}

/// Returns whether the catalogue has a translation of this text, for tests that nothing lacks one.
pub fn is_known(text: &str) -> bool {
    find(text).is_some()
}

/// Returns the translation of a text.
pub(crate) fn find(text: &str) -> Option<&'static str> {
    CHINESE.find(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::placeholders;

    #[test]
    fn texts_are_sorted_and_found() {
        assert!(CHINESE.pairs().is_sorted_by(|one, other| one.0 < other.0));
        assert!(CHINESE.pairs().all(|(text, translation)| find(text) == Some(translation)));
    }

    #[test]
    fn translations_have_the_placeholders_of_their_texts() {
        let sorted = |text| placeholders(text).collect::<BTreeSet<_>>();
        let wrong: Vec<_> =
            CHINESE.pairs().filter(|(text, translation)| sorted(text) != sorted(translation)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn translations_begin_and_end_as_their_texts() {
        let edges = |text: &str| (text.starts_with(' '), text.ends_with('\n'));
        let wrong: Vec<_> =
            CHINESE.pairs().filter(|(text, translation)| edges(text) != edges(translation)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
