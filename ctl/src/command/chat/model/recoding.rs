//! Changes the encoding in which the messages of a peer are read, in steps, as `recode --remember` does.

use udpchat_api::call::{RecodeAnswer, RecodeParams};

use super::request::{Recoding, Request};
use super::state::Model;

/// The encoding of [`RecodeParams`] that stands for none.
const AUTO: &str = "auto";

impl Model {
    /// Reads the messages of the open peer in an encoding from now on, also those that are there; none is as detected.
    pub(super) fn read_in(&mut self, encoding: Option<String>) {
        let Some(key) = self.open_key() else { return };
        let params = RecodeParams {
            encoding: encoding.unwrap_or_else(|| AUTO.to_owned()),
            from: Some(key.to_string()),
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
                self.notice = Some(format!("the messages are read as before: {reason}"));
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
        self.notice = Some(match (recoding.matched, params.encoding.as_str()) {
            (0, _) => "this peer has sent nothing yet: only the encoding for sending was changed".to_owned(),
            (_, AUTO) => "the messages of this peer are read as detected now".to_owned(),
            (_, encoding) => format!("the messages of this peer are read in {encoding} now"),
        });
        self.requests.push(Request::Peers);
        self.reread();
    }
}
