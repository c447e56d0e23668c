//! Conditions on the numbers in a message, such as `temp > 30`.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use clap::Args;
use udpchat_api::Entry;
use udpchat_config::narrowed;
use udpchat_locale::tr;

use super::unknown_numbers::UnknownNumbers;
use super::wanted_number::{Content, WantedNumber, is_place};

/// The flag that selects messages by their numbers, the same for every command that has it.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct WhereArgs {
    /// Only messages with such a number, for example 'temp > 30', or '@6:i16/10 > 20' in their bytes; may be repeated, and then
    /// all must hold
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,
}

impl WhereArgs {
    /// Returns whether a condition is given.
    pub(super) fn are_given(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Returns whether an entry fulfils all conditions. Gaps and notices have no numbers, and fulfil none.
    pub(super) fn select(&self, entry: &Entry) -> bool {
        match entry {
            _ if self.conditions.is_empty() => true,
            Entry::Message(message) => {
                let content = Content::of(message);
                self.conditions.iter().all(|condition| condition.holds(&content))
            }
            Entry::Gap(_) | Entry::Notice(_) => false,
        }
    }

    /// Returns the numbers that are compared.
    fn numbers(&self) -> impl Iterator<Item = WantedNumber> {
        self.conditions.iter().map(|condition| condition.number.clone())
    }
}

/// Selects entries by conditions, and remembers numbers that no message has, which may be misspelt.
#[derive(Debug)]
pub(super) struct Selection {
    conditions: WhereArgs,
    unknown: UnknownNumbers,
}

impl Selection {
    /// Selects what fulfils the conditions.
    pub(super) fn new(conditions: &WhereArgs) -> Self {
        Self { conditions: conditions.clone(), unknown: UnknownNumbers::new(conditions.numbers()) }
    }

    /// Returns whether a condition is given.
    pub(super) fn is_selective(&self) -> bool {
        self.conditions.are_given()
    }

    /// Returns whether an entry fulfils all conditions.
    pub(super) fn select(&mut self, entry: &Entry) -> bool {
        if let (false, Entry::Message(message)) = (self.unknown.is_empty(), entry) {
            self.unknown.see(&Content::of(message));
        }
        self.conditions.select(entry)
    }

    /// Returns whether an entry in JSON fulfils all conditions. What is no entry is left to those who read it.
    pub(super) fn select_json(&mut self, entry: &str) -> bool {
        !self.is_selective() || serde_json::from_str(entry).map_or(true, |entry: Entry| self.select(&entry))
    }

    /// Returns a note on a number of a condition, if messages had numbers and none this one.
    pub(super) fn note(&self) -> Option<String> {
        self.unknown.note()
    }
}

/// The operators; those that begin with another one come first.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("!=", Operator::Other),
    ("==", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Other,
}

/// A condition on a number. One of several with its name is enough; a message without one does not fulfil it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    number: WantedNumber,
    operator: Operator,
    value: f64,
    /// As it was written.
    text: String,
}

impl Condition {
    /// Returns whether a message fulfils it.
    fn holds(&self, content: &Content<'_>) -> bool {
        self.number.values(content).any(|found| match self.operator {
            Operator::Less => found < self.value,
            Operator::AtMost => found <= self.value,
            Operator::Greater => found > self.value,
            Operator::AtLeast => found >= self.value,
            Operator::Equal => found == self.value,
            Operator::Other => found != self.value,
        })
    }
}

