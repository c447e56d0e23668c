//! Whether a directory of the daemon's is safe from other users.
//!
//! Who may write to a directory may replace the files in it: the inbox, or the control socket with one that imitates the
//! daemon. Root may do that anyway.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::accounts::{is_private_group, own_uid};
use super::acl::GroupClass;

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const MAY_WRITE: u32 = 0o2;
const OTHERS_MAY_WRITE: u32 = 0o002;
const OTHERS_MAY_PASS: u32 = 0o011;

/// What files in a directory are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Any file that appears in it is read.
    Data,
    /// Only the socket that this process creates matters. In a directory with the sticky bit, such as `/tmp`, no other
    /// user may replace it.
    Socket,
}

/// Returns which other user can change a directory, as the end of "the directory ..."; none if it is safe.
///
/// # Errors
/// Fails if the directory cannot be examined.
pub(crate) fn danger(path: &Path, usage: Use) -> io::Result<Option<String>> {
    let directory = fs::metadata(path)?;
    let (uid, gid, mode) = (directory.uid(), directory.gid(), directory.mode());
    if uid != own_uid() && uid != ROOT {
        return Ok(Some(format!("belongs to the user with uid {uid}")));
    }
    let class = GroupClass::of(path, mode);
    let danger = writers(mode, class, usage, uid == ROOT).filter(|writers| {
        // The mode does not matter where other users cannot reach the directory.
        let is_private = *writers == Writers::Group && is_private_group(gid);
        !is_private && !is_out_of_reach(path)
    });
    let mode = mode & 0o7777;
    Ok(danger.map(|writers| match writers {
        Writers::Everyone => format!("may be written by every user (mode {mode:04o})"),
        Writers::Group => format!("may be written by the group with gid {gid} (mode {mode:04o})"),
        Writers::Named => "may be written by others whom its access control list names".to_owned(),
    }))
}

/// The users who may write to a directory, beside its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    Everyone,
    Group,
    /// Users or groups that an access control list names.
    Named,
}

/// Returns whether a directory above is closed to all other users.
fn is_out_of_reach(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().skip(1).any(|above| {
        fs::metadata(above).is_ok_and(|above| {
            above.mode() & OTHERS_MAY_PASS == 0 && (above.uid() == own_uid() || above.uid() == ROOT)
        })
    })
}

/// Returns who may replace files in a directory of this mode.
fn writers(mode: u32, class: GroupClass, usage: Use, is_roots: bool) -> Option<Writers> {
    if usage == Use::Socket && mode & STICKY != 0 {
        return None;
    }
    if mode & OTHERS_MAY_WRITE != 0 {
        return Some(Writers::Everyone);
    }
    // A directory of root's that a group may write to was made so on purpose, as volumes of containers are.
    match class {
        _ if is_roots => None,
        GroupClass { named, .. } if named & MAY_WRITE != 0 => Some(Writers::Named),
        GroupClass { owning_group, .. } => (owning_group & MAY_WRITE != 0).then_some(Writers::Group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns who may write to a directory without an access control list.
    fn writers(mode: u32, usage: Use, is_roots: bool) -> Option<Writers> {
        let class = GroupClass { owning_group: mode >> 3 & 0o7, named: 0 };
        super::writers(mode, class, usage, is_roots)
    }

    #[test]
    fn an_access_control_list_shows_who_may_write() {
        let of =
            |owning_group, named| super::writers(0o770, GroupClass { owning_group, named }, Use::Data, false);
        assert_eq!(of(0o5, 0o5), None, "the group bits of the mode are only the mask");
        assert_eq!(of(0o5, 0o7), Some(Writers::Named));
        assert_eq!(of(0o7, 0o5), Some(Writers::Group));
    }

    #[test]
    fn a_mode_shows_who_may_write() {
        for usage in [Use::Data, Use::Socket] {
            for mode in [0o700, 0o755, 0o2750] {
                assert_eq!(writers(mode, usage, false), None, "{mode:o}");
            }
            assert_eq!(writers(0o777, usage, false), Some(Writers::Everyone));
            assert_eq!(writers(0o777, usage, true), Some(Writers::Everyone));
            assert_eq!(writers(0o775, usage, false), Some(Writers::Group));
            assert_eq!(writers(0o2775, usage, true), None);
        }
        assert_eq!(writers(0o1777, Use::Data, true), Some(Writers::Everyone));
        assert_eq!(writers(0o1777, Use::Socket, true), None);
    }
}
