//! How many connections there are, and how many of them are one user's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use udpchat_api::{ErrorKind, ErrorObject};

/// How many connections may be open at once.
const MAX_CONNECTIONS: usize = 256;

/// How many of them may be one user's, so that there is room for others. Root, and the user that the daemon runs as,
/// may take them all.
const MAX_CONNECTIONS_OF_A_USER: usize = 128;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By uid; nobody stands here with none.
    by_user: HashMap<u32, usize>,
}

/// The place of a connection. Dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    uid: u32,
}

impl Places {
    /// Takes a place for a user; a master's share has no limit of its own.
    pub(super) fn take(self: &Arc<Self>, uid: u32, is_master: bool) -> Result<Place, ErrorObject> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= MAX_CONNECTIONS {
            return Err(busy(format!("too many connections: {MAX_CONNECTIONS} are open")));
        }
        let of_user = taken.by_user.get(&uid).copied().unwrap_or(0);
        if !is_master && of_user >= MAX_CONNECTIONS_OF_A_USER {
            return Err(busy(format!(
                "too many connections of one user: {MAX_CONNECTIONS_OF_A_USER} are open"
            )));
        }
        taken.all += 1;
        taken.by_user.insert(uid, of_user + 1);
        Ok(Place { places: Arc::clone(self), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(of_user) = taken.by_user.get_mut(&self.uid) {
            *of_user -= 1;
            if *of_user == 0 {
                taken.by_user.remove(&self.uid);
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
    fn one_user_leaves_room_for_others_and_a_master_may_take_it_all() {
        let places = Arc::<Places>::default();
        let mut of_one: Vec<_> =
            (0..MAX_CONNECTIONS_OF_A_USER).map(|_| places.take(1000, false).unwrap()).collect();
        assert!(places.take(1000, false).unwrap_err().message.contains("one user: 128"));
        let of_others: Vec<_> =
            (0..MAX_CONNECTIONS - MAX_CONNECTIONS_OF_A_USER).map(|_| places.take(0, true).unwrap()).collect();
        for (uid, is_master) in [(0, true), (1000, false), (1001, false)] {
            assert!(places.take(uid, is_master).unwrap_err().message.contains("256 are open"));
        }
        of_one.pop();
        let again = places.take(1000, false).unwrap();
        drop((of_one, of_others, again));
        let taken = places.taken.lock().unwrap();
        assert!(taken.all == 0 && taken.by_user.is_empty(), "{taken:?}");
    }
}
