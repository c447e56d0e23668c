//! `-F`: each message as a line of its own form.

use jiff::tz::TimeZone;
use udpchat_api::line::to_line;
use udpchat_api::{Direction, Entry, Message, safe};
use udpchat_locale::tr;

use crate::command::wanted_number::{Content, WantedNumber, is_place};
use crate::output::shown_number;
use crate::template::{Template, TimeForm, Width};

/// The most digits behind the point.
const MAX_DIGITS: usize = 17;

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Id(Width),
    Time(TimeForm),
    /// `<` of a received message, `>` of a sent one, as in a list.
    Arrow,
    Peer,
    /// The name of the peer, or its address.
    Name,
    /// The text in one line.
    Text,
    Hex,
    Bytes(Width),
    Json,
    /// The first value of this number, with this many digits behind the point.
    Number(WantedNumber, Option<usize>),
}

/// The form of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    template: Template<Field>,
    has_numbers: bool,
}

impl Format {
    /// Parses a template, in which `\t`, `\n` and `\\` are a tab, a line end and a backslash.
    ///
    /// # Errors
    /// It is malformed; the error is a message for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let template = Template::parse(&unescaped(text), field)?;
        if let Some((field, name)) = template.literals().find_map(single_braces) {
            let (open, close) = ("{{", "}}");
            return Err(tr!("`{field}` needs two braces: `{open}{name}{close}`", field, open, name, close));
        }
        if template.fields().next().is_none() {
            return Err(without_fields(text));
        }
        let has_numbers = template.fields().any(|field| matches!(field, Field::Number(..)));
        Ok(Self { template, has_numbers })
    }

    /// Returns the numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = WantedNumber> {
        self.template.fields().filter_map(|field| match field {
            Field::Number(number, _) => Some(number.clone()),
            _ => None,
        })
    }

    /// Returns whether the line of a message shows something of it.
    pub(super) fn shows(&self, content: &Content<'_>) -> bool {
        self.template.fields().any(|field| match field {
            Field::Number(number, _) => number.values(content).next().is_some(),
            _ => true,
        })
    }

    /// Returns the line of a message, with its end. What others have sent is safe to show.
    pub(super) fn line(&self, message: &Message, zone: &TimeZone) -> String {
        let content = if self.has_numbers { Content::of(message) } else { Content::default() };
        let mut line = self.template.fill(|field, line| match field {
            Field::Id(width) => width.write(message.id, line),
            Field::Time(form) => form.write(message.at, zone, line),
            Field::Arrow => line.push(if message.direction == Direction::Out { '>' } else { '<' }),
            Field::Peer => line.push_str(&message.peer.to_string()),
            Field::Name => match &message.name {
                Some(name) => line.push_str(&safe::one_line(name)),
                None => line.push_str(&message.peer.to_string()),
            },
            Field::Text => line.push_str(&safe::one_line(safe::without_trailer(&message.text))),
            Field::Hex => message.raw.0.iter().for_each(|byte| line.push_str(&format!("{byte:02x}"))),
            Field::Bytes(width) => width.write(message.bytes as u64, line),
            Field::Json => {
                let json = to_line(&Entry::Message(message.clone())).unwrap_or_default();
                line.push_str(String::from_utf8_lossy(&json).trim_end_matches('\n'));
            }
            Field::Number(number, digits) => match (number.values(&content).next(), digits) {
                (None, _) => {}
                (Some(value), None) => line.push_str(&shown_number(value)),
                (Some(value), Some(digits)) => line.push_str(&format!("{value:.digits$}")),
            },
        });
        line.push('\n');
        line
    }
}

fn unescaped(text: &str) -> String {
    let (mut out, mut characters) = (String::with_capacity(text.len()), text.chars().peekable());
    while let Some(character) = characters.next() {
        let escaped = match (character, characters.peek()) {
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('\\')) => Some('\\'),
            _ => None,
        };
        if escaped.is_some() {
            characters.next();
        }
        out.push(escaped.unwrap_or(character));
    }
    out
}

/// Finds a field in single braces, which are text; returns it, and what is between the braces.
fn single_braces(text: &str) -> Option<(&str, &str)> {
    let single = text.match_indices('{').filter(|(at, _)| !text[..*at].ends_with('{'));
    single.map(|(at, _)| at).find_map(|at| {
        let field = &text[at..=at + text[at..].find('}')?];
        let inside = &field[1..field.len() - 1];
        let name = inside.split([':', '：']).next().unwrap_or_default().trim();
        FIELDS.split(", ").any(|known| known == name).then_some((field, inside))
    })
}

/// Returns the error for a form that prints the same for each message: `--form` may be a slip for `--from`.
fn without_fields(text: &str) -> String {
    let (open, close) = ("{{", "}}");
    match text.contains(|character: char| character.is_whitespace() || "{}｛｝%\\".contains(character)) {
        true => tr!("the form has no field such as `{open}text{close}`", open, close),
        false => tr!(
            "the form has no field such as `{open}text{close}`; `--from {text}` selects the messages of a peer",
            open,
            close,
            text
        ),
    }
}

