//! Notices that the file of the control socket is removed: a cleaner of old files does that, or the end of a login session.
//!
//! It watches the file itself, not its directory, so that no other file wakes the daemon (inotify(7): removing the name changes
//! the link count, which is `IN_ATTRIB`). Without it, a reload looks for the file.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A watched file.
pub(super) struct FileWatch(AsyncFd<OwnedFd>);

impl FileWatch {
    /// Watches a file. Must be called within the runtime.
    ///
    /// # Errors
    /// The file does not exist, or the user has too many watches.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let changes = AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
        inotify.add_watch(path, changes | AddWatchFlags::IN_DONT_FOLLOW)?;
        #[expect(
            deprecated,
            reason = "sound for an OwnedFd, which stays one descriptor; its replacement is unsafe"
        )]
        Ok(Self(AsyncFd::with_interest(OwnedFd::from(inotify), Interest::READABLE)?))
    }

    /// Waits until the file has been removed or renamed, or its mode changed.
    ///
    /// # Errors
    /// The changes cannot be read.
    pub(super) async fn changed(&self) -> io::Result<()> {
        // What has changed is seen by looking at the file. An event without a name takes 16 bytes.
        let mut events = [0; 256];
        loop {
            let mut ready = self.0.readable().await?;
            match nix::unistd::read(self.0.get_ref(), &mut events) {
                Ok(_length) => return Ok(()),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
