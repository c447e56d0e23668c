//! The names of consumers, and whose read marks they are.
//!
//! `default` is the read mark of root and of the user that the daemon runs as. Each other user has `default@UID`, and means
//! it by `default`. All users with the role to read share any other name.

use udpchat_api::call::Role;
use udpchat_api::{DEFAULT_CONSUMER, ErrorKind, ErrorObject};

use super::client::Client;
use super::roles::Rules;

/// The longest name of a consumer, in characters.
const MAX_CHARACTERS: usize = 64;

/// Returns the consumer with the own read mark of a client.
pub(super) fn own(client: &Client, rules: &Rules) -> String {
    let uid = client.credentials.uid;
    if rules.is_privileged(uid) { DEFAULT_CONSUMER.to_owned() } else { format!("{DEFAULT_CONSUMER}@{uid}") }
}

/// Returns the consumer that a client names; the default is its own.
///
/// # Errors
/// The name is invalid.
pub(super) fn named(name: Option<&str>, client: &Client, rules: &Rules) -> Result<String, ErrorObject> {
    let name = match name {
        None | Some(DEFAULT_CONSUMER) => return Ok(own(client, rules)),
        Some(name) => name,
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
    if (1..=MAX_CHARACTERS).contains(&name.chars().count()) && name.chars().all(plain) {
        return Ok(name.to_owned());
    }
    let text = format!("`consumer` must be 1 to {MAX_CHARACTERS} letters, digits or `-_.@:`");
    Err(ErrorObject::new(ErrorKind::InvalidParams, text))
}

/// Returns the consumer that a client names, whose read mark it may change.
///
/// # Errors
/// The name is invalid, or it is another user's own read mark and the client is no administrator.
pub(super) fn changeable(name: Option<&str>, client: &Client, rules: &Rules) -> Result<String, ErrorObject> {
    let name = named(name, client, rules)?;
    let is_others = owner(&name).is_some_and(|uid| uid != client.credentials.uid);
    if is_others && !rules.roles_of(&client.credentials).has(Role::Admin) {
        let text = format!("`{name}` is the read mark of another user");
        return Err(ErrorObject::new(ErrorKind::NotPermitted, text).hint("`default` is your own"));
    }
    Ok(name)
}

/// Returns the user whose own read mark it is.
pub(super) fn owner(consumer: &str) -> Option<u32> {
    let uid = consumer.strip_prefix(DEFAULT_CONSUMER)?.strip_prefix('@')?;
    // `007` is a name like any other.
    uid.parse().ok().filter(|number: &u32| number.to_string() == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_read_marks_name_their_user() {
        for (consumer, uid) in [
            ("default@1000", Some(1000)),
            ("default", None),
            ("bot", None),
            ("default@bob", None),
            ("default@007", None),
        ] {
            assert_eq!(owner(consumer), uid, "{consumer}");
        }
    }
}
