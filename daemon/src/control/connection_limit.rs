//! Limits the open connections: in total and for each user.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use udpchat_api::{ErrorKind, ErrorObject};

/// The maximum number of open connections.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// The maximum number of connections of one user, so that others can still connect. It does not apply to privileged users.
const MAX_CONNECTIONS_OF_A_USER: usize = 128;

/// Counts the open connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// By uid. A user without a connection has no entry.
    by_user: HashMap<u32, usize>,
}

/// A permit for one connection. Dropping it releases the connection.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    uid: u32,
}

impl ConnectionLimit {
    /// Counts a connection of a user; only the total limit applies to a privileged user.
    ///
    /// # Errors
    /// Fails if a limit is reached.
    pub(super) fn acquire(
        self: &Arc<Self>,
        uid: u32,
        is_privileged: bool,
    ) -> Result<ConnectionPermit, ErrorObject> {
        let mut open = self.open.lock();
        if open.all >= MAX_CONNECTIONS {
            return Err(busy(format!("too many connections: {MAX_CONNECTIONS} are open")));
        }
        let of_user = open.by_user.get(&uid).copied().unwrap_or(0);
        if !is_privileged && of_user >= MAX_CONNECTIONS_OF_A_USER {
            return Err(busy(format!(
                "too many connections of one user: {MAX_CONNECTIONS_OF_A_USER} are open"
            )));
        }
        open.all += 1;
        open.by_user.insert(uid, of_user + 1);
        Ok(ConnectionPermit { limit: Arc::clone(self), uid })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limit.open.lock();
        open.all -= 1;
        if let Some(of_user) = open.by_user.get_mut(&self.uid) {
            *of_user -= 1;
            if *of_user == 0 {
                open.by_user.remove(&self.uid);
            }
        }
    }
}

fn busy(text: String) -> ErrorObject {
    ErrorObject::new(ErrorKind::Busy, text).hint("end some followers, then try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_limited_and_a_privileged_user_is_not() {
        let limit = Arc::<ConnectionLimit>::default();
        let mut of_one: Vec<_> =
            (0..MAX_CONNECTIONS_OF_A_USER).map(|_| limit.acquire(1000, false).unwrap()).collect();
        assert!(limit.acquire(1000, false).unwrap_err().message.contains("one user: 128"));
        let of_others: Vec<_> = (0..MAX_CONNECTIONS - MAX_CONNECTIONS_OF_A_USER)
            .map(|_| limit.acquire(0, true).unwrap())
            .collect();
        for (uid, is_privileged) in [(0, true), (1000, false), (1001, false)] {
            assert!(limit.acquire(uid, is_privileged).unwrap_err().message.contains("256 are open"));
        }
        of_one.pop();
        let again = limit.acquire(1000, false).unwrap();
        drop((of_one, of_others, again));
        let open = limit.open.lock();
        assert!(open.all == 0 && open.by_user.is_empty(), "{open:?}");
    }
}
