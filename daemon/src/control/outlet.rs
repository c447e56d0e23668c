//! The writing side of a connection, which its session and its subscription share.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use udpchat_api::socket::WriteHalf;

/// Writes whole lines: those of several tasks do not mix.
#[derive(Clone, Debug)]
pub(crate) struct Outlet(Arc<Mutex<Writer>>);

#[derive(Debug)]
struct Writer {
    half: WriteHalf,
    /// Whether a write was cancelled within a line.
    is_torn: bool,
}

impl Outlet {
    pub(super) fn new(half: WriteHalf) -> Self {
        Self(Arc::new(Mutex::new(Writer { half, is_torn: false })))
    }

    /// Writes whole lines. Waits as long as the client does not read.
    pub(super) async fn write(&self, lines: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().await;
        writer.is_torn = true;
        writer.half.write_all(lines).await?;
        writer.is_torn = false;
        Ok(())
    }

    /// Writes the last line and closes the writing side. Leaves the line out if the one before it is incomplete.
    pub(super) async fn write_last(&self, line: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().await;
        if !writer.is_torn {
            writer.half.write_all(line).await?;
        }
        writer.half.shutdown().await
    }
}
