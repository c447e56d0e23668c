//! Users and groups of the system. Unix only.
//!
//! Look-ups by name or number go through NSS and may block for any time.

use nix::errno::Errno;
use nix::unistd::{Group, Uid, User, getegid, geteuid};

/// Returns the user that this process runs as.
pub(crate) fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// Returns the primary group that this process runs as.
pub(crate) fn own_gid() -> u32 {
    getegid().as_raw()
}

/// Returns the name of a user, none for a user without one.
///
/// # Errors
/// Fails if the look-up fails.
pub(crate) fn user_name(uid: u32) -> Result<Option<String>, Errno> {
    User::from_uid(Uid::from_raw(uid)).map(|user| user.map(|user| user.name))
}

/// Returns the number of a group, none if no group has that name.
///
/// # Errors
/// Fails with a description if the look-up fails.
pub(crate) fn group_id(name: &str) -> Result<Option<u32>, String> {
    match Group::from_name(name) {
        Ok(group) => Ok(group.map(|group| group.gid.as_raw())),
        // getgrnam(3) may report these for a name that was not found.
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(error) => Err(error.desc().to_lowercase()),
    }
}
