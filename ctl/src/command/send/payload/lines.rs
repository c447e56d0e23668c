//! `--lines`: reads one message per line, each as it is asked for.

use std::io::{BufRead, BufReader, Read};

use udpchat_locale::tr;

use super::{MAX_INPUT_BYTES, Payload, apparent_encoding, unreadable};
use crate::error::{CtlError, Result};

/// Reads the lines of an input.
pub(crate) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    name: String,
    hex: bool,
    number: u64,
}

/// One line.
pub(crate) struct Line {
    /// The line number, from 1.
    pub(crate) number: u64,
    /// The payload, or why the line is invalid.
    pub(crate) payload: Result<Payload>,
}

impl Lines {
    /// Creates a reader; `name` is the name of the input in errors.
    pub(crate) fn new(input: Box<dyn Read + Send>, name: String, hex: bool) -> Self {
        Self { input: BufReader::new(input), name, hex, number: 0 }
    }

    /// Returns the next line; none at the end of the input.
    ///
    /// # Errors
    /// The input cannot be read. An invalid line is an error of its payload only.
    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        let mut line = Vec::new();
        // Two bytes more than the limit: a line end of two bytes, or proof that the line is too long.
        let limit = MAX_INPUT_BYTES as u64 + 2;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut line);
        read.map_err(|error| unreadable(&self.name, &error))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let ended = line.ends_with(b"\n");
        let line = without_line_end(line);
        if line.len() > MAX_INPUT_BYTES {
            if !ended {
                self.input.skip_until(b'\n').map_err(|error| unreadable(&self.name, &error))?;
            }
            let payload = Err(CtlError::not_sent("too_long", tr!("the line is longer than 1 MiB")));
            return Ok(Some(Line { number: self.number, payload }));
        }
        Ok(Some(Line { number: self.number, payload: self.payload(line) }))
    }

    fn payload(&self, line: Vec<u8>) -> Result<Payload> {
        let text = String::from_utf8(line).map_err(|error| {
            let at = error.utf8_error().valid_up_to() + 1;
            CtlError::usage(tr!("the line is not UTF-8: invalid byte at position {position}", position = at))
                .hint(match apparent_encoding(error.as_bytes()) {
                    Some(encoding) => tr!(
                        "it looks like {encoding}: `iconv -f {encoding} -t utf-8` converts the input",
                        encoding
                    ),
                    None => tr!("`--hex` sends any bytes, written as hex digits, one line for each message")
                        .to_owned(),
                })
        })?;
        Payload::of_text(text, self.hex)
    }
}

/// Returns a line without what ends it. A carriage return alone ends no line, so it belongs to the message.
fn without_line_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], hex: bool) -> Vec<Line> {
        let mut lines = Lines::new(Box::new(std::io::Cursor::new(input.to_vec())), "input".to_owned(), hex);
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    fn texts(input: &[u8]) -> Vec<String> {
        lines(input, false)
            .into_iter()
            .map(|line| match line.payload {
                Ok(Payload::Text(text)) => text,
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn only_line_ends_are_removed() {
        assert_eq!(texts(b"a\r\n\n b \nc\r"), ["a", "", " b ", "c\r"]);
        assert!(texts(b"").is_empty());
    }

    #[test]
    fn an_invalid_line_does_not_end_the_input() {
        let found = lines(b"ok\n\xff\nok", false);
        assert!(found[1].payload.is_err() && found[2].payload.is_ok());
        let hint =
            |line: &[u8]| lines(line, false).remove(0).payload.unwrap_err().into_failure().hint.unwrap();
        assert!(hint(b"\xc4\xe3\xba\xc3\n").contains("`iconv -f gbk -t utf-8`"));
        assert!(hint(b"\xff\n").contains("--hex"));
        let found = lines(b"zz\nc4 e3\n", true);
        assert!(found[0].payload.is_err());
        assert_eq!(*found[1].payload.as_ref().unwrap(), Payload::Bytes(b"\xc4\xe3".to_vec()));
    }

    #[test]
    fn an_overlong_line_is_skipped_in_constant_memory() {
        let mut input = vec![b'x'; MAX_INPUT_BYTES];
        input.extend(b"\r\n");
        input.extend(vec![b'x'; 3 * MAX_INPUT_BYTES]);
        input.extend(b"\nlast");
        let found = lines(&input, false);
        assert_eq!(found.len(), 3);
        assert!(found[0].payload.is_ok() && found[1].payload.is_err() && found[2].payload.is_ok());
        assert_eq!(found[2].number, 3);
    }
}
