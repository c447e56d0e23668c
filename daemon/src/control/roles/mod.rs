//! Roles: the groups that the configuration gives each role, the roles of a client, and the mode that the socket's file
//! needs for them.
//!
//! The kernel reports the user and the groups of a client. Nothing here depends on what the client sends.

use std::borrow::Cow;

use udpchat_api::call::Role;
use udpchat_api::{ErrorKind, ErrorObject};
use udpchat_config::{Origin, Setting, Settings, UserGroup};

use super::credentials::Credentials;

/// Only the owner may open the socket.
pub(crate) const OWNER_ONLY: u32 = 0o600;
/// The owner and the group of the file may.
const OWN_GROUP: u32 = 0o660;
/// Every user may; the roles decide after the connection is accepted.
const EVERYBODY: u32 = 0o666;

const ROOT_UID: u32 = 0;

/// The roles of a client. `admin` includes the other two, which do not include each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    read: bool,
    send: bool,
    admin: bool,
}

impl Roles {
    const ALL: Self = Self { read: true, send: true, admin: true };

    /// Returns whether this role is among them.
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

    /// Returns whether a role of `before` is missing.
    pub(crate) fn is_less_than(self, before: Self) -> bool {
        [Role::Read, Role::Send, Role::Admin].iter().any(|role| before.has(*role) && !self.has(*role))
    }
}

/// A group that exists, or that is configured by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
}

/// The groups of each role, as of the last look-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The user that the daemon runs as.
    own_uid: u32,
    read: Vec<Group>,
    send: Vec<Group>,
    admin: Vec<Group>,
}

impl Rules {
    /// Looks up every configured group; returns the rules, and warnings about groups without effect.
    ///
    /// `find` returns none for a name that no group has, and an error if the look-up failed.
    pub(crate) fn of(
        settings: &Settings,
        own_uid: u32,
        find: impl Fn(&str) -> Result<Option<u32>, String>,
    ) -> (Self, Vec<String>) {
        let control = &settings.control;
        let mut warnings = Vec::new();
        let mut look_up = |role: Role, groups: &Setting<Vec<UserGroup>>| {
            let mut found = Vec::with_capacity(groups.len());
            for group in groups.iter() {
                let gid = match group {
                    UserGroup::Gid(gid) => Ok(Some(*gid)),
                    UserGroup::Name(name) => find(name),
                };
                match gid {
                    Ok(Some(gid)) => found.push(Group { name: group.to_string(), gid }),
                    Ok(None) if is_default(&groups.origin) => {}
                    Ok(None) => warnings.push(format!(
                        "control.{role}: group `{group}` is unknown and gives no access ({origin})",
                        role = role.name(),
                        origin = groups.origin
                    )),
                    Err(error) => warnings.push(format!(
                        "control.{role}: group `{group}` cannot be looked up ({error}) and gives no access ({origin})",
                        role = role.name(),
                        origin = groups.origin
                    )),
                }
            }
            found
        };
        let read = look_up(Role::Read, &control.read);
        let send = look_up(Role::Send, &control.send);
        let admin = look_up(Role::Admin, &control.admin);
        (Self { own_uid, read, send, admin }, warnings)
    }

    /// Returns whether a user has all roles, whatever the groups are: root, and the user that the daemon runs as.
    pub(crate) fn is_privileged(&self, uid: u32) -> bool {
        uid == ROOT_UID || uid == self.own_uid
    }

    /// Returns the roles of a client.
    pub(crate) fn roles_of(&self, client: &Credentials) -> Roles {
        if self.is_privileged(client.uid) {
            return Roles::ALL;
        }
        let is_in = |groups: &[Group]| groups.iter().any(|group| client.is_in(group.gid));
        if is_in(&self.admin) {
            return Roles::ALL;
        }
        Roles { read: is_in(&self.read), send: is_in(&self.send), admin: false }
    }

