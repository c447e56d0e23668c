//! Sends with several requests in flight, for `send` and `replay`.
//!
//! The daemon answers a send only once the entry is durable, so several requests are in flight at once. The daemon handles
//! them one after the other, so the order is kept.

use std::collections::VecDeque;
use std::pin::pin;

use serde::de::DeserializeOwned;
use udpchat_api::call::SendParams;
use udpchat_api::{Client, ClientError};
use udpchat_locale::tr;

use crate::error::{CtlError, Result};
use crate::output::counted;

/// How many sends are in flight at once.
pub(super) const MAX_PENDING_SENDS: u64 = 64;

/// How many bytes of requests may wait to be written to the socket.
const BACKLOG_BYTES: usize = 256 * 1024;

/// What is done with the answers.
pub(super) trait Answers {
    /// What is known of a request, for its answer.
    type Request;
    /// The part of an answer that is used.
    type Answer: DeserializeOwned;

    /// Handles the answer to a request. An error ends the work.
    fn answered(
        &mut self,
        request: Self::Request,
        answer: std::result::Result<Self::Answer, ClientError>,
    ) -> Result<()>;

    /// Returns how many requests may be in flight now.
    fn max_in_flight(&self) -> u64 {
        MAX_PENDING_SENDS
    }
}

/// A connection with sends in flight.
pub(super) struct Pipeline<A: Answers> {
    client: Client,
    in_flight: VecDeque<A::Request>,
    /// Whether an answer did not come: then no further one is awaited.
    is_silent: bool,
    /// Handles the answers.
    pub(super) answers: A,
}

impl<A: Answers> Pipeline<A> {
    /// Creates a pipeline over a connection without requests in flight.
    pub(super) fn new(client: Client, answers: A) -> Self {
        Self { client, in_flight: VecDeque::new(), is_silent: false, answers }
    }

    /// Waits for `work` and handles answers meanwhile.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                answer = self.client.answer(), if self.client.in_flight() > 0 => self.answered(answer)?,
            }
        }
    }

    /// Waits until few enough requests are in flight for another one.
    pub(super) async fn ready(&mut self) -> Result<()> {
        while self.is_full() {
            let answer = self.client.answer().await;
            self.answered(answer)?;
        }
        Ok(())
    }

    /// Sends a message as soon as few enough requests are in flight. One that no request can hold is answered with its error.
    pub(super) async fn send(&mut self, params: &SendParams, request: A::Request) -> Result<()> {
        self.ready().await?;
        match self.client.ask(params) {
            Ok(()) => self.in_flight.push_back(request),
            Err(error) => self.answers.answered(request, Err(error))?,
        }
        Ok(())
    }

    /// Waits for all answers, until `interrupted` is ready.
    pub(super) async fn finish(&mut self, interrupted: impl Future) -> Result<()> {
        let mut interrupted = pin!(interrupted);
        while self.client.in_flight() > 0 {
            tokio::select! {
                biased;
                _ = &mut interrupted => return Ok(()),
                answer = self.client.answer() => self.answered(answer)?,
            }
        }
        Ok(())
    }

    /// Handles the answers that still come after an error, so that what was sent is counted, until `interrupted` is ready.
    pub(super) async fn settle(&mut self, interrupted: impl Future) {
        let mut interrupted = pin!(interrupted);
        while self.client.in_flight() > 0 && !self.is_silent {
            tokio::select! {
                biased;
                _ = &mut interrupted => return,
                answer = self.client.answer() => {
                    // The error before it is reported.
                    let _later_error = self.answered(answer);
                }
            }
        }
    }

    /// Ends it; returns the connection if no request is in flight.
    pub(super) fn end(self) -> (Option<Client>, A) {
        let is_idle = self.client.in_flight() == 0 && !self.is_silent;
        (is_idle.then_some(self.client), self.answers)
    }

    /// Returns how many messages have no answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.in_flight.len() as u64
    }

    fn is_full(&self) -> bool {
        self.client.in_flight() >= self.answers.max_in_flight() || self.client.backlog_bytes() > BACKLOG_BYTES
    }

    fn answered(&mut self, answer: std::result::Result<A::Answer, ClientError>) -> Result<()> {
        let unanswered = self.unanswered();
        match (answer, self.in_flight.pop_front()) {
            (Err(error), _) if error.is_unanswered() => {
                self.is_silent = true;
                let messages = counted(unanswered, "message");
                Err(CtlError::from(error).amended(|reason| {
                    tr!("{reason}; {messages} without an answer may have been sent", reason, messages)
                }))
            }
            (answer, Some(request)) => self.answers.answered(request, answer),
            // The client awaits an answer only while a request is in flight.
            (answer, None) => answer.map(drop).map_err(CtlError::from),
        }
    }
}
