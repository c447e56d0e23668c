//! Writes messages as a table (RFC 4180), or the numbers in them.
//!
//! Spreadsheets execute a cell that begins with `=` or a similar character. In what others have sent, such a character gets an
//! apostrophe in front of it wherever a spreadsheet may begin a cell, also one that separates cells by semicolons or tabs.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use udpchat_api::{Raw, safe};
use udpchat_locale::tr;

use crate::command::unknown_numbers::UnknownNumbers;
use crate::command::wanted_number::{Content, WantedNumber, select};
use crate::output::{counted, local_milliseconds, shown_number};

/// The columns without `--fields`.
const COLUMNS: [&str; 9] = ["id", "at", "direction", "peer", "name", "bytes", "text", "delivery", "error"];

/// The columns in front of those of `--fields`.
const NUMBER_COLUMNS: [&str; 3] = ["at", "peer", "name"];

/// The parts of an entry in JSON that the table has.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: u64,
    at: &'a str,
    #[serde(default)]
    direction: &'a str,
    #[serde(default)]
    peer: &'a str,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    encoding: &'a str,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    /// The payload in base64.
    #[serde(default)]
    raw: &'a str,
    #[serde(default)]
    delivery: &'a str,
    /// Why the kernel refused to send the message.
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow)]
    bounce: Option<Bounce<'a>>,
}

/// The report that a message was not delivered.
#[derive(Deserialize)]
struct Bounce<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

impl Row<'_> {
    /// Returns what is known of the delivery of a sent message, and why it was not delivered.
    fn delivery(&self) -> (&str, &str) {
        match (&self.error, &self.bounce) {
            (Some(error), _) => ("not_sent", error),
            (None, Some(bounce)) => (self.delivery, &bounce.reason),
            (None, None) => (self.delivery, ""),
        }
    }
}

/// A table, and the counts of what is in it.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The numbers; without any, the table has the texts.
    fields: Vec<WantedNumber>,
    /// Which of them no message has had.
    unknown: UnknownNumbers,
    /// Whether texts are left as they are.
    raw: bool,
    /// The zone of the times, in a form that spreadsheets read; without one, they are those of JSON.
    zone: Option<TimeZone>,
    rows: u64,
    gaps: u64,
    without: u64,
}

impl Table {
    /// Creates a table.
    pub(super) fn new(fields: Vec<WantedNumber>, raw: bool, zone: Option<TimeZone>) -> Self {
        let unknown = UnknownNumbers::new(fields.iter().cloned());
        Self { fields, unknown, raw, zone, ..Self::default() }
    }

