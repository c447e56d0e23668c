//! The context of a method: the connection that calls it.

use std::mem;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use udpchat_api::call::{Call, Role};
use udpchat_api::rpc::Request;
use udpchat_api::{ErrorKind, ErrorObject};

use super::client::Client;
use super::consumer;
use super::memory::{Account, Charge, Running};
use super::outlet::Outlet;
use super::pattern::Pattern;
use super::query::Query;
use super::reading;
use super::request::parameters;
use super::shared::Control;
use super::subscription::Subscription;
use crate::inbox::InboxError;
use crate::inbox::kept::HeldRow;
use crate::inbox::reader::Reader;
use crate::state::Daemon;

/// The state of a connection.
pub(super) struct Context {
    pub(super) control: Arc<Control>,
    pub(super) client: Arc<Client>,
    pub(super) outlet: Outlet,
    /// What the connection is charged for.
    pub(super) account: Arc<Account>,
    /// The memory of the response in preparation.
    memory: Option<Charge>,
    /// While the response is not a line yet.
    running: Option<Running>,
    /// Whether the client has called a method of the role `read`, which is logged once.
    has_read: bool,
    /// The consumer whose read mark the client has raised last, if that is logged.
    pub(super) acked: Option<String>,
    subscription: Option<Subscription>,
    after_response: AfterResponse,
}

/// Held messages by the user that has given them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeldOf {
    All,
    User(Arc<str>),
}

impl HeldOf {
    /// Returns whether a message is one of them.
    pub(super) fn has(&self, row: &HeldRow) -> bool {
        match self {
            Self::All => true,
            Self::User(user) => row.detail.by.as_deref() == Some(&**user),
        }
    }
}

/// An action that a method requests for the time after its response.
#[derive(Default)]
enum AfterResponse {
    #[default]
    Nothing,
    /// Starts a subscription: its entries follow the response.
    Subscribe(Box<Query>),
    /// Stops the daemon.
    Stop,
}

impl Context {
    pub(super) fn new(
        control: Arc<Control>,
        client: Arc<Client>,
        outlet: Outlet,
        account: Arc<Account>,
    ) -> Self {
        Self {
            control,
            client,
            outlet,
            account,
            memory: None,
            running: None,
            has_read: false,
            acked: None,
            subscription: None,
            after_response: AfterResponse::default(),
        }
    }

    pub(super) fn daemon(&self) -> &Arc<Daemon> {
        &self.control.daemon
    }

    /// Parses the parameters of a method, if the client has the role that the method requires. Methods get their parameters
    /// in no other way.
    pub(super) async fn parameters<C: Call + DeserializeOwned>(
        &mut self,
        request: &mut Request,
    ) -> Result<C, ErrorObject> {
        if let Some(role) = C::ROLE {
            self.require(role, C::METHOD).await?;
        }
        parameters(request)
    }

    async fn require(&mut self, role: Role, method: &str) -> Result<(), ErrorObject> {
        let (audit, rules) = (&self.control.audit, self.control.rules());
        if !rules.roles_of(&self.client.credentials).has(role) {
            let why = rules.refusal(method, role, self.client.name().await);
            audit.refused(&self.client, Some(method), &why).await;
            return Err(why);
        }
        if role == Role::Read {
            self.note_reading(method).await;
        }
        Ok(())
    }

    /// Returns whether the client has the role `read`, for a method that returns less without it.
    pub(super) async fn reads(&mut self, method: &str) -> bool {
        let is_reader = self.is_reader();
        if is_reader {
            self.note_reading(method).await;
        }
        is_reader
    }

    /// Returns whether the client has the role `read`, without a line in the log.
    pub(super) fn is_reader(&self) -> bool {
        self.control.rules().roles_of(&self.client.credentials).has(Role::Read)
    }

    /// Returns which held messages the client sees and may cancel: without the role `read`, those that its own user has given.
    pub(super) async fn visible_held(&self) -> HeldOf {
        if self.is_reader() { HeldOf::All } else { HeldOf::User(Arc::clone(self.client.name().await)) }
    }

