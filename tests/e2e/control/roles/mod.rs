//! The roles of users of the control socket, with real users.

mod client;
mod groups;
mod outsiders;
mod permissions;
mod pid_namespace;
mod reload;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::support::{Account, Daemon};

/// Groups by numbers that no account has.
pub(super) const READERS: u32 = 4_000_000_001;
const SENDERS: u32 = 4_000_000_002;
pub(super) const ADMINS: u32 = 4_000_000_003;

/// A user that is in no group of the tests.
pub(super) const UID: u32 = 4_000_000_100;

pub(super) fn config() -> String {
    format!("[control]\nread = [{READERS}]\nsend = ['{SENDERS}']\nadmin = [{ADMINS}]\n")
}

pub(super) fn account(groups: &[u32]) -> Account {
    Account::new(UID, groups)
}

/// Starts a daemon that others can reach.
pub(super) fn start(config: &str, flags: &[&str]) -> Daemon {
    let daemon = Daemon::start_with(config, flags);
    open_folder(&daemon);
    daemon
}

fn open_folder(daemon: &Daemon) {
    fs::set_permissions(daemon.folder.path(), Permissions::from_mode(0o755)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Reads a new configuration.
fn reload(daemon: &Daemon, config: &str) {
    fs::write(daemon.path("config.toml"), config).unwrap();
    daemon.rpc().call("reload", json!({}));
}
