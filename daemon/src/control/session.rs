//! One connection: reads requests line by line, answers them in their order, and carries at most one subscription.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time::timeout;
use udpchat_api::call::{
    AckParams, Call, Empty, InboxParams, PeersParams, RecodeParams, ReloadParams, SelfTestParams, SendParams,
    StatusParams, StopParams, SubscribeParams, TalkersParams, UnsubscribeParams, VersionParams,
};
use udpchat_api::line::{LineError, LineReader, to_line};
use udpchat_api::rpc::{Request, Version};
use udpchat_api::{ErrorKind, ErrorObject, MAX_LINE_BYTES};

use super::ahead::Ahead;
use super::subscribe::Subscription;
use super::{ack, failure, inbox, peers, recode, reload, self_test, send, status, stop, talkers, version};
use crate::daemon::Daemon;

/// How long a client may take to finish a line that it has begun.
const LINE_WAIT_SECONDS: u64 = 30;

/// The way out of a connection; whole lines from several tasks do not mix.
#[derive(Clone, Debug)]
pub(super) struct Outlet(Arc<Mutex<OwnedWriteHalf>>);

impl Outlet {
    /// Writes whole lines. Waits as long as the client does not read.
    pub(super) async fn write(&self, lines: &[u8]) -> io::Result<()> {
        self.0.lock().await.write_all(lines).await
    }
}

struct Session {
    daemon: Arc<Daemon>,
    outlet: Outlet,
    /// The answers to what was sent and is not yet on record.
    ahead: Ahead,
    subscription: Option<Subscription>,
}

/// Serves a connection until its end.
pub(super) async fn run(daemon: Arc<Daemon>, stream: UnixStream) {
    let (reader, writer) = stream.into_split();
    let outlet = Outlet(Arc::new(Mutex::new(writer)));
    let mut session = Session { daemon, outlet, ahead: Ahead::default(), subscription: None };
    // How a connection ends is the client's matter.
    let _ended = session.serve(LineReader::new(reader)).await;
    if let Some(subscription) = session.subscription {
        subscription.abandon();
    }
}

impl Session {
    async fn serve(&mut self, mut reader: LineReader<OwnedReadHalf>) -> Result<(), LineError> {
        let line_wait = Duration::from_secs(LINE_WAIT_SECONDS);
        while self.attend(reader.begun()).await?? {
            match self.attend(timeout(line_wait, reader.next())).await? {
                Ok(Ok(Some(line))) => self.answer(line).await?,
                Ok(Ok(None)) => break,
                Ok(Err(LineError::TooLong)) => {
                    let text =
                        format!("the line is longer than {MAX_LINE_BYTES} bytes; the connection is closed");
                    return self.refuse(Value::Null, ErrorObject::new(ErrorKind::Malformed, text)).await;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let text = format!("a line was begun and not finished within {LINE_WAIT_SECONDS} s");
                    return self.refuse(Value::Null, ErrorObject::new(ErrorKind::TimedOut, text)).await;
                }
            }
        }
        Ok(self.catch_up().await?)
    }

    /// Waits for something, and gives meanwhile the answers that are there.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                line = self.ahead.first(), if !self.ahead.is_empty() => {
                    self.outlet.write(&line.unwrap_or_default()).await?;
                }
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Gives all the answers that are waited for.
    async fn catch_up(&mut self) -> io::Result<()> {
        while !self.ahead.is_empty() {
            let line = self.ahead.first().await;
            self.outlet.write(&line.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Answers one line. An empty line is nothing.
    async fn answer(&mut self, line: &[u8]) -> Result<(), LineError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let request = match parse(line) {
            Ok(request) => request,
            Err((id, error)) => return self.refuse(id, error).await,
        };
        if request.method == SendParams::METHOD {
            return Ok(self.send(request, line.len()).await?);
        }
        self.catch_up().await?;
        let answered = self.dispatch(&request).await;
        match (answered, request.id) {
            (Ok(Answered { line, then }), id) => {
                // A request without an id is a notification, which is obeyed and never answered.
                if id.is_some() {
                    self.outlet.write(&line).await?;
                }
                self.follow_up(then);
                Ok(())
            }
            (Err(error), Some(id)) => self.refuse(id, error).await,
            (Err(_), None) => Ok(()),
        }
    }

    /// Sends a message; its answer follows when it is on record.
    async fn send(&mut self, request: Request, bytes: usize) -> io::Result<()> {
        while self.ahead.is_full() {
            let line = self.ahead.first().await;
            self.outlet.write(&line.unwrap_or_default()).await?;
        }
        let daemon = Arc::clone(&self.daemon);
        let sending = self.attend(async { send::begin(&daemon, read(&request)?).await }).await?;
        self.ahead.push(bytes, async move {
            let answered = match sending {
                Ok(sending) => sending.finish(&daemon).await.and_then(|sent| done(&request, &sent)),
                Err(error) => Err(error),
            };
            let id = request.id?;
            Some(match answered {
                Ok(Answered { line, .. }) => line,
                Err(error) => failure_line(id, error),
            })
        });
        Ok(())
    }

    async fn dispatch(&mut self, request: &Request) -> Result<Answered, ErrorObject> {
        let daemon = &self.daemon;
        match request.method.as_str() {
            VersionParams::METHOD => {
                none::<VersionParams>(request)?;
                done(request, &version::call())
            }
            StatusParams::METHOD => {
                none::<StatusParams>(request)?;
                done(request, &status::call(daemon).await)
            }
            PeersParams::METHOD => done(request, &peers::call(daemon, read(request)?).await?),
            SelfTestParams::METHOD => {
                none::<SelfTestParams>(request)?;
                done(request, &self_test::call(daemon).await)
            }
            ReloadParams::METHOD => {
                none::<ReloadParams>(request)?;
                done(request, &reload::call(daemon).await?)
            }
            StopParams::METHOD => {
                none::<StopParams>(request)?;
                Ok(Answered { then: Then::Stop, ..done(request, &Empty {})? })
            }
            InboxParams::METHOD => done(request, &inbox::call(daemon, read(request)?).await?),
            TalkersParams::METHOD => done(request, &talkers::call(daemon, &read(request)?).await?),
            AckParams::METHOD => done(request, &ack::call(daemon, read(request)?).await?),
            RecodeParams::METHOD => done(request, &recode::call(daemon, read(request)?).await?),
            SubscribeParams::METHOD => self.subscribe(request),
            UnsubscribeParams::METHOD => {
                none::<UnsubscribeParams>(request)?;
                self.unsubscribe().await?;
                done(request, &Empty {})
            }
            method => Err(ErrorObject::new(
                ErrorKind::UnknownMethod,
                format!("no method is called `{method}`"),
            )
            .hint("version, send, inbox, ack, recode, subscribe, unsubscribe, peers, talkers, status, self_test, reload, stop")),
        }
    }

    fn subscribe(&self, request: &Request) -> Result<Answered, ErrorObject> {
        let params = read(request)?;
        if self.subscription.is_some() {
            let text = "this connection has a subscription already";
            return Err(ErrorObject::new(ErrorKind::Subscription, text)
                .hint("end it with `unsubscribe`, or open another connection"));
        }
        let (answer, query) = Subscription::prepare(&self.daemon, &params)?;
        Ok(Answered { then: Then::Feed(Box::new(query)), ..done(request, &answer)? })
    }

    async fn unsubscribe(&mut self) -> Result<(), ErrorObject> {
        let none = || ErrorObject::new(ErrorKind::Subscription, "this connection has no subscription");
        self.subscription.take().ok_or_else(none)?.end().await;
        Ok(())
    }

    /// Does what must come behind the answer: the first entry, or the end.
    fn follow_up(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Feed(query) => {
                let subscription = Subscription::begin(Arc::clone(&self.daemon), *query, self.outlet.clone());
                self.subscription = Some(subscription);
            }
            Then::Stop => stop::call(&self.daemon),
        }
    }

    async fn refuse(&mut self, id: Value, error: ErrorObject) -> Result<(), LineError> {
        self.catch_up().await?;
        Ok(self.outlet.write(&failure_line(id, error)).await?)
    }
}

