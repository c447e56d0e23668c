//! The destination of exported data: standard output or a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::printer::Output;
use crate::error::{CtlError, Result};

/// A destination for data.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Standard output.
    Stdout,
    /// A file and its path.
    File(File, PathBuf),
}

impl Sink {
    /// Creates or truncates a file; no path and `-` mean standard output.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) if path != Path::new("-") => {
                let file = File::create(path).map_err(|error| unwritable(path, &error))?;
                Ok(Self::File(file, path.to_owned()))
            }
            _ => Ok(Self::Stdout),
        }
    }

    /// Hands all bytes to the system.
    pub(crate) fn write(&mut self, output: &mut Output, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stdout => {
                output.data(bytes)?;
                output.flush()
            }
            Self::File(file, path) => file.write_all(bytes).map_err(|error| unwritable(path, &error)),
        }
    }
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> CtlError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CtlError::ReaderGone,
        _ => CtlError::failed(format!("cannot write {}", path.display())).caused_by(error),
    }
}
