//! The names of peers.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{ValueError, quoted};

/// Names a peer: 1 to 64 visible characters that cannot be mistaken for an address, a flag or a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(String);

impl PeerName {
    /// The maximum length in characters.
    pub const MAX_CHARACTERS: usize = 64;
    const HINT: &str = "no spaces in names: use 1 to 64 letters, digits and other visible characters of any script, for example \
                        `bob` or `hall_a`, but none of : [ ] / , \" '";

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PeerName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match flaw(text) {
            None => Ok(Self(text.to_owned())),
            Some(flaw) => Err(ValueError::new(flaw, Self::HINT)),
        }
    }
}

/// Returns why a text is not a valid name, `None` if it is valid.
fn flaw(text: &str) -> Option<String> {
    const MAX_CHARACTERS: usize = PeerName::MAX_CHARACTERS;
    let name = quoted(text);
    if text.is_empty() {
        return Some(format!("peer name {name} is empty"));
    }
    if text.chars().count() > MAX_CHARACTERS {
        return Some(format!("peer name {name} is longer than {MAX_CHARACTERS} characters"));
    }
    // The check for an address comes first: "contains `:`" would be a less helpful reason.
    if text.parse::<IpAddr>().is_ok() {
        return Some(format!("peer name {name} is an IP address"));
    }
    if let Some(first) = text.chars().next().filter(|first| matches!(first, '-' | '#')) {
        return Some(format!("peer name {name} starts with `{first}`"));
    }
    text.chars().find_map(|character| character_flaw(&name, character))
}

/// Returns why a name with a character is not valid, `None` if the character is allowed.
fn character_flaw(name: &str, character: char) -> Option<String> {
    if matches!(character, ':' | '[' | ']' | '/' | ',' | '"' | '\'') {
        return Some(format!("peer name {name} contains `{character}`"));
    }
    if character.is_whitespace() {
        return Some(format!("peer name {name} contains white space"));
    }
    if character.is_control() || character.general_category() == GeneralCategory::Format {
        let code = u32::from(character);
        return Some(format!("peer name {name} contains the invisible character U+{code:04X}"));
    }
    None
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for PeerName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PeerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_accepted() {
        for text in ["bob", "小明", "Zoë", "node-7_a.lan", "7", "😀", &"x".repeat(64), &"张".repeat(64)]
        {
            assert_eq!(text.parse::<PeerName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn ambiguous_names_are_refused() {
        for (text, reason) in [
            ("", "is empty"),
            (&*"张".repeat(65), "longer than 64"),
            ("192.168.1.1", "is an IP address"),
            ("fe80::1", "is an IP address"),
            ("-bob", "starts with `-`"),
            ("#bob", "starts with `#`"),
            ("a b", "white space"),
            ("a\u{3000}b", "white space"),
            ("a\u{1b}b", "U+001B"),
            ("a\u{202e}b", "U+202E"),
            ("a\u{200d}b", "U+200D"),
            ("bob:80", "contains `:`"),
            ("[bob]", "contains `[`"),
            ("bob]", "contains `]`"),
            ("a/b", "contains `/`"),
            ("a,b", "contains `,`"),
            ("a\"b", "contains `\"`"),
            ("a'b", "contains `'`"),
        ] {
            let error = text.parse::<PeerName>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text:?}: {error}");
            assert!(error.hint().is_some());
        }
    }
}
