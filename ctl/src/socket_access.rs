//! Whose a socket is that may not be opened, and how somebody comes to be let in.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgroups};

/// Who may open a socket, as far as its file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// The owner of the socket, or of the nearest directory above it that can be looked at.
    pub(crate) owner: String,
    group: Option<Guests>,
}

/// The group that may open it too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Guests {
    name: String,
    /// Who asks; none for a user without a name.
    user: Option<String>,
    /// Whether the user is in the group, and only this process is not.
    is_member: bool,
}

impl Door {
    /// Looks at the file of a socket.
    pub(crate) fn of(socket: &Path) -> Option<Self> {
        let uid = socket.ancestors().find_map(|path| path.metadata().ok())?.uid();
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let owner = user.map_or_else(|| format!("user {uid}"), |user| format!("user {} ({uid})", user.name));
        Some(Self { owner, group: guests(socket) })
    }

    /// Says what to do, as a fragment.
    pub(crate) fn advice(&self) -> String {
        let Some(Guests { name, user, is_member }) = &self.group else {
            return "run this as that user, with `sudo -u` for example, or ask the administrator".to_owned();
        };
        if *is_member {
            return format!(
                "the group {name} may open it, to which you have belonged since you logged in: log in anew, or run \
                 `newgrp {name}`"
            );
        }
        let user = user.as_deref().unwrap_or("NAME");
        format!(
            "the group {name} may open it; an administrator adds you with `usermod -aG {name} {user}`, which counts \
             from the next login on"
        )
    }
}

/// Finds the group that may read and write a socket. Nobody is to be put into the group of root for this.
fn guests(socket: &Path) -> Option<Guests> {
    const GROUP_MAY: u32 = 0o060;
    let metadata = socket.metadata().ok().filter(|found| found.mode() & GROUP_MAY == GROUP_MAY)?;
    let group = Group::from_gid(Gid::from_raw(metadata.gid())).ok().flatten()?;
    let is_ours = getegid() == group.gid || getgroups().is_ok_and(|groups| groups.contains(&group.gid));
    if group.gid.as_raw() == 0 || is_ours {
        return None;
    }
    let user = User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
    let is_member = user.as_ref().is_some_and(|user| group.mem.contains(user));
    Some(Guests { name: group.name, user, is_member })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_found_above_what_cannot_be_seen() {
        let door = Door::of(Path::new("/no/such/socket")).unwrap();
        assert!(door.owner.starts_with("user root") && door.group.is_none(), "{door:?}");
        assert!(door.advice().contains("sudo -u"));
    }

    #[test]
    fn whoever_is_in_the_group_only_since_the_login_is_told_so() {
        let door = |is_member| {
            let group = Guests { name: "udpchat".to_owned(), user: Some("bob".to_owned()), is_member };
            Door { owner: "user udpchat (990)".to_owned(), group: Some(group) }.advice()
        };
        assert!(door(false).contains("`usermod -aG udpchat bob`"), "{}", door(false));
        assert!(door(true).contains("`newgrp udpchat`") && !door(true).contains("usermod"), "{}", door(true));
    }
}
