//! Reads setting values from TOML and writes them as TOML.

use std::fmt::{Display, Write as _};
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::DeValue;

use super::{ValueError, quoted};

/// A parsed TOML value with its place in the text.
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

/// Describes an error at a place of a TOML text.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// The place, in bytes.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Mistake {
    /// Refuses a value of the wrong type; `expected` is a noun phrase.
    pub(crate) fn wrong_type(expected: &str, node: &Node<'_>) -> Self {
        let found = match node.get_ref() {
            DeValue::String(text) => format!("the string {}", quoted(text)),
            DeValue::Integer(number) => format!("the number {}", quoted(&number.to_string())),
            DeValue::Float(number) => format!("the number {}", quoted(&number.to_string())),
            DeValue::Boolean(boolean) => format!("`{boolean}`"),
            DeValue::Datetime(time) => format!("the date {time}"),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        Self { span: node.span(), message: format!("expected {expected}, found {found}"), hint: None }
    }

    /// Refuses the value or the name at `span`.
    pub(crate) fn bad_value(span: Range<usize>, error: ValueError) -> Self {
        let (message, hint) = error.into_parts();
        Self { span, message, hint }
    }
}

/// A type that the value of a setting can have.
pub(crate) trait Value: Sized {
    /// Reads the value.
    fn read(node: &Node<'_>) -> Result<Self, Mistake>;

    /// Writes the value so that [`read`](Self::read) returns it again.
    fn to_toml(&self) -> String;
}

/// A [`Value`] that is a string in TOML.
pub(crate) trait Text: FromStr<Err = ValueError> + Display {
    /// Names the type in the error about a value of another type; a noun phrase.
    const EXPECTED: &'static str;

    /// Reads an integer, `None` if the type has no such form.
    fn from_integer(_number: u64) -> Option<Result<Self, ValueError>> {
        None
    }
}

impl<T: Text> Value for T {
    fn read(node: &Node<'_>) -> Result<Self, Mistake> {
        let parsed = match node.get_ref() {
            DeValue::String(text) => Some(text.parse()),
            _ => integer(node).and_then(T::from_integer),
        };
        let parsed = parsed.ok_or_else(|| Mistake::wrong_type(T::EXPECTED, node))?;
        parsed.map_err(|error| Mistake::bad_value(node.span(), error))
    }

    fn to_toml(&self) -> String {
        toml_string(self)
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(node: &Node<'_>) -> Result<Self, Mistake> {
        let list = node.get_ref().as_array().ok_or_else(|| Mistake::wrong_type("a list", node))?;
        list.iter().map(T::read).collect()
    }

    fn to_toml(&self) -> String {
        let items: Vec<_> = self.iter().map(T::to_toml).collect();
        format!("[{}]", items.join(", "))
    }
}

impl Value for u32 {
    fn read(node: &Node<'_>) -> Result<Self, Mistake> {
        let number = integer(node).and_then(|number| Self::try_from(number).ok());
        let expected = || Mistake::wrong_type(&format!("a whole number from 0 to {}", Self::MAX), node);
        number.ok_or_else(expected)
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

/// Returns the value if it is an integer from 0 to `u64::MAX`.
fn integer(node: &Node<'_>) -> Option<u64> {
    let number = node.get_ref().as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Writes a key: bare if possible.
pub(crate) fn toml_key(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { toml_string(&key) }
}

/// Returns the table of a peer in the configuration: `[peers.bob]`, `[peers."李雷"]`.
pub fn peer_table(name: &str) -> String {
    format!("[peers.{}]", toml_key(name))
}

/// Writes a TOML basic string; invisible characters are escaped.
pub(crate) fn toml_string(value: &impl Display) -> String {
    let mut quoted = String::from("\"");
    for character in value.to_string().chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\'' => quoted.push(character),
            // More than one character long: not printable.
            _ if character.escape_debug().len() > 1 => {
                // Writing into a String cannot fail.
                let _ = write!(quoted, "\\U{:08X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
