//! What to do about an error of the file system: who owns a file that this user may not use, and the command that mends it;
//! which limit a file has reached.
//!
//! A command that gives a directory to another user is offered only for one that holds the daemon's files and no others, or
//! nothing. No command opens a file to all users.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{AccessFlags, Gid, Group, Uid, User, faccessat, getegid, geteuid};

/// The names of the daemon's files. Files beside a database and a socket have longer names.
const OUR_FILES: [&str; 2] = ["lock", "books"];
const OUR_PREFIXES: [&str; 3] = [INBOX, "index.db", "control.sock"];

/// The file name of the inbox.
const INBOX: &str = "inbox.db";

/// The name of the daemon's directories.
const OUR_DIRECTORY: &str = "udpchat";

const ROOT: u32 = 0;

/// States what a path is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A file to read.
    Read,
    /// A configuration file to read.
    Configuration,
    /// A file to write, which may not exist.
    Write,
    /// A directory of the daemon's with all its files, which may not exist.
    Directory,
    /// A directory of the daemon's that other users pass, which may not exist.
    SharedDirectory,
}

impl Need {
    fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::SharedDirectory)
    }
}

/// Returns what to do about an error of a system call on a path; `None` if there is nothing to add to the error.
pub fn file_hint(path: &Path, need: Need, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => access_hint(path, need),
        // A lock or a socket that is not this user's.
        io::ErrorKind::AlreadyExists if need.is_directory() => foreign_file_hint(path),
        io::ErrorKind::FileTooLarge => size_limit_hint(),
        io::ErrorKind::NotFound if need == Need::Write => missing_directory(path),
        io::ErrorKind::StorageFull => Some("free some space on that disk, or choose another one".to_owned()),
        _ => None,
    }
}

/// Returns how the directory of a file is made, if it is missing.
fn missing_directory(path: &Path) -> Option<String> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty())?;
    let is_missing = fs::metadata(directory).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let directory = word(directory);
    is_missing.then(|| format!("there is no directory {directory}; `mkdir -p {directory}` makes it"))
}

/// Returns who owns what keeps this process from using a path, and what to do about it; `None` if neither an owner nor a mode is
/// in the way.
pub fn access_hint(path: &Path, need: Need) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let obstacle = obstacle(&path, need)?;
    let found = fs::metadata(&obstacle).ok()?;
    let me = geteuid().as_raw();
    if found.uid() == me {
        return Some(format!("`chmod u+rwX {}` lets you use it", word(&obstacle)));
    }
    if need == Need::Configuration && obstacle == path {
        return Some(unreadable(&obstacle, &found));
    }
    if !need.is_directory() {
        return Some(foreign(&obstacle, &found));
    }
    Some(match path.symlink_metadata() {
        Ok(_) => given(&path, &obstacle, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound && found.uid() == ROOT => {
            let (path_there, owner, word) = (obstacle.display(), shown(ROOT), word(&path));
            let (user, me) = (account(me), shown(me));
            let mode = if need == Need::SharedDirectory { "755" } else { "700" };
            format!(
                "{path_there} belongs to user {owner}, and this program runs as user {me}: `sudo install -d -m {mode} -o {user} \
                 {word}` creates the directory for this user"
            )
        }
        Err(_) => foreign(&obstacle, &found),
    })
}

/// Returns what to do about a directory of the daemon's in which the obstacle, itself or a file in it, has another owner.
fn given(directory: &Path, obstacle: &Path, found: &Metadata) -> String {
    // A file of the daemon's in a directory with others is given away alone.
    let (place, all) = match () {
        () if is_ours(directory) || is_empty(directory) => (directory, "-R "),
        () if obstacle != directory => (obstacle, ""),
        () => return foreign(obstacle, found),
    };
    let (path, owner, word, me) = (obstacle.display(), shown(found.uid()), word(place), geteuid().as_raw());
    let (user, me) = (account(me), shown(me));
    if found.uid() == ROOT {
        return format!(
            "{path} belongs to user {owner}, and this program runs as user {me}: `sudo chown {all}{user} {word}` gives it to this \
             user"
        );
    }
    let (mode, other) = (mode_of(found), account_word(found.uid()));
    if geteuid().is_root() || may_hold_data_of(directory, found.uid()) {
        // The daemon of that user could not use its files any more if they were given away.
        return format!(
            "{path} (mode {mode}) belongs to user {owner}, and this program runs as user {me}: run it as that user, with `sudo -u \
             {other}`"
        );
    }
    format!(
        "{path} (mode {mode}) belongs to user {owner}, and this program runs as user {me}: `sudo chown {all}{user} {word}` gives \
         it to this user; or run it as that user, with `sudo -u {other}`"
    )
}

