//! Why a call of the client fails.

use std::io;
use std::path::PathBuf;

use crate::limits::MAX_LINE_BYTES;
use crate::line::LineError;
use crate::rpc::ErrorObject;

/// How long the daemon may take to answer. Its own waits end after 10 seconds at most: beyond this it hangs.
pub const ANSWER_TIMEOUT_SECONDS: u64 = 30;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No program listens on the socket, or there is no socket.
    #[error("no daemon answers at {}", .path.display())]
    NoDaemon {
        /// The socket that was tried.
        path: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// This user may not open the socket.
    #[error("not permitted to open {}", .path.display())]
    NotPermitted {
        /// The socket that was tried.
        path: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// The backlog of the socket is full: the daemon accepts connections more slowly than clients make them, or hangs.
    #[error("the daemon at {} accepts no connection", .path.display())]
    Busy {
        /// The socket that was tried.
        path: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Refused(#[from] ErrorObject),
    /// The connection ended before the answer.
    #[error("the daemon closed the connection")]
    Closed,
    /// No answer came in time.
    #[error("the daemon did not answer within {ANSWER_TIMEOUT_SECONDS} s")]
    Silent,
    /// The request is longer than a line may be.
    #[error("the request is {bytes} bytes long; a line may have {MAX_LINE_BYTES}")]
    TooLong {
        /// The length of the line.
        bytes: usize,
    },
    /// The answer does not follow the protocol.
    #[error("the answer does not follow the protocol: {what}")]
    Protocol {
        /// What is wrong with it.
        what: String,
    },
    /// Reading or writing failed.
    #[error("the connection to the daemon failed")]
    Io(#[from] io::Error),
}

impl From<LineError> for ClientError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::TooLong => Self::Protocol { what: error.to_string() },
            LineError::Io(error) => Self::Io(error),
        }
    }
}

impl From<serde_json::Error> for ClientError {
    fn from(error: serde_json::Error) -> Self {
        Self::Protocol { what: error.to_string() }
    }
}
