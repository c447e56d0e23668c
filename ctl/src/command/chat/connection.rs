//! The four connections of the chat: for entries as they arrive, pages of history and their encoding, sending, and background
//! requests.
//!
//! Each connects when it is needed, and again after a failure. Entries continue from a cursor, so that none is missed or
//! repeated. Only after a long absence the chat continues from the newest entry, and [`Update::Online`] reports that. No
//! queue grows without limit: entries that the chat has not taken stay with the daemon.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use udpchat_api::call::{AckParams, Call, HeldParams, SendParams, Sent, StatusParams, SubscribeParams};
use udpchat_api::{Client, ClientError, ErrorKind, Raw};
use udpchat_locale::{tr, translated};

use super::model::{OutgoingMessage, Request, SendFailure, Update};
use crate::command::send::Payload;
use crate::error::{CtlError, Exit};
use crate::output::as_line;
use crate::reconnect::{CallError, ReconnectingClient};

/// The most updates that may wait for the chat.
const MAX_WAITING_UPDATES: usize = 64;
/// The most messages, or pages, that may wait for the daemon.
const MAX_WAITING_REQUESTS: usize = 64;
/// The distance in entries at which the chat skips to the newest entry; the rest is history.
const MAX_BEHIND_ENTRIES: u64 = 20_000;
/// The number of entries between two checks of that distance.
const CHECK_EVERY_ENTRIES: u64 = 10_000;
/// The pause between two attempts to connect. Constant: a failed attempt on a local socket costs almost nothing.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// The pause between two background requests: the list of peers makes the daemon read 100,000 entries.
const BACKGROUND_PAUSE: Duration = Duration::from_millis(250);
/// The time between two checks of the messages that are shown as held: no entry reports that one was cancelled.
const HELD_CHECK_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait for the last background request when the chat ends.
const LAST_REQUEST_WAIT: Duration = Duration::from_secs(1);

/// The queues of the tasks that hold the connections.
#[derive(Debug)]
pub(super) struct Connections {
    pages: mpsc::Sender<Request>,
    messages: mpsc::Sender<OutgoingMessage>,
    background: watch::Sender<BackgroundRequests>,
    background_task: JoinHandle<()>,
}

/// Requests that may be late, and of which only the newest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct BackgroundRequests {
    /// All entries up to this one are read.
    read_id: u64,
    /// How often the list of peers was requested.
    peers: u64,
    /// The lowest and the highest number of the held messages to check.
    held: Option<(u64, u64)>,
}

impl Connections {
    /// Starts the tasks; the first one uses an open connection. A daemon of an earlier release does not know notices.
    pub(super) fn start(
        client: Client,
        socket: Option<PathBuf>,
        knows_notices: bool,
    ) -> (Self, mpsc::Receiver<Update>) {
        let (sender, updates) = mpsc::channel(MAX_WAITING_UPDATES);
        let (pages, requested_pages) = mpsc::channel(MAX_WAITING_REQUESTS);
        let (messages, outgoing) = mpsc::channel(MAX_WAITING_REQUESTS);
        let (background, requests) = watch::channel(BackgroundRequests::default());
        let client = ReconnectingClient::with_client(socket, client);
        tokio::spawn(read_pages(client.related(), requested_pages, sender.clone(), knows_notices));
        tokio::spawn(send_messages(client.related(), outgoing, sender.clone()));
        let background_task = tokio::spawn(send_background(client.related(), requests, sender.clone()));
        tokio::spawn(follow(client, sender, knows_notices));
        (Self { pages, messages, background, background_task }, updates)
    }

    /// Queues a request; returns an update with the failure if its queue is full.
    pub(super) fn send(&self, request: Request) -> Option<Update> {
        let busy = || tr!("too many requests are waiting for the daemon").to_owned();
        match request {
            Request::Ack(id) => self.background.send_modify(|requests| requests.read_id = id),
            Request::Peers => self.background.send_modify(|requests| requests.peers += 1),
            Request::WatchHeld(held) => self.background.send_modify(|requests| requests.held = held),
            Request::Send(message) => {
                let ticket = message.ticket;
                if self.messages.try_send(message).is_err() {
                    let failure = SendFailure { reason: busy(), is_recorded: false, is_uncertain: false };
                    return Some(Update::Sent { ticket, outcome: Err(failure) });
                }
            }
            Request::Page { .. } | Request::Reread { .. } | Request::Recode(_) => {
                if let Err(refused) = self.pages.try_send(request) {
                    return page_failure(refused.into_inner(), busy());
                }
            }
        }
        None
    }

    /// Ends the connections, after the daemon has recorded what was read.
    pub(super) async fn end(self, updates: mpsc::Receiver<Update>) {
        let Self { background, background_task, .. } = self;
        // Without a receiver no task waits for the chat to take an update.
        drop((background, updates));
        // If the daemon does not answer, the messages stay unread.
        let _ended = timeout(LAST_REQUEST_WAIT, background_task).await;
    }
}

