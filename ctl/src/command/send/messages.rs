//! The messages that are sent one after the other: the same one again and again, or lines.

use std::thread;

use tokio::sync::mpsc;

use super::form::{Draft, FormArgs};
use super::many::ManyArgs;
use super::payload::{Line, Lines};
use crate::error::Result;

/// The messages to send.
pub(super) enum Messages {
    /// One, the given number of times.
    Same(Draft, Option<u64>),
    /// A line each time. They are read on a thread of their own: a read cannot be interrupted.
    Lines(mpsc::Receiver<Result<Line>>),
}

impl Messages {
    pub(super) fn new(draft: Draft, many: &ManyArgs) -> Self {
        Self::Same(draft, if many.every.is_some() { many.count } else { Some(1) })
    }

    /// Waits for the next message, which is number `number`; none at the end. An error in the message is that of a line.
    pub(super) async fn next(
        &mut self,
        number: u64,
        form: &FormArgs,
    ) -> Result<Option<(u64, Result<Draft>)>> {
        match self {
            Self::Same(_, Some(count)) if number > *count => Ok(None),
            Self::Same(draft, _) => Ok(Some((0, Ok(draft.clone())))),
            Self::Lines(lines) => match lines.recv().await {
                Some(line) => {
                    let Line { number, payload } = line?;
                    Ok(Some((number, payload.and_then(|payload| form.draft(payload)))))
                }
                None => Ok(None),
            },
        }
    }
}

/// Reads lines on a thread, at most two beyond the line that is sent.
pub(super) fn read_aside(mut lines: Lines) -> mpsc::Receiver<Result<Line>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        while let Some(line) = lines.next().transpose() {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
