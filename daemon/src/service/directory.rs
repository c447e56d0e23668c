//! Whether a directory of the daemon's is safe from other users.
//!
//! Who may write to a directory may replace the files in it: the inbox, or the control socket with one that imitates the
//! daemon. Root may do that anyway.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::accounts::own_uid;

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const GROUP_MAY_WRITE: u32 = 0o020;
const OTHERS_MAY_WRITE: u32 = 0o002;
const OTHERS_MAY_PASS: u32 = 0o011;

/// What files in a directory are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Any file that appears in it is read.
    Data,
    /// Only the socket that this process creates matters. In a directory with the sticky bit, such as `/tmp`, nobody else
    /// may replace it.
    Socket,
}

/// Returns which other user can change a directory, as the end of "the directory ..."; none if it is safe.
///
/// # Errors
/// Fails if the directory cannot be examined.
pub(crate) fn danger(path: &Path, usage: Use) -> io::Result<Option<String>> {
    let directory = fs::metadata(path)?;
    let found = danger_for(own_uid(), (directory.uid(), directory.gid(), directory.mode()), usage);
    // The mode does not matter where other users cannot reach the directory.
    let is_owners = directory.uid() == own_uid() || directory.uid() == ROOT;
    Ok(found.filter(|_| !(is_owners && is_out_of_reach(path))))
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

fn danger_for(own_uid: u32, (uid, gid, mode): (u32, u32, u32), usage: Use) -> Option<String> {
    if uid != own_uid && uid != ROOT {
        return Some(format!("belongs to the user with uid {uid}"));
    }
    if usage == Use::Socket && mode & STICKY != 0 {
        return None;
    }
    if mode & OTHERS_MAY_WRITE != 0 {
        return Some(format!("may be written by every user (mode {:04o})", mode & 0o7777));
    }
    // A directory of root's that this process may use by its group was made so for it, as volumes of containers are.
    if mode & GROUP_MAY_WRITE != 0 && uid == own_uid {
        return Some(format!("may be written by the group with gid {gid} (mode {:04o})", mode & 0o7777));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_others_is_dangerous() {
        let danger = |owner, mode, usage| danger_for(1000, (owner, 7, mode), usage);
        for usage in [Use::Data, Use::Socket] {
            for (owner, mode) in [(1000, 0o700), (1000, 0o755), (1000, 0o2750), (0, 0o755), (0, 0o2775)] {
                assert_eq!(danger(owner, mode, usage), None, "{owner} {mode:o}");
            }
            assert!(danger(1001, 0o700, usage).unwrap().contains("uid 1001"));
            assert!(danger(1000, 0o777, usage).unwrap().contains("every user (mode 0777)"));
            assert!(danger(0, 0o777, usage).unwrap().contains("every user"));
            assert!(danger(1000, 0o775, usage).unwrap().contains("gid 7 (mode 0775)"));
        }
        assert_eq!(danger(0, 0o1777, Use::Socket), None);
        assert!(danger(0, 0o1777, Use::Data).is_some());
        assert!(danger(1001, 0o1777, Use::Socket).is_some());
        assert!(danger_for(0, (1000, 7, 0o700), Use::Data).is_some(), "root's daemon in a user's directory");
    }
}
