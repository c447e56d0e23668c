//! Framing: one JSON object a line, of limited length.

use std::io;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::limits::MAX_LINE_BYTES;
use crate::safe::SafeJson;

/// The capacity that a reader keeps between lines, in bytes; memory beyond it is freed.
const KEPT_BUFFER_BYTES: usize = 4 * 1024;

/// The reason why no line could be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line is longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads lines, none longer than [`MAX_LINE_BYTES`].
#[derive(Debug)]
pub struct LineReader<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Whether `line` was returned, so that the next call starts a new one.
    is_returned: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Wraps a stream.
    pub fn new(stream: R) -> Self {
        Self::of_buffered(BufReader::new(stream))
    }

    /// Wraps a stream, from which it reads at most this many bytes at once.
    pub fn with_capacity(bytes: usize, stream: R) -> Self {
        Self::of_buffered(BufReader::with_capacity(bytes, stream))
    }

    fn of_buffered(reader: BufReader<R>) -> Self {
        Self { reader, line: Vec::new(), is_returned: false }
    }

    /// Waits for the first byte of the next line. Returns false at the end of the stream.
    ///
    /// Frees the memory of the line before.
    pub async fn wait_for_line(&mut self) -> Result<bool, LineError> {
        self.free_returned();
        Ok(!self.reader.fill_buf().await?.is_empty())
    }

    /// Returns the next line without its line end, or none at the end of the stream. A last line needs no line end.
    ///
    /// This method is cancel safe: the next call continues with the line that was begun. After [`LineError::TooLong`] the
    /// stream is no longer at the start of a line, and should be closed.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, LineError> {
        self.read_within(MAX_LINE_BYTES).await?;
        Ok((!self.line.is_empty()).then(|| self.line()))
    }

    /// Reads the next line until it is complete or has more than `limit` bytes; returns whether it is complete. If not,
    /// the next call continues with the same line.
    ///
    /// Cancel safe, as [`Self::next`].
    pub async fn read_within(&mut self, limit: usize) -> Result<bool, LineError> {
        self.free_returned();
        // One byte more than allowed distinguishes a line of exactly the limit from a longer one.
        let remaining = (limit + 1).saturating_sub(self.line.len());
        let mut limited = (&mut self.reader).take(remaining as u64);
        limited.read_until(b'\n', &mut self.line).await?;
        if self.line.len() > MAX_LINE_BYTES {
            self.is_returned = true;
            return Err(LineError::TooLong);
        }
        self.is_returned = self.line.len() <= limit || self.line.ends_with(b"\n");
        Ok(self.is_returned)
    }

    /// Returns the line that [`Self::read_within`] has completed, without its line end; it is empty at the end of the stream.
    pub fn line(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    fn free_returned(&mut self) {
        if std::mem::take(&mut self.is_returned) {
            self.line.clear();
            self.line.shrink_to(KEPT_BUFFER_BYTES);
        }
    }
}

/// Serialises a value as one line of safe JSON, including the line end.
///
/// # Errors
/// Fails only if the `Serialize` implementation of the type fails.
pub fn to_line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, SafeJson))?;
    line.push(b'\n');
    // A long line may wait for its reader, and the spare room behind it may be as long.
    if line.len() > KEPT_BUFFER_BYTES {
        line.shrink_to_fit();
    }
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
    async fn lf_crlf_and_the_stream_end_lines() {
        assert_eq!(read_all(b"a\r\nb\n\nc").await, [&b"a"[..], b"b", b"", b"c"]);
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_nothing() {
        let (mut writer, stream) = tokio::io::duplex(100);
        let mut reader = LineReader::new(stream);
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"half").await.unwrap();
        let cancelled = tokio::time::timeout(std::time::Duration::from_millis(1), reader.next()).await;
        assert!(cancelled.is_err());
        tokio::io::AsyncWriteExt::write_all(&mut writer, b" and half\n").await.unwrap();
        assert_eq!(reader.next().await.unwrap(), Some(&b"half and half"[..]));
    }

    #[tokio::test]
    async fn a_long_line_is_read_in_steps() {
        let text = [&b"short\n"[..], &[b'x'; 100], b"\nnext"].concat();
        let mut reader = LineReader::new(&text[..]);
        assert!(reader.read_within(10).await.unwrap());
        assert_eq!(reader.line(), b"short");
        for limit in [10, 10, 50, 99] {
            assert!(!reader.read_within(limit).await.unwrap());
        }
        // The limit is for what stands before the line end, so that no call returns a line end alone.
        assert!(reader.read_within(100).await.unwrap());
        assert_eq!(reader.line(), [b'x'; 100]);
        assert!(reader.read_within(10).await.unwrap());
        assert_eq!(reader.line(), b"next");
        assert!(reader.read_within(10).await.unwrap() && reader.line().is_empty());
    }

    #[tokio::test]
    async fn the_limit_includes_the_line_end() {
        let mut most = vec![b'x'; MAX_LINE_BYTES - 1];
        most.push(b'\n');
        assert_eq!(read_all(&most).await[0].len(), MAX_LINE_BYTES - 1);
        let more = vec![b'x'; MAX_LINE_BYTES + 1];
        assert!(matches!(LineReader::new(&more[..]).next().await, Err(LineError::TooLong)));
    }
}
