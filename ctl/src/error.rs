//! Why a run failed: the message, its causes, what to do next, and the exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use udpchat_api::{ClientError, ErrorKind, ErrorObject};

/// The result of everything that can end a run.
pub(crate) type Result<T> = std::result::Result<T, CtlError>;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done.
    Done = 0,
    /// Something failed.
    Failed = 1,
    /// The command line, or what it names, is wrong.
    Usage = 2,
    /// No daemon runs.
    NoDaemon = 3,
    /// Something took too long.
    TimedOut = 4,
    /// A message could not be sent.
    NotSent = 5,
    /// The daemon's socket may not be opened, or the daemon does not permit what was asked.
    NotPermitted = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a run ends early.
#[derive(Debug)]
pub(crate) enum CtlError {
    /// The reader of standard output has gone. That is its right, and no failure.
    ReaderGone,
    /// Something failed.
    Failed(Box<Failure>),
}

/// A failure, in parts.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened, to what.
    pub(crate) message: String,
    /// What kind of failure it is, for programs: a kind of the protocol, or one of the program's own.
    pub(crate) kind: String,
    /// The protocol's code, if the daemon answered with it.
    pub(crate) code: Option<i64>,
    /// What caused it, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The id of the entry that records the failure.
    pub(crate) entry: Option<u64>,
    /// The number of the input line that failed.
    pub(crate) line: Option<u64>,
    /// How the program ends.
    pub(crate) exit: Exit,
}

impl CtlError {
    /// Makes an error.
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
        }))
    }

    /// Makes an error for what failed without being the user's fault.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// Makes an error for wrong use.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Makes an error for a message that was not sent.
    pub(crate) fn not_sent(kind: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::NotSent, kind, message)
    }

    /// Turns what the parser of the command line found wrong into an error.
    pub(crate) fn from_clap(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        // The parser separates what is wrong, its tips, the usage and the pointer to --help by empty lines.
        let parts: Vec<String> = text.trim().split("\n\n").map(unwrapped).collect();
        let message = parts.first().map_or("", String::as_str);
        let tip = parts.iter().find_map(|part| part.strip_prefix("tip: "));
        let usage = parts.iter().find_map(|part| part.strip_prefix("Usage: ")).unwrap_or_default();
        let is_help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        let message = if is_help { "no command is given" } else { message.trim_start_matches("error: ") };
        // What the standard library says of a number that is none.
        let message = message.replace("invalid digit found in string", "not a whole number");
        let help = match command_in(usage) {
            Some(command) => format!("see `{command} --help`"),
            None => "see `udpchatctl --help`, or `udpchatctl COMMAND --help`".to_owned(),
        };
        Self::usage(message).hint(tip.map_or(help.clone(), |tip| format!("{tip}; {help}")))
    }

    /// Turns a failed write to standard output into an error.
    pub(crate) fn from_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::failed("cannot write to standard output").caused_by(error),
        }
    }

    /// Adds the chain of causes.
    #[must_use]
    pub(crate) fn caused_by(self, error: &dyn Error) -> Self {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let causes: Vec<String> = chain.map(|cause| without_number(&cause.to_string())).collect();
        self.with(|failure| failure.causes.extend(causes))
    }

    /// Says what failed on the whole; what failed in it becomes the cause.
    #[must_use]
    pub(crate) fn within(self, message: impl Into<String>) -> Self {
        self.with(|failure| {
            let cause = std::mem::replace(&mut failure.message, message.into());
            failure.causes.insert(0, cause);
        })
    }

    /// Says what to do next.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.with(|failure| failure.hint = Some(hint))
    }

    /// Says what to do next where something took too long.
    #[must_use]
    pub(crate) fn hint_if_timed_out(self, hint: &str) -> Self {
        if matches!(&self, Self::Failed(failure) if failure.exit == Exit::TimedOut) {
            self.hint(hint)
        } else {
            self
        }
    }

    /// Names the line of the input that failed.
    #[must_use]
    pub(crate) fn at_line(self, line: u64) -> Self {
        self.with(|failure| failure.line = Some(line))
    }

    fn with(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        if let Self::Failed(failure) = &mut self {
            change(failure);
        }
        self
    }

    /// Returns how the program ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::ReaderGone => Exit::Done,
            Self::Failed(failure) => failure.exit,
        }
    }
}

