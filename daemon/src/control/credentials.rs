//! The credentials of the process at the other end of a connection, as the kernel reports them.
//!
//! They are those of the moment of connecting. A process that passes its end of a connection to another one passes its
//! permissions with it.

use std::io;

use udpchat_api::socket::Connection;

use super::supplementary_groups;

/// The user, groups and process of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    gid: u32,
    /// Empty where the platform does not report them.
    supplementary_groups: Vec<u32>,
    /// None for a process in a PID namespace that the daemon cannot see.
    pub(crate) pid: Option<i32>,
}

impl Credentials {
    /// Returns the credentials of the process that has connected.
    pub(super) fn of(stream: &Connection) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        let pid = peer.pid().filter(|pid| *pid > 0);
        // Without them, the primary group alone counts: fewer permissions, never more.
        let supplementary_groups = supplementary_groups::of_peer(stream).unwrap_or_default();
        Ok(Self { uid: peer.uid(), gid: peer.gid(), supplementary_groups, pid })
    }

    /// Returns whether the client is a member of a group.
    pub(super) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.supplementary_groups.contains(&gid)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn with_groups(uid: u32, gid: u32, groups: &[u32]) -> Self {
        Self { uid, gid, supplementary_groups: groups.to_vec(), pid: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{getegid, geteuid};

    #[tokio::test]
    async fn credentials_match_the_connected_process() {
        let (ours, _theirs) = Connection::pair().unwrap();
        let credentials = Credentials::of(&ours).unwrap();
        assert_eq!((credentials.uid, credentials.gid), (geteuid().as_raw(), getegid().as_raw()));
        assert_eq!(credentials.pid, Some(std::process::id().cast_signed()));
        let groups = nix::unistd::getgroups().unwrap();
        let expected: Vec<_> = groups.iter().map(|group| group.as_raw()).collect();
        assert_eq!(credentials.supplementary_groups, expected);
        assert!(credentials.is_in(getegid().as_raw()));
        assert!(groups.iter().all(|group| credentials.is_in(group.as_raw())));
    }
}
