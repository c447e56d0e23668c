//! The state of the chat: changed by keys and updates, without input or output of its own.
//!
//! What it needs from the daemon it puts into a list of requests. Drawing belongs to `view`, connections to `connection`;
//! both depend on this folder.

mod actions;
mod conversation;
mod delivery;
mod input_history;
mod item;
mod line_end;
mod outbox;
mod peer;
mod peer_list;
mod picker;
mod recoding;
mod request;
mod scroll;
mod state;

pub(super) use self::delivery::Mark;
pub(super) use self::item::{Item, ItemKind, row_bytes};
pub(super) use self::outbox::{OutgoingMessage, SendFailure};
pub(super) use self::peer::PeerKey;
pub(super) use self::peer_list::PeerRow;
pub(super) use self::picker::{Choice, Picker, PickerKind, list_refusal};
pub(super) use self::request::{Request, Update};
pub(super) use self::scroll::{ConversationRow, Pane};
pub(super) use self::state::{ConnectionState, Model, Overlay};

#[cfg(test)]
mod tests;
