//! What is made of the text of a message before it is sent: fields are filled, and a checksum and a line end are added.

use std::collections::BTreeMap;

use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::Timestamp;
use udpchat_api::Client;
use udpchat_api::call::TargetsParams;
use udpchat_config::Encoding;
use udpchat_locale::tr;
use udpchat_text::{NotEncodable, Piece, UnknownEscape, parse_escapes};

use super::append::Append;
use super::fill::Fill;
use super::line_end::{LineEnd, without_line_end};
use super::notes::{note_escapes, note_unfilled};
use super::{MessageArgs, Payload};
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, grouped};

/// How the message is finished.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FormArgs {
    /// Fill in {{n:04}} (the number of the message, with zeros), {{n:02x}} (in hexadecimal digits, exactly two), {{time}},
    /// {{time:%H:%M:%S}}, {{unix}}, {{unix_ms}} and {{random}}; {{{{ is {{
    #[arg(long)]
    pub(crate) fill: bool,
    /// Add a checksum: sum8, xor8, lrc, crc8, crc16-modbus, crc16-ccitt, crc16-xmodem, crc32 or nmea; `:be` or `:le` sets the
    /// order of its bytes
    #[arg(long, value_name = "SUM", conflicts_with = "split", add = ArgValueCandidates::new(Append::candidates))]
    pub(crate) append: Option<Append>,
    /// End the message with this line end, in place of that of a text: crlf, lf, cr or none; behind a checksum
    #[arg(long, value_name = "END", add = ArgValueCandidates::new(LineEnd::candidates))]
    pub(crate) eol: Option<LineEnd>,
}

/// A message that may have fields.
#[derive(Clone, Debug)]
pub(in crate::command) enum Draft {
    /// The same each time.
    Payload(Payload),
    /// Text with fields.
    Fill(Fill),
}

impl FormArgs {
    /// Returns whether the message is sent as it is.
    pub(in crate::command) fn is_unused(&self) -> bool {
        !self.fill && self.append.is_none() && self.eol.is_none()
    }

    /// Refuses `--fill` for a file, whose bytes are sent unchanged.
    pub(in crate::command) fn check(&self, message: &MessageArgs, is_lines: bool) -> Result<()> {
        if self.fill && message.file.is_some() && !is_lines {
            let text = tr!("--file sends bytes unchanged and cannot be combined with --fill");
            return Err(
                CtlError::usage(text).hint(tr!("use standard input: `udpchatctl send TO --fill < PATH`"))
            );
        }
        Ok(())
    }

    /// Prints notes on what is sent as it is written, and may be meant otherwise: fields and escapes.
    pub(in crate::command) fn note_literal(&self, output: &mut Output, message: &MessageArgs) {
        note_unfilled(output, self.fill, message);
        note_escapes(output, message);
    }

    /// Returns a note on a text that looks like bytes, with a checksum that follows bytes: peers with other encodings than `hex` get
    /// the text. The fields of the text are filled; of the peers, it takes the names and the encodings.
    pub(in crate::command) fn digits_note<'a>(
        &self,
        text: &str,
        message: &MessageArgs,
        peers: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Option<String> {
        if !self.append.is_some_and(Append::is_binary) || !are_byte_pairs(text) {
            return None;
        }
        let (of_bytes, of_text): (Vec<_>, Vec<_>) =
            peers.partition(|(_, encoding)| is_hex(message, *encoding));
        let names: Vec<_> = of_text.into_iter().map(|(name, _)| name).collect();
        match (&names[..], of_bytes.is_empty()) {
            ([], _) => None,
            (_, true) => {
                Some(tr!("the text itself is sent, with its checksum; --hex sends the bytes").to_owned())
            }
            (names, false) => Some(tr!(
                "the text itself is sent, with its checksum, to {peers}; --hex sends the bytes",
                peers = shortened(names)
            )),
        }
    }

