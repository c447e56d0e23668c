//! One budget for the memory that clients make the daemon hold: long requests, messages that are sent and not committed,
//! pages, responses that are not read yet, and patterns.
//!
//! Memory is charged before it is taken: to the connection, to its user, and to all. If it is not free, the request waits.
//! If it does not become free within a second, the connection that holds most, of the user that holds most, is closed with
//! `busy`. The request itself is refused if its user holds most, and no other connection of that user holds anything.

use std::collections::HashMap;
use std::ops::Deref;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::timeout;
use udpchat_api::{ErrorKind, ErrorObject};

use super::connection_limit::MAX_CONNECTIONS;
use super::free_memory::FreeMemory;
use super::users::{User, Users};

/// How much a connection may hold beside its buffers without charging the budget, in bytes: enough for a few small
/// requests, which therefore never wait.
const ALLOWANCE_BYTES: usize = 8 * 1024;

/// How much memory a connection has by itself, in bytes: its allowance, a read buffer, a short line, and its tasks.
const CONNECTION_BYTES: usize = ALLOWANCE_BYTES + 16 * 1024;

/// Returns how much of the memory for clients can be charged, in bytes: what is left by the connections themselves, without a
/// fifth for the gaps that the allocator leaves between allocations.
pub(super) fn chargeable(memory_bytes: usize) -> usize {
    memory_bytes.saturating_sub(MAX_CONNECTIONS * CONNECTION_BYTES) / 5 * 4
}

/// How long a request waits until another connection is closed for it, and how often it waits before it is refused.
const WAIT: Duration = Duration::from_secs(1);
const MAX_WAITS: usize = 10;

/// The memory for all clients.
#[derive(Debug)]
pub(super) struct Memory {
    users: Arc<Users>,
    pub(super) free: FreeMemory,
    /// The accounts of open connections.
    open: Mutex<Vec<Arc<Account>>>,
}

/// Whose memory a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    OfUser,
    All,
}

/// What one connection holds.
#[derive(Debug)]
pub(super) struct Account {
    memory: Arc<Memory>,
    pub(super) user: Arc<User>,
    /// How much of the allowance is left.
    allowance: AtomicUsize,
    /// How much of the budget it holds, with what it shares with others.
    held: AtomicUsize,
    /// How much of its work runs: reads, and compilations of patterns.
    running: AtomicUsize,
    /// Whether the connection was asked to close.
    is_closing: AtomicBool,
    closing: Notify,
}

/// The account of an open connection. Dropping it removes it from those that may be asked to close.
#[derive(Debug)]
pub(super) struct OpenAccount(Arc<Account>);

/// Work that ends by itself: a read, or the compilation of a pattern. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Running(Arc<Account>);

/// Memory that may be taken. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: usize,
    /// Of the user and of all; none if the allowance of the connection suffices.
    permits: Option<[OwnedSemaphorePermit; 2]>,
}

/// Memory that several connections use. It is charged once to all, and once to each of their users.
#[derive(Debug)]
pub(super) struct Shared {
    bytes: usize,
    _of_all: Option<OwnedSemaphorePermit>,
    of_users: Mutex<HashMap<u32, Weak<OwnedSemaphorePermit>>>,
}

/// The use of shared memory by a connection, which counts as if the connection held all of it: closing the connections that
/// use it gives it back.
#[derive(Debug)]
pub(super) struct SharedUse {
    account: Arc<Account>,
    bytes: usize,
    _of_user: Option<Arc<OwnedSemaphorePermit>>,
}

impl Memory {
    /// Divides the memory of these users.
    pub(super) fn new(users: Arc<Users>) -> Arc<Self> {
        Arc::new(Self { users, free: FreeMemory::default(), open: Mutex::default() })
    }

    /// Opens the account of a connection.
    pub(super) fn open(self: &Arc<Self>, uid: u32, is_privileged: bool) -> OpenAccount {
        let account = Arc::new(Account {
            memory: Arc::clone(self),
            user: self.users.of(uid, is_privileged),
            allowance: AtomicUsize::new(ALLOWANCE_BYTES),
            held: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
            closing: Notify::new(),
        });
        self.open.lock().push(Arc::clone(&account));
        OpenAccount(account)
    }

