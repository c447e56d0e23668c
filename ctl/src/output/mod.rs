//! Everything that `udpchatctl` prints outside the full screens: text or JSON on standard output, notes and errors on
//! standard error.
//!
//! Belongs here: writing to the streams, colour, and how entries, errors, numbers and times look in every command. Does not
//! belong here: what one command alone shows, which is rendered in that command. Every command may use this folder; it uses
//! none of them.
//!
//! Text that other programs may have written is made safe for terminals by [`udpchat_api::safe`].

mod atomic_file;
mod binary;
mod entry;
mod failure;
mod format;
mod held;
mod hexdump;
mod highlight;
mod notice;
mod pager;
mod printer;
mod progress;
mod sink;
mod stderr;
mod stream;
pub(crate) mod style;

pub(crate) use self::atomic_file::replace_file;
pub(crate) use self::entry::{loss, source};
pub(crate) use self::failure::{as_line, in_one_line};
pub(crate) use self::format::{
    chosen_by, clock_time, counted, duration, encoding_chosen_by, encoding_key, grouped, host,
    local_milliseconds, local_minute, local_time, refused, shown_number, size, span,
};
pub(crate) use self::hexdump::{line_of as hex_line, pairs as hex_pairs};
pub(crate) use self::highlight::TextPattern;
pub(crate) use self::notice::{after_bounce, notice_text, reason_text, reported, undelivered};
pub(crate) use self::printer::{Output, READER_CHECK};
pub(crate) use self::progress::{Progress, Reached};
pub(crate) use self::sink::Sink;
