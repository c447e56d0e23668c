//! One connection: reads requests line by line, responds in their order, and carries at most one subscription.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use udpchat_api::call::{Call, SendParams};
use udpchat_api::line::{LineError, LineReader};
use udpchat_api::rpc::{Id, Request};
use udpchat_api::socket::{Connection, ReadHalf};
use udpchat_api::{ErrorKind, ErrorObject, MAX_LINE_BYTES};

use super::client::Client;
use super::context::Context;
use super::memory::{Account, Charge};
use super::method;
use super::method::send::{Sending, Transmission};
use super::outlet::Outlet;
use super::request::parse;
use super::response::{Response, failure_line, shortened};
use super::response_queue::ResponseQueue;
use super::roles::{Rules, shown};
use super::shared::Control;

/// How long a client may take to finish a line that it has begun.
const LINE_WAIT_SECONDS: u64 = 30;

/// How much is read at once, in bytes.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How long a line may be without charging the budget of memory, in bytes. One more is read, so that the line fits its
/// memory of 4 KiB.
const SHORT_LINE_BYTES: usize = 4 * 1024 - 1;

/// How much memory the longest line takes, in bytes: the line, the spare room behind it, what is parsed, and the message that
/// it sends with its answer. All of it is charged at once: connections that hold a part while they wait for more would block
/// each other.
const LONG_LINE_MEMORY_BYTES: usize = 2 * 1024 * 1024;

/// How much of that a line takes for each of its bytes, once its length is known.
const MEMORY_BYTES_PER_BYTE: usize = 8;

/// How long a client whose connection is closed has to read the reason.
const LAST_LINE_WAIT: Duration = Duration::from_secs(1);

struct Session {
    context: Context,
    /// The message that is being sent, with its id.
    sending: Option<(Transmission, Option<Id>)>,
    /// The responses to messages that were sent and are not yet committed.
    responses: ResponseQueue,
}

/// Serves a connection until it ends, or until a reload takes a role from its client.
pub(super) async fn run(control: Arc<Control>, client: Arc<Client>, stream: Connection) {
    let (reader, half) = stream.into_split();
    let rules = control.rules.subscribe();
    let uid = client.credentials.uid;
    let account = control.memory.open(uid, control.rules().is_privileged(uid));
    let context =
        Context::new(Arc::clone(&control), Arc::clone(&client), Outlet::new(half), Arc::clone(&*account));
    let mut session = Session { context, sending: None, responses: ResponseQueue::default() };
    let why = tokio::select! {
        // However a connection ends, there is nothing left to do about it.
        _ended = session.serve(LineReader::with_capacity(READ_BUFFER_BYTES, reader)) => None,
        () = loses_a_role(&client, rules) => Some(demotion(&control, &client).await),
        why = account.must_close() => {
            control.audit.refused(&client, None, &why).await;
            Some(why)
        }
    };
    let Session { mut context, sending, mut responses } = session;
    context.abort_subscription();
    context.free_memory();
    let give_reason = async {
        if let Some(why) = why {
            // The connection ends, whether the client reads this or not.
            let last = failure_line(Id::Null, why);
            let _sent = timeout(LAST_LINE_WAIT, context.outlet.write_last(&last)).await;
        }
    };
    // Finishing a message logs who sent it, whether the client reads the response or not. Others may wait for the memory.
    let finish_messages = async {
        if let Some((sending, id)) = sending {
            responses.push(0, method::send::finish(Ok(sending.await), id));
        }
        while !responses.is_empty() {
            responses.first().await;
        }
        drop(account);
    };
    tokio::join!(give_reason, finish_messages);
}

/// Waits until a reload leaves the client a role less than before.
async fn loses_a_role(client: &Client, mut rules: watch::Receiver<Arc<Rules>>) {
    let mut before = rules.borrow_and_update().roles_of(&client.credentials);
    while rules.changed().await.is_ok() {
        let now = rules.borrow_and_update().roles_of(&client.credentials);
        if now.is_less_than(before) {
            return;
        }
        before = now;
    }
    // The sender is gone: the daemon ends, and this connection with it.
    std::future::pending::<()>().await;
}

