//! One connection: reads requests line by line, answers them in their order, and carries at most one subscription.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use udpchat_api::call::{
    AckParams, Call, Empty, InboxParams, PeersParams, RecodeParams, ReloadParams, Role, SelfTestParams,
    SendParams, StatusParams, StopParams, SubscribeParams, TalkersParams, UnsubscribeParams, VersionParams,
};
use udpchat_api::line::{LineError, LineReader, to_line};
use udpchat_api::rpc::{Request, Version};
use udpchat_api::socket::{Connection, ReadHalf, WriteHalf};
use udpchat_api::{ErrorKind, ErrorObject, MAX_LINE_BYTES};

use super::credentials::Caller;
use super::method::subscribe::Subscription;
use super::method::{ack, inbox, peers, recode, reload, self_test, send, status, stop, talkers, version};
use super::request::{parameters, parse};
use super::response_queue::Ahead;
use super::roles::{Rules, shown};
use super::{audit, failure};
use crate::state::Daemon;

/// How long a client may take to finish a line that it has begun.
const LINE_WAIT_SECONDS: u64 = 30;

/// How long a client whose connection is ended may take to read why.
const LAST_LINE_WAIT: Duration = Duration::from_secs(1);

/// The way out of a connection; whole lines from several tasks do not mix.
#[derive(Clone, Debug)]
pub(crate) struct Outlet(Arc<Mutex<Writer>>);

#[derive(Debug)]
struct Writer {
    half: WriteHalf,
    /// Whether a line was begun, and given up in its midst.
    is_torn: bool,
}

impl Outlet {
    /// Writes whole lines. Waits as long as the client does not read.
    pub(super) async fn write(&self, lines: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().await;
        writer.is_torn = true;
        writer.half.write_all(lines).await?;
        writer.is_torn = false;
        Ok(())
    }

    /// Writes a line behind which nothing comes, unless another one hangs before it.
    async fn write_last(&self, line: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().await;
        if !writer.is_torn {
            writer.half.write_all(line).await?;
        }
        writer.half.shutdown().await
    }
}

struct Session {
    daemon: Arc<Daemon>,
    caller: Arc<Caller>,
    /// Whether it has read, of which the log tells once.
    has_read: bool,
    outlet: Outlet,
    /// The answers to what was sent and is not yet on record.
    ahead: Ahead,
    subscription: Option<Subscription>,
}

/// Serves a connection until its end, or until a reload takes from its caller what they could do.
pub(super) async fn run(daemon: Arc<Daemon>, caller: Arc<Caller>, stream: Connection) {
    let (reader, half) = stream.into_split();
    let outlet = Outlet(Arc::new(Mutex::new(Writer { half, is_torn: false })));
    let rules = daemon.control.rules.subscribe();
    let (ahead, subscription) = (Ahead::default(), None);
    let mut session =
        Session { daemon, caller: Arc::clone(&caller), has_read: false, outlet, ahead, subscription };
    let is_dismissed = tokio::select! {
        // How a connection ends is the client's matter.
        _ended = session.serve(LineReader::new(reader)) => false,
        () = loses_a_role(&caller, rules) => true,
    };
    if let Some(subscription) = session.subscription.take() {
        subscription.abandon();
    }
    if is_dismissed {
        dismiss(&session.daemon, &caller, &session.outlet).await;
    }
    // What was sent is told of in the log, whether its answer is read or not.
    while !session.ahead.is_empty() {
        session.ahead.first().await;
    }
}

/// Waits until a caller may do less than before.
async fn loses_a_role(caller: &Caller, mut rules: watch::Receiver<Arc<Rules>>) {
    let mut before = rules.borrow_and_update().roles_of(&caller.credentials);
    while rules.changed().await.is_ok() {
        let now = rules.borrow_and_update().roles_of(&caller.credentials);
        if now.is_less_than(before) {
            return;
        }
        before = now;
    }
    // The daemon, which has the other end, goes: so will this connection.
    std::future::pending::<()>().await;
}