fn failure_line(id: Value, error: ErrorObject) -> Vec<u8> {
    // Plain strings and numbers: serialising them cannot fail.
    to_line(&failure(id, error)).unwrap_or_default()
}

/// The answer to a request, and what is to follow once it is written.
struct Answered {
    line: Vec<u8>,
    then: Then,
}

enum Then {
    Nothing,
    Feed(Box<super::query::Query>),
    Stop,
}

fn done(request: &Request, result: &impl Serialize) -> Result<Answered, ErrorObject> {
    /// As [`udpchat_api::rpc::Reply`], with the result written straight from its type, in the order of its fields.
    #[derive(Serialize)]
    struct Success<'a, R> {
        jsonrpc: Version,
        id: &'a Option<Value>,
        result: &'a R,
    }
    let line = to_line(&Success { jsonrpc: Version::V2, id: &request.id, result }).map_err(|error| {
        ErrorObject::new(ErrorKind::Internal, format!("the answer cannot be written: {error}"))
    })?;
    Ok(Answered { line, then: Then::Nothing })
}

/// Reads a line as a request; with an error comes the id to answer it under, as far as there is one.
fn parse(line: &[u8]) -> Result<Request, (Value, ErrorObject)> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        let text = format!("the line is not JSON: {error}");
        (Value::Null, ErrorObject::new(ErrorKind::Malformed, text).hint("one JSON object a line, in UTF-8"))
    })?;
    let invalid = |id: Value, text: String| {
        let hint = r#"such as {"jsonrpc":"2.0","id":1,"method":"version"}"#;
        (id, ErrorObject::new(ErrorKind::InvalidRequest, text).hint(hint))
    };
    let id = match value.get("id") {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        None | Some(Value::Null) => Value::Null,
        Some(_) => return Err(invalid(Value::Null, "`id` must be a string, a number or null".to_owned())),
    };
    if !value.is_object() {
        return Err(invalid(id, "a request is an object; there are no batches".to_owned()));
    }
    serde_json::from_value(value)
        .map_err(|error| invalid(id, format!("this is no request of JSON-RPC 2.0: {error}")))
}

/// Reads the parameters of a method; none at all means no parameter given.
fn read<T: DeserializeOwned>(request: &Request) -> Result<T, ErrorObject> {
    let invalid = |text: String| ErrorObject::new(ErrorKind::InvalidParams, text);
    let params = request.params.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if !params.is_object() {
        return Err(invalid("parameters are given by name, in an object".to_owned()));
    }
    serde_path_to_error::deserialize(params).map_err(|error| {
        let (path, what) = (error.path().to_string(), error.inner());
        // A parameter that is unknown or missing is named by the error itself.
        let named = if path == "." || what.to_string().contains(&path) {
            String::new()
        } else {
            format!("`{path}`: ")
        };
        invalid(format!("invalid parameters: {named}{what}"))
    })
}

/// Checks that a method without parameters got none.
fn none<T: DeserializeOwned>(request: &Request) -> Result<(), ErrorObject> {
    read::<T>(request).map(drop)
}