    /// Returns how much is charged, in bytes.
    #[cfg(fuzzing)]
    pub(super) fn held_bytes(&self) -> usize {
        self.users.held_bytes()
    }

    /// Makes room for a request of `needy`: asks the largest other connection to close, of its user or of the largest user.
    ///
    /// # Errors
    /// Fails if there is none that holds anything.
    fn make_room(&self, needy: &Account, bytes: usize, whose: Whose) -> Result<(), ErrorObject> {
        let open = self.open.lock();
        let held = |account: &Account| account.held.load(Relaxed);
        let mut of_users = HashMap::from([(needy.user.uid, bytes)]);
        for account in open.iter().filter(|account| whose == Whose::All || account.user.uid == needy.user.uid)
        {
            *of_users.entry(account.user.uid).or_default() += held(account);
        }
        let largest_user = of_users.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(uid, _)| uid);
        let mut candidates: Vec<_> =
            open.iter().filter(|account| Some(account.user.uid) == largest_user).collect();
        if candidates.iter().any(|account| account.is_closing.load(Relaxed)) {
            return Ok(());
        }
        candidates.retain(|account| held(account) > 0 && !std::ptr::eq(&raw const ***account, needy));
        let largest = candidates.into_iter().max_by_key(|account| held(account)).ok_or_else(refusal)?;
        if largest.running.load(Relaxed) > 0 {
            // Its memory comes back by itself, and goes to the request that waits longest.
            return Ok(());
        }
        largest.is_closing.store(true, Relaxed);
        largest.closing.notify_one();
        Ok(())
    }
}

impl Account {
    /// Charges memory that is about to be taken. Waits if it is not free.
    ///
    /// # Errors
    /// Fails with `busy` if it does not become free.
    pub(super) async fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, ErrorObject> {
        let take = |left: usize| left.checked_sub(bytes);
        if self.allowance.fetch_update(Relaxed, Relaxed, take).is_ok() {
            return Ok(Charge { account: Arc::clone(self), bytes, permits: None });
        }
        // What is larger gets three quarters of the share, so that it need not wait for the patterns of other connections.
        let bytes = bytes.min(self.user.memory_bytes / 4 * 3);
        let of_user = self.permit(bytes, Whose::OfUser).await?;
        let of_all = self.permit(bytes, Whose::All).await?;
        self.held.fetch_add(bytes, Relaxed);
        Ok(Charge { account: Arc::clone(self), bytes, permits: Some([of_user, of_all]) })
    }

    /// Charges this much instead of what is charged already.
    ///
    /// # Errors
    /// As [`Self::charge`].
    pub(super) async fn recharge(
        self: &Arc<Self>,
        charged: Option<Charge>,
        bytes: usize,
    ) -> Result<Charge, ErrorObject> {
        match charged {
            Some(mut charge) if charge.bytes >= bytes => {
                charge.shrink_to(bytes);
                Ok(charge)
            }
            smaller => {
                // A request that waits holds nothing, so that others can go on.
                drop(smaller);
                self.charge(bytes).await
            }
        }
    }

    /// Charges shared memory, unless the user is charged for it already.
    ///
    /// # Errors
    /// As [`Self::charge`].
    pub(super) async fn share(self: &Arc<Self>, shared: &Shared) -> Result<SharedUse, ErrorObject> {
        let uid = self.user.uid;
        let charged = shared.of_users.lock().get(&uid).and_then(Weak::upgrade);
        let of_user = match charged {
            Some(of_user) => of_user,
            None => {
                let permit = Arc::new(self.permit(shared.bytes, Whose::OfUser).await?);
                let mut of_users = shared.of_users.lock();
                of_users.retain(|_, permit| permit.strong_count() > 0);
                // Another connection of the user may have been charged meanwhile.
                let of_user = of_users.get(&uid).and_then(Weak::upgrade).unwrap_or(permit);
                of_users.insert(uid, Arc::downgrade(&of_user));
                of_user
            }
        };
        self.held.fetch_add(shared.bytes, Relaxed);
        Ok(SharedUse { account: Arc::clone(self), bytes: shared.bytes, _of_user: Some(of_user) })
    }

