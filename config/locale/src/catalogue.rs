//! The translations that are compiled into the programs.

use crate::{Language, language};

/// English texts and their translations, sorted by the texts.
pub(crate) static CHINESE: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/chinese.rs"));

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
    let place = CHINESE.binary_search_by(|(known, _)| (*known).cmp(text)).ok()?;
    CHINESE.get(place).map(|(_, translation)| *translation)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::placeholders;

    #[test]
    fn texts_are_sorted() {
        assert!(CHINESE.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn translations_have_the_placeholders_of_their_texts() {
        let sorted = |text| placeholders(text).collect::<BTreeSet<_>>();
        let wrong: Vec<_> =
            CHINESE.iter().filter(|(text, translation)| sorted(text) != sorted(translation)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn translations_begin_and_end_as_their_texts() {
        let edges = |text: &str| (text.starts_with(' '), text.ends_with('\n'));
        let wrong: Vec<_> =
            CHINESE.iter().filter(|(text, translation)| edges(text) != edges(translation)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