impl Display for WhereArgs {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let conditions: Vec<&str> = self.conditions.iter().map(|condition| &*condition.text).collect();
        formatter.write_str(&conditions.join(", "))
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(|sign: char| "<>=!＜＞＝！≤≥≠".contains(sign)).unwrap_or(text.len());
        // The name stays as it is; a message may have it in full width.
        let (name, rest) = text.split_at(at);
        let rest = narrowed(rest).replace('≤', "<=").replace('≥', ">=").replace('≠', "!=");
        let found = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
        let value = found.and_then(|(_, value)| number(value.trim())).filter(|value| f64::is_finite(*value));
        match (name.trim(), found, value) {
            (name, Some((operator, _)), Some(value)) if !name.is_empty() => {
                Ok(Self { number: name.parse()?, operator, value, text: text.trim().to_owned() })
            }
            (name, Some((_, condition)), _)
                if is_place(condition) && has_operator(condition) && !is_place(name) =>
            {
                Err(tr!(
                    "a condition has no name in front of a place; write '{condition}'",
                    condition = condition.trim()
                ))
            }
            _ if has_another(&rest) => Err(tr!(
                "expected one condition such as 'temp > 30'; --where may be repeated, and then all must hold"
            )
            .to_owned()),
            (name, Some((_, value)), None)
                if !name.is_empty()
                    && !value.trim().is_empty()
                    && !is_place(value)
                    && !has_another(&rest) =>
            {
                Err(tr!("`{value}` is not a number such as 30, -1.5 or 0xaa55", value = value.trim()))
            }
            _ => Err(tr!("expected a condition such as 'temp > 30', with one of < <= > >= = !=").to_owned()),
        }
    }
}

/// Reads a number of a condition: decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => {
            u64::from_str_radix(digits, 16).ok().map(|value| value as f64)
        }
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// Returns whether another condition seems to follow the first one.
fn has_another(text: &str) -> bool {
    let follows = |and| text.split_once(and).is_some_and(|(_, next)| has_operator(next));
    [",", "and", "&&"].into_iter().any(follows)
}

fn has_operator(text: &str) -> bool {
    text.contains(['<', '>', '=', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_a_number_of_the_message() {
        let content = Content::new("utf-8", "temp=31.5 acc.x=-2 t=20 t=35 t=25", &[0, 215, 3]);
        for (condition, expected) in [
            ("temp > 30", true),
            ("temp>31.5", false),
            ("temp >= 31.5", true),
            ("temp<=31.5", true),
            ("temp < 3e1", false),
            ("temp = 31.50", true),
            ("temp == 31.5", true),
            ("temp != 31.5", false),
            ("acc.x < -1", true),
            ("temp ＞ ３０．５", true),
            ("temp＜＝31.5", true),
            ("temp≥32", false),
            ("temp≠1", true),
            // One of several is enough.
            ("t > 30", true),
            ("t = 25", true),
            ("t < 20", false),
            // A missing number fulfils nothing.
            ("hum > 0", false),
            ("hum != 0", false),
            ("@0:i16 = 0xD7", true),
            ("@0:i16 > 0Xff", false),
            ("@0:i16/10 > 20", true),
            ("@0:i16/10 = 21.5", true),
            ("＠0：ｉ16／10＞２０", true),
            ("@-1:u8 != 3", false),
            ("@2:u16 != 3", false),
        ] {
            assert_eq!(condition.parse::<Condition>().unwrap().holds(&content), expected, "{condition}");
        }
        for text in
            ["", "temp", "temp >", "> 30", "temp > x", "temp >> 3", "temp ! 3", "temp > nan", "temp > inf"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
        for (text, is_several) in [
            ("temp > 30 and hum < 50", true),
            ("temp >= 30，hum=50", true),
            ("temp>30&&hum≥50", true),
            ("temp <= 30,5", false),
            ("temp != 30 and more", false),
        ] {
            let why = text.parse::<Condition>().unwrap_err();
            assert_eq!(why.starts_with("expected one condition"), is_several, "{text}: {why}");
        }
        for (text, expected) in [
            ("temp=@6:i16/10 > 20", "a condition has no name in front of a place; write '@6:i16/10 > 20'"),
            (
                "temp＝＠6：i16/10 ＞ 20",
                "a condition has no name in front of a place; write '@6:i16/10 > 20'",
            ),
            ("temp = @6:i16", "expected a condition such as"),
            ("@6:i16 = @8:i16 > 3", "expected a condition such as"),
            ("@6:int > 20", "`int` is no type of a number"),
        ] {
            let why = text.parse::<Condition>().unwrap_err();
            assert!(why.starts_with(expected), "{text}: {why}");
        }
    }
}
