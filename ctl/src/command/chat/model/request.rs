//! What the model requests from the daemon, and what comes back.

use udpchat_api::Entry;
use udpchat_api::call::{InboxAnswer, InboxParams, Order, PeersAnswer, RecodeAnswer, RecodeParams, Sent};

use super::conversation::{Conversation, WindowEnd};
use super::outbox::{OutgoingMessage, SendFailure};

/// The number of entries in a page of history.
const PAGE_ENTRIES: u32 = 200;

/// A request to the daemon.
#[derive(Clone, Debug)]
pub(in crate::command::chat) enum Request {
    /// A page for an end of the conversation with this epoch.
    Page { epoch: u64, end: WindowEnd, params: InboxParams },
    /// A page of entries that the conversation with this epoch holds already: they may be read otherwise now.
    Reread { epoch: u64, params: InboxParams },
    /// A step of changing the encoding in which messages are read.
    Recode(RecodeParams),
    /// The list of peers.
    Peers,
    /// Send a message.
    Send(OutgoingMessage),
    /// Mark all entries up to this id as read.
    Ack(u64),
    /// Report at times which messages are still held, from the lowest to the highest number; none ends it.
    WatchHeld(Option<(u64, u64)>),
}

/// A change that the daemon or the connection reports.
#[derive(Debug)]
pub(in crate::command::chat) enum Update {
    /// Connected: entries above the id `after` will arrive. `is_gapless`: none is missing since the last one.
    Online { after: u64, is_gapless: bool, unread: u64 },
    /// The connection failed, with the reason.
    Offline(String),
    /// An entry was recorded.
    Arrived(Box<Entry>),
    /// The answer to [`Request::Page`]; `cursor` is that of the request.
    Page { epoch: u64, end: WindowEnd, cursor: Option<u64>, answer: Result<InboxAnswer, String> },
    /// The answer to [`Request::Reread`]; `before` is the cursor of the request.
    Reread { epoch: u64, before: Option<u64>, answer: Result<InboxAnswer, String> },
    /// The answer to [`Request::Recode`].
    Recoded { params: RecodeParams, answer: Result<RecodeAnswer, String> },
    /// The answer to [`Request::Peers`].
    Peers(Result<PeersAnswer, String>),
    /// The numbers of the messages in `span` that are still held, for [`Request::WatchHeld`].
    StillHeld { span: (u64, u64), numbers: Vec<u64> },
    /// The answer to [`Request::Send`] with this ticket: the entries that record the message, or that it is held.
    Sent { ticket: u64, outcome: Result<Sent, SendFailure> },
}

/// A change of the encoding for reading that is not finished.
#[derive(Clone, Debug)]
pub(super) struct Recoding {
    /// The parameters of the last step.
    pub(super) params: RecodeParams,
    /// The number of messages so far.
    pub(super) matched: u64,
}

impl Request {
    /// Requests the next page at an end of a conversation.
    pub(super) fn page(conversation: &Conversation, end: WindowEnd) -> Self {
        let cursor = conversation.cursor(end);
        let (before, after, order) = match end {
            WindowEnd::Older => (cursor, None, Order::Desc),
            WindowEnd::Newer => (None, cursor, Order::Asc),
        };
        let params = InboxParams { before, after, order: Some(order), ..params(conversation) };
        Self::Page { epoch: conversation.epoch, end, params }
    }

    /// Requests the entries of a conversation below a cursor again.
    pub(super) fn reread(conversation: &Conversation, before: u64) -> Self {
        let params = InboxParams { before: Some(before), order: Some(Order::Desc), ..params(conversation) };
        Self::Reread { epoch: conversation.epoch, params }
    }
}

/// Returns the parameters of every page of a conversation.
fn params(conversation: &Conversation) -> InboxParams {
    InboxParams {
        limit: Some(PAGE_ENTRIES),
        from: vec![conversation.key.to_string()],
        gaps: true,
        notices: true,
        ..InboxParams::default()
    }
}
