//! Groups of users of this machine.

use std::fmt;
use std::str::FromStr;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{Text, ValueError, quoted};

/// Names a group of users, as `/etc/group` or a directory service does; a number is a gid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserGroup {
    /// By its name: 1 to 256 characters. The group may not exist.
    Name(String),
    /// By its number.
    Gid(u32),
}

impl UserGroup {
    /// The maximum length in characters, that of Active Directory.
    const MAX_CHARACTERS: usize = 256;
    const HINT: &str = "write the name of a group, or its number, for example \"udpchat\"";

    /// Returns the group whose members may use the system's daemon.
    pub(crate) fn of_the_system() -> Self {
        Self::Name("udpchat".to_owned())
    }

    fn of_number(gid: u64) -> Result<Self, ValueError> {
        // The largest number means "no group" in system calls.
        match u32::try_from(gid) {
            Ok(gid) if gid != u32::MAX => Ok(Self::Gid(gid)),
            _ => Err(ValueError::new(format!("group {gid} is out of range, 0 to 4294967294"), Self::HINT)),
        }
    }
}

impl FromStr for UserGroup {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::of_number(text.parse().unwrap_or(u64::MAX));
        }
        match flaw(text) {
            None => Ok(Self::Name(text.to_owned())),
            Some(flaw) => Err(ValueError::new(flaw, Self::HINT)),
        }
    }
}

/// Returns why a text is not a valid name of a group, `None` if it is valid.
fn flaw(text: &str) -> Option<String> {
    const MAX_CHARACTERS: usize = UserGroup::MAX_CHARACTERS;
    let name = quoted(text);
    if text.is_empty() {
        return Some(format!("group {name} is empty"));
    }
    if text.chars().count() > MAX_CHARACTERS {
        return Some(format!("group {name} is longer than {MAX_CHARACTERS} characters"));
    }
    if text.starts_with('-') {
        return Some(format!("group {name} starts with `-`"));
    }
    if text.trim() != text {
        return Some(format!("group {name} begins or ends with white space"));
    }
    let is_invisible = |c: &char| c.is_control() || c.general_category() == GeneralCategory::Format;
    text.chars().find_map(|character| match character {
        // The separators of fields and members in /etc/group.
        ':' | ',' => Some(format!("group {name} contains `{character}`")),
        _ if is_invisible(&character) => {
            let code = u32::from(character);
            Some(format!("group {name} contains the invisible character U+{code:04X}"))
        }
        _ => None,
    })
}

impl fmt::Display for UserGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Gid(gid) => gid.fmt(f),
        }
    }
}

impl Text for UserGroup {
    const EXPECTED: &str = "the name of a group";

    fn from_integer(gid: u64) -> Option<Result<Self, ValueError>> {
        Some(Self::of_number(gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_distinguished() {
        let name = |text: &str| UserGroup::Name(text.to_owned());
        for (text, group) in [
            ("udpchat", name("udpchat")),
            ("domain users", name("domain users")),
            (r"CORP\ops", name(r"CORP\ops")),
            ("7up", name("7up")),
            ("值班", name("值班")),
            ("0", UserGroup::Gid(0)),
            ("4294967294", UserGroup::Gid(4_294_967_294)),
        ] {
            let parsed: UserGroup = text.parse().unwrap();
            assert_eq!(parsed, group);
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn invalid_groups_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "is empty"),
            (&*"张".repeat(257), "longer than 256"),
            ("-x", "starts with `-`"),
            (" users", "white space"),
            ("users\n", "white space"),
            ("a:b", "contains `:`"),
            ("a,b", "contains `,`"),
            ("a\u{1b}b", "U+001B"),
            ("a\u{202e}b", "U+202E"),
            ("4294967295", "out of range"),
            ("99999999999999999999999", "out of range"),
        ] {
            let error = text.parse::<UserGroup>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text:?}: {error}");
            assert!(error.hint().unwrap().contains("udpchat"));
        }
    }
}
