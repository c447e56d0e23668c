//! Entries as unparsed JSON, for clients that pass them on unchanged.
//!
//! The daemon has escaped all unsafe characters ([`crate::safe`]), so these lines are safe to show on a terminal.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A page of the inbox as [`crate::call::InboxAnswer`], with its entries as lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RawInboxAnswer {
    /// The entries.
    pub entries: EntryLines,
    /// The cursor of the next page.
    pub next: u64,
    /// Whether there may be more entries now.
    pub more: bool,
}

/// Entries as JSON, one object a line, each with its line end. Deserialises from a JSON array of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryLines {
    text: String,
    count: u64,
}

impl EntryLines {
    /// Returns the lines as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns the number of entries.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the JSON of each entry, without its line end.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n')
    }

    /// Keeps the entries whose JSON, without its line end, `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let mut kept = Self::default();
        self.iter().filter(|entry| keep(entry)).for_each(|entry| kept.push(entry));
        *self = kept;
    }

    fn push(&mut self, entry: &str) {
        self.text.push_str(entry);
        self.text.push('\n');
        self.count += 1;
    }
}

impl<'de> Deserialize<'de> for EntryLines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = EntryLines;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<EntryLines, A::Error> {
        let mut lines = EntryLines::default();
        while let Some(entry) = entries.next_element::<&'de RawValue>()? {
            lines.push(entry.get());
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_not_changed() {
        let page =
            r#"{"entries":[{"b":1,"a":"\u001b\u202e\n"},{"new":[1, {}]}],"next":7,"more":true,"unread":1}"#;
        let page: RawInboxAnswer = serde_json::from_slice(page.as_bytes()).unwrap();
        assert_eq!((page.next, page.more, page.entries.count()), (7, true, 2));
        let lines: Vec<_> = page.entries.iter().collect();
        assert_eq!(lines, [r#"{"b":1,"a":"\u001b\u202e\n"}"#, r#"{"new":[1, {}]}"#]);
        assert_eq!(page.entries.as_bytes(), format!("{}\n{}\n", lines[0], lines[1]).as_bytes());
        let mut second = page.entries.clone();
        second.retain(|entry| entry.contains('['));
        assert_eq!((second.count(), second.as_bytes()), (1, format!("{}\n", lines[1]).as_bytes()));
    }

    #[test]
    fn an_empty_page_has_no_lines() {
        let page: RawInboxAnswer = serde_json::from_str(r#"{"entries":[],"next":0,"more":false}"#).unwrap();
        assert_eq!((page.entries.count(), page.entries.iter().count()), (0, 0));
        assert!(serde_json::from_str::<EntryLines>("7").is_err());
    }
}