/// Records and returns the reason for closing the connection of a client that lost a role.
async fn demotion(control: &Control, client: &Client) -> ErrorObject {
    let user = client.name().await;
    let rules = control.rules();
    let why = if rules.roles_of(&client.credentials).is_none() {
        rules.exclusion(user)
    } else {
        let text = format!("{} lost a role: the configuration was changed", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint("connect again for what is still permitted")
    };
    control.audit.demoted(client, &why).await;
    why
}

/// Reads a line to its end. Returns the memory that is charged for it, if it is not short.
async fn read_line(
    reader: &mut LineReader<ReadHalf>,
    account: &Arc<Account>,
) -> Result<Option<Charge>, Unread> {
    if reader.read_within(SHORT_LINE_BYTES).await? {
        return Ok(None);
    }
    let mut memory = account.charge(LONG_LINE_MEMORY_BYTES).await?;
    // The reader fails if the line is longer.
    reader.read_within(MAX_LINE_BYTES).await?;
    memory.shrink_to(MEMORY_BYTES_PER_BYTE * reader.line().len());
    Ok(Some(memory))
}

/// Why a line could not be read.
enum Unread {
    Line(LineError),
    NoMemory(ErrorObject),
}

impl From<LineError> for Unread {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

impl From<ErrorObject> for Unread {
    fn from(error: ErrorObject) -> Self {
        Self::NoMemory(error)
    }
}

impl Session {
    async fn serve(&mut self, mut reader: LineReader<ReadHalf>) -> Result<(), LineError> {
        let line_wait = Duration::from_secs(LINE_WAIT_SECONDS);
        let account = Arc::clone(&self.context.account);
        while self.flush_while(reader.wait_for_line()).await?? {
            let error = match self.flush_while(timeout(line_wait, read_line(&mut reader, &account))).await? {
                Ok(Ok(memory)) => {
                    self.handle(reader.line(), memory).await?;
                    continue;
                }
                Ok(Err(Unread::Line(LineError::TooLong))) => {
                    let text =
                        format!("the line is longer than {MAX_LINE_BYTES} bytes; the connection is closed");
                    ErrorObject::new(ErrorKind::Malformed, text)
                }
                Ok(Err(Unread::Line(error))) => return Err(error),
                Ok(Err(Unread::NoMemory(error))) => error,
                Err(_) => {
                    let text = format!("a line was begun and not finished within {LINE_WAIT_SECONDS} s");
                    ErrorObject::new(ErrorKind::TimedOut, text)
                }
            };
            drop(reader);
            return Ok(self.respond_with_error(Id::Null, error).await?);
        }
        Ok(self.flush().await?)
    }

    /// Waits for `work`, and writes meanwhile the pending responses that are ready.
    async fn flush_while<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        flush_while(&self.context.outlet, &mut self.responses, work).await
    }

    /// Waits for all pending responses, and writes them.
    async fn flush(&mut self) -> io::Result<()> {
        while !self.responses.is_empty() {
            self.write_first_response().await?;
        }
        Ok(())
    }

    async fn write_first_response(&mut self) -> io::Result<()> {
        let response = self.responses.first().await;
        write(&self.context.outlet, response).await
    }

    /// Handles one line, which takes this memory. An empty line is ignored.
    async fn handle(&mut self, line: &[u8], memory: Option<Charge>) -> io::Result<()> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let mut request = match parse(line) {
            Ok(request) => request,
            Err((id, error)) => return self.respond_with_error(id, error).await,
        };
        if request.method == SendParams::METHOD {
            return self.send(request, line.len(), memory).await;
        }
        self.flush().await?;
        let response = method::call(&mut self.context, &mut request).await;
        match (response, request.id) {
            (Ok(line), id) => {
                // A request without an id is a notification, which is executed and gets no response.
                if id.is_some() {
                    self.context.outlet.write(&line).await?;
                }
                drop((line, memory));
                self.context.free_memory();
                self.context.after_response();
                Ok(())
            }
            (Err(error), id) => {
                // What was read before the method failed.
                self.context.free_memory();
                match id {
                    Some(id) => self.respond_with_error(id, error).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Sends a message to its end, although the connection may be closed meanwhile.
    async fn transmit(&mut self, message: Transmission, id: Option<Id>) -> io::Result<Sending> {
        let (transmission, _) = self.sending.insert((message, id));
        let sent = flush_while(&self.context.outlet, &mut self.responses, transmission).await?;
        self.sending = None;
        Ok(sent)
    }

    /// Sends a message. Its response follows when it is committed; other requests are handled meanwhile.
    async fn send(&mut self, mut request: Request, bytes: usize, memory: Option<Charge>) -> io::Result<()> {
        while self.responses.is_full() {
            self.write_first_response().await?;
        }
        let prepared = match self.context.parameters(&mut request).await {
            Ok(params) => {
                let (control, client) = (Arc::clone(&self.context.control), Arc::clone(&self.context.client));
                let account = Arc::clone(&self.context.account);
                self.flush_while(method::send::start(control, client, (account, memory), params)).await?
            }
            Err(error) => Err(error),
        };
        let sending = match prepared {
            Ok(message) => Ok(self.transmit(message, request.id.clone()).await?),
            Err(error) => Err(shortened(error)),
        };
        self.responses.push(bytes, method::send::finish(sending, request.id));
        Ok(())
    }

    async fn respond_with_error(&mut self, id: Id, error: ErrorObject) -> io::Result<()> {
        let line = failure_line(id, error);
        self.flush().await?;
        self.context.outlet.write(&line).await
    }
}

/// Waits for `work`, and writes meanwhile the responses that are ready.
async fn flush_while<T>(
    outlet: &Outlet,
    responses: &mut ResponseQueue,
    work: impl Future<Output = T>,
) -> io::Result<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            response = responses.first(), if !responses.is_empty() => write(outlet, response).await?,
            done = &mut work => return Ok(done),
        }
    }
}

/// Writes a response, if there is one, and gives its memory back.
async fn write(outlet: &Outlet, response: Option<Response>) -> io::Result<()> {
    match response {
        Some(response) => outlet.write(&response.line).await,
        None => Ok(()),
    }
}