/// Describes an error in one line, with its hint.
fn describe(error: impl Into<CtlError>) -> String {
    match error.into() {
        CtlError::ReaderGone => String::new(),
        CtlError::Failed(failure) => as_line(&failure),
    }
}

/// Passes on all entries that the daemon records, over as many connections as necessary.
async fn follow(mut client: ReconnectingClient, updates: mpsc::Sender<Update>, notices: bool) {
    let mut cursor = None;
    loop {
        let Err(ended) = follow_connection(&mut client, &mut cursor, &updates, notices).await;
        client.disconnect();
        match ended {
            FollowEnd::ChatEnded => return,
            FollowEnd::TooFarBehind => {}
            FollowEnd::Failed(error) => {
                let is_lost = error.is_lost();
                if is_lost {
                    // A request on another connection of that daemon would fail without showing whether it was carried out.
                    client.reconnect_related();
                }
                let reason = if is_lost { client.find_again().await.err() } else { Some(error.into()) };
                if let Some(reason) = reason
                    && updates.send(Update::Offline(describe(reason))).await.is_err()
                {
                    return;
                }
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Why a connection is no longer followed.
enum FollowEnd {
    ChatEnded,
    /// The cursor is more than [`MAX_BEHIND_ENTRIES`] behind.
    TooFarBehind,
    Failed(CallError),
}

impl From<CallError> for FollowEnd {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

async fn follow_connection(
    client: &mut ReconnectingClient,
    cursor: &mut Option<u64>,
    updates: &mpsc::Sender<Update>,
    notices: bool,
) -> Result<Infallible, FollowEnd> {
    subscribe(client, cursor, updates, notices).await?;
    let mut since_check = 0;
    loop {
        let entry = client.next_entry().await?;
        let id = entry.id();
        *cursor = Some(id);
        let update = Update::Arrived(Box::new(entry));
        updates.send(update).await.map_err(|_| FollowEnd::ChatEnded)?;
        since_check += 1;
        if since_check == CHECK_EVERY_ENTRIES {
            since_check = 0;
            let newest = client.call(&StatusParams {}).await?.inbox.newest_id;
            if newest.saturating_sub(id) > MAX_BEHIND_ENTRIES {
                return Err(FollowEnd::TooFarBehind);
            }
        }
    }
}

/// Subscribes to the entries after the cursor, or after the newest entry if the cursor is too far behind.
async fn subscribe(
    client: &mut ReconnectingClient,
    cursor: &mut Option<u64>,
    updates: &mpsc::Sender<Update>,
    notices: bool,
) -> Result<(), FollowEnd> {
    let inbox = client.call(&StatusParams {}).await?.inbox;
    let newest = inbox.newest_id;
    // If the log ends before the cursor, it is another log.
    let near = cursor.filter(|cursor| newest >= *cursor && newest - *cursor <= MAX_BEHIND_ENTRIES);
    let after = near.unwrap_or(newest);
    client.call(&SubscribeParams { after: Some(after), notices, ..SubscribeParams::default() }).await?;
    *cursor = Some(after);
    client.reconnect_related();
    let online = Update::Online { after, is_gapless: near.is_some(), unread: inbox.unread };
    updates.send(online).await.map_err(|_| FollowEnd::ChatEnded)
}

async fn read_pages(
    mut client: ReconnectingClient,
    mut requested: mpsc::Receiver<Request>,
    updates: mpsc::Sender<Update>,
    notices: bool,
) {
    while let Some(request) = requested.recv().await {
        let update = match request {
            Request::Page { epoch, end, mut params } => {
                params.notices &= notices;
                let answer = call_twice(&mut client, &params).await;
                Update::Page { epoch, end, cursor: params.before.or(params.after), answer }
            }
            Request::Reread { epoch, mut params } => {
                params.notices &= notices;
                let answer = call_twice(&mut client, &params).await;
                Update::Reread { epoch, before: params.before, answer }
            }
            Request::Recode(params) => {
                let answer = call_twice(&mut client, &params).await;
                Update::Recoded { params, answer }
            }
            Request::Peers | Request::Send(_) | Request::Ack(_) | Request::WatchHeld(_) => continue,
        };
        if updates.send(update).await.is_err() {
            return;
        }
    }
}

/// Calls a method again if the connection was lost: reading a page, or setting an encoding, twice changes nothing.
async fn call_twice<C: Call>(client: &mut ReconnectingClient, params: &C) -> Result<C::Answer, String> {
    let mut answer = client.call(params).await;
    if matches!(&answer, Err(error) if error.is_lost()) {
        answer = client.call(params).await;
    }
    answer.map_err(describe)
}

/// Returns the update for a request on the connection for pages that failed.
fn page_failure(request: Request, reason: String) -> Option<Update> {
    match request {
        Request::Page { epoch, end, params } => {
            Some(Update::Page { epoch, end, cursor: params.before.or(params.after), answer: Err(reason) })
        }
        Request::Reread { epoch, params } => {
            Some(Update::Reread { epoch, before: params.before, answer: Err(reason) })
        }
        Request::Recode(params) => Some(Update::Recoded { params, answer: Err(reason) }),
        Request::Peers | Request::Send(_) | Request::Ack(_) | Request::WatchHeld(_) => None,
    }
}

async fn send_messages(
    mut client: ReconnectingClient,
    mut outgoing: mpsc::Receiver<OutgoingMessage>,
    updates: mpsc::Sender<Update>,
) {
    while let Some(message) = outgoing.recv().await {
        let ticket = message.ticket;
        let outcome = send(&mut client, message).await.map_err(send_failure);
        if updates.send(Update::Sent { ticket, outcome }).await.is_err() {
            return;
        }
    }
}

/// Sends a message as a reply, so that it leaves from the address that the peer sent to. If the log no longer has the
/// replied entry, sends it to the peer's address.
async fn send(client: &mut ReconnectingClient, message: OutgoingMessage) -> Result<Sent, CallError> {
    let OutgoingMessage { reply_to, to, payload, encoding, when_seen, .. } = message;
    let params = SendParams { when_seen, ..SendParams::default() };
    let params = match payload {
        Payload::Text(text) => SendParams { text: Some(text), encoding, ..params },
        Payload::Bytes(bytes) => SendParams { raw: Some(Raw(bytes)), ..params },
    };
    if let Some(id) = reply_to {
        match client.call(&SendParams { reply_to: Some(id), ..params.clone() }).await {
            Err(error) if error.is_refusal(ErrorKind::NoSuchEntry) => {}
            outcome => return outcome,
        }
    }
    client.call(&SendParams { to: Some(to), ..params }).await
}

fn send_failure(error: CallError) -> SendFailure {
    let is_uncertain = match &error {
        CallError::NoDaemon(_) => false,
        CallError::Client(ClientError::Refused(refusal)) => refusal.data.kind == ErrorKind::NotRecorded,
        CallError::Client(error) => error.is_unanswered(),
    };
    let is_recorded =
        matches!(&error, CallError::Client(ClientError::Refused(refusal)) if refusal.data.entry.is_some());
    let reason = match error {
        // The daemon's hint names a flag of `send`.
        CallError::Client(ClientError::Refused(refusal)) if refusal.data.kind == ErrorKind::NotEncodable => {
            tr!("{refusal}; F3 chooses another encoding", refusal = translated(&refusal.message))
        }
        // The bar below the messages has the rest.
        CallError::NoDaemon(error) if error.exit() == Exit::NoDaemon => tr!("no daemon answers").to_owned(),
        error => describe(error),
    };
    SendFailure { reason, is_recorded, is_uncertain }
}

async fn send_background(
    mut client: ReconnectingClient,
    mut requests: watch::Receiver<BackgroundRequests>,
    updates: mpsc::Sender<Update>,
) {
    let mut done = BackgroundRequests::default();
    let mut held_checks = interval(HELD_CHECK_PAUSE);
    held_checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = requests.changed() => if changed.is_err() { return },
            _ = held_checks.tick(), if done.held.is_some() => {
                if let Some(update) = check_held(&mut client, done.held).await {
                    let _taken = updates.send(update).await;
                }
                continue;
            }
        }
        let requested = *requests.borrow_and_update();
        if requested.peers != done.peers {
            let answer = client.peers(None).await;
            let answer = answer.map_err(describe);
            // If the chat has ended, the acknowledgement below is still to be sent.
            let _taken = updates.send(Update::Peers(answer)).await;
        }
        if requested.read_id != done.read_id {
            // If it fails, the next acknowledgement covers these entries.
            let _read = client.call(&AckParams { consumer: None, id: requested.read_id }).await;
        }
        done = requested;
        pause(&mut requests).await;
    }
}

/// Asks which messages are still held. None if the daemon does not answer: the next check follows.
async fn check_held(client: &mut ReconnectingClient, span: Option<(u64, u64)>) -> Option<Update> {
    let (lowest, highest) = span?;
    let (mut numbers, mut after) = (Vec::new(), lowest.saturating_sub(1));
    loop {
        let page = client.call(&HeldParams { after: Some(after), to: None }).await.ok()?;
        numbers.extend(page.held.iter().map(|message| message.held).filter(|held| *held <= highest));
        match page.held.last() {
            Some(last) if page.more && last.held < highest => after = last.held,
            _ => return Some(Update::StillHeld { span: (lowest, highest), numbers }),
        }
    }
}

/// Waits before the next background request, unless the chat ends.
async fn pause(requests: &mut watch::Receiver<BackgroundRequests>) {
    let mut is_new = false;
    let wait = async {
        while requests.changed().await.is_ok() {
            is_new = true;
        }
    };
    let _over = timeout(BACKGROUND_PAUSE, wait).await;
    if is_new {
        requests.mark_changed();
    }
}