    /// Returns the arguments with which the message is read: hex digits are parsed once the fields are filled, and nothing is
    /// a message if a line end is added.
    pub(in crate::command) fn for_reading(&self, message: &MessageArgs) -> MessageArgs {
        MessageArgs {
            hex: message.hex && !self.fill,
            allow_empty: message.allow_empty || self.fills_empty(),
            ..message.clone()
        }
    }

    /// Returns whether an empty message gets a line end.
    pub(in crate::command) fn fills_empty(&self) -> bool {
        self.eol.is_some_and(|end| end != LineEnd::None)
    }

    /// Returns whether the encoding of the peer decides on the bytes that are added to a text.
    pub(in crate::command) fn needs_encoding(&self, message: &MessageArgs) -> bool {
        (self.append.is_some() || self.eol.is_some()) && message.encoding.is_none()
    }

    /// Parses the fields of a message.
    pub(in crate::command) fn draft(&self, payload: Payload) -> Result<Draft> {
        match payload {
            Payload::Text(text) if self.fill => Fill::parse(&text).map(Draft::Fill).map_err(CtlError::usage),
            payload => Ok(Draft::Payload(payload)),
        }
    }

    /// Adds the checksum and the line end, if any, to a message for a peer that uses `encoding`.
    pub(in crate::command) fn finished(
        &self,
        payload: Payload,
        message: &MessageArgs,
        encoding: Option<&str>,
    ) -> Result<Payload> {
        let payload = match payload {
            Payload::Text(text) if self.eol.is_some() => {
                Payload::Text(without_line_end(&text, message.escape).to_owned())
            }
            payload => payload,
        };
        let end = self.eol.unwrap_or(LineEnd::None);
        let text_end = if is_hex(message, encoding) { end.digits() } else { end.text() };
        let (mut bytes, end) = match (payload, self.append) {
            (Payload::Text(text), None) => return Ok(Payload::Text(text + text_end)),
            (Payload::Text(text), Some(_)) => {
                (encoded(&text, message, encoding)?, encoded(text_end, message, encoding)?)
            }
            (Payload::Bytes(bytes), _) => (bytes, end.text().as_bytes().to_vec()),
        };
        if let Some(append) = self.append {
            append.check(&bytes)?;
            append.to(&mut bytes);
        }
        bytes.extend(end);
        Ok(Payload::Bytes(bytes))
    }

    /// Refuses a checksum for text that no message can have: the encoding is unknown.
    pub(in crate::command) fn check_encoding(
        &self,
        message: &MessageArgs,
        encoding: Option<&str>,
    ) -> Result<()> {
        self.finished(Payload::Text(String::new()), message, encoding).map(drop)
    }

    /// Makes the message of `ask` from what was read.
    pub(in crate::command) async fn of_one(
        &self,
        (client, output): (&mut Client, &mut Output),
        to: &str,
        message: &MessageArgs,
        payload: Payload,
    ) -> Result<Payload> {
        let payload = self.draft(payload)?.payload(1, message.hex)?;
        let mut encoding = None;
        if self.needs_encoding(message) && matches!(payload, Payload::Text(_)) {
            let answer = client.call(&TargetsParams { to: vec![to.to_owned()] }).await?;
            encoding = answer.targets.into_iter().next().map(|target| target.encoding);
        }
        if let Payload::Text(text) = &payload
            && let Some(note) = self.digits_note(text, message, std::iter::once((to, encoding.as_deref())))
        {
            output.note(&note);
        }
        self.finished(payload, message, encoding.as_deref())
    }
}

impl Draft {
    /// Returns message `number`.
    pub(in crate::command) fn payload(&self, number: u64, hex: bool) -> Result<Payload> {
        match self {
            Self::Payload(payload) => Ok(payload.clone()),
            Self::Fill(fill) => {
                let text = fill.fill(number, Timestamp::now(), &crate::time::local_zone());
                Payload::of_text(text, hex)
            }
        }
    }
}

