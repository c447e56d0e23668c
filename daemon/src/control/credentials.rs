//! Who is at the other end of a connection: what the kernel says, and the name that belongs to it.
//!
//! What it was when the connection was made counts. A process that gives away its end of a connection gives away its
//! right to use it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;
use udpchat_api::safe::is_unsafe;
use udpchat_api::socket::Connection;

/// How long the look-up of a user's name may take; then the number stands for it.
const NAME_WAIT: Duration = Duration::from_secs(1);

/// How many names are remembered.
const MAX_NAMES: usize = 1_024;

/// The longest name of a user, in characters. Those of systems are shorter; who has a longer one is shown by number.
const MAX_NAME_CHARACTERS: usize = 64;

/// What the kernel says of the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    gid: u32,
    /// The supplementary groups; empty where the platform does not tell.
    groups: Vec<u32>,
    /// None where the process is out of sight, in another PID namespace.
    pub(crate) pid: Option<i32>,
}

impl Credentials {
    /// Asks the kernel.
    pub(super) fn of(stream: &Connection) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        let pid = peer.pid().filter(|pid| *pid > 0);
        // A kernel that does not tell leaves the caller with the one group.
        let groups = supplementary_groups(stream).unwrap_or_default();
        Ok(Self { uid: peer.uid(), gid: peer.gid(), groups, pid })
    }

    /// Tells whether the caller is in a group.
    pub(super) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    #[cfg(test)]
    pub(super) fn made_of(uid: u32, gid: u32, groups: &[u32]) -> Self {
        Self { uid, gid, groups: groups.to_vec(), pid: None }
    }
}

/// Asks for the groups of the process that has connected (`SO_PEERGROUPS`, Linux 4.13).
#[cfg(target_os = "linux")]
fn supplementary_groups(stream: &Connection) -> io::Result<Vec<u32>> {
    use std::os::fd::AsRawFd;
    use uapi::c::{ERANGE, SO_PEERGROUPS, SOL_SOCKET};

    /// What nearly everybody fits into, and what the kernel gives a process at most (`NGROUPS_MAX`).
    const USUAL_GROUPS: usize = 64;
    const MOST_GROUPS: usize = 65_536;

    let ask = |room: usize| {
        let mut groups = vec![0_u32; room];
        let bytes = uapi::getsockopt(stream.as_raw_fd(), SOL_SOCKET, SO_PEERGROUPS, &mut groups[..])?;
        groups.truncate(bytes / size_of::<u32>());
        groups.shrink_to_fit();
        Ok(groups)
    };
    match ask(USUAL_GROUPS) {
        Err(uapi::Errno(ERANGE)) => ask(MOST_GROUPS),
        asked => asked,
    }
    .map_err(|uapi::Errno(number)| io::Error::from_raw_os_error(number))
}

#[cfg(not(target_os = "linux"))]
fn supplementary_groups(_stream: &Connection) -> io::Result<Vec<u32>> {
    Ok(Vec::new())
}

/// Somebody who calls, with the name once it was asked for.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) credentials: Credentials,
    name: OnceCell<Arc<str>>,
}

impl Caller {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, name: OnceCell::new() }
    }

    /// Returns the user's name, or the number of one without a name. It is looked up once.
    pub(super) async fn name(&self, names: &Names) -> &Arc<str> {
        self.name.get_or_init(|| names.of(self.credentials.uid)).await
    }
}

/// The names of users, as far as they were looked up.
#[derive(Debug)]
pub(crate) struct Names {
    known: Mutex<HashMap<u32, Arc<str>>>,
    /// Who may look something up now: the databases of a system may take as long as they like.
    lookups: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new(lookups: Arc<Semaphore>) -> Self {
        Self { known: Mutex::default(), lookups }
    }

    /// Forgets them all: they may have changed.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn of(&self, uid: u32) -> Arc<str> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
        if let Some(known) = known {
            return known;
        }
        let number: Arc<str> = uid.to_string().into();
        let Ok(permit) = Arc::clone(&self.lookups).try_acquire_owned() else { return number };
        let lookup = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            User::from_uid(Uid::from_raw(uid))
        });
        let Ok(Ok(Ok(user))) = timeout(NAME_WAIT, lookup).await else { return number };
        let name = user.map(|user| user.name).filter(|name| is_showable(name)).map_or(number, Into::into);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_NAMES {
            known.clear();
        }
        known.insert(uid, Arc::clone(&name));
        name
    }
}

fn is_showable(name: &str) -> bool {
    (1..=MAX_NAME_CHARACTERS).contains(&name.chars().count()) && !name.contains(is_unsafe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{getegid, geteuid};

    #[tokio::test]
    async fn the_kernel_tells_who_calls() {
        let (ours, _theirs) = Connection::pair().unwrap();
        let caller = Credentials::of(&ours).unwrap();
        assert_eq!((caller.uid, caller.gid), (geteuid().as_raw(), getegid().as_raw()));
        assert_eq!(caller.pid, Some(std::process::id().cast_signed()));
        let groups = nix::unistd::getgroups().unwrap();
        assert_eq!(caller.groups, groups.iter().map(|group| group.as_raw()).collect::<Vec<_>>());
        assert!(caller.is_in(getegid().as_raw()) && groups.iter().all(|group| caller.is_in(group.as_raw())));
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_a_number_stands_for_what_has_none() {
        let names = Names::new(Arc::new(Semaphore::new(1)));
        assert_eq!(&*names.of(0).await, "root");
        // Nobody may look up anything any more, and what is known stays known.
        let _all = Arc::clone(&names.lookups).acquire_owned().await.unwrap();
        assert_eq!(&*names.of(0).await, "root");
        assert_eq!(&*names.of(4_000_000_000).await, "4000000000");
        assert!(!names.known.lock().unwrap().contains_key(&4_000_000_000));
        names.forget();
        assert_eq!(&*names.of(0).await, "0");
    }

    #[test]
    fn a_name_that_could_do_harm_is_not_shown() {
        assert!(is_showable("alice") && is_showable("CORP\\张三"));
        for name in ["", "a\nb", "a\u{1b}[31m", "a\u{202e}b", &"x".repeat(65)] {
            assert!(!is_showable(name), "{name:?}");
        }
    }
}
