//! What to do about an error of the file system: who owns a file that this user may not use, who needs it, and the command
//! that mends it; which limit a file has reached.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{AccessFlags, Uid, User, faccessat, geteuid};

/// The names of files that mark a directory as one of the daemon's.
const OUR_FILES: [&str; 3] = ["inbox.db", "control.sock", "control.sock.lock"];

/// States what a path is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A file to read.
    Read,
    /// A file to write, which may not exist.
    Write,
    /// A directory of the daemon's with all its files, which may not exist.
    Directory,
}

/// Returns what to do about an error of a system call on a path; `None` if there is nothing to add to the error.
pub fn file_hint(path: &Path, need: Need, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => access_hint(path, need),
        io::ErrorKind::FileTooLarge => size_limit_hint(),
        io::ErrorKind::StorageFull => Some("free some space on that disk, or choose another one".to_owned()),
        _ => None,
    }
}

/// Returns who owns what keeps this process from using a path, and the command that mends it; `None` if neither an owner nor a
/// mode is in the way.
pub fn access_hint(path: &Path, need: Need) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let (obstacle, what) = obstacle(&path, need)?;
    let uid = fs::metadata(&obstacle).ok()?.uid();
    let (is_own, owner, me) = (uid == geteuid().as_raw(), shown(uid), shown(geteuid().as_raw()));
    let (path_there, user, word) = (obstacle.display(), own_name(), word(&obstacle));
    Some(match what {
        Obstacle::Pass if is_own => format!("`chmod u+x {word}` lets you pass that directory"),
        Obstacle::Pass => format!(
            "only user {owner} may pass {path_there}, and this program runs as user {me}: choose a path elsewhere, or `sudo chmod \
             o+x {word}` lets every user pass"
        ),
        Obstacle::Create if is_own => format!("`chmod u+w {word}` lets you create files there"),
        Obstacle::Create if need == Need::Directory => {
            let new = self::word(&path);
            format!(
                "{path_there} belongs to user {owner}, and this program runs as user {me}: `sudo install -d -m 700 -o {user} {new}` \
                 creates the directory for {user}"
            )
        }
        Obstacle::Use | Obstacle::Inside if is_own => format!("`chmod u+rwX {word}` lets you use it"),
        Obstacle::Use if need == Need::Read => format!(
            "{path_there} belongs to user {owner}, and this program runs as user {me}: `sudo chmod o+r {word}` lets every user read \
             it"
        ),
        Obstacle::Use if need == Need::Write => foreign(&obstacle, uid, &format!("chown {user} {word}")),
        Obstacle::Use | Obstacle::Inside if is_ours(&path) => {
            foreign(&obstacle, uid, &format!("chown -R {user} {}", self::word(&path)))
        }
        Obstacle::Use | Obstacle::Inside | Obstacle::Create => {
            format!("{path_there} belongs to user {owner}, and this program runs as user {me}")
        }
    })
}

/// Returns whose a directory of the daemon's is, if it belongs to another user, and the command that mends it. Root may use
/// such a directory, but should not.
pub fn owner_hint(directory: &Path) -> Option<String> {
    let owner = fs::metadata(directory).ok()?.uid();
    let command = || format!("chown -R {} {}", own_name(), word(directory));
    (owner != geteuid().as_raw()).then(|| foreign(directory, owner, &command()))
}

/// Names the owner of what another user needs, and how that user gets it. What belongs to root was usually made by `sudo`.
fn foreign(path: &Path, uid: u32, command: &str) -> String {
    let (path, owner, me, user) = (path.display(), shown(uid), shown(geteuid().as_raw()), own_name());
    if uid == 0 {
        return format!(
            "{path} belongs to user {owner}, and this program runs as user {me}: `sudo {command}` gives it to {user}"
        );
    }
    let account = account(uid);
    format!(
        "{path} belongs to user {owner}, and this program runs as user {me}: run it as that user, with `sudo -u {account}`, or \
         `sudo {command}` gives it to {user}"
    )
}

/// Returns the largest size that this process may give a file, in bytes (`RLIMIT_FSIZE`); `None` without a limit.
pub fn size_limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_FSIZE).ok().map(|(limit, _)| limit).filter(|limit| *limit != RLIM_INFINITY)
}