/// Refuses a text for several peers that the encodings of some of them cannot hold: the others would get it, and then get it again.
pub(super) fn check_text<'a>(
    text: &str,
    message: &MessageArgs,
    peers: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<()> {
    let mut known = BTreeMap::new();
    let mut refusals: Vec<Refusal<'_>> = Vec::new();
    for (peer, encoding) in peers.filter(|(_, encoding)| encoding.is_some()) {
        // An encoding that does not exist is an error of each message.
        let refusal = || encoded(text, message, encoding).err().filter(|error| error.exit() == Exit::NotSent);
        let Some(CtlError::Failed(refusal)) = known.entry(encoding).or_insert_with(refusal) else { continue };
        match refusals.iter_mut().find(|other| other.reason == refusal.message) {
            Some(other) => other.peers.push(peer),
            None => refusals.push(Refusal {
                reason: refusal.message.clone(),
                hint: refusal.hint.clone().unwrap_or_default(),
                peers: vec![peer],
            }),
        }
    }
    let Some(Refusal { hint, peers, .. }) = refusals.first() else { return Ok(()) };
    let hint = match (message.encoding.is_some(), &peers[..], refusals.len()) {
        (true, ..) => hint.clone(),
        // What `-e` sets is for all, and the others may not read it.
        (false, [only], 1) => member_hint(only),
        (false, ..) => member_hint(tr!("PEER")),
    };
    let reasons = refusals.iter().map(|Refusal { reason, peers, .. }| match message.encoding {
        Some(_) => reason.clone(),
        None => tr!("{reason}, for {peers}", reason, peers = named(peers)),
    });
    let reasons = reasons.collect::<Vec<_>>().join(tr!("; "));
    let text = tr!("{reason}; nothing was sent", reason = reasons);
    Err(CtlError::not_sent("not_encodable", text).hint(hint))
}

/// Why a text cannot be sent to some peers.
struct Refusal<'a> {
    reason: String,
    hint: String,
    peers: Vec<&'a str>,
}

fn member_hint(peer: &str) -> String {
    tr!("`udpchatctl send {peer} -e utf-8 TEXT` sends it to one of them alone, if it reads UTF-8", peer)
}

/// Lists the names of peers, of many only the first ones and how many there are besides.
fn named(peers: &[&str]) -> String {
    /// How many peers are named.
    const NAMED: usize = 20;
    match peers.split_at_checked(NAMED) {
        Some((first, rest)) if !rest.is_empty() => {
            let (peers, number) = (first.join(tr!(", ")), grouped(rest.len() as u64));
            tr!("{peers} and {number} others", peers, number)
        }
        _ => peers.join(tr!(", ")),
    }
}

/// Lists the names of peers, of many only the first ones.
fn shortened(peers: &[&str]) -> String {
    /// How many peers are named.
    const NAMED: usize = 5;
    let named = peers[..peers.len().min(NAMED)].join(tr!(", "));
    if peers.len() > NAMED { format!("{named}…") } else { named }
}

/// Returns whether the text of a message is its bytes as hexadecimal digits.
fn is_hex(message: &MessageArgs, encoding: Option<&str>) -> bool {
    let encoding = message.encoding.as_deref().or(encoding);
    encoding.and_then(|encoding| encoding.parse().ok()).is_some_and(Encoding::is_hex)
}

/// Returns whether a text is two or more bytes, of which the first is two hex digits and stands alone; the others may be in groups.
fn are_byte_pairs(text: &str) -> bool {
    let mut pairs = text.split([' ', ',', ':', '-']).filter(|pair| !pair.is_empty()).peekable();
    let is_hex = |pair: &str| {
        let digits = without_prefix(pair);
        !digits.is_empty()
            && digits.len().is_multiple_of(2)
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    text.len() > 2 && pairs.peek().is_some_and(|first| without_prefix(first).len() == 2) && pairs.all(is_hex)
}

/// Returns hex digits without `0x`.
fn without_prefix(digits: &str) -> &str {
    digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits)
}

