//! One connection: reads requests line by line, responds in their order, and carries at most one subscription.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;
use udpchat_api::call::{Call, SendParams};
use udpchat_api::line::{LineError, LineReader};
use udpchat_api::rpc::Request;
use udpchat_api::socket::{Connection, ReadHalf};
use udpchat_api::{ErrorKind, ErrorObject, MAX_LINE_BYTES};

use super::client::Client;
use super::context::Context;
use super::method;
use super::outlet::Outlet;
use super::request::parse;
use super::response::failure_line;
use super::response_queue::ResponseQueue;
use super::roles::{Rules, shown};
use super::shared::Control;

/// How long a client may take to finish a line that it has begun.
const LINE_WAIT_SECONDS: u64 = 30;

/// How long a client whose connection is closed has to read the reason.
const LAST_LINE_WAIT: Duration = Duration::from_secs(1);

struct Session {
    context: Context,
    /// The responses to messages that were sent and are not yet committed.
    responses: ResponseQueue,
}

/// Serves a connection until it ends, or until a reload takes a role from its client.
pub(super) async fn run(control: Arc<Control>, client: Arc<Client>, stream: Connection) {
    let (reader, half) = stream.into_split();
    let rules = control.rules.subscribe();
    let context = Context::new(Arc::clone(&control), Arc::clone(&client), Outlet::new(half));
    let mut session = Session { context, responses: ResponseQueue::default() };
    let is_demoted = tokio::select! {
        // However a connection ends, there is nothing left to do about it.
        _ended = session.serve(LineReader::new(reader)) => false,
        () = loses_a_role(&client, rules) => true,
    };
    session.context.abort_subscription();
    if is_demoted {
        close_demoted(&control, &client, &session.context.outlet).await;
    }
    // Finishing a message logs who sent it, whether the client reads the response or not.
    while !session.responses.is_empty() {
        session.responses.first().await;
    }
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

/// Sends the reason, and closes the connection of a client that lost a role.
async fn close_demoted(control: &Control, client: &Client, outlet: &Outlet) {
    let user = client.name().await;
    let rules = control.rules();
    let why = if rules.roles_of(&client.credentials).is_none() {
        rules.exclusion(user)
    } else {
        let text = format!("{} lost a role: the configuration was changed", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint("connect again for what is still permitted")
    };
    control.audit.demoted(client, &why).await;
    // The connection ends, whether the client reads this or not.
    let _sent = timeout(LAST_LINE_WAIT, outlet.write_last(&failure_line(Value::Null, why))).await;
}

impl Session {
    async fn serve(&mut self, mut reader: LineReader<ReadHalf>) -> Result<(), LineError> {
        let line_wait = Duration::from_secs(LINE_WAIT_SECONDS);
        while self.flush_while(reader.wait_for_line()).await?? {
            match self.flush_while(timeout(line_wait, reader.next())).await? {
                Ok(Ok(Some(line))) => self.handle(line).await?,
                Ok(Ok(None)) => break,
                Ok(Err(LineError::TooLong)) => {
                    let text =
                        format!("the line is longer than {MAX_LINE_BYTES} bytes; the connection is closed");
                    let error = ErrorObject::new(ErrorKind::Malformed, text);
                    return Ok(self.respond_with_error(Value::Null, error).await?);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let text = format!("a line was begun and not finished within {LINE_WAIT_SECONDS} s");
                    let error = ErrorObject::new(ErrorKind::TimedOut, text);
                    return Ok(self.respond_with_error(Value::Null, error).await?);
                }
            }
        }
        Ok(self.flush().await?)
    }

    /// Waits for `work`, and writes meanwhile the pending responses that are ready.
    async fn flush_while<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut work = pin!(work);
        let outlet = &self.context.outlet;
        loop {
            tokio::select! {
                biased;
                line = self.responses.first(), if !self.responses.is_empty() => {
                    outlet.write(&line.unwrap_or_default()).await?;
                }
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Waits for all pending responses, and writes them.
    async fn flush(&mut self) -> io::Result<()> {
        while !self.responses.is_empty() {
            self.write_first_response().await?;
        }
        Ok(())
    }

    async fn write_first_response(&mut self) -> io::Result<()> {
        let line = self.responses.first().await;
        self.context.outlet.write(&line.unwrap_or_default()).await
    }

    /// Handles one line. An empty line is ignored.
    async fn handle(&mut self, line: &[u8]) -> io::Result<()> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let request = match parse(line) {
            Ok(request) => request,
            Err((id, error)) => return self.respond_with_error(id, error).await,
        };
        if request.method == SendParams::METHOD {
            return self.send(request, line.len()).await;
        }
        self.flush().await?;
        let response = method::call(&mut self.context, &request).await;
        match (response, request.id) {
            (Ok(line), id) => {
                // A request without an id is a notification, which is executed and gets no response.
                if id.is_some() {
                    self.context.outlet.write(&line).await?;
                }
                self.context.after_response();
                Ok(())
            }
            (Err(error), Some(id)) => self.respond_with_error(id, error).await,
            (Err(_), None) => Ok(()),
        }
    }

    /// Sends a message. Its response follows when it is committed; other requests are handled meanwhile.
    async fn send(&mut self, request: Request, bytes: usize) -> io::Result<()> {
        while self.responses.is_full() {
            self.write_first_response().await?;
        }
        let sending = match self.context.parameters(&request).await {
            Ok(params) => {
                let (control, client) = (Arc::clone(&self.context.control), Arc::clone(&self.context.client));
                self.flush_while(method::send::start(control, client, params)).await?
            }
            Err(error) => Err(error),
        };
        self.responses.push(bytes, method::send::finish(sending, request.id));
        Ok(())
    }

    async fn respond_with_error(&mut self, id: Value, error: ErrorObject) -> io::Result<()> {
        self.flush().await?;
        self.context.outlet.write(&failure_line(id, error)).await
    }
}
