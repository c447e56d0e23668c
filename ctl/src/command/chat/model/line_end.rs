//! The line end that is appended to each message to a peer, for peers that expect one: serial bridges, embedded devices.

/// A line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::command::chat) enum LineEnd {
    #[default]
    None,
    CrLf,
    Lf,
    Cr,
}

impl LineEnd {
    /// Returns the next one, as a key chooses them in turn.
    pub(super) fn next(self) -> Self {
        match self {
            Self::None => Self::CrLf,
            Self::CrLf => Self::Lf,
            Self::Lf => Self::Cr,
            Self::Cr => Self::None,
        }
    }

    /// Returns the characters.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::CrLf => "\r\n",
            Self::Lf => "\n",
            Self::Cr => "\r",
        }
    }

    /// Returns the characters as `send --escape` takes them.
    pub(in crate::command::chat) fn label(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::CrLf => Some(r"+\r\n"),
            Self::Lf => Some(r"+\n"),
            Self::Cr => Some(r"+\r"),
        }
    }
}
