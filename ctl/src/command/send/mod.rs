//! `send`: sends one message, or one for each line (`sender`), or several that are in flight at once (`job`). `reply` and
//! `ask` use parts of it.

mod append;
mod args;
mod command;
mod confirm;
mod destination;
mod fill;
mod form;
mod hold;
mod job;
mod known_peers;
mod last_port;
mod line_end;
mod many;
mod messages;
mod moving;
mod notes;
mod order;
mod other_port;
mod payload;
mod port;
mod sender;
mod sending;

pub(crate) use self::append::Append;
pub(crate) use self::args::{LinesArgs, MessageArgs};
pub(crate) use self::command::{SendArgs, run};
pub(crate) use self::form::FormArgs;
pub(super) use self::job::reply;
pub(super) use self::known_peers::KnownPeers;
pub(super) use self::last_port::{
    last_port_of, params_to as params_to_last_port, recent_params_to as recent_params_to_last_port,
};
pub(super) use self::notes::{escape_in, is_for_many, note_encoding};
pub(super) use self::order::check_order;
pub(super) use self::other_port::OtherPort;
pub(crate) use self::payload::{Payload, apparent_encoding};
pub(super) use self::port::{note_unread_input, refuse_port};
pub(super) use self::sender::{note_large, params, prepare, refusal, send};
