//! Framing: one JSON object a line, with a limit on the line's length.

use std::io;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::limits::MAX_LINE_BYTES;
use crate::safe::SafeJson;

/// The buffer of a reader that is kept between lines, in bytes; longer lines give their memory back.
const KEPT_BUFFER_BYTES: usize = 16 * 1024;

/// Why no line came.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line is longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads lines of bytes, none longer than [`MAX_LINE_BYTES`].
#[derive(Debug)]
pub struct LineReader<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Whether `line` was given out, and the next one begins.
    given: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Wraps a stream.
    pub fn new(stream: R) -> Self {
        Self { reader: BufReader::new(stream), line: Vec::new(), given: false }
    }

    /// Waits for the first byte of the next line; false at the end of the stream.
    pub async fn begun(&mut self) -> Result<bool, LineError> {
        Ok(!self.reader.fill_buf().await?.is_empty())
    }

    /// Returns the next line without its line end, or none at the end of the stream.
    ///
    /// A wait that is given up loses nothing: the next call goes on with the line that was begun.
    ///
    /// A last line without a line end counts as a line. After [`LineError::TooLong`] the stream is not at the
    /// beginning of a line any more and should be closed.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, LineError> {
        if std::mem::take(&mut self.given) {
            self.line.clear();
            self.line.shrink_to(KEPT_BUFFER_BYTES);
        }
        // One byte more than allowed tells a line of just the limit from a longer one.
        let room = MAX_LINE_BYTES + 1 - self.line.len();
        let mut limited = (&mut self.reader).take(room as u64);
        limited.read_until(b'\n', &mut self.line).await?;
        self.given = true;
        if self.line.len() > MAX_LINE_BYTES {
            return Err(LineError::TooLong);
        }
        if self.line.is_empty() {
            return Ok(None);
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// Renders a value as one line of safe JSON, line end included.
///
/// # Errors
/// Fails only where the type's own serialisation fails.
pub fn to_line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, SafeJson))?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = LineReader::new(bytes);
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await.unwrap() {
            lines.push(line.to_vec());
        }
        lines
    }

    #[tokio::test]
    async fn lines_end_with_lf_or_crlf_or_the_stream() {
        assert_eq!(read_all(b"a\r\nb\n\nc").await, [&b"a"[..], b"b", b"", b"c"]);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing_of_the_line() {
        let (mut writer, stream) = tokio::io::duplex(100);
        let mut reader = LineReader::new(stream);
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"half").await.unwrap();
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), reader.next()).await;
        assert!(given_up.is_err());
        tokio::io::AsyncWriteExt::write_all(&mut writer, b" and half\n").await.unwrap();
        assert_eq!(reader.next().await.unwrap(), Some(&b"half and half"[..]));
    }

    #[tokio::test]
    async fn a_line_of_the_limit_passes_and_one_byte_more_does_not() {
        let mut most = vec![b'x'; MAX_LINE_BYTES - 1];
        most.push(b'\n');
        assert_eq!(read_all(&most).await[0].len(), MAX_LINE_BYTES - 1);
        let more = vec![b'x'; MAX_LINE_BYTES + 1];
        assert!(matches!(LineReader::new(&more[..]).next().await, Err(LineError::TooLong)));
    }
}
