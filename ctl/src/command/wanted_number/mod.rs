//! Which number of a message a user asks for: one that the text names, or one at a place of the payload.
//!
//! Every command that takes the name of a number takes a [`WantedNumber`]. What a text holds as numbers is in `udpchat-api`.

mod list;
mod place;

use std::str::FromStr;

use udpchat_api::Message;
use udpchat_api::numbers::{BYTES, numbers};
use udpchat_config::narrowed;
use udpchat_locale::tr;

pub(super) use self::list::{distinct, names};
use self::place::{Place, SIGNS};

/// A number that a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WantedNumber {
    /// The numbers of this name.
    Named(String),
    /// The number at a place of the payload, such as `temp=@6:i16/10`.
    At {
        place: Place,
        /// As it was written, in ASCII and without blanks.
        text: String,
        /// The name in front of it.
        name: Option<String>,
    },
}

/// What the numbers of a message are read from.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    /// The numbers in the text.
    pub(super) numbers: Vec<(String, f64)>,
    pub(super) payload: &'a [u8],
    /// Whether the text is hex digits, so that it has no numbers.
    pub(super) is_hex: bool,
}

impl<'a> Content<'a> {
    /// Reads a message.
    pub(super) fn of(message: &'a Message) -> Self {
        Self::new(&message.encoding, &message.text, &message.raw.0)
    }

    /// Reads a text in an encoding, and its bytes.
    pub(super) fn new(encoding: &str, text: &str, payload: &'a [u8]) -> Self {
        Self { numbers: numbers(encoding, text), payload, is_hex: encoding == BYTES }
    }
}

impl WantedNumber {
    /// Returns the values of this number in a message.
    pub(super) fn values<'a>(&'a self, content: &'a Content<'_>) -> impl Iterator<Item = f64> {
        let at_place = match self {
            Self::At { place, .. } => place.value(content.payload),
            Self::Named(_) => None,
        };
        let named = content.numbers.iter().filter(|(name, _)| self.is_named(name));
        named.map(|(_, value)| *value).chain(at_place)
    }

    /// Returns whether it is the number of this name in a text.
    pub(super) fn is_named(&self, name: &str) -> bool {
        matches!(self, Self::Named(wanted) if wanted == name)
    }

    /// Returns whether it is read from the payload.
    pub(super) fn is_at_place(&self) -> bool {
        matches!(self, Self::At { .. })
    }

    /// Returns what stands for it in headings and legends: its name, or the place without one.
    pub(super) fn heading(&self) -> &str {
        match self {
            Self::Named(name) | Self::At { name: Some(name), .. } => name,
            Self::At { text, name: None, .. } => text,
        }
    }
}

/// Returns the wanted numbers of a message, each with the index of what asks for it: those at places, then those of the text in
/// its order.
pub(super) fn select<'a>(
    wanted: &'a [WantedNumber],
    content: &'a Content<'_>,
) -> impl Iterator<Item = (usize, f64)> {
    let at_places = wanted.iter().enumerate().filter(|(_, wanted)| wanted.is_at_place());
    let at_places =
        at_places.flat_map(|(index, wanted)| wanted.values(content).map(move |value| (index, value)));
    let named = content.numbers.iter().filter_map(|(name, value)| {
        wanted.iter().position(|wanted| wanted.is_named(name)).map(|index| (index, *value))
    });
    at_places.chain(named)
}

/// Returns whether a text is a place, which may be invalid or cut off, and not the name of a number.
pub(super) fn is_place(text: &str) -> bool {
    split(text).is_some()
}

/// Returns the name in front of a place, and the place; none if a text is the name of a number.
fn split(text: &str) -> Option<(Option<&str>, &str)> {
    let has_sign = |text: &str| text.trim_start().starts_with(SIGNS);
    if has_sign(text) {
        return Some((None, text));
    }
    let (name, place) = text.split_once(['=', '＝'])?;
    has_sign(place).then(|| (Some(name.trim()).filter(|name| !name.is_empty()), place))
}

