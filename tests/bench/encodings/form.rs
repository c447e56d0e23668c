//! What happens to messages on the way: they are cut, damaged, or put into a frame.

use super::case::{Case, Damage};
use super::speaker::{Message, Speaker};

/// Frames of protocols for text, and of programs for terminals.
const FRAMES: [(&str, &str); 8] = [
    ("\x02", "\x03"),
    ("\x02", "\x03\r\n"),
    ("\x0b", "\x1c\r"),
    ("\x1b[31m", "\x1b[0m"),
    ("\x07", ""),
    ("", "\r\n"),
    ("", "\0"),
    ("", "\r\n\0\0\0"),
];

/// What programs put behind a text that they have cut.
const TAILS: [&str; 4] = ["", "\r\n", "...", "\x1b[0m"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// Without its first bytes: from every byte on.
    CutInFront,
    /// Without its last bytes: up to every byte, and what programs put behind it.
    CutAtEnd,
    /// With one byte replaced: each in turn, by FF or with its highest bit flipped.
    BadByte,
    Framed,
}

impl Form {
    pub(crate) const ALL: [Self; 5] =
        [Self::Whole, Self::CutInFront, Self::CutAtEnd, Self::BadByte, Self::Framed];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::CutInFront => "cut in front, at every byte",
            Self::CutAtEnd => "cut at the end, at every byte",
            Self::BadByte => "one bad byte, at every place",
            Self::Framed => "framed: STX/ETX, MLLP, ANSI colour, BEL, CR LF, NUL",
        }
    }

    /// Returns the message in this form, in every way that there is. What is left of a cut one has a whole character outside
    /// ASCII.
    pub(crate) fn cases(self, speaker: &Speaker, message: &Message) -> Vec<Case> {
        match self {
            Self::Whole => vec![Case::whole(message.bytes.clone(), &message.text)],
            Self::CutInFront => (1..message.bytes.len()).filter_map(|at| cut_in_front(message, at)).collect(),
            Self::CutAtEnd => {
                let cuts = (1..message.bytes.len()).zip(TAILS.into_iter().cycle());
                cuts.filter_map(|(at, tail)| cut_at_end(speaker, message, at, tail)).collect()
            }
            Self::BadByte => {
                let (_, first) = message.starts[0];
                (first..message.bytes.len()).map(|at| bad_byte(message, at)).collect()
            }
            Self::Framed => FRAMES.iter().filter_map(|frame| framed(speaker, message, *frame)).collect(),
        }
    }
}

fn cut_in_front(message: &Message, at: usize) -> Option<Case> {
    let (text_at, byte_at) = *message.starts.iter().find(|(_, byte)| *byte >= at)?;
    let whole = &message.text[text_at..];
    (!whole.is_ascii()).then(|| Case {
        bytes: message.bytes[at..].to_vec(),
        before: String::new(),
        damage: cut(&message.bytes[at..byte_at]),
        after: whole.to_owned(),
    })
}

fn cut_at_end(speaker: &Speaker, message: &Message, at: usize, tail: &str) -> Option<Case> {
    let (text_at, byte_at) = *message.starts.iter().rfind(|(_, byte)| *byte <= at)?;
    let whole = &message.text[..text_at];
    let tail = if speaker.is_ascii_compatible() { tail } else { "" };
    (!whole.is_ascii()).then(|| Case {
        bytes: [&message.bytes[..at], tail.as_bytes()].concat(),
        before: whole.to_owned(),
        damage: cut(&message.bytes[byte_at..at]),
        after: tail.to_owned(),
    })
}

fn cut(rest: &[u8]) -> Damage {
    if rest.is_empty() { Damage::None } else { Damage::Cut(rest.to_vec()) }
}

fn bad_byte(message: &Message, at: usize) -> Case {
    let next = message.starts.iter().position(|(_, byte)| *byte > at).expect("the end is in the list");
    let ((text_from, byte_from), (text_to, byte_to)) = (message.starts[next - 1], message.starts[next]);
    let mut bytes = message.bytes.clone();
    bytes[at] = if at.is_multiple_of(2) && bytes[at] != 0xff { 0xff } else { bytes[at] ^ 0x80 };
    Case {
        bytes,
        before: message.text[..text_from].to_owned(),
        damage: Damage::Replaced(byte_to - byte_from),
        after: message.text[text_to..].to_owned(),
    }
}

fn framed(speaker: &Speaker, message: &Message, (front, back): (&str, &str)) -> Option<Case> {
    let text = format!("{front}{}{back}", message.text);
    Some(Case::whole(speaker.say(&text)?.bytes, &text))
}
