//! Who may open a control socket, and how a user gets access to it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgroups};
use udpchat_locale::tr;

/// Who may open a socket, according to its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SocketAccess {
    /// The owner of the socket, or of the nearest directory above it that can be examined.
    pub(crate) owner: String,
    /// The owner as `sudo -u` takes it.
    account: String,
    group: Option<GroupAccess>,
    /// The directory above it that this user may not pass.
    closed: Option<PathBuf>,
}

/// The group that may open the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GroupAccess {
    name: String,
    /// The current user; none if the user has no name.
    user: Option<String>,
    /// Whether the user is a member, but this process started before that.
    is_member: bool,
}

impl SocketAccess {
    /// Examines the file of a socket.
    pub(crate) fn of(socket: &Path) -> Option<Self> {
        let (found, uid) = socket.ancestors().find_map(|path| Some((path, path.metadata().ok()?.uid())))?;
        // What is below it cannot be examined, although it is there.
        let is_hidden =
            matches!(socket.metadata(), Err(error) if error.kind() == io::ErrorKind::PermissionDenied);
        let closed = is_hidden.then(|| found.to_owned());
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let (owner, account) = match user {
            Some(user) => (tr!("user {name} ({uid})", name = user.name, uid), user.name),
            None => (tr!("user {uid}", uid), format!("'#{uid}'")),
        };
        Some(Self { owner, account, group: group_access(socket), closed })
    }

    /// Returns what the user can do, as a clause.
    pub(crate) fn advice(&self) -> String {
        if let Some(folder) = &self.closed {
            return tr!(
                "the folder {folder} lets no other user pass: run this command as that user, with `sudo -u {account}`, or have the folder \
                 opened",
                folder = folder.display(),
                account = self.account
            );
        }
        let Some(GroupAccess { name, user, is_member }) = &self.group else {
            return tr!(
                "run this command as that user, with `sudo -u {account}`, or ask its administrator for a role with `[control]` in \
                 the configuration",
                account = self.account
            );
        };
        if *is_member {
            return tr!(
                "the group {name} may open it; you joined that group after you logged in: log in again, or run \
                 `newgrp {name}`",
                name
            );
        }
        let user = user.as_deref().unwrap_or("NAME");
        tr!(
            "the group {name} may open it; an administrator can add you with `usermod -aG {name} {user}`, effective \
             from your next login",
            name,
            user
        )
    }
}

/// Finds the group that may read and write a socket. The group of root is never suggested.
fn group_access(socket: &Path) -> Option<GroupAccess> {
    const GROUP_MAY: u32 = 0o060;
    let metadata = socket.metadata().ok().filter(|found| found.mode() & GROUP_MAY == GROUP_MAY)?;
    let group = Group::from_gid(Gid::from_raw(metadata.gid())).ok().flatten()?;
    let is_ours = getegid() == group.gid || getgroups().is_ok_and(|groups| groups.contains(&group.gid));
    if group.gid.as_raw() == 0 || is_ours {
        return None;
    }
    let user = User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
    let is_member = user.as_ref().is_some_and(|user| group.mem.contains(user));
    Some(GroupAccess { name: group.name, user, is_member })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_found_above_a_missing_socket() {
        let access = SocketAccess::of(Path::new("/no/such/socket")).unwrap();
        assert!(access.owner.starts_with("user root") && access.group.is_none(), "{access:?}");
        assert!(access.advice().contains("`sudo -u root`"));
    }

    #[test]
    fn a_closed_folder_is_named() {
        let (owner, account) = ("user bob (7)".to_owned(), "bob".to_owned());
        let closed = SocketAccess { owner, account, group: None, closed: Some("/run/udpchat".into()) };
        let advice = closed.advice();
        assert!(advice.starts_with("the folder /run/udpchat lets no other user pass"), "{advice}");
    }

    #[test]
    fn advice_depends_on_membership_of_the_group() {
        let advice = |is_member| {
            let group = GroupAccess { name: "udpchat".to_owned(), user: Some("bob".to_owned()), is_member };
            let (owner, account) = ("user udpchat (990)".to_owned(), "udpchat".to_owned());
            SocketAccess { owner, account, group: Some(group), closed: None }.advice()
        };
        assert!(advice(false).contains("`usermod -aG udpchat bob`"), "{}", advice(false));
        assert!(
            advice(true).contains("`newgrp udpchat`") && !advice(true).contains("usermod"),
            "{}",
            advice(true)
        );
    }
}
