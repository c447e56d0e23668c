//! A connected client: its credentials, and the name of its user, looked up once when something needs it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;
use udpchat_api::safe::is_unsafe;

use super::credentials::Credentials;
use crate::service::accounts;

/// How long the look-up of a user's name may take; after that the number is shown instead.
const LOOKUP_WAIT: Duration = Duration::from_secs(1);

/// How many names are cached.
const MAX_NAMES: usize = 1_024;

/// The longest user name that is shown, in characters. Systems allow fewer; a user with a longer name is shown by number.
const MAX_NAME_CHARACTERS: usize = 64;

/// A client of the control socket.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) credentials: Credentials,
    names: Arc<UserNames>,
    name: OnceCell<Arc<str>>,
}

impl Client {
    pub(super) fn new(credentials: Credentials, names: Arc<UserNames>) -> Self {
        Self { credentials, names, name: OnceCell::new() }
    }

    /// Returns the name of the client's user, or the number of a user without one.
    pub(super) async fn name(&self) -> &Arc<str> {
        self.name.get_or_init(|| self.names.of(self.credentials.uid)).await
    }
}

/// A cache of user names.
#[derive(Debug)]
pub(crate) struct UserNames {
    cached: Mutex<HashMap<u32, Arc<str>>>,
    /// Limits concurrent look-ups: those of NSS may block for any time.
    lookups: Arc<Semaphore>,
}

impl UserNames {
    pub(super) fn new(lookups: Arc<Semaphore>) -> Self {
        Self { cached: Mutex::default(), lookups }
    }

    /// Empties the cache: names may have changed.
    pub(super) fn forget(&self) {
        self.cached.lock().clear();
    }

    async fn of(&self, uid: u32) -> Arc<str> {
        let cached = self.cached.lock().get(&uid).cloned();
        if let Some(cached) = cached {
            return cached;
        }
        let number: Arc<str> = uid.to_string().into();
        let Ok(permit) = Arc::clone(&self.lookups).try_acquire_owned() else { return number };
        let lookup = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            accounts::user_name(uid)
        });
        let Ok(Ok(Ok(name))) = timeout(LOOKUP_WAIT, lookup).await else { return number };
        let name = name.filter(|name| is_safe(name)).map_or(number, Into::into);
        let mut cached = self.cached.lock();
        if cached.len() >= MAX_NAMES {
            cached.clear();
        }
        cached.insert(uid, Arc::clone(&name));
        name
    }
}

fn is_safe(name: &str) -> bool {
    (1..=MAX_NAME_CHARACTERS).contains(&name.chars().count()) && !name.contains(is_unsafe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_cached_and_users_without_one_are_numbers() {
        let names = UserNames::new(Arc::new(Semaphore::new(1)));
        assert_eq!(&*names.of(0).await, "root");
        // From here on no look-up is possible: only the cache answers.
        let _all = Arc::clone(&names.lookups).acquire_owned().await.unwrap();
        assert_eq!(&*names.of(0).await, "root");
        assert_eq!(&*names.of(4_000_000_000).await, "4000000000");
        assert!(!names.cached.lock().contains_key(&4_000_000_000));
        names.forget();
        assert_eq!(&*names.of(0).await, "0");
    }

    #[test]
    fn unsafe_user_names_are_not_shown() {
        assert!(is_safe("alice") && is_safe("CORP\\张三"));
        for name in ["", "a\nb", "a\u{1b}[31m", "a\u{202e}b", &"x".repeat(65)] {
            assert!(!is_safe(name), "{name:?}");
        }
    }
}
