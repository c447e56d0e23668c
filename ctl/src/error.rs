//! The error of a run: message, causes, hint and exit code.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use udpchat_api::{ClientError, ErrorKind, ErrorObject};
use udpchat_config::{Need, ValueError, file_hint};
use udpchat_locale::{tr, translated};

use crate::other_words::instead_of;

/// The result of a fallible step of a run.
pub(crate) type Result<T, E = CtlError> = std::result::Result<T, E>;

/// The exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Done = 0,
    /// Something failed.
    Failed = 1,
    /// The command line, or a value in it, is invalid.
    Usage = 2,
    /// No daemon answers.
    NoDaemon = 3,
    /// A timeout ended.
    TimedOut = 4,
    /// A message could not be sent.
    NotSent = 5,
    /// The user may not open the daemon's socket, or the daemon refused for lack of a role.
    NotPermitted = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The commands whose arguments are text.
const TAKE_TEXT: [&str; 3] = ["udpchatctl ask", "udpchatctl reply", "udpchatctl send"];

/// Why a run ends early.
#[derive(Debug)]
pub(crate) enum CtlError {
    /// The reader of standard output closed its pipe, which is not a failure.
    ReaderGone,
    /// Something failed.
    Failed(Box<Failure>),
}

/// The parts of a failure.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What failed.
    pub(crate) message: String,
    /// The kind, for programs: a kind of the protocol, or one of this program.
    pub(crate) kind: String,
    /// The code of the protocol, if the daemon returned the error.
    pub(crate) code: Option<i64>,
    /// The causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The id of the entry that records the failure.
    pub(crate) entry: Option<u64>,
    /// The number of the input line that failed.
    pub(crate) line: Option<u64>,
    /// The exit code.
    pub(crate) exit: Exit,
    /// Whether the connection to the daemon was lost.
    pub(crate) is_lost: bool,
}

