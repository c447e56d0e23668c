//! Changes the encoding in which the messages of a peer are read, in steps, as `recode --remember` does.

use udpchat_api::call::{RecodeAnswer, RecodeParams};
use udpchat_locale::tr;

use super::request::{Recoding, Request};
use super::state::Model;
use crate::output::encoding_key;

/// The encoding of [`RecodeParams`] that stands for none.
const AUTO: &str = "auto";

impl Model {
    /// Reads the messages of the open peer in an encoding from now on, also those that are there; none is as detected.
    pub(super) fn read_in(&mut self, encoding: Option<String>) {
        let Some(key) = self.open_key() else { return };
        let params = RecodeParams {
            encoding: encoding.unwrap_or_else(|| AUTO.to_owned()),
            from: vec![key.to_string()],
            remember: true,
            ..RecodeParams::default()
        };
        self.requests.push(Request::Recode(params.clone()));
        self.recoding = Some(Recoding { params, matched: 0 });
    }

    /// Handles the answer to a step.
    pub(super) fn continue_recoding(&mut self, params: RecodeParams, answer: Result<RecodeAnswer, String>) {
        let is_step = |recoding: &Recoding| {
            (&recoding.params.encoding, &recoding.params.from) == (&params.encoding, &params.from)
        };
        // A later choice takes the place of an earlier one.
        let Some(mut recoding) = self.recoding.take_if(|recoding| is_step(recoding)) else { return };
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                self.notice = Some(tr!("the messages are read as before: {reason}", reason));
                return;
            }
        };
        recoding.matched += answer.matched;
        if answer.more && Some(answer.next) > params.after {
            recoding.params.after = Some(answer.next);
            self.requests.push(Request::Recode(recoding.params.clone()));
            self.recoding = Some(recoding);
            return;
        }
        let key = answer.configured.first().map(|name| encoding_key(name));
        self.notice = Some(match (recoding.matched, key, params.encoding.as_str()) {
            (0, ..) => {
                tr!("this peer has sent nothing yet: only the encoding for sending was changed").to_owned()
            }
            (_, Some(key), AUTO) => {
                tr!("the messages of this peer are read as {key} in the configuration says", key)
            }
            (_, Some(key), encoding) => {
                tr!(
                    "read in {encoding} now; for messages to come, {key} in the configuration decides",
                    encoding,
                    key
                )
            }
            (_, None, AUTO) => tr!("the messages of this peer are read as detected now").to_owned(),
            (_, None, encoding) => tr!("the messages of this peer are read in {encoding} now", encoding),
        });
        self.requests.push(Request::Peers);
        self.reread();
    }
}

#[cfg(test)]
mod tests {
    use crate::command::chat::keys::Action;
    use crate::command::chat::test_chat::{BOB, TestChat};

    /// Presses F3 and chooses an encoding for sending.
    fn choose_encoding(chat: &mut TestChat, encoding: &str) {
        chat.key(Action::ChooseEncoding);
        chat.write(encoding);
        chat.key(Action::Submit);
    }

    #[test]
    fn a_chosen_encoding_is_for_reading_too() {
        let mut chat = TestChat::with_peer(Some("bob"));
        (0..250).for_each(|number| chat.record_received(BOB, &number.to_string()));
        chat.connect();
        choose_encoding(&mut chat, "big5");
        assert_eq!(chat.texts().last(), Some(&"249"));
        chat.key(Action::Down);
        chat.key(Action::Submit);
        assert!(chat.texts().len() >= 200 && chat.texts().iter().all(|text| text.ends_with(" in big5")));
        assert!(chat.model.notice.as_ref().unwrap().contains("read in big5"));
        chat.write("x");
        chat.key(Action::Submit);
        assert_eq!(chat.sent[0].encoding.as_deref(), Some("big5"));
        // The first choice is the peer's own encoding.
        choose_encoding(&mut chat, "");
        chat.key(Action::Down);
        chat.key(Action::Submit);
        assert!(chat.texts()[0].ends_with(" in big5 in auto"));
    }

    #[test]
    fn a_configured_encoding_is_named_as_what_decides() {
        let mut chat = TestChat::with_peer(Some("bob"));
        chat.record_received(BOB, "hello");
        chat.connect();
        chat.encoding_is_configured = true;
        for (encoding, notice) in [
            (
                "big5",
                "read in big5 now; for messages to come, `[peers.bob] encoding` in the configuration decides",
            ),
            ("", "the messages of this peer are read as `[peers.bob] encoding` in the configuration says"),
        ] {
            choose_encoding(&mut chat, encoding);
            chat.key(Action::Down);
            chat.key(Action::Submit);
            assert_eq!(chat.model.notice.as_deref(), Some(notice));
        }
    }

    #[test]
    fn a_chosen_encoding_can_be_for_sending_only() {
        let mut chat = TestChat::with_peer(Some("bob"));
        chat.record_received(BOB, "hello");
        chat.connect();
        for leave in [vec![Action::Submit], vec![Action::Cancel]] {
            choose_encoding(&mut chat, "big5");
            leave.into_iter().for_each(|action| chat.key(action));
            assert!(chat.model.overlay.is_none());
            assert_eq!(chat.model.open_row().unwrap().chosen_encoding.as_deref(), Some("big5"));
            assert_eq!(chat.texts(), ["hello"]);
        }
        // Who may not change it can still send in it.
        chat.recode_refusal = Some("`recode` requires role `admin`");
        choose_encoding(&mut chat, "gbk");
        chat.key(Action::Down);
        chat.key(Action::Submit);
        assert!(chat.model.notice.as_ref().unwrap().contains("read as before: `recode` requires"));
        assert_eq!(chat.model.open_row().unwrap().chosen_encoding.as_deref(), Some("gbk"));
    }
}
