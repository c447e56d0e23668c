//! The client with many requests in flight: asks ahead, and takes the answers later, in the order of the requests.
//!
//! The daemon answers a connection's requests strictly in their order, so nothing but patience ties an answer to its
//! request. While an answer is awaited, what could not be written at once is written too: a client that only wrote
//! and a daemon that only answered would wait for each other as soon as the buffers between them are full.

use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::call::Call;
use crate::client::{ANSWER_TIMEOUT_SECONDS, ClientError, protocol, request_line};
use crate::line::LineReader;
use crate::rpc::{ErrorObject, present};
use crate::socket::{ReadHalf, WriteHalf};

/// One connection to the daemon, with any number of requests in flight.
#[derive(Debug)]
pub struct Pipeline {
    reader: LineReader<ReadHalf>,
    writer: WriteHalf,
    /// What the system has not taken yet of the requests, from `written` on.
    outgoing: Vec<u8>,
    written: usize,
    /// Whether writing has failed: the daemon closes the connection, and may have said why.
    broken: bool,
    last_asked: u64,
    last_answered: u64,
}

/// As [`crate::rpc::Reply`], with the result read straight into its type.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Reply<T> {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(default = "none")]
    result: Option<T>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

fn none<T>() -> Option<T> {
    None
}

impl Pipeline {
    pub(crate) fn new(reader: LineReader<ReadHalf>, writer: WriteHalf, last_id: u64) -> Self {
        let (outgoing, written, broken) = (Vec::new(), 0, false);
        Self { reader, writer, outgoing, written, broken, last_asked: last_id, last_answered: last_id }
    }

    /// Returns how many requests have no answer yet.
    pub fn in_flight(&self) -> u64 {
        self.last_asked - self.last_answered
    }

    /// Returns how many bytes of requests the system has not taken yet: who asks on regardless fills the memory.
    pub fn backlog_bytes(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// Sends a request without waiting for anything. What the system does not take now goes out while an answer is
    /// awaited.
    ///
    /// # Errors
    /// [`ClientError::TooLong`]; what is wrong with the connection shows in the answer.
    pub fn ask<C: Call>(&mut self, params: &C) -> Result<(), ClientError> {
        let line = request_line(self.last_asked + 1, C::METHOD, params)?;
        self.last_asked += 1;
        if self.written > self.backlog_bytes() {
            self.outgoing.drain(..std::mem::take(&mut self.written));
        }
        self.outgoing.extend_from_slice(&line);
        let taken = self.writer.try_write(&self.outgoing[self.written..]);
        self.note_written(taken);
        Ok(())
    }

    /// Waits for the answer to the oldest request without one, [`ANSWER_TIMEOUT_SECONDS`] at most.
    ///
    /// Dropping the waiting future loses nothing: the next call goes on.
    pub async fn answer<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let answer = timeout(Duration::from_secs(ANSWER_TIMEOUT_SECONDS), self.exchange());
        answer.await.map_err(|_| ClientError::Silent)?
    }

