//! The pages of the open conversation: what the screen needs is requested, and what is shown is read.

use udpchat_api::call::InboxAnswer;
use udpchat_locale::tr;

use super::{ConnectionState, Model};
use crate::command::chat::model::conversation::WindowEnd;
use crate::command::chat::model::request::Request;
use crate::command::chat::model::scroll::Pane;

impl Model {
    pub(super) fn add_page(
        &mut self,
        epoch: u64,
        (end, cursor): (WindowEnd, Option<u64>),
        answer: Result<InboxAnswer, String>,
    ) {
        let arrived_id = self.arrived_id;
        let Some(conversation) = self.conversation.as_mut().filter(|open| open.epoch == epoch) else {
            return;
        };
        conversation.requested = None;
        match answer {
            // A page was added or dropped at this end since the request, which a new connection makes once more.
            Ok(_) if conversation.cursor(end) != cursor => self.request_page(),
            Ok(answer) => {
                // What a read has failed for is over.
                if self.read_notice.take().is_some_and(|notice| self.notice.as_ref() == Some(&notice)) {
                    self.notice = None;
                }
                conversation.add_page(end, &answer, arrived_id, &self.zone);
                if let Some((direction, _)) = conversation.pending_scroll {
                    conversation.scroll_by(direction, 0, self.pane);
                }
                self.show_unsent();
                self.request_page();
            }
            Err(reason) => {
                conversation.read_failed = true;
                if self.connection == ConnectionState::Online {
                    let notice = tr!("cannot read the inbox: {reason}", reason);
                    self.read_notice = Some(notice.clone());
                    self.notice = Some(notice);
                }
            }
        }
    }

    /// Reads the messages of the open conversation again.
    pub(in crate::command::chat::model) fn reread(&mut self) {
        if let Some(open) = &mut self.conversation {
            open.reread();
        }
        self.request_reread();
    }

    fn request_reread(&mut self) {
        let Some(open) = &mut self.conversation else { return };
        if let Some(before) = open.next_reread() {
            self.requests.push(Request::reread(open, before));
        }
    }

    pub(super) fn add_reread(&mut self, epoch: u64, before: Option<u64>, answer: Option<&InboxAnswer>) {
        let Some(open) = self.conversation.as_mut().filter(|open| open.epoch == epoch) else { return };
        open.add_reread(before, answer, &self.zone);
        self.request_reread();
    }

    /// Lays out the conversation for the screen, and requests what it needs beyond it.
    pub(in crate::command::chat) fn lay_out(&mut self, pane: Pane, input_columns: usize) {
        (self.pane, self.input_columns) = (pane, input_columns);
        let Some(conversation) = &mut self.conversation else {
            self.rows.clear();
            return;
        };
        self.rows = conversation.lay_out(pane);
        // The newest messages are on the screen, and thus read.
        if conversation.is_following()
            && conversation.loaded
            && let Some(row) = self.peers.get_mut(&conversation.key)
        {
            (row.unread, row.seen_id) = (0, self.arrived_id);
        }
        self.request_page();
    }

    /// Requests the next page that the conversation needs beyond the screen.
    fn request_page(&mut self) {
        let rows = self.pane.rows;
        let Some(open) = self.conversation.as_mut().filter(|_| self.connection == ConnectionState::Online)
        else {
            return;
        };
        if let Some(end) = open.missing_end(rows) {
            open.requested = Some(end);
            self.requests.push(Request::page(open, end));
        }
    }

    /// Notes that the laid-out rows were drawn. If no peer has unread messages, acknowledges all entries.
    pub(in crate::command::chat) fn drawn(&mut self) {
        let is_all_read =
            self.has_peers && self.connection == ConnectionState::Online && self.peers.unread() == 0;
        if is_all_read && self.arrived_id > self.acked_id {
            self.acked_id = self.arrived_id;
            self.requests.push(Request::Ack(self.arrived_id));
        }
    }
}
