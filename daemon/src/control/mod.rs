//! The server side of the control socket: lets in whom the configuration gives a role, up to a limit, and gives each
//! connection a [`session`].
//!
//! One file a method. What the methods answer is built in the methods themselves and in [`crate::view`]; only
//! they know both the daemon's types and the protocol's.

mod audit;
mod connection_limit;
mod credentials;
mod listener;
pub(crate) mod method;
mod request;
mod response_queue;
mod roles;
mod session;
pub(crate) mod socket;

use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{Group, geteuid};
use tokio::sync::{Semaphore, watch};
use tracing::warn;
use udpchat_api::ErrorObject;
use udpchat_api::rpc::{Reply, Version};
use udpchat_config::Settings;

use audit::Audit;
use credentials::{Caller, Names};
pub(crate) use listener::serve;
pub(crate) use roles::Rules;
use socket::SocketFile;

/// What the control side keeps while the daemon runs.
#[derive(Debug)]
pub(crate) struct Control {
    rules: watch::Sender<Arc<Rules>>,
    /// None where the socket has no file.
    file: Option<SocketFile>,
    names: Names,
    pub(crate) audit: Arc<Audit>,
}

/// Whose deed it was, for the log.
struct By {
    user: Arc<str>,
    uid: u32,
    pid: Option<i32>,
}

impl Control {
    pub(crate) fn new(rules: Rules, file: Option<SocketFile>, lookups: Arc<Semaphore>) -> Self {
        let (rules, audit) = (watch::Sender::new(Arc::new(rules)), Arc::default());
        Self { rules, file, names: Names::new(lookups), audit }
    }

    /// Gives the roles to the groups that the settings name, and the socket's file the mode that follows. Looking up
    /// groups may take as long as the databases of the system do.
    pub(crate) fn configure(&self, settings: &Settings) {
        let rules = Arc::new(look_up(settings));
        self.names.forget();
        self.rules.send_replace(Arc::clone(&rules));
        if let Some(file) = &self.file {
            file.adapt(&rules);
        }
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    async fn by(&self, caller: &Caller) -> By {
        let (uid, pid) = (caller.credentials.uid, caller.credentials.pid);
        By { user: Arc::clone(caller.name(&self.names).await), uid, pid }
    }
}

/// Looks up the groups that the settings name, and warns of those that are not there.
pub(crate) fn look_up(settings: &Settings) -> Rules {
    let (rules, warnings) = Rules::of(settings, geteuid().as_raw(), group_id);
    for warning in warnings {
        warn!("{warning}");
    }
    rules
}

/// Returns the number of a group, none if no group has that name.
fn group_id(name: &str) -> Result<Option<u32>, String> {
    match Group::from_name(name) {
        Ok(group) => Ok(group.map(|group| group.gid.as_raw())),
        // What getgrnam(3) may say of a name that was not found.
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(error) => Err(error.desc().to_lowercase()),
    }
}

/// Makes the reply to a request that failed.
fn failure(id: serde_json::Value, error: ErrorObject) -> Reply {
    Reply { jsonrpc: Version::V2, id: Some(id), result: None, error: Some(error), method: None, params: None }
}
