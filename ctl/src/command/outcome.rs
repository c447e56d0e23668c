//! What happened to the messages that `send` and `replay` send, and how the program ends: one place decides it for one
//! message, for lines and for loops.

use udpchat_locale::tr;

use crate::error::{CtlError, Exit, Result};
use crate::output::{counted, grouped};

/// How many messages were sent, and how many were not.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// With those that are not recorded: the peer gets them, too.
    sent: u64,
    unrecorded: u64,
    failed: u64,
    /// The first error; one of a message that was not sent if there is any.
    first_failure: Option<CtlError>,
}

/// What a message was for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Message,
    Line,
}

impl Outcome {
    /// Returns how many messages were sent, whether they are recorded or not.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns how many messages were sent and are not recorded.
    pub(super) fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    /// Returns how many messages were not sent.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns whether a message was not sent or not recorded.
    pub(super) fn has_failures(&self) -> bool {
        self.first_failure.is_some()
    }

    /// Counts a message that was sent and recorded.
    pub(super) fn add_sent(&mut self) {
        self.sent += 1;
    }

    /// Counts a message with an error, which may have been sent nevertheless.
    pub(super) fn add_failure(&mut self, error: CtlError) {
        let is_first = match &self.first_failure {
            None => true,
            Some(first) => first.is_unrecorded() && !error.is_unrecorded(),
        };
        if error.is_unrecorded() {
            self.sent += 1;
            self.unrecorded += 1;
        } else {
            self.failed += 1;
        }
        if is_first {
            self.first_failure = Some(error);
        }
    }

    /// Returns the error of the only message.
    pub(super) fn conclude_only(self) -> Result<()> {
        self.first_failure.map_or(Ok(()), Err)
    }

    /// Fails if a message was not sent: with 5 if none was sent, for lines with 5 in any case. Fails with 1 if all were
    /// sent, but not all are recorded.
    pub(super) fn conclude(self, unit: Unit) -> Result<()> {
        let Some(text) = self.failures(unit) else { return Ok(()) };
        Err(match (self.failed, unit) {
            (0, _) => CtlError::new(Exit::Failed, "not_recorded", text)
                .hint(tr!("`udpchatctl status` shows the problem")),
            (_, Unit::Line) => CtlError::not_sent("lines_failed", text),
            (_, Unit::Message) if self.sent == 0 => CtlError::not_sent("messages_failed", text),
            (_, Unit::Message) => CtlError::new(Exit::Failed, "messages_failed", text),
        })
    }

    /// Returns the first error, with the number of those in front of it.
    pub(super) fn first_of_all(self) -> Result<()> {
        let text = self.failures(Unit::Message);
        match (self.first_failure, text) {
            (Some(first), Some(text)) => Err(first.within(text)),
            _ => Ok(()),
        }
    }

    /// Describes what was not sent or not recorded.
    fn failures(&self, unit: Unit) -> Option<String> {
        let all = self.sent + self.failed;
        let messages = counted(all, "message");
        let (failed, unrecorded) = (grouped(self.failed), grouped(self.unrecorded));
        let unsent = || match unit {
            Unit::Message => tr!("{failed} of {messages} could not be sent", failed, messages),
            Unit::Line => tr!("{failed} of {total} lines could not be sent", failed, total = grouped(all)),
        };
        match (self.failed, self.unrecorded) {
            (0, 0) => None,
            (_, 0) => Some(unsent()),
            (0, _) => {
                Some(tr!("{unrecorded} of {messages} were sent, but are not recorded", unrecorded, messages))
            }
            _ => Some(tr!(
                "{unsent}; {unrecorded} were sent, but are not recorded",
                unsent = unsent(),
                unrecorded
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::{ErrorKind, ErrorObject};

    fn outcome(sent: usize, unrecorded: usize, failed: usize) -> Outcome {
        let mut outcome = Outcome::default();
        (0..sent).for_each(|_| outcome.add_sent());
        let refused = |kind| CtlError::from(ErrorObject::new(kind, "x"));
        (0..unrecorded).for_each(|_| outcome.add_failure(refused(ErrorKind::NotRecorded)));
        (0..failed).for_each(|_| outcome.add_failure(refused(ErrorKind::SendFailed)));
        outcome
    }

    #[test]
    fn the_exit_code_tells_whether_any_was_sent() {
        for (counts, message, line) in [
            ((2, 0, 0), None, None),
            ((0, 0, 2), Some(5), Some(5)),
            ((1, 0, 1), Some(1), Some(5)),
            ((0, 2, 0), Some(1), Some(1)),
            ((1, 2, 0), Some(1), Some(1)),
            ((0, 2, 1), Some(1), Some(5)),
        ] {
            let (sent, unrecorded, failed) = counts;
            for (unit, expected) in [(Unit::Message, message), (Unit::Line, line)] {
                let ended = outcome(sent, unrecorded, failed).conclude(unit);
                assert_eq!(ended.err().map(|error| error.exit() as u8), expected, "{counts:?} {unit:?}");
            }
        }
        let only =
            |unrecorded, failed| outcome(0, unrecorded, failed).conclude_only().unwrap_err().exit() as u8;
        assert_eq!((only(1, 0), only(0, 1)), (1, 5));
    }

    #[test]
    fn messages_that_are_not_recorded_count_as_sent() {
        let text = |unit, counts: (usize, usize, usize)| {
            outcome(counts.0, counts.1, counts.2).conclude(unit).unwrap_err().into_failure().message
        };
        assert_eq!(text(Unit::Message, (1, 2, 0)), "2 of 3 messages were sent, but are not recorded");
        assert_eq!(
            text(Unit::Line, (1, 2, 3)),
            "3 of 6 lines could not be sent; 2 were sent, but are not recorded"
        );
        let first = outcome(0, 1, 1).first_of_all().unwrap_err();
        assert_eq!(first.exit() as u8, 5, "what was not sent is worse");
        assert_eq!((outcome(1, 2, 3).sent(), outcome(1, 2, 3).failed()), (3, 3));
    }
}