/// Takes off the number that the standard library puts behind what the system says.
fn without_number(text: &str) -> String {
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// Returns the command that a usage is about, the words before flags and arguments; none if there is no usage.
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
        let (exit, kind, hint) = match error {
            ClientError::Refused(object) => return object.into(),
            ClientError::NoDaemon { .. } => (Exit::NoDaemon, "no_daemon", "start one with `udpchatd`"),
            ClientError::NotPermitted { .. } => {
                (Exit::NotPermitted, "not_permitted", "run this as the user that the daemon runs as")
            }
            ClientError::Busy { .. } => (
                Exit::Failed,
                "busy",
                "try again; if this lasts, the daemon hangs: see its log, and restart it",
            ),
            ClientError::Closed | ClientError::Io(_) => {
                (Exit::Failed, "closed", "the daemon was stopped, or its log tells why it ended")
            }
            ClientError::Silent => {
                (Exit::TimedOut, "silent", "the daemon hangs: look into its log, and start it anew")
            }
            ClientError::TooLong { .. } => {
                (Exit::NotSent, "too_long", "send it in several messages, each far shorter")
            }
            ClientError::Protocol { .. } => {
                (Exit::Failed, "protocol", "`udpchatctl version` tells whether both programs fit together")
            }
        };
        let made = Self::new(exit, kind, error.to_string()).hint(hint);
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
            failure.hint = flag_of(kind).map(str::to_owned).or(object.data.hint);
        })
    }
}

/// Returns how the program ends where the daemon refused something.
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

/// Returns a kind's name on the wire.
fn name_of(kind: ErrorKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "other".to_owned(),
    }
}

/// Returns the hint that speaks of this program's flags, where the daemon's own speaks of the protocol's.
fn flag_of(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::EmptyMessage => Some("`--allow-empty` sends it nevertheless"),
        ErrorKind::UnknownMethod => {
            Some("the daemon is of another version: `udpchatctl version` compares them")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Parsed};

    fn failure(error: CtlError) -> Failure {
        match error {
            CtlError::Failed(failure) => *failure,
            CtlError::ReaderGone => panic!("no failure"),
        }
    }

    #[test]
    fn every_kind_of_the_protocol_ends_as_promised() {
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
            assert_eq!(failure(error).code, Some(kind.code()));
        }
    }

    #[test]
    fn errors_of_the_client_end_as_promised() {
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
    fn the_causes_of_an_error_are_kept() {
        let error = ClientError::Io(io::Error::other("the wire broke"));
        let failure = failure(error.into());
        assert_eq!(failure.message, "the connection to the daemon failed");
        assert_eq!(failure.causes, ["the wire broke"]);
    }

    #[test]
    fn causes_are_told_without_the_numbers_of_the_system() {
        let error = CtlError::failed("x").caused_by(&io::Error::from_raw_os_error(2));
        assert_eq!(failure(error).causes, ["No such file or directory"]);
    }

    #[test]
    fn what_failed_in_the_whole_becomes_its_cause() {
        let error = ClientError::Io(io::Error::other("the wire broke"));
        let failure = failure(CtlError::from(error).within("the work is not done"));
        assert_eq!((failure.message.as_str(), failure.kind.as_str()), ("the work is not done", "closed"));
        assert_eq!(failure.causes, ["the connection to the daemon failed", "the wire broke"]);
        assert!(matches!(CtlError::ReaderGone.within("x"), CtlError::ReaderGone));
    }

    #[test]
    fn a_reader_that_closes_its_pipe_is_no_failure() {
        let gone = CtlError::from_output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone.exit(), Exit::Done);
        assert_eq!(CtlError::from_output(&io::ErrorKind::StorageFull.into()).exit(), Exit::Failed);
    }

    #[test]
    fn wrong_use_is_told_in_one_sentence_with_a_hint() {
        let wrong = |line: &str| match Cli::parse(line.split(' ').map(Into::into).collect()) {
            Parsed::Wrong(error) => failure(CtlError::from_clap(&error)),
            _ => panic!("{line} is accepted"),
        };
        let unknown = wrong("udpchatctl statos");
        assert_eq!(unknown.message, "unrecognized subcommand 'statos'");
        let unknown_hint = unknown.hint.unwrap();
        assert!(unknown_hint.starts_with("some similar subcommands exist: 'stop', 'status'; see"));
        assert!(unknown_hint.ends_with("see `udpchatctl --help`"), "{unknown_hint}");
        assert_eq!(wrong("udpchatctl").message, "no command is given");
        let wrong_number = wrong("udpchatctl inbox -n x");
        assert_eq!(wrong_number.message, "invalid value 'x' for '--number <N>': not a whole number");
        assert_eq!(
            wrong("udpchatctl send --no-such-flag").hint.unwrap().split("; ").last(),
            Some("see `udpchatctl send --help`")
        );
        assert!(wrong("udpchatctl send").message.ends_with("were not provided: <TO>"));
    }
}