impl CtlError {
    /// Creates an error.
    pub(crate) fn new(exit: Exit, kind: &str, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure {
            message: message.into(),
            kind: kind.to_owned(),
            code: None,
            causes: Vec::new(),
            hint: None,
            entry: None,
            line: None,
            exit,
            is_lost: false,
        }))
    }

    /// Creates an error that is not the user's fault.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// Creates an error of usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Creates an error of usage from that of a value.
    pub(crate) fn of_value(error: ValueError) -> Self {
        let wrong = Self::usage(error.to_string());
        match error.hint() {
            Some(hint) => wrong.hint(hint),
            None => wrong,
        }
    }

    /// Creates an error for a message that was not sent.
    pub(crate) fn not_sent(kind: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::NotSent, kind, message)
    }

    /// Converts the error of a request to send a message. Without an answer, the message may have been sent.
    pub(crate) fn of_send(error: ClientError) -> Self {
        let is_unanswered = error.is_unanswered();
        let error = Self::from(error);
        if !is_unanswered {
            return error;
        }
        error.amended(|reason| tr!("{reason}; the message may have been sent", reason))
    }

    /// Converts an error of the argument parser.
    ///
    /// `name` is the command, where the arguments name one: not every error has a usage line.
    pub(crate) fn from_clap(error: &clap::Error, name: Option<&str>) -> Self {
        // The error has no styles; what looks like one is a part of an argument, and is escaped when it is printed.
        let text = error.render().ansi().to_string();
        // The parser separates the message, its tips, the usage and the pointer to --help by empty lines.
        let parts: Vec<String> = text.trim().split("\n\n").map(unwrapped).collect();
        let message = parts.first().map_or("", String::as_str);
        let usage = parts.iter().find_map(|part| part.strip_prefix("Usage: ")).unwrap_or_default();
        let is_help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        let message = if is_help { tr!("missing command") } else { message.trim_start_matches("error: ") };
        // The message of the standard library for an invalid number.
        let message = message.replace("invalid digit found in string", "not a whole number");
        let command = command_in(usage).or_else(|| name.map(|name| format!("udpchatctl {name}")));
        let is_option = error.kind() == clap::error::ErrorKind::UnknownArgument;
        // Only a text is likely to begin with a dash.
        let takes_text = command.as_deref().is_some_and(|command| TAKE_TEXT.contains(&command));
        let tip = parts.iter().find_map(|part| part.strip_prefix("tip: "));
        let tip = tip.filter(|tip| takes_text || !tip.starts_with("to pass "));
        let instead = instead_of(error, command.as_deref());
        let help = match command {
            Some(command) if is_option => tr!("`{command} --help` lists the options", command),
            Some(command) => tr!("see `{command} --help`", command),
            None => tr!("see `udpchatctl --help`, or `udpchatctl COMMAND --help`").to_owned(),
        };
        let is_conflict = error.kind() == clap::error::ErrorKind::ArgumentConflict;
        let of_peek = (is_conflict && message.contains("'--peek'"))
            .then(|| tr!("without --peek: what selects entries shows history, and marks nothing as read"));
        let tip = instead
            .or_else(|| of_peek.map(str::to_owned))
            .or_else(|| tip.map(|tip| translated(tip).into_owned()));
        Self::usage(message).hint(match tip {
            Some(tip) => tr!("{tip}; {help}", tip, help),
            None => help,
        })
    }

    /// Converts a failed write to standard output.
    pub(crate) fn from_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::failed(tr!("cannot write to standard output")).caused_by_file(
                Path::new("/dev/stdout"),
                Need::Write,
                error,
            ),
        }
    }

    /// Adds the error of a system call on a path: as the cause, and what to do about it.
    #[must_use]
    pub(crate) fn caused_by_file(self, path: &Path, need: Need, error: &io::Error) -> Self {
        let failed = self.caused_by(error);
        match file_hint(path, need, error) {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }

    /// Adds the chain of causes.
    #[must_use]
    pub(crate) fn caused_by(self, error: &dyn Error) -> Self {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let causes: Vec<String> = chain.map(|cause| without_number(&cause.to_string())).collect();
        self.with(|failure| failure.causes.extend(causes))
    }

    /// Puts a message in front; the previous message becomes the first cause.
    #[must_use]
    pub(crate) fn within(self, message: impl Into<String>) -> Self {
        self.with(|failure| {
            let cause = std::mem::replace(&mut failure.message, message.into());
            failure.causes.insert(0, cause);
        })
    }

    /// Replaces the message by a sentence that holds it.
    #[must_use]
    pub(crate) fn amended(self, sentence: impl FnOnce(&str) -> String) -> Self {
        self.with(|failure| failure.message = sentence(&translated(&failure.message)))
    }

    /// Names the command that lacks a role, instead of the method of the protocol that it called.
    #[must_use]
    pub(crate) fn of_command(self, command: &str) -> Self {
        if self.exit() != Exit::NotPermitted {
            return self;
        }
        self.with(|failure| {
            // The command has named itself, with the option that needs the role.
            if failure.message.starts_with(&format!("`{command} ")) {
                return;
            }
            let rest = failure.message.strip_prefix('`').and_then(|rest| rest.split_once("` requires role "));
            if let Some((_, rest)) = rest {
                failure.message = format!("`{command}` requires role {rest}");
            }
        })
    }

    /// Sets the hint: what to do next.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.with(|failure| failure.hint = Some(hint))
    }

    /// Returns whether the connection to the daemon was lost.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.is_lost)
    }

    /// Returns whether the message was sent, but could not be stored.
    pub(crate) fn is_unrecorded(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.code == Some(ErrorKind::NotRecorded.code()))
    }

    /// Returns whether the network reported that a message was not delivered.
    pub(crate) fn is_bounce(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.kind == "bounced")
    }

    /// Returns whether it says what to do next.
    pub(crate) fn has_hint(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.hint.is_some())
    }

    /// Returns whether a time limit ended.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.exit == Exit::TimedOut)
    }

    /// Sets the number of the input line that failed.
    #[must_use]
    pub(crate) fn at_line(self, line: u64) -> Self {
        self.with(|failure| failure.line = Some(line))
    }

    /// Sets the exit code.
    #[must_use]
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        self.with(|failure| failure.exit = exit)
    }

    fn with(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        if let Self::Failed(failure) = &mut self {
            change(failure);
        }
        self
    }

    /// Returns what failed.
    #[cfg(test)]
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => *failure,
            Self::ReaderGone => panic!("no failure"),
        }
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::ReaderGone => Exit::Done,
            Self::Failed(failure) => failure.exit,
        }
    }
}