/// Returns the name of a number; refuses what no text has as one, and is meant as a place.
fn named(text: &str) -> Result<String, String> {
    let narrow = narrowed(text);
    let (name, behind) = narrow.split_once('=').map_or((None, &*narrow), |(name, rest)| (Some(name), rest));
    let place = format!("@{}", behind.trim());
    // The number of bytes alone is the name of a column.
    if place.parse::<Place>().is_ok() {
        let meant = name.map_or_else(|| place.clone(), |name| format!("{}={place}", name.trim()));
        return Err(tr!("`{text}` is no place; did you mean `{meant}`?", text, meant));
    }
    if let Some((name, place)) = narrow.split_once(":@") {
        return Err(tr!(
            "`{text}` is no place; did you mean `{meant}`?",
            text,
            meant = format!("{name}=@{place}")
        ));
    }
    match name {
        Some(_) => Err(tr!("`{text}`: behind `=` stands a place, such as temp=@6:i16", text)),
        None => Ok(text.to_owned()),
    }
}

impl FromStr for WantedNumber {
    type Err = String;

    /// Parses a name, or a place with or without a name in front.
    ///
    /// # Errors
    /// It begins like a place and is none, or looks like a place that lacks a sign; the error is a message for people.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, place)) = split(text) else { return named(text.trim()).map(Self::Named) };
        let text = narrowed(place).split_whitespace().collect();
        Ok(Self::At { place: place.parse()?, text, name: name.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> WantedNumber {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_is_a_name_or_a_place() {
        for (text, heading, is_at_place) in [
            ("temp", "temp", false),
            (" 温度 ", "温度", false),
            ("a@b", "a@b", false),
            ("@6:i16/10", "@6:i16/10", true),
            ("＠６：ｉ１６／１０", "@6:i16/10", true),
            ("temp=@6:i16", "temp", true),
            ("温度＝＠6：i16", "温度", true),
            ("t = @6:i16", "t", true),
            ("@6 : i16 / 10\n", "@6:i16/10", true),
            ("=@6:i16", "@6:i16", true),
        ] {
            let wanted = wanted(text);
            assert_eq!((wanted.heading(), wanted.is_at_place()), (heading, is_at_place), "{text}");
        }
        for wrong in ["@", "@x", "temp=@6", "＝＠6：int"] {
            assert!(wrong.parse::<WantedNumber>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_meant_as_a_place_is_no_name() {
        for (text, expected) in [
            ("5:i16/10", "did you mean `@5:i16/10`?"),
            ("t=5:i16", "did you mean `t=@5:i16`?"),
            ("t:@5:i16/10", "did you mean `t=@5:i16/10`?"),
            ("n=n", "behind `=` stands a place"),
        ] {
            let error = text.parse::<WantedNumber>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for name in ["1", "a:b", "5:x", "GPGGA.2", "acc[0].x", "a b"] {
            assert!(!wanted(name).is_at_place(), "{name}");
        }
    }

    #[test]
    fn names_are_read_from_the_text_and_places_from_the_payload() {
        let content = Content::new("utf-8", "t=1 hum=2 t=3", &[7, 8]);
        let fields = ["t", "hum=@1:u8", "hum", "no", "@2:u8"].map(wanted);
        let found: Vec<_> = select(&fields, &content).collect();
        assert_eq!(found, [(1, 8.0), (0, 1.0), (2, 2.0), (0, 3.0)]);
        let values = |text: &str| wanted(text).values(&content).collect::<Vec<_>>();
        assert_eq!((values("t"), values("t=@0:u8"), values("@0:u32")), (vec![1.0, 3.0], vec![7.0], vec![]));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in r"([@＠=＝:：u80-9 ]|\PC){0,20}") {
            if let Ok(wanted) = text.parse::<WantedNumber>() {
                proptest::prop_assert_eq!(wanted.is_at_place(), split(&text).is_some());
            }
        }
    }
}
