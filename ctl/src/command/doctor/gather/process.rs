//! Processes, from `/proc`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};
use udpchat_locale::tr;

use super::super::facts::Process;
use crate::process::living_name;

/// Returns the folders of all processes in `/proc`.
pub(super) fn folders() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_number = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    };
    entries.map(|entry| entry.path()).filter(is_number)
}

/// Returns the processes with a name.
pub(super) fn named(name: &str) -> Vec<Process> {
    folders().filter_map(|folder| of(&folder)).filter(|process| process.name == name).collect()
}

/// Returns the process of a folder; none if it has ended.
pub(super) fn of(folder: &Path) -> Option<Process> {
    let name = living_name(folder)?;
    let pid = folder.file_name()?.to_str()?.parse().ok()?;
    let uid = fs::metadata(folder).ok()?.uid();
    Some(Process { pid, name, user: user(uid), is_own: uid == geteuid().as_raw() })
}

/// Returns whether this user sees the processes of others: `/proc` may be mounted with `hidepid`.
pub(super) fn sees_all() -> bool {
    Path::new("/proc/1/comm").exists()
}

/// Returns the name of a user.
pub(super) fn user(uid: u32) -> String {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    match found {
        Some(user) => tr!("user {name}", name = user.name),
        None => tr!("user {uid}", uid),
    }
}
