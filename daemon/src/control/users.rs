//! What the connections of one user share: the turns to read the inbox, and a part of the memory for clients.
//!
//! Reads take a thread for up to half a second, and there are few threads. A read therefore needs a turn of its user first,
//! then one of all turns. So one user never has all turns, and where many wait, users alternate.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use udpchat_api::{ErrorKind, ErrorObject};

/// How many reads run at once, and how many of one user. Requests that need no turn, such as `status`, have other threads.
pub(crate) const MAX_TURNS: usize = 6;
const MAX_TURNS_OF_A_USER: usize = 4;

/// How long a request waits for a turn. Clients wait 30 seconds for an answer.
const TURN_WAIT: Duration = Duration::from_secs(20);

/// The users that are connected.
#[derive(Debug)]
pub(super) struct Users {
    /// A user without a connection has no live entry.
    known: Mutex<HashMap<u32, Weak<User>>>,
    turns: Arc<Semaphore>,
    /// The memory for all clients, in bytes.
    pub(super) memory: Arc<Semaphore>,
    memory_bytes: usize,
}

/// A user with at least one connection.
#[derive(Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    turns: Arc<Semaphore>,
    turns_of_all: Arc<Semaphore>,
    /// The memory that this user's connections may still take, in bytes.
    pub(super) memory: Arc<Semaphore>,
    pub(super) memory_bytes: usize,
}

/// Permission to read. Dropping it lets the next read begin.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 2],
}

impl Users {
    /// Creates the shared limits; `memory_bytes` is the memory for all clients.
    pub(super) fn new(memory_bytes: usize) -> Self {
        Self {
            known: Mutex::default(),
            turns: Arc::new(Semaphore::new(MAX_TURNS)),
            memory: Arc::new(Semaphore::new(memory_bytes)),
            memory_bytes,
        }
    }

    /// Returns how much of the memory for all clients is taken, in bytes.
    #[cfg(fuzzing)]
    pub(super) fn held_bytes(&self) -> usize {
        self.memory_bytes - self.memory.available_permits()
    }

    /// Returns a user. One that is not privileged may take half of the memory.
    pub(super) fn of(&self, uid: u32, is_privileged: bool) -> Arc<User> {
        let mut known = self.known.lock();
        if let Some(user) = known.get(&uid).and_then(Weak::upgrade) {
            return user;
        }
        known.retain(|_, user| user.strong_count() > 0);
        let memory_bytes = if is_privileged { self.memory_bytes } else { self.memory_bytes / 2 };
        let user = Arc::new(User {
            uid,
            turns: Arc::new(Semaphore::new(MAX_TURNS_OF_A_USER)),
            turns_of_all: Arc::clone(&self.turns),
            memory: Arc::new(Semaphore::new(memory_bytes)),
            memory_bytes,
        });
        known.insert(uid, Arc::downgrade(&user));
        user
    }
}

impl User {
    /// Waits for a turn to read.
    ///
    /// # Errors
    /// Fails with `busy` if none is free in time.
    pub(super) async fn turn(&self) -> Result<Turn, ErrorObject> {
        let turns = async {
            let own = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.turns_of_all).acquire_owned().await.ok()?;
            Some(Turn { _permits: [own, of_all] })
        };
        // The semaphores are never closed.
        timeout(TURN_WAIT, turns).await.ok().flatten().ok_or_else(|| {
            let text =
                format!("too many requests read the inbox: none ended within {} s", TURN_WAIT.as_secs());
            ErrorObject::new(ErrorKind::Busy, text).hint("try again, with fewer requests at once")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes turns until no more are free at once.
    async fn all_free(user: &User) -> Vec<Turn> {
        let mut turns = Vec::new();
        while let Ok(Ok(turn)) = timeout(Duration::ZERO, user.turn()).await {
            turns.push(turn);
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn one_user_never_has_all_turns() {
        let users = Users::new(0);
        let (ann, bob) = (users.of(1, true), users.of(2, false));
        let mut of_ann = all_free(&ann).await;
        assert_eq!(of_ann.len(), MAX_TURNS_OF_A_USER);
        assert_eq!(all_free(&bob).await.len(), MAX_TURNS - MAX_TURNS_OF_A_USER);
        of_ann.pop();
        assert_eq!(all_free(&users.of(1, true)).await.len(), 1, "the same user again");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_users_alternate() {
        let users = Users::new(0);
        let (ann, bob, eve) = (users.of(1, true), users.of(2, true), users.of(3, true));
        let (mut held, of_bob) = (all_free(&ann).await, all_free(&bob).await);
        assert_eq!(held.len() + of_bob.len(), MAX_TURNS);
        let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
        let wait = |user: &Arc<User>| {
            let (user, order) = (Arc::clone(user), order.clone());
            tokio::spawn(async move {
                let turn = user.turn().await.unwrap();
                order.send((user.uid, turn)).unwrap();
            });
        };
        // Ann asks for a hundred turns before eve asks for one.
        (0..100).for_each(|_| wait(&ann));
        tokio::task::yield_now().await;
        wait(&eve);
        tokio::task::yield_now().await;
        held.pop();
        let (first, turn) = served.recv().await.unwrap();
        assert_eq!(first, 3);
        drop(turn);
        assert_eq!(served.recv().await.unwrap().0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_turn_with_a_limit() {
        let users = Users::new(0);
        let ann = users.of(1, true);
        let _held = all_free(&ann).await;
        assert_eq!(ann.turn().await.unwrap_err().data.kind, ErrorKind::Busy);
    }

    #[test]
    fn users_without_connections_are_forgotten() {
        let users = Users::new(100);
        for uid in 0..1_000 {
            assert_eq!(users.of(uid, uid == 0).memory_bytes, if uid == 0 { 100 } else { 50 });
        }
        assert!(users.known.lock().len() <= 2);
    }
}