/// Returns what to do about the first of the daemon's files in a directory that another user owns.
fn foreign_file_hint(directory: &Path) -> Option<String> {
    let me = geteuid().as_raw();
    let files = entries(directory).into_iter().filter(is_our_file).map(|entry| entry.path());
    let mut foreign = files.filter_map(|file| Some((file.symlink_metadata().ok()?, file)));
    let (found, file) = foreign.find(|(found, _)| found.uid() != me)?;
    Some(given(directory, &file, &found))
}

/// Names the owner of a configuration that this user may not read, and how to let the user's group read it.
fn unreadable(file: &Path, found: &Metadata) -> String {
    let (path, mode, owner) = (file.display(), mode_of(found), shown(found.uid()));
    let (me, word, gid) = (shown(geteuid().as_raw()), word(file), getegid().as_raw());
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name);
    let group = group.unwrap_or_else(|| gid.to_string());
    format!(
        "{path} (mode {mode}) belongs to user {owner}, and this program runs as user {me}: `sudo chgrp {group} {word} && sudo \
         chmod g+r {word}` lets it read the file"
    )
}

/// Returns what to do about a directory of the daemon's that another user owns or may write to.
pub fn unsafe_hint(directory: &Path) -> String {
    let me = geteuid().as_raw();
    match fs::metadata(directory) {
        Ok(found) if ![me, ROOT].contains(&found.uid()) => given(directory, directory, &found),
        Ok(found) if found.uid() == me && (is_ours(directory) || is_empty(directory)) => {
            format!("`chmod go-w {}` keeps other users out", word(directory))
        }
        Ok(found) if found.uid() == me => format!(
            "who may write to a directory may replace the files in it: `chmod go-w {}` keeps other users out, if they need not \
             write there",
            word(directory)
        ),
        _ => "who may write to a directory may replace the files in it".to_owned(),
    }
}

/// Returns a mode as `chmod` takes it.
fn mode_of(found: &Metadata) -> String {
    format!("{:04o}", found.mode() & 0o7777)
}

/// Returns a user as `chown` takes it.
fn account(uid: u32) -> String {
    name(uid).unwrap_or_else(|| uid.to_string())
}

/// Returns a user as `sudo -u` takes it.
fn account_word(uid: u32) -> String {
    name(uid).unwrap_or_else(|| format!("'#{uid}'"))
}