/// Encodes a text as the daemon does, so that a checksum can follow it.
fn encoded(text: &str, message: &MessageArgs, encoding: Option<&str>) -> Result<Vec<u8>> {
    let encoding = message.encoding.as_deref().or(encoding).map(str::parse::<Encoding>).transpose();
    let encoding = encoding
        .map_err(|error| CtlError::usage(error.to_string()).hint(error.hint().unwrap_or_default()))?;
    let Some(encoding) = encoding else {
        // An older daemon does not tell.
        let text = tr!("--append needs the encoding of the text, which this daemon does not tell");
        return Err(CtlError::usage(text).hint(tr!("`-e ENC` sets it; `--hex` sends bytes")));
    };
    let pieces = match message.escape {
        true => parse_escapes(text).map_err(|UnknownEscape(shown)| {
            CtlError::usage(tr!("unknown escape `{shown}`", shown))
                .hint(tr!(r"the escapes are \n \r \t \0 \\ \xHH, and \u with a number in braces"))
        })?,
        false => vec![Piece::Text(text)],
    };
    let pieces = pieces.iter().map(|piece| piece.encode(encoding));
    let bytes: std::result::Result<Vec<_>, _> = pieces.collect();
    bytes.map(|bytes| bytes.concat()).map_err(|NotEncodable { character, encoding }| {
        if encoding.is_hex() {
            let text = match message.encoding {
                Some(_) => tr!("`{character}` is no byte in hexadecimal digits, which the encoding `hex` takes", character),
                None => {
                    tr!("`{character}` is no byte in hexadecimal digits, which the encoding of this peer takes", character)
                }
            };
            let hint = tr!("write two digits for each byte, for example `01 e4`; `-e utf-8` sends text");
            return CtlError::not_sent("not_encodable", text).hint(hint);
        }
        let code = format!("{:04X}", u32::from(character));
        let text = tr!("{encoding} cannot hold `{character}` (U+{code})", encoding, character, code);
        CtlError::not_sent("not_encodable", text)
            .hint(tr!("`-e utf-8` holds every character, if the peer reads it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_peers_only_the_first_are_named() {
        let names: Vec<String> = (1..=500).map(|number| format!("p{number}")).collect();
        let named_of = |count: usize| {
            let peers = names[..count].iter().map(|name| (name.as_str(), Some("gbk")));
            let error = check_text("😀", &MessageArgs::default(), peers).unwrap_err();
            error.into_failure().message
        };
        assert!(named_of(20).ends_with(", p19, p20; nothing was sent"), "{}", named_of(20));
        assert!(named_of(500).ends_with(", p20 and 480 others; nothing was sent"), "{}", named_of(500));
    }

    #[test]
    fn the_sum_covers_what_the_encoding_has_made() {
        let form = FormArgs { append: "sum8".parse().ok(), ..FormArgs::default() };
        let bytes = |text: &str, message: &MessageArgs, encoding| match form
            .finished(Payload::Text(text.to_owned()), message, encoding)
            .unwrap()
        {
            Payload::Bytes(bytes) => bytes,
            Payload::Text(text) => panic!("{text}"),
        };
        let plain = MessageArgs::default();
        assert_eq!(bytes("你", &plain, Some("gbk")), [0xc4, 0xe3, 0xa7]);
        assert_eq!(bytes("a", &plain, Some("utf-8")), [0x61, 0x61]);
        let escape = MessageArgs { escape: true, ..MessageArgs::default() };
        assert_eq!(bytes(r"\x01\xff\n", &escape, Some("utf-8")), [1, 0xff, 0x0a, 0x0a]);
        let digits = form.finished(Payload::Text("01 zz".to_owned()), &plain, Some("hex")).unwrap_err();
        let digits = format!("{digits:?}");
        assert!(
            digits.contains("`z` is no byte in hexadecimal digits") && digits.contains("two digits"),
            "{digits}"
        );
        let text = Payload::Text("€".to_owned());
        assert_eq!(form.finished(text, &plain, Some("big5")).unwrap_err().exit() as u8, 5);
    }

    #[test]
    fn a_line_end_replaces_that_of_a_text_and_follows_a_sum() {
        let (plain, escape) =
            (MessageArgs::default(), MessageArgs { escape: true, ..MessageArgs::default() });
        let form = |eol: &str, append: &str| FormArgs {
            eol: eol.parse().ok(),
            append: append.parse().ok(),
            ..FormArgs::default()
        };
        let text = |text: &str| Payload::Text(text.to_owned());
        for (payload, expected, eol) in [
            (text("a\n"), text("a\r\n"), "crlf"),
            (text("a\r\n"), text("a"), "none"),
            (text(""), text("\r"), "cr"),
            (Payload::Bytes(vec![10]), Payload::Bytes(vec![10, 13, 10]), "crlf"),
        ] {
            for message in [&plain, &escape] {
                let finished = form(eol, "").finished(payload.clone(), message, None).unwrap();
                assert_eq!(finished, expected, "{eol}");
            }
        }
        let hex = form("lf", "").finished(text("01 02"), &plain, Some("hex")).unwrap();
        assert_eq!(hex, text("01 02 0a"));
        let summed = form("crlf", "nmea").finished(text("$1\n"), &plain, Some("utf-8")).unwrap();
        assert_eq!(summed, Payload::Bytes(b"$1*31\r\n".to_vec()));
        let summed = form("lf", "sum8").finished(text("1"), &plain, Some("utf-16le")).unwrap();
        assert_eq!(summed, Payload::Bytes(vec![0x31, 0, 0x31, 10, 0]));
        // A line end in escapes is one only where escapes are read.
        for (message, eol, expected) in
            [(&escape, "crlf", "AT\r\n"), (&escape, "none", "AT"), (&plain, "crlf", "AT\\r\\n\r\n")]
        {
            let finished = form(eol, "").finished(text(r"AT\r\n"), message, None).unwrap();
            assert_eq!(finished, text(expected), "{eol}");
        }
        let summed = form("cr", "sum8").finished(text(r"1\n"), &escape, Some("utf-8")).unwrap();
        assert_eq!(summed, Payload::Bytes(b"11\r".to_vec()));
    }

    #[test]
    fn bytes_that_are_written_as_text_are_noticed() {
        for (text, expected) in [
            ("01 03 00 0a", true),
            ("01:03", true),
            ("01, 03", true),
            ("0x01 0x03", true),
            ("0x1 0x3", false),
            ("01 0003", true),
            ("0001 03", false),
            ("01 003", false),
            ("01", false),
            ("T?", false),
            ("01 3", false),
            ("2026", false),
            ("01 03 no", false),
            ("", false),
        ] {
            assert_eq!(are_byte_pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn a_sum_needs_the_encoding_of_the_text() {
        let form = FormArgs { append: "sum8".parse().ok(), ..FormArgs::default() };
        let plain = MessageArgs::default();
        assert_eq!(form.check_encoding(&plain, None).unwrap_err().exit() as u8, 2);
        let given = MessageArgs { encoding: Some("gbk".to_owned()), ..MessageArgs::default() };
        assert!(
            form.check_encoding(&given, None).is_ok() && form.check_encoding(&plain, Some("gbk")).is_ok()
        );
        let bytes = Payload::Bytes(vec![1]);
        assert_eq!(form.finished(bytes, &plain, None).unwrap(), Payload::Bytes(vec![1, 1]));
        assert!(FormArgs::default().check_encoding(&plain, None).is_ok());
    }

    #[test]
    fn hex_digits_are_parsed_after_filling() {
        let form = FormArgs { fill: true, ..FormArgs::default() };
        let hex = MessageArgs { hex: true, ..MessageArgs::default() };
        assert!(!form.for_reading(&hex).hex && FormArgs::default().for_reading(&hex).hex);
        let draft = form.draft(Payload::Text("01 {{n:02}}".to_owned())).unwrap();
        assert_eq!(draft.payload(12, true).unwrap(), Payload::Bytes(vec![1, 0x12]));
        assert!(form.draft(Payload::Text("{{no}}".to_owned())).is_err());
    }
}