    fn time<'a>(&self, at: &'a str) -> Cow<'a, str> {
        let Some(zone) = &self.zone else { return Cow::Borrowed(at) };
        at.parse().map_or(Cow::Borrowed(at), |at| Cow::Owned(local_milliseconds(at, zone)))
    }

    /// Returns the line with the names of the columns.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut line = Vec::new();
        let columns = if self.fields.is_empty() { &COLUMNS[..] } else { &NUMBER_COLUMNS };
        columns.iter().for_each(|column| self.cell(column, &mut line));
        for field in &self.fields {
            match field {
                // It is parsed, and executes nothing.
                WantedNumber::At { text, name: None, .. } => {
                    line.extend_from_slice(format!("{text},").as_bytes());
                }
                named => self.cell(named.heading(), &mut line),
            }
        }
        end(&mut line);
        line
    }

    /// Adds the rows of an entry.
    ///
    /// # Errors
    /// The entry is not JSON.
    pub(super) fn add(&mut self, entry: &str, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let row: Row<'_> = serde_json::from_str(entry)?;
        match row.kind {
            "notice" => {}
            "message" if self.fields.is_empty() => self.add_text(&row, out),
            "message" => self.add_numbers(&row, out)?,
            _ => self.gaps += 1,
        }
        Ok(())
    }

    fn add_text(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        number(row.id, out);
        for plain in [&*self.time(row.at), row.direction, row.peer] {
            out.extend_from_slice(plain.as_bytes());
            out.push(b',');
        }
        self.cell(&row.name, out);
        number(row.bytes, out);
        self.cell(if self.raw { &row.text } else { safe::without_trailer(&row.text) }, out);
        let (delivery, error) = row.delivery();
        self.cell(delivery, out);
        self.cell(error, out);
        end(out);
        self.rows += 1;
    }

    /// Adds a row for each record: where a number occurs again, another one begins.
    fn add_numbers(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut values = vec![None; self.fields.len()];
        let before = self.rows;
        let is_payload_read = self.fields.iter().any(WantedNumber::is_at_place);
        let payload =
            if is_payload_read { Raw::deserialize(row.raw.into_deserializer())? } else { Raw::default() };
        let content = Content::new(row.encoding, &row.text, &payload.0);
        if !self.unknown.is_empty() {
            self.unknown.see(&content);
        }
        let found: Vec<_> = select(&self.fields, &content).collect();
        for (field, value) in found {
            if values[field].is_some() {
                self.add_record(row, &mut values, out);
            }
            values[field] = Some(value);
        }
        if values.iter().any(Option::is_some) {
            self.add_record(row, &mut values, out);
        }
        self.without += u64::from(self.rows == before);
        Ok(())
    }

    fn add_record(&mut self, row: &Row<'_>, values: &mut [Option<f64>], out: &mut Vec<u8>) {
        for plain in [&*self.time(row.at), row.peer] {
            out.extend_from_slice(plain.as_bytes());
            out.push(b',');
        }
        self.cell(&row.name, out);
        for value in values {
            out.extend(value.take().map(shown_number).unwrap_or_default().into_bytes());
            out.push(b',');
        }
        end(out);
        self.rows += 1;
    }

    /// Adds a cell with a comma behind it.
    fn cell(&self, text: &str, out: &mut Vec<u8>) {
        if is_written_as_it_is(text) {
            out.extend_from_slice(text.as_bytes());
            out.push(b',');
            return;
        }
        let text = if self.raw { Cow::Borrowed(text) } else { harmless(safe::lines(text)) };
        let is_quoted = text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'))
            || text.starts_with(' ')
            || text.ends_with(' ');
        if is_quoted {
            out.push(b'"');
            out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        out.push(b',');
    }

    /// Returns a note on a field that no message has had.
    pub(super) fn note_on_fields(&self) -> Option<String> {
        self.unknown.note()
    }

    /// Returns whether something has no row.
    pub(super) fn has_left_out(&self) -> bool {
        self.gaps + self.without > 0
    }

    /// Returns the number of lines, without the header.
    pub(super) fn written(&self) -> String {
        counted(self.rows, "line")
    }

    /// Describes what is in the table, and what is not.
    pub(super) fn summary(&self) -> String {
        let rows = self.written();
        match (self.gaps, self.without) {
            (0, 0) => rows,
            (gaps, 0) => tr!("{lines}; no line for {gaps}", lines = rows, gaps = counted(gaps, "gap")),
            (0, without) => {
                let messages = counted(without, "message");
                tr!("{lines}; no line for {messages} without these fields", lines = rows, messages)
            }
            (gaps, without) => tr!(
                "{lines}; no line for {gaps}, nor for {messages} without these fields",
                lines = rows,
                gaps = counted(gaps, "gap"),
                messages = counted(without, "message")
            ),
        }
    }
}

/// Returns whether a cell is certain to need neither quotation marks nor changes. Most cells are.
fn is_written_as_it_is(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    let is_changed = |byte| matches!(byte, Some(b' ' | b'=' | b'+' | b'-' | b'@'));
    let is_special = |byte| matches!(byte, b',' | b'"' | b';' | b'\\');
    let has_special = text.bytes().fold(false, |any, byte| any | is_special(byte));
    safe::is_plain(text) && !has_special && !ends.into_iter().any(is_changed)
}