    async fn exchange<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let expected = Value::from(self.last_answered + 1);
        loop {
            match self.reply().await? {
                Reply { error: Some(error), id, .. }
                    if id.as_ref() == Some(&expected) || id == Some(Value::Null) =>
                {
                    self.last_answered += 1;
                    return Err(error.into());
                }
                Reply { result: Some(result), id: Some(id), .. } if id == expected => {
                    self.last_answered += 1;
                    return Ok(result);
                }
                Reply { id: Some(id), .. } => {
                    let what = format!("it is for request {id}, and {expected} is the next");
                    return Err(ClientError::Protocol { what });
                }
                // Notifications of a newer daemon are passed over.
                Reply { id: None, .. } => {}
            }
        }
    }

    /// Reads the next line, and writes meanwhile. Each of both steps can be given up without a loss.
    async fn reply<T: DeserializeOwned>(&mut self) -> Result<Reply<T>, ClientError> {
        loop {
            let Self { reader, writer, outgoing, written, .. } = self;
            let taken = tokio::select! {
                line = reader.next() => {
                    let line = line.map_err(ClientError::from).and_then(|line| line.ok_or(ClientError::Closed));
                    return match line {
                        Ok(line) => serde_json::from_slice(line).map_err(protocol),
                        Err(ClientError::Io(_)) if self.broken => Err(ClientError::Closed),
                        Err(error) => Err(error),
                    };
                }
                taken = writer.write(&outgoing[*written..]), if *written < outgoing.len() => taken,
            };
            self.note_written(taken);
        }
    }

    fn note_written(&mut self, taken: io::Result<usize>) {
        match taken {
            Ok(bytes) => self.written += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.broken = true;
                self.written = self.outgoing.len();
            }
        }
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::call::{SendParams, VersionParams};
    use crate::socket::Connection;
    use serde::de::IgnoredAny;
    use tokio::io::{AsyncBufReadExt, BufReader};

    /// A pipeline, and the daemon's end of it.
    fn connected() -> (Pipeline, Connection) {
        let (ours, theirs) = Connection::pair().unwrap();
        let (reader, writer) = ours.into_split();
        (Pipeline::new(LineReader::new(reader), writer, 0), theirs)
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    /// Answers as the daemon does: reads no further request before its answer is taken.
    async fn answer_all(stream: Connection, mut answer: impl FnMut(u64) -> String) {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).unwrap();
            writer.write_all(answer(request["id"].as_u64().unwrap()).as_bytes()).await.unwrap();
        }
    }

    fn result(id: u64, result: &str) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n")
    }

    #[test]
    fn requests_and_answers_larger_than_all_buffers_do_not_wait_for_each_other() {
        run(async {
            let (mut pipeline, theirs) = connected();
            let large = format!("\"{}\"", "x".repeat(300_000));
            let daemon = tokio::spawn(answer_all(theirs, move |id| result(id, &large)));
            let text = Some("x".repeat(300_000));
            for _ in 0..20 {
                pipeline.ask(&SendParams { text: text.clone(), ..SendParams::default() }).unwrap();
            }
            assert!(pipeline.backlog_bytes() > 5_000_000);
            for left in (0..20).rev() {
                let answer: String = pipeline.answer().await.unwrap();
                assert_eq!((answer.len(), pipeline.in_flight()), (300_000, left));
            }
            assert_eq!(pipeline.backlog_bytes(), 0);
            drop(pipeline);
            daemon.await.unwrap();
        });
    }

    #[test]
    fn answers_come_in_order_and_an_error_is_of_one_request() {
        run(async {
            let (mut pipeline, theirs) = connected();
            let error = serde_json::to_string(&ErrorObject::new(ErrorKind::SendFailed, "no route")).unwrap();
            tokio::spawn(answer_all(theirs, move |id| match id {
                2 => format!("{{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{error}}}\n"),
                // A notification of a newer daemon, and fields that nobody knows yet.
                3 => {
                    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"news\",\"params\":{{}}}}\n{}", result(3, "3"))
                }
                id => result(id, &id.to_string()),
            }));
            (0..4).for_each(|_| pipeline.ask(&VersionParams {}).unwrap());
            assert_eq!(pipeline.answer::<u64>().await.unwrap(), 1);
            let refused = pipeline.answer::<u64>().await.unwrap_err();
            assert!(
                matches!(refused, ClientError::Refused(error) if error.data.kind == ErrorKind::SendFailed)
            );
            assert_eq!(pipeline.answer::<u64>().await.unwrap(), 3);
            assert_eq!(pipeline.answer::<u64>().await.unwrap(), 4);
            assert_eq!(pipeline.in_flight(), 0);
        });
    }

    #[test]
    fn a_wait_that_is_given_up_loses_nothing() {
        run(async {
            let (mut pipeline, mut theirs) = connected();
            pipeline.ask(&VersionParams {}).unwrap();
            for half in result(1, "\"whole\"").as_bytes().chunks(10) {
                assert!(timeout(Duration::from_millis(1), pipeline.answer::<String>()).await.is_err());
                theirs.write_all(half).await.unwrap();
            }
            assert_eq!(pipeline.answer::<String>().await.unwrap(), "whole");
        });
    }

    #[test]
    fn an_answer_to_another_request_is_not_taken_for_this_one() {
        run(async {
            let (mut pipeline, mut theirs) = connected();
            pipeline.ask(&VersionParams {}).unwrap();
            theirs.write_all(result(7, "1").as_bytes()).await.unwrap();
            let error = pipeline.answer::<IgnoredAny>().await.unwrap_err();
            assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
        });
    }

    #[test]
    fn what_a_daemon_says_before_it_closes_counts_for_more_than_the_failed_write() {
        run(async {
            let (mut pipeline, mut theirs) = connected();
            let error = serde_json::to_string(&ErrorObject::new(ErrorKind::Busy, "too many")).unwrap();
            let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{error}}}\n");
            theirs.write_all(line.as_bytes()).await.unwrap();
            drop(theirs);
            pipeline.ask(&VersionParams {}).unwrap();
            pipeline.ask(&VersionParams {}).unwrap();
            let refused = pipeline.answer::<IgnoredAny>().await.unwrap_err();
            assert!(matches!(refused, ClientError::Refused(error) if error.data.kind == ErrorKind::Busy));
            let closed = pipeline.answer::<IgnoredAny>().await.unwrap_err();
            assert!(matches!(closed, ClientError::Closed), "{closed:?}");
        });
    }
}
