//! The arguments that `send`, `reply` and `ask` share: the message.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_config::Encoding;
use udpchat_locale::tr;

use crate::command::completions::candidates;
use crate::error::{CtlError, Result};

/// What the parser takes for `--split` without a size. No argument of a program can contain it.
const NO_SIZE: &str = "\0";

/// One message.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MessageArgs {
    /// The message; words are joined by a space. `-` or no TEXT reads standard input as one message
    #[arg(value_name = "TEXT", allow_negative_numbers = true, conflicts_with = "file")]
    pub(crate) text: Vec<String>,
    /// Encode the text in ENC, for example gbk [default: the encoding of the peer]
    #[arg(short, long, value_name = "ENC", add = ArgValueCandidates::new(candidates::encodings))]
    pub(crate) encoding: Option<String>,
    /// Read TEXT or standard input as hex digits; spaces, `:`, `-`, `,` and `0x` between bytes are ignored
    #[arg(long, conflicts_with_all = ["encoding", "escape"])]
    pub(crate) hex: bool,
    /// Interpret \n \r \t \0 \\ \xHH (a byte) and \u{H...} in the text
    #[arg(long)]
    pub(crate) escape: bool,
    /// Send the bytes of a file unchanged; `-` is standard input
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Split a long message into datagrams of at most BYTES, between characters [default: 1024]
    #[arg(long, value_name = "BYTES", num_args = 0..=1, require_equals = true, default_missing_value = NO_SIZE)]
    pub(crate) split: Option<SplitSize>,
    /// Send an empty message as an empty datagram instead of refusing it
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

/// The longest datagram of a message that is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitSize {
    /// [`Self::DEFAULT_BYTES`], since the flag has no value.
    Default,
    /// A number of bytes.
    Bytes(u32),
}

impl SplitSize {
    /// What the smallest common receive buffer holds, in bytes.
    const DEFAULT_BYTES: u32 = 1024;
    const RANGE: std::ops::RangeInclusive<u32> = 16..=65_507;

    /// Returns the number of bytes.
    pub(crate) fn bytes(self) -> u32 {
        match self {
            Self::Default => Self::DEFAULT_BYTES,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for SplitSize {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.parse() {
            _ if text == NO_SIZE => Ok(Self::Default),
            Ok(bytes) if Self::RANGE.contains(&bytes) => Ok(Self::Bytes(bytes)),
            _ => {
                let (least, most) = (Self::RANGE.start(), Self::RANGE.end());
                Err(tr!(
                    "expected {least} to {most} bytes; `--split` without `=` takes {default}",
                    least,
                    most,
                    default = Self::DEFAULT_BYTES
                ))
            }
        }
    }
}

/// One message, or one for each line.
#[derive(Debug, Default, Args)]
pub(crate) struct LinesArgs {
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    /// Send each line of standard input, or of --file, as a message of its own, as soon as it is read
    #[arg(long, conflicts_with = "text")]
    pub(crate) lines: bool,
}

impl MessageArgs {
    /// Refuses what the argument parser cannot express: flags for text together with a file that is sent as one message, and an
    /// unknown encoding, before the text is read.
    pub(crate) fn check(&self) -> Result<()> {
        let is_for_text = self.hex || self.escape || self.encoding.is_some();
        if self.file.is_some() && is_for_text {
            return Err(CtlError::usage(tr!(
                "--file sends bytes unchanged and cannot be combined with --encoding, --escape or --hex"
            ))
            .hint(tr!("use standard input: `udpchatctl send TO --hex < PATH`")));
        }
        if let Some(Err(unknown)) = self.encoding.as_deref().map(str::parse::<Encoding>) {
            return Err(CtlError::of_value(unknown));
        }
        self.check_split(std::env::args_os())
    }

    /// Refuses `--split 1000 TEXT` and `TEXT --split 1000`: the number would be sent as a part of the text.
    fn check_split(&self, arguments: impl Iterator<Item = OsString>) -> Result<()> {
        let behind = argument_behind(arguments, &["--split"]);
        let is_behind = |number: &&String| behind.as_ref().is_some_and(|next| *next == ***number);
        match self.text.iter().find(is_behind) {
            Some(number) if self.split == Some(SplitSize::Default) && number.parse::<u32>().is_ok() => {
                let message = tr!("`--split {number}` does not set the size", number);
                let hint = tr!(
                    "write `--split={number}`; to send the number, write `--split=1024 -- {number}`",
                    number
                );
                Err(CtlError::usage(message).hint(hint))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the argument behind an option, in any of its spellings: a person may have meant it as the value of one that takes none, and
/// the parser does not tell where an argument stood.
pub(super) fn argument_behind(
    mut arguments: impl Iterator<Item = OsString>,
    option: &[&str],
) -> Option<OsString> {
    arguments.find(|argument| option.iter().any(|spelling| argument == spelling))?;
    arguments.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_behind_split_is_not_sent() {
        let split = |size, line: &str, text: &[&str]| {
            let text = text.iter().map(ToString::to_string).collect();
            let message = MessageArgs { split: Some(size), text, ..MessageArgs::default() };
            message.check_split(line.split(' ').map(OsString::from))
        };
        for (line, text) in [
            ("udpchatctl send bob --split 1000 x", &["1000", "x"][..]),
            ("udpchatctl send bob x --split 1000", &["x", "1000"]),
        ] {
            let error = split(SplitSize::Default, line, text).unwrap_err();
            assert_eq!(error.exit() as u8, 2, "{line}");
        }
        assert!(split(SplitSize::Bytes(1000), "send bob --split=1000 1000 x", &["1000", "x"]).is_ok());
        for line in ["send bob x 1000 --split", "send bob --split x 1000", "send bob --split -- x 1000"] {
            assert!(split(SplitSize::Default, line, &["x", "1000"]).is_ok(), "{line}");
        }
        for (text, size) in [
            (NO_SIZE, Some(SplitSize::Default)),
            ("16", Some(SplitSize::Bytes(16))),
            ("15", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<SplitSize>().ok(), size);
        }
    }

    #[test]
    fn a_file_excludes_flags_for_text() {
        let file = || MessageArgs { file: Some("f".into()), ..MessageArgs::default() };
        assert!(file().check().is_ok());
        for wrong in [
            MessageArgs { hex: true, ..file() },
            MessageArgs { escape: true, ..file() },
            MessageArgs { encoding: Some("gbk".to_owned()), ..file() },
        ] {
            assert_eq!(wrong.check().unwrap_err().exit() as u8, 2, "{wrong:?}");
        }
    }
}