    /// Returns the mode that a socket's file of this group needs.
    pub(crate) fn mode(&self, file_gid: u32) -> u32 {
        match self.all().next() {
            None => OWNER_ONLY,
            Some(_) if self.all().all(|group| group.gid == file_gid) => OWN_GROUP,
            Some(_) => EVERYBODY,
        }
    }

    /// Returns whether a group has a role.
    pub(crate) fn has_group(&self, gid: u32) -> bool {
        self.all().any(|group| group.gid == gid)
    }

    fn all(&self) -> impl Iterator<Item = &Group> {
        self.read.iter().chain(&self.send).chain(&self.admin)
    }

    fn groups_of(&self, role: Role) -> &[Group] {
        match role {
            Role::Read => &self.read,
            Role::Send => &self.send,
            Role::Admin => &self.admin,
        }
    }

    /// Returns the error for a client without the role that a method requires.
    pub(crate) fn refusal(&self, method: &str, role: Role, user: &str) -> ErrorObject {
        let name = role.name();
        let groups = self.groups_of(role);
        let with_admin: Vec<_> =
            groups.iter().chain(if role == Role::Admin { &[] } else { &self.admin[..] }).collect();
        let suitable = groups.first().or(self.admin.first());
        let groups = list(&with_admin);
        let hint = match suitable.map(|group| command_to_join(&group.name, user)) {
            Some(Some(command)) => format!(
                "`{name}` is for {groups} and root; an administrator adds a user with `{command}`, which takes effect at the \
                 next login"
            ),
            Some(None) => format!("`{name}` is for {groups} and root"),
            None => format!(
                "`{name}` is for root and the user that the daemon runs as; list further groups under `{name}` in [control] \
                 of its configuration"
            ),
        };
        let text = format!("`{method}` requires role `{name}`; {} does not have it", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint(hint)
    }

    /// Returns the error for a client without any role.
    pub(crate) fn exclusion(&self, user: &str) -> ErrorObject {
        let roles = [Role::Read, Role::Send, Role::Admin].into_iter().filter_map(|role| {
            let groups: Vec<_> = self.groups_of(role).iter().collect();
            (!groups.is_empty())
                .then(|| format!("role `{role}` is for {groups}", role = role.name(), groups = list(&groups)))
        });
        let hint = match self.all().next().map(|group| command_to_join(&group.name, user)) {
            // Each part is translated on its own.
            Some(command) => {
                let adding = command.map(|command| {
                    format!(
                        "an administrator adds a user with `{command}`, which takes effect at the next login"
                    )
                });
                roles.chain(adding).collect::<Vec<_>>().join("; ")
            }
            None => {
                "run this as root or as the user that the daemon runs as, or ask the administrator".to_owned()
            }
        };
        let text = format!("{} has no role with this daemon", shown(user));
        ErrorObject::new(ErrorKind::NotPermitted, text).hint(hint)
    }
}

/// Returns whether a setting is a default, which needs no warning.
fn is_default(origin: &Origin) -> bool {
    matches!(origin, Origin::Default | Origin::Flag(_))
}

fn list(groups: &[&Group]) -> String {
    let mut names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [name] => format!("the group {name}"),
        names => format!("the groups {}", names.join(", ")),
    }
}

/// Returns the command by which a user joins a group; none if the group's name would need quoting in a shell.
fn command_to_join(group: &str, user: &str) -> Option<String> {
    let is_plain = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
            && name.bytes().all(plain)
    };
    let user = if is_plain(user) && !is_number(user) { user } else { "NAME" };
    is_plain(group).then(|| format!("usermod -aG {group} {user}"))
}

/// Returns a user for a sentence; one without a name gets its number.
pub(super) fn shown(user: &str) -> Cow<'_, str> {
    if is_number(user) { format!("user {user}").into() } else { user.into() }
}

fn is_number(user: &str) -> bool {
    user.parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests;
