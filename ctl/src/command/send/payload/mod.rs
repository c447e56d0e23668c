//! What to send: words, standard input, a file, hex digits, or line after line.

mod hex;
mod lines;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use udpchat_api::MAX_DATAGRAM_BYTES;

use crate::cli::MessageArgs;
use crate::error::{CtlError, Result};

pub(crate) use lines::{Line, Lines};

/// The longest message that is read at all, in bytes; also the longest of the lines of `--lines`.
const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Text, which the daemon encodes.
    Text(String),
    /// Bytes, sent as they are.
    Bytes(Vec<u8>),
}

impl Payload {
    /// Returns whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// Makes a payload of input that is text, or the hex digits of bytes.
    fn of_text(text: String, hex: bool) -> Result<Self> {
        if hex { hex::parse(&text).map(Self::Bytes) } else { Ok(Self::Text(text)) }
    }
}

/// Where the message comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The words of the command line.
    Words(String),
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Reads from the arguments where the message comes from.
    pub(crate) fn of(arguments: &MessageArgs) -> Self {
        match (&arguments.file, arguments.text.as_slice()) {
            (Some(path), _) if path == Path::new("-") => Self::Stdin,
            (Some(path), _) => Self::File(path.clone()),
            (None, []) => Self::Stdin,
            (None, [only]) if only == "-" => Self::Stdin,
            (None, words) => Self::Words(words.join(" ")),
        }
    }

    /// Returns whether getting the message may take as long as somebody types.
    pub(crate) fn waits(&self) -> bool {
        *self == Self::Stdin
    }

    /// Opens the input for reading line by line.
    pub(crate) fn open(&self) -> Result<Box<dyn Read>> {
        match self {
            Self::Words(words) => Ok(Box::new(io::Cursor::new(words.clone()))),
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => {
                Ok(Box::new(File::open(path).map_err(|error| unreadable(&self.to_string(), &error))?))
            }
        }
    }

    /// Gets the one message.
    ///
    /// # Errors
    /// Input that cannot be read, that is no text where text is wanted, or that is too long.
    pub(crate) fn load(&self, arguments: &MessageArgs) -> Result<Payload> {
        let payload = match self {
            Self::Words(words) => Payload::of_text(words.clone(), arguments.hex)?,
            Self::Stdin | Self::File(_) => {
                let bytes = self.read()?;
                match arguments.file {
                    Some(_) => Payload::Bytes(bytes),
                    None => Payload::of_text(text_of_stdin(bytes)?, arguments.hex)?,
                }
            }
        };
        check(&payload, arguments, self)?;
        Ok(payload)
    }

    fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = MAX_INPUT_BYTES as u64 + 1;
        self.open()?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&self.to_string(), &error))?;
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(too_long(&format!("{self} holds more than 1 MiB, far more than a datagram")));
        }
        Ok(bytes)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Words(_) => formatter.write_str("the message"),
            Self::Stdin => formatter.write_str("standard input"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Refuses what the daemon would refuse anyway, where this side can tell better what is meant.
fn check(payload: &Payload, arguments: &MessageArgs, source: &Source) -> Result<()> {
    if payload.is_empty() && !arguments.allow_empty {
        return Err(CtlError::new(crate::error::Exit::Usage, "empty_message", "the message is empty")
            .hint("`--allow-empty` sends an empty datagram"));
    }
    match payload {
        Payload::Bytes(bytes) if bytes.len() > MAX_DATAGRAM_BYTES && arguments.split.is_none() => {
            let is = bytes.len();
            Err(too_long(&format!("{source}: {is} bytes, more than the {MAX_DATAGRAM_BYTES} of a datagram")))
        }
        _ => Ok(()),
    }
}

fn text_of_stdin(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        CtlError::usage(format!("standard input is not UTF-8, from byte {at} on"))
            .hint("`--file -` sends bytes as they are")
    })
}

fn too_long(message: &str) -> CtlError {
    CtlError::not_sent("too_long", message).hint("`--split` cuts a message into datagrams that fit")
}

fn unreadable(what: &str, error: &io::Error) -> CtlError {
    CtlError::failed(format!("cannot read {what}")).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> MessageArgs {
        MessageArgs { text: words.iter().map(|&word| word.to_owned()).collect(), ..MessageArgs::default() }
    }

    fn file(path: &Path) -> MessageArgs {
        MessageArgs { file: Some(path.to_owned()), ..MessageArgs::default() }
    }

    fn load(arguments: &MessageArgs) -> Result<Payload> {
        Source::of(arguments).load(arguments)
    }

    fn exit_of(result: Result<Payload>) -> u8 {
        result.unwrap_err().exit() as u8
    }

    #[test]
    fn words_are_joined_by_one_space_and_a_lone_dash_is_standard_input() {
        assert_eq!(Source::of(&words(&["a", "b  c"])), Source::Words("a b  c".to_owned()));
        assert_eq!(Source::of(&words(&["-", "a"])), Source::Words("- a".to_owned()));
        for arguments in [words(&[]), words(&["-"]), file(Path::new("-"))] {
            assert_eq!(Source::of(&arguments), Source::Stdin);
        }
    }

    #[test]
    fn an_empty_message_is_sent_only_if_that_is_said() {
        assert_eq!(exit_of(load(&words(&[""]))), 2);
        let meant = MessageArgs { allow_empty: true, ..words(&[""]) };
        assert_eq!(load(&meant).unwrap(), Payload::Text(String::new()));
    }

    #[test]
    fn a_file_goes_as_it_is_and_no_further_than_a_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, b"\xff\r\n").unwrap();
        assert_eq!(load(&file(&path)).unwrap(), Payload::Bytes(b"\xff\r\n".to_vec()));

        std::fs::write(&path, vec![b'x'; MAX_DATAGRAM_BYTES]).unwrap();
        assert!(load(&file(&path)).is_ok());
        std::fs::write(&path, vec![b'x'; MAX_DATAGRAM_BYTES + 1]).unwrap();
        assert_eq!(exit_of(load(&file(&path))), 5);
        assert!(load(&MessageArgs { split: Some(1024), ..file(&path) }).is_ok());
        assert_eq!(exit_of(load(&file(Path::new("/dev/zero")))), 5);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        for path in ["/no/such/file", "/"] {
            let CtlError::Failed(failure) = load(&file(Path::new(path))).unwrap_err() else { panic!() };
            assert_eq!((failure.message, failure.exit as u8), (format!("cannot read {path}"), 1));
            assert_eq!(failure.causes.len(), 1);
        }
    }

    #[test]
    fn standard_input_that_is_no_text_is_refused_with_the_way_out() {
        let CtlError::Failed(failure) = text_of_stdin(b"ab\xff".to_vec()).unwrap_err() else { panic!() };
        assert_eq!((failure.exit as u8, failure.message.contains("byte 3")), (2, true));
        assert!(failure.hint.unwrap().contains("--file -"));
    }
}
