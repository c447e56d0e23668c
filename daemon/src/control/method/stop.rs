//! The method `stop`: stops the daemon, as SIGTERM does.

use crate::control::audit;
use crate::control::credentials::Caller;
use crate::state::Daemon;

pub(crate) async fn call(daemon: &Daemon, caller: &Caller) {
    audit::asked(daemon, caller, "stop").await;
    daemon.stop();
}
