//! The errors of the client.

use std::io;
use std::path::PathBuf;

use crate::limits::MAX_LINE_BYTES;
use crate::line::LineError;
use crate::rpc::ErrorObject;

/// The time limit for an answer. The daemon itself waits for at most 10 seconds, so one that takes longer hangs.
pub const ANSWER_TIMEOUT_SECONDS: u64 = 30;

/// The reason why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No program listens on the socket, or there is no socket.
    #[error("no daemon answers at {}", .path.display())]
    NoDaemon {
        /// The path of the socket.
        path: PathBuf,
        /// The error of connecting.
        source: io::Error,
    },
    /// The permissions of the socket deny access.
    #[error("not permitted to open {}", .path.display())]
    NotPermitted {
        /// The path of the socket.
        path: PathBuf,
        /// The error of connecting.
        source: io::Error,
    },
    /// The backlog of the socket is full: the daemon accepts connections more slowly than clients make them, or hangs.
    #[error("the daemon at {} accepts no connection", .path.display())]
    Busy {
        /// The path of the socket.
        path: PathBuf,
        /// The error of connecting.
        source: io::Error,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Refused(#[from] ErrorObject),
    /// The connection was closed before the answer.
    #[error("the daemon closed the connection")]
    Closed,
    /// There was no answer within the time limit.
    #[error("the daemon did not answer within {ANSWER_TIMEOUT_SECONDS} s")]
    Silent,
    /// The request is longer than [`MAX_LINE_BYTES`].
    #[error("the request has {bytes} bytes; the maximum is {MAX_LINE_BYTES}")]
    TooLong {
        /// The length of the line.
        bytes: usize,
    },
    /// The answer does not follow the protocol.
    #[error("the answer does not follow the protocol: {what}")]
    Protocol {
        /// The violation.
        what: String,
    },
    /// Reading or writing failed.
    #[error("the connection to the daemon failed")]
    Io(#[from] io::Error),
}

impl ClientError {
    /// Returns whether the connection was lost, so that only a new one shows whether a daemon answers.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Closed | Self::Io(_))
    }

    /// Returns whether the daemon may have done what was requested, although it did not say so.
    pub fn is_unanswered(&self) -> bool {
        self.is_lost() || matches!(self, Self::Silent | Self::Protocol { .. })
    }
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
