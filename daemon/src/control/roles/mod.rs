//! Who may do what: the groups that the configuration gives a role, and what follows from them for a caller and for the
//! mode of the socket's file.
//!
//! The kernel tells who a caller is, and in which groups; nothing here depends on what a client says.

use std::borrow::Cow;

use udpchat_api::call::Role;
use udpchat_api::{ErrorKind, ErrorObject};
use udpchat_config::{Origin, Setting, Settings, UserGroup};

use super::credentials::Credentials;

/// Nobody but the owner may open the socket.
pub(crate) const OWNER_ONLY: u32 = 0o600;
/// The group of the file may.
const OWN_GROUP: u32 = 0o660;
/// Everybody may; who is let in is decided behind it.
const EVERYBODY: u32 = 0o666;

const ROOT_UID: u32 = 0;

/// The roles of a caller. The administrator's holds the other two, which do not hold one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    read: bool,
    send: bool,
    admin: bool,
}

impl Roles {
    const ALL: Self = Self { read: true, send: true, admin: true };

    /// Tells whether one of the roles is this one.
    pub(crate) fn has(self, role: Role) -> bool {
        match role {
            Role::Read => self.read,
            Role::Send => self.send,
            Role::Admin => self.admin,
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Tells whether something that was permitted with the roles `before` is not with these.
    pub(crate) fn is_less_than(self, before: Self) -> bool {
        [Role::Read, Role::Send, Role::Admin].iter().any(|role| before.has(*role) && !self.has(*role))
    }
}

/// A group that exists, or that is given by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    gid: u32,
}

/// The groups of each role, as they were when the configuration was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whom the daemon runs as.
    own_uid: u32,
    read: Vec<Known>,
    send: Vec<Known>,
    admin: Vec<Known>,
}

impl Rules {
    /// Looks up every group; returns with the rules what is to be warned of.
    ///
    /// `find` returns none for a name that no group has, and what went wrong where that cannot be told.
    pub(crate) fn of(
        settings: &Settings,
        own_uid: u32,
        find: impl Fn(&str) -> Result<Option<u32>, String>,
    ) -> (Self, Vec<String>) {
        let control = &settings.control;
        let mut warnings = Vec::new();
        let mut known = |role: Role, groups: &Setting<Vec<UserGroup>>| {
            let mut known = Vec::with_capacity(groups.len());
            for group in groups.iter() {
                let gid = match group {
                    UserGroup::Gid(gid) => Ok(Some(*gid)),
                    UserGroup::Name(name) => find(name),
                };
                match gid {
                    Ok(Some(gid)) => known.push(Known { name: group.to_string(), gid }),
                    Ok(None) if is_named_by_nobody(&groups.origin) => {}
                    Ok(None) => warnings.push(warning(role, group, "is unknown", &groups.origin)),
                    Err(error) => {
                        let what = format!("cannot be looked up ({error})");
                        warnings.push(warning(role, group, &what, &groups.origin));
                    }
                }
            }
            known
        };
        let read = known(Role::Read, &control.read);
        let send = known(Role::Send, &control.send);
        let admin = known(Role::Admin, &control.admin);
        (Self { own_uid, read, send, admin }, warnings)
    }

    /// Tells whether somebody may do everything, whatever the groups are: root, and the user that the daemon runs as.
    pub(crate) fn is_master(&self, uid: u32) -> bool {
        uid == ROOT_UID || uid == self.own_uid
    }

    /// Returns the roles of a caller.
    pub(crate) fn roles_of(&self, caller: &Credentials) -> Roles {
        if self.is_master(caller.uid) {
            return Roles::ALL;
        }
        let is_in = |groups: &[Known]| groups.iter().any(|group| caller.is_in(group.gid));
        if is_in(&self.admin) {
            return Roles::ALL;
        }
        Roles { read: is_in(&self.read), send: is_in(&self.send), admin: false }
    }

    /// Returns the mode of a socket's file that has this group.
    pub(crate) fn mode(&self, file_gid: u32) -> u32 {
        match self.all().next() {
            None => OWNER_ONLY,
            Some(_) if self.all().all(|group| group.gid == file_gid) => OWN_GROUP,
            Some(_) => EVERYBODY,
        }
    }

    /// Tells whether a group has a role.
    pub(crate) fn names(&self, gid: u32) -> bool {
        self.all().any(|group| group.gid == gid)
    }

    fn all(&self) -> impl Iterator<Item = &Known> {
        self.read.iter().chain(&self.send).chain(&self.admin)
    }

    fn groups_of(&self, role: Role) -> &[Known] {
        match role {
            Role::Read => &self.read,
            Role::Send => &self.send,
            Role::Admin => &self.admin,
        }
    }

    /// Makes the error for a caller who lacks the role that a method takes.
    pub(crate) fn refusal(&self, method: &str, role: Role, user: &str) -> ErrorObject {
        let name = role.name();
        let groups = self.groups_of(role);
        let with_admin: Vec<_> =
            groups.iter().chain(if role == Role::Admin { &[] } else { &self.admin[..] }).collect();
        let suitable = groups.first().or(self.admin.first());
        let hint = match suitable {
            Some(group) => {
                format!("`{name}` is for {} and root{}", list(&with_admin), how_to_join(&group.name, user))
            }
            None => format!(
                "`{name}` is for root and the user that the daemon runs as; `{name}` in [control] of its configuration \
                 names groups that may too"
            ),
        };
        let text = format!("`{method}` takes the role `{name}`, which {} has not", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint(hint)
    }

    /// Makes the error for a caller without any role.
    pub(crate) fn exclusion(&self, user: &str) -> ErrorObject {
        let roles = [Role::Read, Role::Send, Role::Admin].into_iter().filter_map(|role| {
            let groups: Vec<_> = self.groups_of(role).iter().collect();
            (!groups.is_empty()).then(|| format!("`{}` is for {}", role.name(), list(&groups)))
        });
        let roles: Vec<_> = roles.collect();
        let hint = match self.all().next() {
            Some(group) => format!("{}{}", roles.join(", "), how_to_join(&group.name, user)),
            None => {
                "run this as root or as the user that the daemon runs as, or ask the administrator".to_owned()
            }
        };
        let text = format!("{} has no role with this daemon", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint(hint)
    }
}

/// Tells whether a setting is a default, about which nobody needs to hear.
fn is_named_by_nobody(origin: &Origin) -> bool {
    matches!(origin, Origin::Default | Origin::Flag(_))
}

fn warning(role: Role, group: &UserGroup, what: &str, origin: &Origin) -> String {
    format!("control.{}: the group `{group}` {what}, so it lets nobody in ({origin})", role.name())
}

fn list(groups: &[&Known]) -> String {
    let mut names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [name] => format!("the group {name}"),
        names => format!("the groups {}", names.join(", ")),
    }
}

/// Says how a user gets into a group; nothing where the names would have to be quoted for a shell.
fn how_to_join(group: &str, user: &str) -> String {
    let is_plain = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
            && name.bytes().all(plain)
    };
    let user = if is_plain(user) && !is_number(user) { user } else { "NAME" };
    match is_plain(group) {
        true => format!(
            "; an administrator adds a user with `usermod -aG {group} {user}`, which counts from the next login on"
        ),
        false => String::new(),
    }
}

/// Returns how a sentence calls a user, who may have no name.
pub(super) fn shown(user: &str) -> Cow<'_, str> {
    if is_number(user) { format!("user {user}").into() } else { user.into() }
}

fn is_number(user: &str) -> bool {
    user.parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests;
