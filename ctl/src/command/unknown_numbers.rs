//! Numbers that a user has named and that no message has, such as a misspelt `{{tmp}}`.

use std::collections::BTreeSet;

use udpchat_api::numbers::named;
use udpchat_api::safe;
use udpchat_locale::tr;

/// How many names of numbers are listed.
const MAX_LISTED: usize = 10;

/// The names that no message has had so far, and the names that messages have.
#[derive(Debug, Default)]
pub(super) struct UnknownNumbers {
    unknown: Vec<String>,
    known: BTreeSet<String>,
    /// Whether there was a message.
    any: bool,
}

impl UnknownNumbers {
    /// Takes the names that the user has given.
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { unknown: names.into_iter().collect(), known: BTreeSet::new(), any: false }
    }

    /// Returns whether each name was found. Then the numbers of further messages need not be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Looks at the numbers of a message.
    pub(super) fn see(&mut self, numbers: &[(String, f64)]) {
        self.any = true;
        self.unknown.retain(|name| named(numbers, name).next().is_none());
        let room = MAX_LISTED.saturating_sub(self.known.len());
        self.known.extend(numbers.iter().map(|(name, _)| name.clone()).take(room));
    }

    /// Returns a name that no message has had, safe to show, if there were messages.
    pub(super) fn missed(&self) -> Option<String> {
        let name = self.unknown.first().filter(|_| self.any)?;
        Some(safe::one_line(name).into_owned())
    }

    /// Returns a note, if messages had numbers and none of a given name.
    pub(super) fn note(&self) -> Option<String> {
        let name = safe::one_line(self.unknown.first()?);
        let known: Vec<_> = self.known.iter().map(|known| safe::one_line(known)).collect();
        let known = known.join(", ");
        (!known.is_empty()).then(|| tr!("no message has a number `{name}`; they have {known}", name, known))
    }
}

#[cfg(test)]
mod tests {
    use udpchat_api::numbers::numbers;

    use super::*;

    #[test]
    fn a_name_that_no_message_has_is_noted_with_those_they_have() {
        let mut names = UnknownNumbers::new(["temp".to_owned(), "tmp".to_owned()]);
        assert_eq!(names.note(), None, "without messages, nothing is known");
        names.see(&numbers("utf-8", "temp=21 hum=40"));
        assert_eq!(names.note().as_deref(), Some("no message has a number `tmp`; they have hum, temp"));
        names.see(&numbers("utf-8", "tmp=1"));
        assert!(names.is_empty() && names.note().is_none());
    }
}
