//! Word from the kernel that interfaces or addresses have changed: a socket of rtnetlink(7), on which a thread waits, so
//! that nobody has to look again and again.

use std::collections::BTreeSet;

/// How many removed interfaces are told apart; of more, none is.
const MAX_REMOVED: usize = 256;

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The numbers of interfaces that were removed. Their memberships are gone, even where a new interface has got the
    /// same number.
    pub(crate) removed: BTreeSet<u32>,
    /// Whether more has happened than the kernel could tell: any interface may have been removed.
    pub(crate) is_unclear: bool,
}

impl Changes {
    /// Adds later ones.
    pub(crate) fn add(&mut self, later: Self) {
        self.is_unclear |= later.is_unclear;
        for index in later.removed {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: u32) {
        self.removed.insert(index);
        self.is_unclear |= self.removed.len() > MAX_REMOVED;
        if self.is_unclear {
            self.removed.clear();
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::Links;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
    };

    use super::Changes;

    /// The length of a message's header (`struct nlmsghdr`), and what its body is padded to, in bytes.
    const HEADER_BYTES: usize = 16;
    const ALIGNED_BYTES: usize = 4;

    /// Room for what the kernel tells at once, in bytes. What is cut off is of no interest.
    const BUFFER_BYTES: usize = 32 * 1024;

    /// Hears of changes from its making on.
    #[derive(Debug)]
    pub(crate) struct Links {
        socket: OwnedFd,
        buffer: Vec<u8>,
    }

    impl Links {
        /// Begins to listen.
        pub(crate) fn watch() -> io::Result<Self> {
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
            let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups.cast_unsigned()))?;
            Ok(Self { socket, buffer: vec![0; BUFFER_BYTES] })
        }

        /// Waits for changes, and returns all that are there.
        pub(crate) fn wait(&mut self) -> io::Result<Changes> {
            let mut changes = Changes::default();
            let mut flags = MsgFlags::empty();
            loop {
                match recv(self.socket.as_raw_fd(), &mut self.buffer, flags) {
                    Ok(length) => note(&self.buffer[..length], &mut changes),
                    Err(Errno::EAGAIN) => return Ok(changes),
                    Err(Errno::ENOBUFS) => changes.is_unclear = true,
                    Err(Errno::EINTR) => continue,
                    Err(error) => return Err(error.into()),
                }
                flags = MsgFlags::MSG_DONTWAIT;
            }
        }
    }

    /// Looks for removed interfaces among messages. Of all others it is enough that they came.
    pub(crate) fn note(mut messages: &[u8], changes: &mut Changes) {
        let number = |bytes: Option<&[u8]>| bytes?.try_into().ok().map(u32::from_ne_bytes);
        while let Some(length) = number(messages.get(..4)).map(|length| length as usize) {
            let kind = messages.get(4..6).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
            // `struct ifinfomsg`: family, padding, type, then the number of the interface. What leaves a bridge is
            // told with the family of bridges, and is still there.
            let is_of_any_family = messages.get(HEADER_BYTES) == Some(&0);
            let index = number(messages.get(HEADER_BYTES + 4..HEADER_BYTES + 8));
            if let Some(index) = index.filter(|_| kind == libc::RTM_DELLINK && is_of_any_family) {
                changes.remove(index);
            }
            let next = length.max(HEADER_BYTES).next_multiple_of(ALIGNED_BYTES);
            messages = messages.get(next..).unwrap_or_default();
        }
    }
}

/// Systems without rtnetlink(7): groups are joined at the start and at a reload.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Links;

#[cfg(not(target_os = "linux"))]
impl Links {
    pub(crate) fn watch() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn wait(&mut self) -> std::io::Result<Changes> {
        loop {
            std::thread::park();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use nix::libc;

    fn message(kind: u16, index: u32, length: u8) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length)];
        bytes[..4].copy_from_slice(&u32::from(length).to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[20..24].copy_from_slice(&index.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn noted(messages: &[u8]) -> Changes {
        let mut changes = Changes::default();
        linux::note(messages, &mut changes);
        changes
    }

    #[test]
    fn removed_interfaces_are_found_among_other_messages() {
        let (new, gone) = (libc::RTM_NEWLINK, libc::RTM_DELLINK);
        let messages = [message(new, 2, 33), message(gone, 3, 45), message(gone, 7, 32)].concat();
        assert_eq!(noted(&messages), Changes { removed: [3, 7].into(), is_unclear: false });
        assert_eq!(noted(&message(new, 2, 40)), Changes::default());
    }

    #[test]
    fn later_changes_are_added() {
        let mut changes = noted(&message(libc::RTM_DELLINK, 3, 32));
        changes.add(noted(&message(libc::RTM_DELLINK, 4, 32)));
        assert_eq!(changes, Changes { removed: [3, 4].into(), is_unclear: false });
        changes.add(Changes { is_unclear: true, ..Changes::default() });
        assert!(changes.is_unclear);
    }

    #[test]
    fn what_leaves_a_bridge_is_not_removed() {
        let mut message = message(libc::RTM_DELLINK, 3, 32);
        message[16] = 7; // AF_BRIDGE
        assert_eq!(noted(&message), Changes::default());
    }

    #[test]
    fn odd_messages_do_no_harm() {
        let mut broken = message(libc::RTM_DELLINK, 9, 32);
        broken[..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert_eq!(noted(&broken).removed, [9].into());
        broken[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(noted(&broken).removed, [9].into());
        for length in 0..24 {
            assert_eq!(noted(&broken[..length]), Changes::default(), "{length}");
        }
    }

    #[test]
    fn of_too_many_removed_interfaces_none_is_told() {
        let many: Vec<u8> = (1..=300).flat_map(|index| message(libc::RTM_DELLINK, index, 32)).collect();
        let changes = noted(&many);
        assert!(changes.is_unclear && changes.removed.is_empty(), "{changes:?}");
    }
}