/// Puts an apostrophe in front of each character that makes a cell a formula, where a cell may begin: at the beginning, and
/// behind line ends, semicolons and tabs, since many locales separate cells by semicolons and do not find the quotation marks
/// in the middle of such a cell.
fn harmless(text: Cow<'_, str>) -> Cow<'_, str> {
    let (mut begins, mut is_first) = (true, true);
    let mut executed = Vec::new();
    for (at, character) in text.char_indices() {
        let is_formula = matches!(character, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
        if begins && (is_formula || (is_first && matches!(character, '\t' | '\r'))) {
            executed.push(at);
        }
        is_first &= character == '\n';
        begins = matches!(character, '\n' | ';' | '\t') || (begins && character == '"');
    }
    if executed.is_empty() {
        return text;
    }
    let mut harmless = String::with_capacity(text.len() + executed.len());
    let mut end = 0;
    for at in executed {
        harmless.push_str(&text[end..at]);
        harmless.push('\'');
        end = at;
    }
    harmless.push_str(&text[end..]);
    Cow::Owned(harmless)
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b',');
}

/// Ends a line: the last comma becomes the line end.
fn end(out: &mut Vec<u8>) {
    out.pop();
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, name: Option<&str>) -> String {
        let mut entry = serde_json::json!({
            "type": "message", "id": 7, "at": "2026-11-26T22:03:05.250000Z", "direction": "in", "peer": "10.0.0.7:4000",
            "text": text, "encoding": "utf-8", "bytes": text.len(), "raw": "AP8=",
        });
        if let Some(name) = name {
            entry["name"] = name.into();
        }
        entry.to_string()
    }

    fn rows(table: &mut Table, text: &str) -> String {
        let mut out = Vec::new();
        table.add(&entry(text, Some("bob")), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn wanted(fields: &[&str]) -> Vec<WantedNumber> {
        fields.iter().map(|field| field.parse().unwrap()).collect()
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        let mut table = Table::default();
        assert_eq!(table.header(), b"id,at,direction,peer,name,bytes,text,delivery,error\r\n");
        let head = "7,2026-11-26T22:03:05.250000Z,in,10.0.0.7:4000,bob";
        for (text, cell) in [
            ("plain 你好", "plain 你好"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\nlines\""),
            (" padded", "\" padded\""),
            // What spreadsheets would execute.
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-2.5", "'-2.5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("\n=1", "\"\n'=1\""),
            ("\n\n\t1", "\"\n\n'\t1\""),
            ("＝1+1", "'＝1+1"),
            ("＠SUM(A1)", "'＠SUM(A1)"),
            ("a;=1;b", "a;'=1;b"),
            ("a\t-1\t\tb", "a\t'-1\t\tb"),
            ("a;\"=1\"", "\"a;\"\"'=1\"\"\""),
            ("a\n+1", "\"a\n'+1\""),
            ("a=1-2; b=-1", "a=1-2; b=-1"),
            ("=A1,\"x\"", "\"'=A1,\"\"x\"\"\""),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\r=1", "\\u{d}=1"),
        ] {
            assert_eq!(rows(&mut table, text), format!("{head},{},{cell},,\r\n", text.len()), "{text:?}");
        }
        let mut raw = Table::new(Vec::new(), true, None);
        assert_eq!(rows(&mut raw, "=1\r\n"), format!("{head},4,\"=1\r\n\",,\r\n"));
        let mut out = Vec::new();
        table.add(&entry("x", Some("=cmd")), &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(",'=cmd,"));
    }

    #[test]
    fn a_sent_message_has_its_delivery_and_times_can_be_local() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let mut table = Table::new(Vec::new(), false, Some(zone));
        for (fields, cells) in [
            (r#""delivery":"sent""#, "sent,"),
            (r#""error":"=unreachable""#, "not_sent,'=unreachable"),
            (r#""delivery":"bounced","bounce":{"reason":"port_unreachable"}"#, "bounced,port_unreachable"),
        ] {
            let entry = format!(
                r#"{{"type":"message","id":7,"at":"2026-11-26T22:03:05.250000Z","direction":"out","text":"x",{fields}}}"#
            );
            let mut out = Vec::new();
            table.add(&entry, &mut out).unwrap();
            let expected = format!("7,2026-11-27 06:03:05.250,out,,,0,x,{cells}\r\n");
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn numbers_have_a_row_for_each_record() {
        let mut table = Table::new(wanted(&["temp", "hum"]), false, None);
        assert_eq!(table.header(), b"at,peer,name,temp,hum\r\n");
        let head = "2026-11-26T22:03:05.250000Z,10.0.0.7:4000,bob";
        for (text, expected) in [
            ("hum=40 temp=-21.5", &["-21.5,40"][..]),
            ("temp=1", &["1,"]),
            ("temp=1 hum=2\ntemp=3\nhum=4 hum=5", &["1,2", "3,4", ",5"]),
            ("nothing", &[]),
        ] {
            let expected: String = expected.iter().map(|cells| format!("{head},{cells}\r\n")).collect();
            assert_eq!(rows(&mut table, text), expected, "{text}");
        }
        assert_eq!(table.summary(), "5 lines; no line for 1 message without these fields");
        let bytes = r#"{"type":"message","id":9,"at":"2026-11-26T22:03:05.250000Z","encoding":"hex","text":"temp=1"}"#;
        let mut of_bytes = Table::new(wanted(&["temp"]), false, None);
        of_bytes.add(bytes, &mut Vec::new()).unwrap();
        assert_eq!(of_bytes.summary(), "0 lines; no line for 1 message without these fields");
        let gap =
            r#"{"type":"gap","id":8,"at":"2026-11-26T22:03:05.250000Z","lost":3,"reason":"queue_full"}"#;
        table.add(gap, &mut Vec::new()).unwrap();
        assert_eq!(table.summary(), "5 lines; no line for 1 gap, nor for 1 message without these fields");
    }

    #[test]
    fn a_place_is_in_the_first_record_of_its_message() {
        let mut table = Table::new(wanted(&["-x=@0:i16", "@ 1 : u8 / 10", "temp", "@2:u8"]), false, None);
        assert_eq!(table.header(), b"at,peer,name,'-x,@1:u8/10,temp,@2:u8\r\n");
        let head = "2026-11-26T22:03:05.250000Z,10.0.0.7:4000,bob";
        assert_eq!(rows(&mut table, "temp=1\ntemp=2"), format!("{head},255,25.5,1,\r\n{head},,,2,\r\n"));
        assert_eq!(rows(&mut table, ""), format!("{head},255,25.5,,\r\n"));
        let note = "no message has a number at `@2:u8`; the longest has 2 bytes";
        assert_eq!(table.note_on_fields().as_deref(), Some(note));
        // Bytes are read only where a place asks for them.
        let broken =
            r#"{"type":"message","id":9,"at":"2026-11-26T22:03:05.250000Z","text":"temp=1","raw":"?"}"#;
        assert!(table.add(broken, &mut Vec::new()).is_err());
        assert!(Table::new(wanted(&["temp"]), false, None).add(broken, &mut Vec::new()).is_ok());
    }

    /// Reads a line as spreadsheets do.
    fn cells(line: &str) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut characters = line.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' if quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                character => cell.push(character),
            }
        }
        assert!(!quoted, "{line}");
        cells.push(cell);
        cells
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_one_harmless_cell(text in r#"(\PC|[\x00-\x1f]|[=+@",' -]|[＝;\t]|\r\n){0,40}"#) {
            let row = cells(&rows(&mut Table::default(), &text));
            proptest::prop_assert_eq!(row.len(), COLUMNS.len());
            let executed = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
            proptest::prop_assert!(!row[6].trim_start_matches('\n').starts_with(['\t', '\r']), "{:?}", row[6]);
            // Where cells are separated otherwise, quotation marks may end anywhere.
            let line = rows(&mut Table::default(), &text);
            for cell in line.split([';', '\t', '\n']).chain([&*row[6]]) {
                proptest::prop_assert!(!cell.trim_start_matches('"').starts_with(executed), "{:?}", cell);
            }
            let raw = cells(&rows(&mut Table::new(Vec::new(), true, None), &text));
            proptest::prop_assert_eq!(&raw[6], &text);
        }
    }
}
