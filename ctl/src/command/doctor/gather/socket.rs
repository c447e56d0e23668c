//! The sockets of this machine, and the processes that have them open.

use std::collections::HashMap;
use std::fs::{self, DirEntry};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::super::facts::{Process, UdpSocket};
use super::process;
use crate::systemd::listening;

/// A line of `/proc/net/udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    uid: u32,
    inode: u64,
}

/// Returns the sockets that are bound to any of these ports.
pub(super) fn bound_to(ports: &[u16]) -> Vec<UdpSocket> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let is_wanted = |row: &Row| ports.contains(&row.local.port());
    let rows: Vec<_> = tables.iter().flat_map(|table| rows(table)).filter(is_wanted).collect();
    let mut holders = holders(&rows);
    let socket = |row: &Row| UdpSocket {
        local: row.local,
        user: process::user(row.uid),
        holder: holders.remove(&row.inode),
    };
    rows.iter().map(socket).collect()
}

/// Returns the processes that have sockets open, by inode, as far as this user may see them.
fn holders(rows: &[Row]) -> HashMap<u64, Process> {
    let wanted: HashMap<String, u64> = rows.iter().map(|row| (inode_name(row.inode), row.inode)).collect();
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return found;
    }
    for folder in process::folders() {
        for inode in open_sockets(&folder).iter().filter_map(|socket| wanted.get(socket)) {
            if let Some(process) = process::of(&folder) {
                found.insert(*inode, process);
            }
        }
    }
    found
}

/// Returns the names of the sockets that a process has open, as far as this user may see them.
fn open_sockets(folder: &Path) -> Vec<String> {
    let links = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    let target = |link: DirEntry| fs::read_link(link.path()).ok()?.into_os_string().into_string().ok();
    links.filter_map(target).filter(|target| target.starts_with("socket:")).collect()
}

/// Returns the name of a socket as a link in `/proc/PID/fd` has it.
fn inode_name(inode: u64) -> String {
    format!("socket:[{inode}]")
}

/// Returns the socket at which a daemon listens for clients, as far as this user may see it.
pub(super) fn control_socket(daemon: &Process) -> Option<PathBuf> {
    let folder = Path::new("/proc").join(daemon.pid.to_string());
    let table = fs::read_to_string(folder.join("net/unix")).ok()?;
    let open = open_sockets(&folder);
    let found = listening(&table).find(|(inode, _)| open.contains(&inode_name(*inode)));
    found.map(|(_, path)| path.into())
}

/// Parses `/proc/net/udp` or `/proc/net/udp6` (proc_net_udp(5)).
fn rows(table: &str) -> impl Iterator<Item = Row> {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let local = address(words.nth(1)?)?;
        let uid = words.nth(5)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        Some(Row { local, uid, inode })
    })
}

/// Parses `0100007F:1E6C`: words of four bytes in the byte order of the machine, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn proc_net_udp_is_parsed() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4066: 0100007F:1E6C 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 25741 2 0000000000000000 0
   12: 000080FE00000000FF005450B7F3FEFF:1E6D 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 99 2 0000000000000000 0
 broken
";
        let found: Vec<_> = rows(table).map(|row| (row.local.to_string(), row.uid, row.inode)).collect();
        let expected = [
            ("127.0.0.1:7788".to_owned(), 1000, 25741),
            ("[fe80::5054:ff:fffe:f3b7]:7789".to_owned(), 0, 99),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn our_own_control_socket_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let table = fs::read_to_string("/proc/self/net/unix").unwrap();
        let inode = listening(&table).find(|(_, at)| Path::new(at) == path).unwrap().0;
        assert!(open_sockets(Path::new("/proc/self")).contains(&inode_name(inode)));
    }

    #[test]
    fn our_own_socket_is_found_with_its_process() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let found = bound_to(&[local.port()]);
        let ours = found.iter().find(|found| found.local == local).unwrap();
        assert_eq!(ours.holder.as_ref().unwrap().pid, std::process::id());
    }
}
