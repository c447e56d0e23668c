//! The supplementary groups of a connected process, where the platform reports them.

use std::io;

use udpchat_api::socket::Connection;

/// Returns the supplementary groups that the process at the other end had when it connected; none on platforms that do
/// not report them.
pub(super) fn of_peer(stream: &Connection) -> io::Result<Vec<u32>> {
    platform::of_peer(stream)
}

/// `SO_PEERGROUPS`, since Linux 4.13.
#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::os::fd::AsRawFd;

    use uapi::c::{ERANGE, SO_PEERGROUPS, SOL_SOCKET};

    /// More groups than most users have.
    const USUAL_GROUPS: usize = 64;

    /// How many groups a process can have (`NGROUPS_MAX`).
    const MAX_GROUPS: usize = 65_536;

    pub(super) fn of_peer(stream: &impl AsRawFd) -> io::Result<Vec<u32>> {
        let get = |capacity: usize| {
            let mut groups = vec![0_u32; capacity];
            let bytes = uapi::getsockopt(stream.as_raw_fd(), SOL_SOCKET, SO_PEERGROUPS, &mut groups[..])?;
            groups.truncate(bytes / size_of::<u32>());
            groups.shrink_to_fit();
            Ok(groups)
        };
        match get(USUAL_GROUPS) {
            Err(uapi::Errno(ERANGE)) => get(MAX_GROUPS),
            groups => groups,
        }
        .map_err(|uapi::Errno(number)| io::Error::from_raw_os_error(number))
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;

    pub(super) fn of_peer<Stream>(_: &Stream) -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }
}
