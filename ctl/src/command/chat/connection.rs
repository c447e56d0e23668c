//! The connections to the daemon: one that everything arrives on, one for pages of history, one for messages, and one for
//! chores that can wait.
//!
//! Each is made when it is needed and made again when it is gone. What arrives goes on from its cursor, so nothing is lost
//! and nothing comes twice; only where far more was missed than anybody would scroll through, it goes on from now, and
//! says so. No queue here grows: what the chat does not take stays with the daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use udpchat_api::call::{AckParams, Call, PeersParams, SendParams, StatusParams, SubscribeParams};
use udpchat_api::{Client, ClientError, Entry, ErrorKind};

use super::model::{Refusal, Request, Sending, Update};
use crate::connect;
use crate::error::{CtlError, Result};

/// How many entries and answers may wait for the chat.
const WAITING_UPDATES: usize = 64;
/// How many messages, or pages, may wait for the daemon.
const WAITING_REQUESTS: usize = 64;
/// So many entries behind, the chat goes on from now: what lies between is history.
const MAX_BEHIND_ENTRIES: u64 = 20_000;
/// How often it is looked how far behind the chat is, in entries.
const LOOK_EVERY_ENTRIES: u64 = 10_000;
/// How long to wait before the next attempt to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long to wait between two chores: the list of peers costs the daemon a look at 100,000 entries.
const CHORE_PAUSE: Duration = Duration::from_millis(250);
/// How long the last chore may take when the chat ends.
const LAST_CHORE_WAIT: Duration = Duration::from_secs(1);

/// The connections.
#[derive(Debug)]
pub(super) struct Link {
    updates: mpsc::Receiver<Update>,
    pages: mpsc::Sender<Request>,
    messages: mpsc::Sender<Sending>,
    chores: watch::Sender<Chores>,
    chore: JoinHandle<()>,
}

/// What is to be done some time: only the newest wish counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Chores {
    /// Everything up to this entry is read.
    read_id: u64,
    /// The list of peers is wanted for the so manyth time.
    peers: u64,
}

impl Link {
    /// Begins with a connection that stands already.
    pub(super) fn start(client: Client, socket: Option<PathBuf>) -> Self {
        let (sender, updates) = mpsc::channel(WAITING_UPDATES);
        let (pages, wanted_pages) = mpsc::channel(WAITING_REQUESTS);
        let (messages, outgoing) = mpsc::channel(WAITING_REQUESTS);
        let (chores, wishes) = watch::channel(Chores::default());
        let line = Line { socket, client: None, made_in: 0, generation: Arc::new(AtomicU64::new(0)) };
        tokio::spawn(follow(client, line.another(), sender.clone()));
        tokio::spawn(read_pages(line.another(), wanted_pages, sender.clone()));
        tokio::spawn(send_messages(line.another(), outgoing, sender.clone()));
        let chore = tokio::spawn(do_chores(line, wishes, sender));
        Self { updates, pages, messages, chores, chore }
    }

    /// Waits for the next news.
    pub(super) async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }

    /// Returns the next news if there is any.
    pub(super) fn next_now(&mut self) -> Option<Update> {
        self.updates.try_recv().ok()
    }

    /// Hands a request on. What comes back is an answer that it cannot be taken.
    pub(super) fn ask(&self, request: Request) -> Option<Update> {
        const BUSY: &str = "too much is waiting for the daemon already";
        match request {
            Request::Ack(id) => self.chores.send_modify(|chores| chores.read_id = id),
            Request::Peers => self.chores.send_modify(|chores| chores.peers += 1),
            Request::Send(sending) => {
                let ticket = sending.ticket;
                if self.messages.try_send(sending).is_err() {
                    let refusal = Refusal { why: BUSY.to_owned(), is_entry: false, is_unsure: false };
                    return Some(Update::Sent { ticket, outcome: Err(refusal) });
                }
            }
            Request::Page { epoch, side, .. } => {
                if self.pages.try_send(request).is_err() {
                    return Some(Update::Page { epoch, side, answer: Err(BUSY.to_owned()) });
                }
            }
        }
        None
    }

    /// Ends; what was read still counts as read.
    pub(super) async fn end(self) {
        let Self { chores, chore, .. } = self;
        drop(chores);
        // If the daemon does not answer, there is nothing more to be done.
        let _ended = timeout(LAST_CHORE_WAIT, chore).await;
    }
}

/// A connection that is made when it is needed.
#[derive(Debug)]
struct Line {
    socket: Option<PathBuf>,
    client: Option<Client>,
    /// The generation that it was made in.
    made_in: u64,
    /// Counts the daemons that answered: the connections to an earlier one are dead.
    generation: Arc<AtomicU64>,
}

