//! The method `stop`: stops the daemon, as SIGTERM does.

use super::audit;
use super::caller::Caller;
use crate::daemon::Daemon;

pub(super) async fn call(daemon: &Daemon, caller: &Caller) {
    audit::asked(daemon, caller, "stop").await;
    daemon.stop();
}
