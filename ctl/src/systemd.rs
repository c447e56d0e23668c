//! What systemd does with the daemon: whether a unit of the system runs it, and who holds its sockets.

use std::fs;
use std::path::{Path, PathBuf};

use udpchat_config::system_control_socket;
use udpchat_locale::tr;

/// Where units of the system are (systemd.unit(5)).
const UNIT_FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Returns how to start the daemon, where none was found at these sockets.
pub(crate) fn how_to_start(tried: &[PathBuf]) -> &'static str {
    match is_service(tried) {
        true => tr!(
            "`systemctl start udpchatd` starts the daemon of this system; `systemctl status udpchatd` shows why it ended"
        ),
        false => tr!("start one with `udpchatd`"),
    }
}

/// Returns whether the daemon of the system is one that was looked for, and systemd starts it.
pub(crate) fn is_service(tried: &[PathBuf]) -> bool {
    tried.contains(&system_control_socket()) && has_unit(Path::new("/"))
}

fn has_unit(root: &Path) -> bool {
    // As sd_booted(3).
    root.join("run/systemd/system").is_dir()
        && UNIT_FOLDERS.iter().any(|folder| root.join(folder).join("udpchatd.service").is_file())
}

/// Returns the command for the manager whose unit has this control socket.
pub(crate) fn systemctl(socket: &Path) -> &'static str {
    if socket == system_control_socket() { "systemctl" } else { "systemctl --user" }
}

/// Returns the first of these sockets whose file was removed, although a process listens at it. It cannot be reached any more.
pub(crate) fn without_file(sockets: &[PathBuf]) -> Option<&Path> {
    // Another user's socket may have a name that is not UTF-8.
    let table = fs::read("/proc/self/net/unix").unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let is_it = |socket: &&PathBuf| {
        !socket.exists() && listening(&table).any(|(_, path)| Path::new(path) == **socket)
    };
    sockets.iter().find(is_it).map(PathBuf::as_path)
}

/// Returns how to get the file of a socket again that a service manager has made.
pub(crate) fn how_to_make_again(socket: &Path) -> String {
    let systemctl = systemctl(socket);
    tr!(
        "if systemd holds this socket, `{systemctl} stop udpchatd.socket udpchatd.service` and then `{systemctl} start udpchatd` make \
         the file again; otherwise restart the daemon",
        systemctl
    )
}

/// Returns the inodes and paths of listening sockets in `/proc/net/unix` (proc_net_unix(5)).
pub(crate) fn listening(table: &str) -> impl Iterator<Item = (u64, &str)> {
    const ACCEPTS_CONNECTIONS: &str = "00010000";
    table.lines().filter_map(|line| {
        let (fields, path) = line.split_once(" /")?;
        let mut words = fields.split_ascii_whitespace();
        let is_listening = words.nth(3)? == ACCEPTS_CONNECTIONS;
        let inode = words.nth(2)?.parse().ok()?;
        // The path begins with the slash.
        is_listening.then(|| (inode, &line[line.len() - path.len() - 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_counts_where_systemd_runs() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("udpchatd.service"), "").unwrap();
        assert!(!has_unit(root.path()), "a container without systemd");
        fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
        assert!(has_unit(root.path()));
        fs::remove_file(folder.join("udpchatd.service")).unwrap();
        assert!(!has_unit(root.path()));
        assert!(!is_service(&[root.path().join("s")]), "another socket was named");
    }

    #[test]
    fn a_socket_without_its_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let listener = std::os::unix::net::UnixListener::bind(&paths[1]).unwrap();
        assert_eq!(without_file(&paths), None);
        fs::remove_file(&paths[1]).unwrap();
        assert_eq!(without_file(&paths), Some(&*paths[1]));
        drop(listener);
        assert_eq!(without_file(&paths), None);
    }

    #[test]
    fn listening_sockets_are_found_in_proc_net_unix() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/user/1000/udp chat/control.sock
0000000000000000: 00000003 00000000 00000000 0001 03 4712 /run/connected.sock
0000000000000000: 00000002 00000000 00010000 0001 01 4713 @abstract
0000000000000000: 00000003 00000000 00000000 0001 03 4714
";
        let found: Vec<_> = listening(table).collect();
        assert_eq!(found, [(4711, "/run/user/1000/udp chat/control.sock")]);
    }
}