/// Says that the caller may do less than before, and closes the connection.
async fn dismiss(daemon: &Daemon, caller: &Caller, outlet: &Outlet) {
    let user = caller.name(&daemon.control.names).await;
    let rules = daemon.control.rules();
    let why = if rules.roles_of(&caller.credentials).is_none() {
        rules.exclusion(user)
    } else {
        let text = format!("{} may do less than before: the configuration was changed", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint("connect again for what is still permitted")
    };
    audit::refused(daemon, caller, None, &why).await;
    // Whether it is read or not, the connection ends.
    let _told = timeout(LAST_LINE_WAIT, outlet.write_last(&failure_line(Value::Null, why))).await;
}

impl Session {
    async fn serve(&mut self, mut reader: LineReader<ReadHalf>) -> Result<(), LineError> {
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
                self.follow_up(then).await;
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
        let (daemon, caller) = (Arc::clone(&self.daemon), Arc::clone(&self.caller));
        let sending = match self.read(&request).await {
            Ok(params) => self.attend(send::begin(&daemon, &caller, params)).await?,
            Err(error) => Err(error),
        };
        self.ahead.push(bytes, async move {
            let answered = match sending {
                Ok(sending) => sending.finish(&daemon, &caller).await.and_then(|sent| done(&request, &sent)),
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
        let (daemon, caller) = (&Arc::clone(&self.daemon), &Arc::clone(&self.caller));
        match request.method.as_str() {
            VersionParams::METHOD => {
                let VersionParams {} = self.read(request).await?;
                done(request, &version::call())
            }
            StatusParams::METHOD => {
                let StatusParams {} = self.read(request).await?;
                done(request, &status::call(daemon).await)
            }
            PeersParams::METHOD => done(request, &peers::call(daemon, self.read(request).await?).await?),
            SelfTestParams::METHOD => {
                let SelfTestParams {} = self.read(request).await?;
                done(request, &self_test::call(daemon).await)
            }
            ReloadParams::METHOD => {
                let ReloadParams {} = self.read(request).await?;
                done(request, &reload::call(daemon, caller).await?)
            }
            StopParams::METHOD => {
                let StopParams {} = self.read(request).await?;
                Ok(Answered { then: Then::Stop, ..done(request, &Empty {})? })
            }
            InboxParams::METHOD => done(request, &inbox::call(daemon, self.read(request).await?).await?),
            TalkersParams::METHOD => done(request, &talkers::call(daemon, &self.read(request).await?).await?),
            AckParams::METHOD => done(request, &ack::call(daemon, self.read(request).await?).await?),
            RecodeParams::METHOD => {
                done(request, &recode::call(daemon, caller, self.read(request).await?).await?)
            }
            SubscribeParams::METHOD => self.subscribe(request).await,
            UnsubscribeParams::METHOD => {
                let UnsubscribeParams {} = self.read(request).await?;
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

    /// Reads the parameters of a method that the caller may call. There is no other way to them.
    async fn read<C: Call + DeserializeOwned>(&mut self, request: &Request) -> Result<C, ErrorObject> {
        if let Some(role) = C::ROLE {
            self.permit(C::METHOD, role).await?;
        }
        parameters(request)
    }

    async fn permit(&mut self, method: &str, role: Role) -> Result<(), ErrorObject> {
        let (daemon, caller) = (&self.daemon, &self.caller);
        let rules = daemon.control.rules();
        if !rules.roles_of(&caller.credentials).has(role) {
            let why = rules.refusal(method, role, caller.name(&daemon.control.names).await);
            audit::refused(daemon, caller, Some(method), &why).await;
            return Err(why);
        }
        if role == Role::Read && !self.has_read {
            self.has_read = true;
            audit::reads(daemon, caller, method).await;
        }
        Ok(())
    }

    async fn subscribe(&mut self, request: &Request) -> Result<Answered, ErrorObject> {
        let params = self.read(request).await?;
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
    async fn follow_up(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Feed(query) => {
                let subscription = Subscription::begin(Arc::clone(&self.daemon), *query, self.outlet.clone());
                self.subscription = Some(subscription);
            }
            Then::Stop => stop::call(&self.daemon, &self.caller).await,
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
    Feed(Box<super::method::query::Query>),
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
