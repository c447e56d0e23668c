//! Numbers that a user asks for and that no message has, such as a misspelt `{{tmp}}`.

use udpchat_api::safe;
use udpchat_locale::tr;

use super::known_names::KnownNames;
use super::wanted_number::{Content, WantedNumber};
use crate::output::counted;

/// The numbers that no message has had so far, and what messages have.
#[derive(Debug, Default)]
pub(super) struct UnknownNumbers {
    unknown: Vec<WantedNumber>,
    known: KnownNames,
    /// Whether a message was shown as hex digits.
    has_hex: bool,
    /// The length of the longest message, in bytes; none without messages.
    longest: Option<usize>,
}

impl UnknownNumbers {
    /// Takes the numbers that the user asks for.
    pub(super) fn new(wanted: impl IntoIterator<Item = WantedNumber>) -> Self {
        Self { unknown: wanted.into_iter().collect(), ..Self::default() }
    }

    /// Returns whether each number was found. Then the numbers of further messages need not be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Looks at the numbers of a message.
    pub(super) fn see(&mut self, content: &Content<'_>) {
        self.longest = self.longest.max(Some(content.payload.len()));
        self.unknown.retain(|wanted| wanted.values(content).next().is_none());
        self.has_hex |= content.is_hex;
        self.known.extend(content.numbers.iter().map(|(name, _)| name.clone()));
    }

    /// Returns what no message has had, each in backticks and safe to show, if there were messages.
    pub(super) fn missed(&self) -> Option<String> {
        self.longest?;
        let quoted = |wanted: &WantedNumber| format!("`{}`", safe::one_line(wanted.heading()));
        let missed: Vec<_> = self.unknown.iter().map(quoted).collect();
        (!missed.is_empty()).then(|| missed.join(tr!(", ")))
    }

    /// Returns whether no message has had a number of one of these names.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        self.unknown.iter().any(|wanted| names.iter().any(|name| wanted.is_named(name)))
    }

    /// Returns a note on a number that no message has had, with what messages have.
    pub(super) fn note(&self) -> Option<String> {
        self.unknown.iter().find_map(|wanted| match wanted {
            WantedNumber::Named(name) => self.note_on_name(name),
            WantedNumber::At { text, .. } => {
                let bytes = counted(self.longest? as u64, "byte");
                let place = safe::one_line(text);
                Some(tr!("no message has a number at `{place}`; the longest has {bytes}", place, bytes))
            }
        })
    }

    fn note_on_name(&self, name: &str) -> Option<String> {
        let name = safe::one_line(name);
        let known: Vec<_> = self.known.listed([&*name]).into_iter().map(safe::one_line).collect();
        match known.join(tr!(", ")) {
            known if !known.is_empty() => {
                Some(tr!("no message has a number `{name}`; they have {known}", name, known))
            }
            _ if self.has_hex => {
                Some(tr!("no message has a number `{name}`: {reason}", name, reason = hex_digits()))
            }
            _ => None,
        }
    }
}

/// Says why messages have no names of numbers.
pub(super) fn hex_digits() -> &'static str {
    tr!(
        "messages are shown as hex digits (encoding `hex`), which have no names of numbers; a place such as @6:i16 reads their bytes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(wanted: &[&str]) -> UnknownNumbers {
        UnknownNumbers::new(wanted.iter().map(|wanted| wanted.parse().unwrap()))
    }

    fn content(text: &str) -> Content<'_> {
        Content::new("utf-8", text, text.as_bytes())
    }

    #[test]
    fn a_name_that_no_message_has_is_noted_with_those_they_have() {
        let mut names = unknown(&["temp", "tmp"]);
        assert_eq!(names.note(), None, "without messages, nothing is known");
        names.see(&content("temp=21 hum=40"));
        assert_eq!(names.note().as_deref(), Some("no message has a number `tmp`; they have temp, hum"));
        names.see(&content("tmp=1"));
        assert!(names.is_empty() && names.note().is_none());
    }

    #[test]
    fn a_place_that_no_message_reaches_is_noted_with_the_longest() {
        let mut places = unknown(&["nothing", "@0:u16", "t=@2:u16/10"]);
        assert_eq!(places.note(), None);
        places.see(&content("abc"));
        places.see(&content("a"));
        let note = "no message has a number at `@2:u16/10`; the longest has 3 bytes";
        assert_eq!(places.note().as_deref(), Some(note));
        places.see(&content("abcd"));
        assert_eq!((places.note(), places.missed().as_deref()), (None, Some("`nothing`")));
    }

    #[test]
    fn messages_in_hex_digits_are_noted_as_such() {
        let mut names = unknown(&["temp", "at"]);
        names.see(&Content::new("hex", "01 03", &[1, 3]));
        let note = names.note().unwrap();
        assert!(
            note.starts_with("no message has a number `temp`: messages are shown as hex digits"),
            "{note}"
        );
        assert_eq!(names.missed().as_deref(), Some("`temp`, `at`"));
        assert!(names.has_any(&["direction", "at"]) && !names.has_any(&["text"]));
        names.see(&content("hum=1"));
        assert_eq!(names.note().as_deref(), Some("no message has a number `temp`; they have hum"));
    }
}
