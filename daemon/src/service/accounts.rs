//! Users and groups of the system. Unix only.
//!
//! Look-ups by name or number go through NSS and may block for any time.

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

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

/// Returns whether a group is private to this user: its primary group, without further members. Many systems create one for
/// each user, and let it write to what the user creates.
pub(crate) fn is_private_group(gid: u32) -> bool {
    let Ok(Some(user)) = User::from_uid(geteuid()) else { return false };
    let Ok(Some(group)) = Group::from_gid(Gid::from_raw(gid)) else { return false };
    user.gid == group.gid && user.name == group.name && group.mem.iter().all(|member| *member == user.name)
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