impl Line {
    fn another(&self) -> Self {
        let (socket, generation) = (self.socket.clone(), Arc::clone(&self.generation));
        Self { socket, client: None, made_in: 0, generation }
    }

    async fn client(&mut self) -> Result<&mut Client> {
        let generation = self.generation.load(Ordering::Relaxed);
        if self.made_in != generation {
            self.client = None;
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => connect::connect(self.socket.as_deref()).await?,
        };
        self.made_in = generation;
        Ok(self.client.insert(client))
    }

    /// Calls a method; the connection is given up unless the daemon answered.
    async fn call<C: Call>(&mut self, params: &C) -> std::result::Result<C::Answer, Trouble> {
        let client = self.client().await.map_err(Trouble::NoDaemon)?;
        let answer = client.call(params).await;
        if !matches!(&answer, Ok(_) | Err(ClientError::Refused(_) | ClientError::TooLong { .. })) {
            self.client = None;
        }
        answer.map_err(Trouble::Call)
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Trouble {
    /// There was nobody to ask.
    NoDaemon(CtlError),
    Call(ClientError),
}

impl Trouble {
    fn is(&self, kind: ErrorKind) -> bool {
        matches!(self, Self::Call(ClientError::Refused(object)) if object.data.kind == kind)
    }

    fn refusal(self) -> Refusal {
        let is_unsure = match &self {
            Self::NoDaemon(_) => false,
            Self::Call(ClientError::Refused(object)) => object.data.kind == ErrorKind::NotRecorded,
            Self::Call(error) => !matches!(error, ClientError::TooLong { .. }),
        };
        let is_entry =
            matches!(&self, Self::Call(ClientError::Refused(object)) if object.data.entry.is_some());
        // The daemon's hint speaks of the flags of `send`.
        let why = match &self {
            Self::Call(ClientError::Refused(object)) if object.data.kind == ErrorKind::NotEncodable => {
                format!("{}; F3 chooses what to send in", object.message)
            }
            _ => self.told(),
        };
        Refusal { why, is_entry, is_unsure }
    }

    /// Says it in one line, with the hint.
    fn told(self) -> String {
        told(match self {
            Self::NoDaemon(error) => error,
            Self::Call(error) => error.into(),
        })
    }
}

fn told(error: CtlError) -> String {
    match error {
        CtlError::ReaderGone => String::new(),
        CtlError::Failed(failure) => match failure.hint {
            // Where it was looked for helps when the program is started, not every half second.
            Some(hint) if failure.code.is_some() => format!("{}; {hint}", failure.message),
            _ => failure.message,
        },
    }
}

/// Hands on everything that is recorded, over as many connections as it takes.
async fn follow(client: Client, mut line: Line, updates: mpsc::Sender<Update>) {
    let mut cursor = None;
    line.client = Some(client);
    loop {
        let ended = match line.client().await {
            Ok(_) => match line.client.take() {
                Some(client) => follow_one(client, &line.generation, &mut cursor, &updates).await,
                None => continue,
            },
            Err(error) => Ended::Lost(told(error)),
        };
        match ended {
            Ended::ChatOver => return,
            Ended::Behind => {}
            Ended::Lost(why) => {
                if updates.send(Update::Offline(why)).await.is_err() {
                    return;
                }
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Why a connection is not followed any more.
enum Ended {
    /// Nobody takes the news.
    ChatOver,
    /// It is too far behind, and goes on from now.
    Behind,
    Lost(String),
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Self {
        Self::Lost(told(error.into()))
    }
}

async fn follow_one(
    mut client: Client,
    generation: &AtomicU64,
    cursor: &mut Option<u64>,
    updates: &mpsc::Sender<Update>,
) -> Ended {
    if let Err(error) = begin(&mut client, generation, cursor, updates).await {
        return error;
    }
    let mut since_look = 0;
    loop {
        let entry = match client.next_entry().await {
            Ok(Some(entry)) => entry,
            Ok(None) => return ClientError::Closed.into(),
            Err(error) => return error.into(),
        };
        *cursor = Some(entry.id());
        if updates.send(Update::Arrived(Box::new(without_raw(entry)))).await.is_err() {
            return Ended::ChatOver;
        }
        since_look += 1;
        if since_look == LOOK_EVERY_ENTRIES {
            since_look = 0;
            match is_behind(&mut client, *cursor).await {
                Ok(false) => {}
                Ok(true) => return Ended::Behind,
                Err(error) => return error.into(),
            }
        }
    }
}

/// Asks for what comes behind the cursor, or from now on where that is too far away.
async fn begin(
    client: &mut Client,
    generation: &AtomicU64,
    cursor: &mut Option<u64>,
    updates: &mpsc::Sender<Update>,
) -> std::result::Result<(), Ended> {
    let inbox = client.call(&StatusParams {}).await?.inbox;
    let newest = inbox.newest_id;
    // A log that ends before the cursor is another one.
    let near = cursor.filter(|cursor| newest >= *cursor && newest - *cursor <= MAX_BEHIND_ENTRIES);
    let after = near.unwrap_or(newest);
    client.call(&SubscribeParams { after: Some(after), ..SubscribeParams::default() }).await?;
    *cursor = Some(after);
    generation.fetch_add(1, Ordering::Relaxed);
    let online = Update::Online { after, is_whole: near.is_some(), unread: inbox.unread };
    updates.send(online).await.map_err(|_| Ended::ChatOver)
}

async fn is_behind(client: &mut Client, cursor: Option<u64>) -> std::result::Result<bool, ClientError> {
    let newest = client.call(&StatusParams {}).await?.inbox.newest_id;
    Ok(newest.saturating_sub(cursor.unwrap_or(newest)) > MAX_BEHIND_ENTRIES)
}

/// Lets go of the bytes, which nobody looks at here.
fn without_raw(mut entry: Entry) -> Entry {
    if let Entry::Message(message) = &mut entry {
        message.raw = udpchat_api::Raw::default();
    }
    entry
}

async fn read_pages(mut line: Line, mut wanted: mpsc::Receiver<Request>, updates: mpsc::Sender<Update>) {
    while let Some(request) = wanted.recv().await {
        let Request::Page { epoch, side, params } = request else { continue };
        let mut answer = line.call(&params).await;
        if matches!(answer, Err(Trouble::Call(ClientError::Closed | ClientError::Io(_)))) {
            // A page can be asked for twice.
            answer = line.call(&params).await;
        }
        let answer = answer.map_err(Trouble::told);
        if updates.send(Update::Page { epoch, side, answer }).await.is_err() {
            return;
        }
    }
}

async fn send_messages(mut line: Line, mut outgoing: mpsc::Receiver<Sending>, updates: mpsc::Sender<Update>) {
    while let Some(sending) = outgoing.recv().await {
        let ticket = sending.ticket;
        let outcome = send(&mut line, sending).await.map_err(Trouble::refusal);
        if updates.send(Update::Sent { ticket, outcome }).await.is_err() {
            return;
        }
    }
}

/// Sends a message: as an answer, so that it leaves from the address that was written to; where the log has forgotten
/// what is answered, by the peer's address.
async fn send(line: &mut Line, sending: Sending) -> std::result::Result<Vec<Entry>, Trouble> {
    let Sending { reply_to, to, text, encoding, .. } = sending;
    let message = SendParams { text: Some(text), encoding, ..SendParams::default() };
    if let Some(id) = reply_to {
        match line.call(&SendParams { reply_to: Some(id), ..message.clone() }).await {
            Err(trouble) if trouble.is(ErrorKind::NoSuchEntry) => {}
            outcome => return outcome.map(udpchat_api::call::Sent::into_entries),
        }
    }
    let outcome = line.call(&SendParams { to: Some(to), ..message }).await;
    outcome.map(udpchat_api::call::Sent::into_entries)
}

async fn do_chores(mut line: Line, mut wishes: watch::Receiver<Chores>, updates: mpsc::Sender<Update>) {
    let mut done = Chores::default();
    while wishes.changed().await.is_ok() {
        let wish = *wishes.borrow_and_update();
        if wish.peers != done.peers {
            let answer = line.call(&PeersParams::default()).await;
            let answer = answer.map(|answer| answer.peers).map_err(Trouble::told);
            if updates.send(Update::Peers(answer)).await.is_err() {
                return;
            }
        }
        if wish.read_id != done.read_id {
            // If it fails, what was read counts as read with the next message.
            let _read = line.call(&AckParams { consumer: None, id: wish.read_id }).await;
        }
        done = wish;
        pause(&mut wishes).await;
    }
}

/// Waits before the next chore, unless the chat ends.
async fn pause(wishes: &mut watch::Receiver<Chores>) {
    let mut is_new = false;
    let wait = async {
        while wishes.changed().await.is_ok() {
            is_new = true;
        }
    };
    let _over = timeout(CHORE_PAUSE, wait).await;
    if is_new {
        wishes.mark_changed();
    }
}
