//! Changes of interfaces and addresses, over an rtnetlink(7) socket: a thread waits in `recv`, so that nothing
//! polls.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use super::interfaces::Changes;

/// The length of a message's header (`struct nlmsghdr`), and what its body is padded to, in bytes.
const HEADER_BYTES: usize = 16;
const ALIGNED_BYTES: usize = 4;

/// The receive buffer, in bytes. The interface number is in a message's first bytes, so a truncated message is still usable.
const BUFFER_BYTES: usize = 32 * 1024;

/// Receives the changes of interfaces and addresses since its start.
#[derive(Debug)]
pub(crate) struct InterfaceMonitor {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl InterfaceMonitor {
    /// Subscribes to changes of links and addresses.
    pub(crate) fn start() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups.cast_unsigned()))?;
        Ok(Self { socket, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Waits for changes and returns all that the kernel has queued. After a failure, it does not wait: only a call shows that
    /// it works again.
    pub(crate) fn wait(&mut self, after_failure: bool) -> io::Result<Changes> {
        let mut changes = Changes::default();
        let mut flags = if after_failure { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
        loop {
            match recv(self.socket.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => read_messages(&self.buffer[..length], &mut changes),
                Err(Errno::EAGAIN) => return Ok(changes),
                Err(Errno::ENOBUFS) if !changes.is_unclear => changes.is_unclear = true,
                Err(Errno::ENOBUFS) => return Ok(changes),
                Err(error) => return Err(error.into()),
            }
            flags = MsgFlags::MSG_DONTWAIT;
        }
    }
}

/// Adds the interfaces that messages report as removed. Other messages matter only by having arrived.
fn read_messages(mut messages: &[u8], changes: &mut Changes) {
    let number = |bytes: Option<&[u8]>| bytes?.try_into().ok().map(u32::from_ne_bytes);
    while let Some(length) = number(messages.get(..4)).map(|length| length as usize) {
        let kind = messages.get(4..6).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
        // `struct ifinfomsg`: family, padding, type, then the interface's number. A port that leaves a bridge is
        // reported with the family AF_BRIDGE and still exists.
        let is_of_any_family = messages.get(HEADER_BYTES) == Some(&0);
        let index = number(messages.get(HEADER_BYTES + 4..HEADER_BYTES + 8));
        if let Some(index) = index.filter(|_| kind == libc::RTM_DELLINK && is_of_any_family) {
            changes.remove(index);
        }
        let next = length.max(HEADER_BYTES).next_multiple_of(ALIGNED_BYTES);
        messages = messages.get(next..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, index: u32, length: u8) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length)];
        bytes[..4].copy_from_slice(&u32::from(length).to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[20..24].copy_from_slice(&index.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(messages: &[u8]) -> Changes {
        let mut changes = Changes::default();
        read_messages(messages, &mut changes);
        changes
    }

    #[test]
    fn removed_interfaces_are_found_among_other_messages() {
        let (new, gone) = (libc::RTM_NEWLINK, libc::RTM_DELLINK);
        let messages = [message(new, 2, 33), message(gone, 3, 45), message(gone, 7, 32)].concat();
        assert_eq!(read(&messages), Changes { removed: [3, 7].into(), is_unclear: false });
        assert_eq!(read(&message(new, 2, 40)), Changes::default());
    }

    #[test]
    fn later_changes_are_added() {
        let mut changes = read(&message(libc::RTM_DELLINK, 3, 32));
        changes.add(read(&message(libc::RTM_DELLINK, 4, 32)));
        assert_eq!(changes, Changes { removed: [3, 4].into(), is_unclear: false });
        changes.add(Changes { is_unclear: true, ..Changes::default() });
        assert!(changes.is_unclear);
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_not_removed() {
        let mut message = message(libc::RTM_DELLINK, 3, 32);
        message[16] = 7; // AF_BRIDGE
        assert_eq!(read(&message), Changes::default());
    }

    #[test]
    fn malformed_messages_are_ignored_or_read() {
        let mut broken = message(libc::RTM_DELLINK, 9, 32);
        broken[..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert_eq!(read(&broken).removed, [9].into());
        broken[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(read(&broken).removed, [9].into());
        for length in 0..24 {
            assert_eq!(read(&broken[..length]), Changes::default(), "{length}");
        }
    }

    #[test]
    fn too_many_removed_interfaces_become_unclear() {
        let many: Vec<u8> = (1..=300).flat_map(|index| message(libc::RTM_DELLINK, index, 32)).collect();
        let changes = read(&many);
        assert!(changes.is_unclear && changes.removed.is_empty(), "{changes:?}");
    }
}
