//! The payload of a message: read from the command line, standard input or a file, as text or as hex digits.

mod hex;
mod lines;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use udpchat_api::MAX_DATAGRAM_BYTES;
use udpchat_config::{Encoding, Need};
use udpchat_locale::tr;
use udpchat_text::{Knowledge, decode, for_answering};

pub(crate) use self::lines::{Line, Lines};
use super::args::MessageArgs;
use crate::error::{CtlError, Exit, Result};
use crate::output::grouped;

/// The longest message that is read, and the longest line of `--lines`, in bytes.
const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// The payload of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Text, which the daemon encodes.
    Text(String),
    /// Bytes, sent unchanged.
    Bytes(Vec<u8>),
}

impl Payload {
    /// Returns whether the message is empty.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// Returns whether every encoding has the same bytes for the message.
    pub(crate) fn is_ascii(&self) -> bool {
        match self {
            Self::Text(text) => text.is_ascii(),
            Self::Bytes(bytes) => bytes.is_ascii(),
        }
    }

    /// Creates a payload from text, or from hex digits if `hex` is set.
    pub(crate) fn of_text(text: String, hex: bool) -> Result<Self> {
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
    /// Returns the source that the arguments name.
    pub(crate) fn of(arguments: &MessageArgs) -> Self {
        match (&arguments.file, arguments.text.as_slice()) {
            (Some(path), _) if path == Path::new("-") => Self::Stdin,
            (Some(path), _) => Self::File(path.clone()),
            (None, []) => Self::Stdin,
            (None, [only]) if only == "-" => Self::Stdin,
            (None, words) => Self::Words(words.join(" ")),
        }
    }

    /// Returns whether reading may wait for typing.
    pub(crate) fn waits(&self) -> bool {
        *self == Self::Stdin
    }

    /// Opens the source for reading.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::Words(words) => Ok(Box::new(io::Cursor::new(words.clone()))),
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => {
                Ok(Box::new(File::open(path).map_err(|error| unreadable(&self.to_string(), &error))?))
            }
        }
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The input cannot be read, is not UTF-8 where text is expected, or is too long.
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
            let source = self;
            return Err(too_long(&tr!("{source} has more than 1 MiB, far more than a datagram", source)));
        }
        Ok(bytes)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Words(_) => formatter.write_str(tr!("the message")),
            Self::Stdin => formatter.write_str(tr!("standard input")),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Refuses what the daemon would refuse anyway, with an error that names the source and the flags.
fn check(payload: &Payload, arguments: &MessageArgs, source: &Source) -> Result<()> {
    if payload.is_empty() && !arguments.allow_empty {
        return Err(CtlError::new(Exit::Usage, "empty_message", tr!("the message is empty"))
            .hint(tr!("`--allow-empty` sends an empty datagram")));
    }
    match payload {
        Payload::Bytes(bytes) if bytes.len() > MAX_DATAGRAM_BYTES && arguments.split.is_none() => {
            Err(too_long(&tr!(
                "{source} has {length} bytes; a datagram has at most {most}",
                source,
                length = grouped(bytes.len() as u64),
                most = grouped(MAX_DATAGRAM_BYTES as u64)
            )))
        }
        _ => Ok(()),
    }
}

/// Returns the encoding that bytes look like which are not UTF-8, as iconv(1) calls it; none if it is unclear.
pub(crate) fn apparent_encoding(bytes: &[u8]) -> Option<Encoding> {
    let decoded = decode(bytes, &Knowledge::none(Encoding::GB18030));
    let is_whole = decoded.encoding != Encoding::UTF_8 && !decoded.text.contains('\u{fffd}');
    is_whole.then(|| for_answering(decoded.encoding, Encoding::GB18030))
}

fn text_of_stdin(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        CtlError::usage(tr!(
            "standard input is not UTF-8: invalid byte at position {position}",
            position = at
        ))
        .hint(match apparent_encoding(error.as_bytes()) {
            Some(encoding) => tr!(
                "it looks like {encoding}: `iconv -f {encoding} -t utf-8` converts it; `--file -` sends any bytes unchanged",
                encoding
            ),
            None => tr!("`--file -` sends any bytes unchanged").to_owned(),
        })
    })
}

fn too_long(message: &str) -> CtlError {
    CtlError::not_sent("too_long", message).hint(tr!("`--split` splits a message into datagrams that fit"))
}

fn unreadable(what: &str, error: &io::Error) -> CtlError {
    CtlError::failed(tr!("cannot read {path}", path = what)).caused_by_file(
        Path::new(what),
        Need::Read,
        error,
    )
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
    fn an_empty_message_needs_allow_empty() {
        assert_eq!(exit_of(load(&words(&[""]))), 2);
        let meant = MessageArgs { allow_empty: true, ..words(&[""]) };
        assert_eq!(load(&meant).unwrap(), Payload::Text(String::new()));
    }

    #[test]
    fn a_file_is_unchanged_and_limited_to_a_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, b"\xff\r\n").unwrap();
        assert_eq!(load(&file(&path)).unwrap(), Payload::Bytes(b"\xff\r\n".to_vec()));

        std::fs::write(&path, vec![b'x'; MAX_DATAGRAM_BYTES]).unwrap();
        assert!(load(&file(&path)).is_ok());
        std::fs::write(&path, vec![b'x'; MAX_DATAGRAM_BYTES + 1]).unwrap();
        assert_eq!(exit_of(load(&file(&path))), 5);
        assert!(load(&MessageArgs { split: "1024".parse().ok(), ..file(&path) }).is_ok());
        assert_eq!(exit_of(load(&file(Path::new("/dev/zero")))), 5);
    }

    #[test]
    fn an_unreadable_file_is_named() {
        for path in ["/no/such/file", "/"] {
            let failure = load(&file(Path::new(path))).unwrap_err().into_failure();
            assert_eq!((failure.message, failure.exit as u8), (format!("cannot read {path}"), 1));
            assert_eq!(failure.causes.len(), 1);
        }
    }

    #[test]
    fn invalid_utf8_on_stdin_is_refused_with_a_hint() {
        let failure = text_of_stdin(b"ab\xff".to_vec()).unwrap_err().into_failure();
        assert_eq!((failure.exit as u8, failure.message.contains("position 3")), (2, true));
        assert_eq!(failure.hint.unwrap(), "`--file -` sends any bytes unchanged");
        // 你好 in GBK.
        let failure = text_of_stdin(b"\xc4\xe3\xba\xc3".to_vec()).unwrap_err().into_failure();
        assert!(failure.hint.unwrap().contains("`iconv -f gbk -t utf-8` converts it; `--file -` sends"));
    }
}