    /// Logs the first method of the role `read`.
    async fn note_reading(&mut self, method: &str) {
        if !self.has_read {
            self.has_read = true;
            self.control.audit.reads(&self.client, method).await;
        }
    }

    /// Returns the consumer with the client's own read mark.
    pub(super) fn own_consumer(&self) -> String {
        consumer::own(&self.client, &self.control.rules())
    }

    /// Returns the consumer that a parameter names; the default is the client's own.
    pub(super) fn consumer(&self, name: Option<&str>) -> Result<String, ErrorObject> {
        consumer::named(name, &self.client, &self.control.rules())
    }

    /// Returns the consumer that a parameter names, whose read mark the client may change.
    pub(super) fn changeable_consumer(&self, name: Option<&str>) -> Result<String, ErrorObject> {
        consumer::changeable(name, &self.client, &self.control.rules())
    }

    /// Reads the inbox for the response, which takes at most `bytes` of memory until [`Self::free_memory`].
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        bytes: usize,
        read: impl FnOnce(&Reader) -> Result<T, InboxError> + Send + 'static,
    ) -> Result<T, ErrorObject> {
        let (result, memory, running) = reading::read(self.daemon(), &self.account, bytes, read).await?;
        (self.memory, self.running) = (Some(memory), Some(running));
        Ok(result)
    }

    /// Charges the memory of a response that is not read from the inbox, until [`Self::free_memory`].
    pub(super) async fn charge(&mut self, bytes: usize) -> Result<(), ErrorObject> {
        self.memory = Some(self.account.charge(bytes).await?);
        Ok(())
    }

    /// Gives back the memory that the response does not need, now that it is a line of this length.
    pub(super) fn shrink_memory(&mut self, bytes: usize) {
        if let Some(memory) = &mut self.memory {
            memory.shrink_to(bytes);
        }
        self.running = None;
    }

    /// Gives back the memory of the response, which is written.
    pub(super) fn free_memory(&mut self) {
        (self.memory, self.running) = (None, None);
    }

    /// Returns the compiled regular expression of a filter, if it has one.
    pub(super) async fn pattern(&self, text: Option<&str>) -> Result<Option<Arc<Pattern>>, ErrorObject> {
        let Some(text) = text else { return Ok(None) };
        self.control.patterns.obtain(text, &self.account).await.map(Some)
    }

    /// Checks that a subscription can be started.
    pub(super) fn require_no_subscription(&self) -> Result<(), ErrorObject> {
        if self.subscription.is_none() {
            return Ok(());
        }
        let text = "this connection has a subscription already";
        Err(ErrorObject::new(ErrorKind::Subscription, text)
            .hint("end it with `unsubscribe`, or open another connection"))
    }

    /// Starts a subscription after the response.
    pub(super) fn subscribe(&mut self, query: Query) {
        self.after_response = AfterResponse::Subscribe(Box::new(query));
    }

    /// Ends the subscription: no entry follows.
    pub(super) async fn unsubscribe(&mut self) -> Result<(), ErrorObject> {
        let none = || ErrorObject::new(ErrorKind::Subscription, "this connection has no subscription");
        self.subscription.take().ok_or_else(none)?.end().await;
        Ok(())
    }

    /// Ends the subscription, if there is one, even within a line.
    pub(super) fn abort_subscription(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.abort();
        }
    }

    /// Stops the daemon after the response.
    pub(super) fn stop(&mut self) {
        self.after_response = AfterResponse::Stop;
    }

    /// Performs the action that the method requested for the time after its response.
    pub(super) fn after_response(&mut self) {
        match mem::take(&mut self.after_response) {
            AfterResponse::Nothing => {}
            AfterResponse::Subscribe(query) => {
                let (daemon, account) = (Arc::clone(self.daemon()), Arc::clone(&self.account));
                self.subscription = Some(Subscription::start(daemon, account, *query, self.outlet.clone()));
            }
            AfterResponse::Stop => self.daemon().stop(),
        }
    }
}