    /// Begins work whose memory comes back by itself.
    pub(super) fn begin_work(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Relaxed);
        Running(Arc::clone(self))
    }

    async fn permit(&self, bytes: usize, whose: Whose) -> Result<OwnedSemaphorePermit, ErrorObject> {
        let memory = match whose {
            Whose::OfUser => &self.user.memory,
            Whose::All => &self.memory.users.memory,
        };
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut permit = pin!(Arc::clone(memory).acquire_many_owned(permits));
        for _ in 0..MAX_WAITS {
            match timeout(WAIT, &mut permit).await {
                // The semaphores are never closed.
                Ok(permit) => return permit.map_err(|_| refusal()),
                Err(_) => self.memory.make_room(self, bytes, whose)?,
            }
        }
        Err(refusal())
    }

    /// Waits until the connection must be closed, because others need the memory that it holds. Returns the reason.
    pub(super) async fn must_close(&self) -> ErrorObject {
        self.closing.notified().await;
        let text =
            "the connection is closed: it holds more memory than any other, and others wait for memory";
        ErrorObject::new(ErrorKind::Busy, text).hint(HINT)
    }
}

impl Deref for OpenAccount {
    type Target = Arc<Account>;

    fn deref(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for OpenAccount {
    fn drop(&mut self) {
        self.0.memory.open.lock().retain(|account| !Arc::ptr_eq(account, &self.0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

const HINT: &str =
    "read answers as they come, and send fewer requests at once; `control.max_memory` is the limit";

fn refusal() -> ErrorObject {
    ErrorObject::new(ErrorKind::Busy, "the memory for clients is in use").hint(HINT)
}

impl Charge {
    /// Gives back what is not needed.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        match &mut self.permits {
            Some(permits) => {
                permits.iter_mut().for_each(|permit| drop(permit.split(surplus)));
                self.account.held.fetch_sub(surplus, Relaxed);
            }
            None => {
                self.account.allowance.fetch_add(surplus, Relaxed);
            }
        }
    }
}

impl Charge {
    /// Turns it into memory that other connections can use, too.
    pub(super) fn into_shared(mut self) -> (Shared, SharedUse) {
        let (account, bytes) = (Arc::clone(&self.account), self.bytes);
        let [of_user, of_all] = match self.permits.take() {
            Some(permits) => {
                self.bytes = 0;
                permits.map(Some)
            }
            None => {
                account.held.fetch_add(bytes, Relaxed);
                [None, None]
            }
        };
        let of_user = of_user.map(Arc::new);
        let charged = of_user.iter().map(|permit| (account.user.uid, Arc::downgrade(permit)));
        let of_users = Mutex::new(charged.collect());
        (Shared { bytes, _of_all: of_all, of_users }, SharedUse { account, bytes, _of_user: of_user })
    }
}

impl Drop for SharedUse {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Relaxed);
        self.account.memory.free.add(self.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        // What was given back before was never taken.
        if self.permits.is_some() {
            self.account.memory.free.add(self.bytes);
        }
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const MIB: usize = 1024 * 1024;

    fn memory(bytes: usize) -> Arc<Memory> {
        Memory::new(Arc::new(Users::new(bytes)))
    }

    fn free(memory: &Memory) -> usize {
        memory.users.memory.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn small_requests_never_wait() {
        let memory = memory(MIB);
        let (hog, other) = (memory.open(1, true), memory.open(2, false));
        let _all = (hog.charge(MIB / 2).await.unwrap(), hog.charge(MIB / 2).await.unwrap());
        let began = Instant::now();
        let small = other.charge(ALLOWANCE_BYTES).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(small);
        // The hog does not close.
        assert!(other.charge(ALLOWANCE_BYTES + 1).await.is_err());
        assert_eq!(began.elapsed(), WAIT * MAX_WAITS as u32);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_charged_comes_back() {
        let memory = memory(MIB);
        let account = memory.open(1, true);
        let mut charge = account.charge(MIB / 2).await.unwrap();
        assert_eq!(free(&memory), MIB / 2);
        charge.shrink_to(MIB / 4);
        charge.shrink_to(MIB);
        assert_eq!((free(&memory), account.held.load(Relaxed)), (MIB * 3 / 4, MIB / 4));
        drop(charge);
        drop(account.charge(ALLOWANCE_BYTES).await.unwrap());
        drop(account.charge(10 * MIB).await.unwrap());
        assert_eq!((free(&memory), account.held.load(Relaxed)), (MIB, 0));
        assert_eq!(account.allowance.load(Relaxed), ALLOWANCE_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_may_take_half_and_a_privileged_one_all() {
        let memory = memory(MIB);
        let (root, ann, bob) = (memory.open(0, true), memory.open(1, false), memory.open(2, false));
        let of_ann = (ann.charge(MIB / 4).await.unwrap(), ann.charge(MIB / 4).await.unwrap());
        assert_eq!(
            ann.charge(MIB / 4).await.unwrap_err().data.kind,
            ErrorKind::Busy,
            "no other connection of hers"
        );
        let of_bob = (bob.charge(MIB / 4).await.unwrap(), bob.charge(MIB / 4).await.unwrap());
        drop((of_ann, of_bob));
        assert_eq!(
            root.charge(2 * MIB).await.unwrap().bytes,
            MIB / 4 * 3,
            "the rest is for other connections"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_connection_of_the_largest_user_is_closed() {
        let memory = memory(8 * MIB);
        let (ann, few, many, bob) =
            (memory.open(1, false), memory.open(2, false), memory.open(2, false), memory.open(3, false));
        let _of_ann = ann.charge(3 * MIB).await.unwrap();
        let (_of_few, of_many) = (few.charge(MIB).await.unwrap(), many.charge(3 * MIB).await.unwrap());
        let close = async {
            let why = many.must_close().await;
            drop((many, of_many));
            why
        };
        let (charged, why) = tokio::join!(bob.charge(2 * MIB), close);
        assert_eq!((charged.unwrap().bytes, why.data.kind), (2 * MIB, ErrorKind::Busy));
        assert!(!ann.is_closing.load(Relaxed) && !few.is_closing.load(Relaxed), "no other connection");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_not_closed_while_it_reads() {
        let memory = memory(MIB);
        let (reader, needy) = (memory.open(1, true), memory.open(2, false));
        let (read, charge) = (reader.begin_work(), reader.charge(MIB).await.unwrap());
        let ends = async {
            tokio::time::sleep(3 * WAIT).await;
            drop((read, charge));
        };
        let (charged, ()) = tokio::join!(needy.charge(MIB / 2), ends);
        assert!(charged.is_ok() && !reader.is_closing.load(Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn shared_memory_is_charged_to_those_who_use_it() {
        let memory = memory(8 * MIB);
        let (ann, bob, eve) = (memory.open(1, false), memory.open(2, false), memory.open(3, false));
        let (shared, of_ann) = ann.charge(3 * MIB).await.unwrap().into_shared();
        let of_bob = bob.share(&shared).await.unwrap();
        let again = bob.share(&shared).await.unwrap();
        let free_of = |account: &Account| account.user.memory.available_permits();
        assert_eq!((free(&memory), free_of(&ann), free_of(&bob)), (5 * MIB, MIB, MIB), "once each");
        drop((of_ann, again));
        assert_eq!((free_of(&ann), ann.held.load(Relaxed)), (4 * MIB, 0), "she no longer uses it");
        assert_eq!((free_of(&bob), bob.held.load(Relaxed)), (MIB, 3 * MIB));
        drop(ann);
        // Only the connection that uses it can give it back.
        let _of_eve = eve.charge(5 * MIB / 2).await.unwrap();
        let close = async {
            bob.must_close().await;
            drop((of_bob, shared));
        };
        let needy = memory.open(4, false);
        let charged = async {
            let charged = needy.charge(11 * MIB / 4).await;
            assert!(bob.is_closing.load(Relaxed) && charged.is_ok(), "{charged:?}");
        };
        tokio::join!(charged, close);
        assert_eq!(free(&memory), 8 * MIB - 5 * MIB / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_closed_at_a_time() {
        let memory = memory(MIB);
        let held: Vec<_> = (0..4).map(|_| memory.open(1, true)).collect();
        let mut charges = Vec::new();
        for account in &held {
            charges.push(account.charge(MIB / 4).await.unwrap());
        }
        let needy = memory.open(1, true);
        // The one that is to be closed holds on to what it has.
        assert!(needy.charge(MIB / 8).await.is_err());
        assert_eq!(held.iter().filter(|account| account.is_closing.load(Relaxed)).count(), 1);
        assert_eq!(free(&memory), 0);
        drop(charges);
        assert_eq!(free(&memory), MIB, "a wait that was given up keeps nothing");
    }
}
