//! The umask, which is a property of the whole process.

use nix::sys::stat::{Mode, umask};

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o777;

/// Creates all further files for this user alone.
pub(crate) fn restrict_to_owner() {
    umask(Mode::from_bits_truncate(0o077));
}

/// Runs `create`, whose files get exactly these permissions from the first moment.
///
/// Must be called while no other thread creates files.
pub(crate) fn with_mode<T>(mode: u32, create: impl FnOnce() -> T) -> T {
    let before = umask(Mode::from_bits_truncate(PERMISSIONS & !mode));
    let created = create();
    umask(before);
    created
}