/// Names the owner and the mode of a file that this user may not use.
fn foreign(path: &Path, found: &Metadata) -> String {
    let (uid, mode) = (found.uid(), mode_of(found));
    let (path, owner, me) = (path.display(), shown(uid), shown(geteuid().as_raw()));
    let account = account_word(uid);
    format!(
        "{path} (mode {mode}) belongs to user {owner}, and this program runs as user {me}: choose another path, or run it as that \
         user, with `sudo -u {account}`"
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

/// Finds what is in the way to a path: the path itself, the nearest directory above it, or a file of the daemon's in it.
fn obstacle(path: &Path, need: Need) -> Option<PathBuf> {
    // Below a directory that may not be passed, nothing is visible.
    let visible = path.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    let mode = match need {
        Need::Read | Need::Configuration if visible == path => AccessFlags::R_OK,
        Need::Write if visible == path => AccessFlags::W_OK,
        Need::Directory | Need::SharedDirectory if visible == path => {
            AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK
        }
        Need::Read | Need::Configuration => AccessFlags::X_OK,
        Need::Write | Need::Directory | Need::SharedDirectory => AccessFlags::W_OK | AccessFlags::X_OK,
    };
    if is_denied(visible, mode) {
        return Some(visible.to_owned());
    }
    if visible != path || !need.is_directory() {
        return None;
    }
    let mut files = entries(path).into_iter().filter(is_our_file).map(|entry| entry.path());
    files.find(|file| is_denied(file, AccessFlags::R_OK | AccessFlags::W_OK))
}

fn is_denied(path: &Path, mode: AccessFlags) -> bool {
    faccessat(AT_FDCWD, path, mode, AtFlags::AT_EACCESS) == Err(Errno::EACCES)
}

/// Returns whether a directory is one of the daemon's and holds nothing else: by its files, or by its name if it is empty or may
/// not be listed.
fn is_ours(directory: &Path) -> bool {
    let entries = entries(directory);
    if entries.is_empty() {
        return directory.file_name().is_some_and(|name| name == OUR_DIRECTORY);
    }
    entries.iter().all(is_our_file)
}

/// Returns whether a directory has an inbox that belongs to a user, or does not show what it has.
fn may_hold_data_of(directory: &Path, uid: u32) -> bool {
    match fs::metadata(directory.join(INBOX)) {
        Ok(inbox) => inbox.uid() == uid,
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::read_dir(directory).is_err(),
        Err(_) => true,
    }
}

/// Returns whether a directory may be listed and has nothing in it.
fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_our_file(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let is_our_name = name.to_str().is_some_and(|name| {
        OUR_FILES.contains(&name) || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    is_our_name && entry.file_type().is_ok_and(|kind| !kind.is_dir())
}

/// Returns what is in a directory; nothing if it may not be listed.
fn entries(directory: &Path) -> Vec<DirEntry> {
    fs::read_dir(directory).into_iter().flatten().flatten().collect()
}

/// Shows a user by name and number.
fn shown(uid: u32) -> String {
    name(uid).map_or_else(|| uid.to_string(), |name| format!("{name} ({uid})"))
}

fn name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
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
    fn only_what_the_daemon_made_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = folder.path().join(name);
            fs::create_dir_all(&place).unwrap();
            place
        };
        assert!(!is_ours(&place("srv")), "an empty directory may be another program's");
        assert!(is_ours(&place("udpchat")));
        assert!(is_ours(Path::new("/no/such/udpchat")) && !is_ours(Path::new("/no/such/home")));

        let data = place("data");
        for name in ["lock", "books", "inbox.db", "inbox.db-wal", "index.db", "control.sock.lock"] {
            fs::write(data.join(name), "").unwrap();
        }
        assert!(is_ours(&data));
        fs::write(data.join("thesis"), "").unwrap();
        assert!(!is_ours(&data), "it is shared");

        // A clone of the sources, and a directory with the name of a file.
        fs::write(place("udpchat").join("README.md"), "").unwrap();
        assert!(!is_ours(&place("udpchat")));
        fs::create_dir_all(place("spool").join("lock")).unwrap();
        assert!(!is_ours(&place("spool")));
    }

    #[test]
    fn a_foreign_file_is_described_without_a_change() {
        let file = Path::new("/etc/passwd");
        let hint = foreign(file, &fs::metadata(file).unwrap());
        assert!(hint.starts_with("/etc/passwd (mode 0644) belongs to user root (0), and "), "{hint}");
        assert!(
            hint.ends_with(": choose another path, or run it as that user, with `sudo -u root`"),
            "{hint}"
        );
    }

    #[test]
    fn a_shared_directory_is_closed_with_care() {
        let folder = tempfile::tempdir().unwrap();
        let command = format!("`chmod go-w {}` keeps other users out", folder.path().display());
        assert_eq!(unsafe_hint(folder.path()), command);
        fs::write(folder.path().join("inbox.db"), "").unwrap();
        assert_eq!(unsafe_hint(folder.path()), command);
        fs::write(folder.path().join("thesis"), "").unwrap();
        let shared = unsafe_hint(folder.path());
        assert!(shared.contains(&command) && shared.ends_with(", if they need not write there"), "{shared}");
    }

    #[test]
    fn an_accessible_path_needs_no_hint() {
        let folder = tempfile::tempdir().unwrap();
        for need in [Need::Read, Need::Write, Need::Directory] {
            assert_eq!(access_hint(&folder.path().join("new"), need), None);
            assert_eq!(access_hint(folder.path(), need), None);
        }
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(file_hint(folder.path(), Need::Read, &error), None);
    }
}