/// Returns how large the files of this process may become, and how to lift that limit; `None` without a limit.
pub fn size_limit_hint() -> Option<String> {
    let limit = size_limit()?;
    Some(format!(
        "files of this program may have at most {limit} bytes: `ulimit -f unlimited` lifts the limit, under systemd \
         `LimitFSIZE=infinity`"
    ))
}

/// What keeps this process from using a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// A directory above it may not be passed.
    Pass,
    /// It does not exist, and the nearest directory above it may not be written to.
    Create,
    /// It may not be used itself.
    Use,
    /// A file in it may not be used.
    Inside,
}

/// Finds what is in the way to a path, and where.
fn obstacle(path: &Path, need: Need) -> Option<(PathBuf, Obstacle)> {
    // Below a directory that may not be passed, nothing is visible.
    let visible = path.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    if visible != path {
        if is_denied(visible, AccessFlags::X_OK) {
            return Some((visible.to_owned(), Obstacle::Pass));
        }
        let is_closed = need != Need::Read && is_denied(visible, AccessFlags::W_OK);
        return is_closed.then(|| (visible.to_owned(), Obstacle::Create));
    }
    let mode = match need {
        Need::Read => AccessFlags::R_OK,
        Need::Write => AccessFlags::W_OK,
        Need::Directory => AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK,
    };
    if is_denied(path, mode) {
        return Some((path.to_owned(), Obstacle::Use));
    }
    if need != Need::Directory {
        return None;
    }
    let mut files = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let closed = files.find(|file| file.is_file() && is_denied(file, AccessFlags::R_OK | AccessFlags::W_OK));
    closed.map(|file| (file, Obstacle::Inside))
}

fn is_denied(path: &Path, mode: AccessFlags) -> bool {
    faccessat(AT_FDCWD, path, mode, AtFlags::AT_EACCESS) == Err(Errno::EACCES)
}

/// Returns whether a directory is one of the daemon's, so that it may be given to another user: by its files, or by its name if
/// they cannot be listed.
fn is_ours(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(entries) => {
            let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.is_empty() || OUR_FILES.iter().any(|ours| names.iter().any(|name| name == ours))
        }
        Err(_) => directory.file_name().is_some_and(|name| name == "udpchat"),
    }
}

/// Shows a user by name and number.
fn shown(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} ({uid})", user.name),
        _ => uid.to_string(),
    }
}

/// Returns the name of the user of this process, or its number.
fn own_name() -> String {
    let uid = geteuid();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Returns a user as `sudo -u` takes it.
fn account(uid: u32) -> String {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| format!("'#{uid}'"), |user| user.name)
}

/// Returns a path as a word of a shell.
pub fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:=,".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_of_a_shell() {
        for (path, expected) in [("/a/b-1.db", "/a/b-1.db"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'")] {
            assert_eq!(word(Path::new(path)), expected);
        }
    }

    #[test]
    fn only_what_the_daemon_made_is_given_away() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_ours(folder.path()));
        fs::write(folder.path().join("letter"), "").unwrap();
        assert!(!is_ours(folder.path()));
        fs::write(folder.path().join("inbox.db"), "").unwrap();
        assert!(is_ours(folder.path()));
        assert!(is_ours(Path::new("/no/such/udpchat")) && !is_ours(Path::new("/no/such/home")));
    }

    #[test]
    fn the_owner_decides_who_mends_it() {
        let (path, me) = (Path::new("/var/lib/udpchat"), own_name());
        let of_root = foreign(path, 0, &format!("chown -R {me} /var/lib/udpchat"));
        assert!(of_root.starts_with("/var/lib/udpchat belongs to user root (0)"), "{of_root}");
        assert!(
            of_root.ends_with(&format!("`sudo chown -R {me} /var/lib/udpchat` gives it to {me}")),
            "{of_root}"
        );
        let of_another = foreign(path, 54_321, "chown x");
        assert!(of_another.contains("belongs to user 54321") && of_another.contains("`sudo -u '#54321'`"));
    }

    #[test]
    fn an_accessible_path_needs_no_hint() {
        let folder = tempfile::tempdir().unwrap();
        for need in [Need::Read, Need::Write, Need::Directory] {
            assert_eq!(access_hint(&folder.path().join("new"), need), None);
            assert_eq!(access_hint(folder.path(), need), None);
        }
        assert_eq!(owner_hint(folder.path()), None);
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(file_hint(folder.path(), Need::Read, &error), None);
    }
}