/// Removes the error number that the standard library appends to a message of the system.
pub(crate) fn without_number(text: &str) -> String {
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// Returns the command in a usage line: the words before flags and arguments; none if there is no usage.
fn command_in(usage: &str) -> Option<String> {
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let words: Vec<&str> = usage.split(' ').take_while(is_name).take(2).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Joins a paragraph that was wrapped or indented.
fn unwrapped(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<ClientError> for CtlError {
    fn from(error: ClientError) -> Self {
        let is_lost = error.is_lost();
        let (exit, kind, hint) = match error {
            ClientError::Refused(object) => return object.into(),
            ClientError::NoDaemon { .. } => (Exit::NoDaemon, "no_daemon", tr!("start one with `udpchatd`")),
            ClientError::NotPermitted { .. } => {
                (Exit::NotPermitted, "not_permitted", tr!("run this as the user that the daemon runs as"))
            }
            ClientError::Busy { .. } => (
                Exit::Failed,
                "busy",
                tr!("try again; if this lasts, the daemon hangs: see its log, and restart it"),
            ),
            ClientError::Closed | ClientError::Io(_) => {
                (Exit::Failed, "closed", tr!("the daemon ended; its log shows why"))
            }
            ClientError::Silent => {
                (Exit::TimedOut, "silent", tr!("the daemon hangs: read its log, then restart it"))
            }
            ClientError::TooLong { .. } => {
                (Exit::NotSent, "too_long", tr!("send it as several shorter messages"))
            }
            ClientError::Protocol { .. } => (
                Exit::Failed,
                "protocol",
                tr!("compare the versions of both programs with `udpchatctl version`"),
            ),
        };
        let made = Self::new(exit, kind, error.to_string()).hint(hint);
        let made = made.with(|failure| failure.is_lost = is_lost);
        match Error::source(&error) {
            Some(source) => made.caused_by(source),
            None => made,
        }
    }
}

impl From<ErrorObject> for CtlError {
    fn from(object: ErrorObject) -> Self {
        let kind = object.data.kind;
        let made = Self::new(exit_of(kind), &name_of(kind), object.message);
        made.with(|failure| {
            failure.code = Some(object.code);
            failure.entry = object.data.entry;
            failure.hint = own_hint(kind).map(str::to_owned).or(object.data.hint);
        })
    }
}

/// Returns the exit code for an error of the daemon.
fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::InvalidParams | ErrorKind::EmptyMessage => Exit::Usage,
        ErrorKind::TimedOut => Exit::TimedOut,
        ErrorKind::NotPermitted => Exit::NotPermitted,
        ErrorKind::UnknownPeer
        | ErrorKind::Unresolvable
        | ErrorKind::NoSocket
        | ErrorKind::NotEncodable
        | ErrorKind::TooLong
        | ErrorKind::SendFailed => Exit::NotSent,
        _ => Exit::Failed,
    }
}

/// Returns the name of a kind in the protocol.
fn name_of(kind: ErrorKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "other".to_owned(),
    }
}

/// Returns a hint that names a flag of this program; the daemon's own hint names a parameter of the protocol.
fn own_hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::EmptyMessage => Some(tr!("`--allow-empty` sends an empty datagram")),
        ErrorKind::UnknownMethod => {
            Some(tr!("the daemon has another version: compare with `udpchatctl version`"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_kind_has_its_exit_code() {
        for &kind in ErrorKind::ALL {
            let expected = match name_of(kind).as_str() {
                "invalid_params" | "empty_message" => 2,
                "timed_out" => 4,
                "not_permitted" => 6,
                "unknown_peer" | "unresolvable" | "no_socket" | "not_encodable" | "too_long"
                | "send_failed" => 5,
                _ => 1,
            };
            let error = CtlError::from(ErrorObject::new(kind, "x"));
            assert_eq!(error.exit() as u8, expected, "{kind:?}");
            assert_eq!(error.into_failure().code, Some(kind.code()));
        }
    }

    #[test]
    fn client_errors_have_their_exit_codes() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let path = std::path::PathBuf::from("/s");
        let cases = [
            (ClientError::NoDaemon { path: path.clone(), source: refused() }, Exit::NoDaemon),
            (ClientError::NotPermitted { path: path.clone(), source: refused() }, Exit::NotPermitted),
            (ClientError::Busy { path, source: refused() }, Exit::Failed),
            (ClientError::Closed, Exit::Failed),
            (ClientError::Silent, Exit::TimedOut),
            (ClientError::TooLong { bytes: 9 }, Exit::NotSent),
            (ClientError::Protocol { what: "x".to_owned() }, Exit::Failed),
        ];
        for (error, exit) in cases {
            assert_eq!(CtlError::from(error).exit(), exit);
        }
    }

    #[test]
    fn causes_are_kept() {
        let error = ClientError::Io(io::Error::other("the wire broke"));
        let failure = CtlError::from(error).into_failure();
        assert_eq!(failure.message, "the connection to the daemon failed");
        assert_eq!(failure.causes, ["the wire broke"]);
    }

    #[test]
    fn causes_have_no_error_numbers() {
        let error = CtlError::failed("x").caused_by(&io::Error::from_raw_os_error(2));
        assert_eq!(error.into_failure().causes, ["No such file or directory"]);
    }

    #[test]
    fn within_turns_the_message_into_a_cause() {
        let error = ClientError::Io(io::Error::other("the wire broke"));
        let failure = CtlError::from(error).within("the work is not done").into_failure();
        assert_eq!((failure.message.as_str(), failure.kind.as_str()), ("the work is not done", "closed"));
        assert_eq!(failure.causes, ["the connection to the daemon failed", "the wire broke"]);
        assert!(matches!(CtlError::ReaderGone.within("x"), CtlError::ReaderGone));
    }

    #[test]
    fn a_closed_pipe_is_not_a_failure() {
        let gone = CtlError::from_output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone.exit(), Exit::Done);
        assert_eq!(CtlError::from_output(&io::ErrorKind::StorageFull.into()).exit(), Exit::Failed);
    }
}