fn field(name: &str, form: &str) -> Result<Field, String> {
    let plain = |field| match form {
        "" => Ok(field),
        form => Err(tr!("`{name}` has no form such as `{form}`", name, form)),
    };
    let number = |number: &str, form: &str| {
        let digits = form.strip_prefix('.').and_then(|digits| digits.parse().ok());
        match digits.filter(|digits| *digits <= MAX_DIGITS) {
            None if !form.is_empty() => Err(tr!(
                "invalid form `{form}` of the number `{name}`; write for example .2",
                form,
                name = number
            )),
            digits => Ok(Field::Number(number.parse()?, digits)),
        }
    };
    match name {
        "id" => Width::parse(form).map(Field::Id),
        "time" => TimeForm::parse(form).map(Field::Time),
        "arrow" => plain(Field::Arrow),
        "peer" => plain(Field::Peer),
        "name" => plain(Field::Name),
        "text" => plain(Field::Text),
        "hex" => plain(Field::Hex),
        "bytes" => Width::parse(form).map(Field::Bytes),
        "json" => plain(Field::Json),
        "" => Err(tr!(
            "a field has no name; the fields are {fields}, and the names of numbers",
            fields = FIELDS
        )),
        name if name.contains(['{', '}']) => {
            Err(tr!("`{name}` is no name of a field; write two braces before it and two behind it", name))
        }
        // The first colon is a part of the place.
        name if is_place(name) => {
            let (kind, form) = form.split_once([':', '：']).unwrap_or((form, ""));
            let separator = if kind.is_empty() { "" } else { ":" };
            number(&format!("{name}{separator}{kind}"), form)
        }
        name => number(name, form),
    }
}

/// The fields, for messages to people.
pub(super) const FIELDS: &str = "id, time, arrow, peer, name, text, hex, bytes, json";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        serde_json::from_value(serde_json::json!({
            "id": 7, "at": "2026-11-26T22:03:05.25Z", "direction": "in", "peer": "10.0.0.7:4000", "text": text,
            "encoding": "utf-8", "encoding_by": "detected", "bytes": text.len(), "raw": "AP8=",
        }))
        .unwrap()
    }

    fn line(format: &str, message: &Message) -> String {
        Format::parse(format).unwrap().line(message, &TimeZone::UTC)
    }

    #[test]
    fn each_field_has_its_value() {
        let plain = message("temp=21.456 hum=4e20\r\n");
        for (format, expected) in [
            ("{{time:%H:%M:%S}} {{name}} {{text}}", "22:03:05 10.0.0.7:4000 temp=21.456 hum=4e20"),
            ("{{id:05}} {{arrow}} {{peer}} {{hex}} {{bytes}}", "00007 < 10.0.0.7:4000 00ff 22"),
            (r"{{temp}}\t{{temp:.1}}\\{{no}};", "21.456\t21.5\\;"),
            ("{{hum}}", "4e20"),
            ("{{{{text}} {{id}}", "{{text}} 7"),
            ("{{@0:u16}} {{@-1:i8}} {{@1:u8/2}} {{@1:u8/2:.0}} {{@2:u8}};", "255 -1 127.5 128 ;"),
            ("{{＠0：ｕ16：.2}} {{ t=@1:u8 }}", "255.00 255"),
        ] {
            assert_eq!(line(format, &plain), format!("{expected}\n"), "{format}");
        }
        let named = Message { name: Some("bob".to_owned()), ..plain.clone() };
        assert_eq!(line("{{name}}", &named), "bob\n");
        let sent = Message { direction: Direction::Out, ..plain.clone() };
        assert_eq!(line("{{arrow}} {{id}}", &sent), "> 7\n");
        let json: serde_json::Value = serde_json::from_str(&line("{{json}}", &plain)).unwrap();
        assert_eq!((&json["type"], &json["id"]), (&"message".into(), &7.into()));
        assert_eq!(line("{{time：%H}} {t}", &plain), "22 {t}\n");
        for wrong in [
            "",
            "张三",
            "plain",
            "{time} {text}",
            "{{id}} {text}",
            "{time:%H}",
            "{{{text}}}",
            "｛｛text｝｝",
            "{{{{text}}",
        ] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
        let error = |form| Format::parse(form).unwrap_err();
        assert!(error("张三").ends_with("`--from 张三` selects the messages of a peer"));
        assert_eq!(error("{time:%H} {text}"), "`{time:%H}` needs two braces: `{{time:%H}}`");
        assert!(error("{{@6:u16:2}}").starts_with("invalid form `2` of the number `@6:u16`"));
        assert!(error("{{@6}}").starts_with("`@6` has no type"));
        for wrong in [
            "{{}}",
            "{{text:4}}",
            "{{temp:4}}",
            "{{temp:.18}}",
            "{{time:%!}}",
            "{{id",
            "{{@x}}",
            "{{@6:u16:.18}}",
        ] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn hostile_text_stays_in_its_line(text in r"(\PC|[\x00-\x9f]|\u{202e}|\u{2028}|\u{85}|x=1){0,40}") {
            let hostile = Message { name: Some(text.clone()), ..message(&text) };
            let line = line("{{text}} {{name}} {{json}} {{x}}", &hostile);
            proptest::prop_assert_eq!(line.lines().count(), 1);
            proptest::prop_assert_eq!(safe::find_unsafe(line.trim_end_matches('\n')), None);
        }
    }
}
