//! Bytes to text and back: which encoding a message is in, what it proves about its sender, and how a text becomes bytes.
//!
//! Text is a view: the bytes are stored, and each reading decodes them again. Two questions are separate. [`decode()`] always
//! answers how a message is read, by the first of: a person's choice, the configuration, the bytes, the sender's earlier
//! messages, a guess, the fallback. [`evidence()`] returns what the message proves about its sender, so that it may be
//! remembered; mostly that is nothing, since a wrong encoding that is remembered misreads all messages of that sender.
//!
//! Belongs here: pure functions on bytes and text. Does not belong here: sockets, storage, types of the control protocol.
//! `udpchat-daemon`, `udpchat-ctl` and benchmarks depend on this crate; it depends on `udpchat-config` for the names of encodings.

mod characters;
mod common;
mod content;
mod cost;
mod decode;
mod encode;
mod escape;
mod evidence;
mod hex;
mod reading;
mod score;

pub use content::shows_encoding;
pub use decode::{Basis, Decoded, Knowledge, decode};
pub use encode::{NotEncodable, encode, for_answering, wider};
pub use escape::{Piece, UnknownEscape, parse_escapes};
pub use evidence::evidence;
pub use reading::read;
