//! What this machine says of itself: interfaces, limits, clock, disk.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::super::disk::Disk;
use super::super::network::Interface;
use super::program;

/// Lists the interfaces.
pub(super) fn interfaces() -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        // An IPv4 address may have a label of its own behind a colon.
        let name = entry.interface_name.split(':').next().unwrap_or_default();
        let interface = found.entry(name.to_owned()).or_default();
        name.clone_into(&mut interface.name);
        interface.is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        interface.is_running |= entry.flags.contains(InterfaceFlags::IFF_RUNNING);
        interface.is_loopback |= entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        interface.addresses.extend(entry.address.as_ref().and_then(ip));
        interface.broadcasts.extend(broadcast(&entry));
    }
    found.into_values().collect()
}

/// Returns the address for everybody on a network: the last one, which every host there listens to, whatever it was told.
fn broadcast(entry: &InterfaceAddress) -> Option<Ipv4Addr> {
    /// A network of two addresses, or of one, has none for everybody.
    const LONGEST_PREFIX: u32 = 30;
    let (IpAddr::V4(own), IpAddr::V4(mask)) = (ip(entry.address.as_ref()?)?, ip(entry.netmask.as_ref()?)?)
    else {
        return None;
    };
    let has_one = entry.flags.contains(InterfaceFlags::IFF_BROADCAST)
        && mask.to_bits().leading_ones() <= LONGEST_PREFIX;
    has_one.then(|| Ipv4Addr::from_bits(own.to_bits() | !mask.to_bits()))
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(IpAddr::V4(v4.ip()));
    }
    address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
}

/// Reads a number below `/proc/sys`.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// Asks whether something keeps the clock right.
pub(super) async fn clock_synchronised() -> Option<bool> {
    let ran = program::run("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).await?;
    match ran.output.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Looks at the file system of a folder.
pub(super) fn disk(path: &Path) -> Option<Disk> {
    let found = statvfs(path).ok()?;
    // A file system that counts no files has none at all.
    let free_files = (found.files() > 0).then(|| found.files_available());
    Some(Disk {
        path: path.to_owned(),
        free_bytes: found.blocks_available().saturating_mul(found.fragment_size()),
        free_files,
        is_read_only: found.flags().contains(FsFlags::ST_RDONLY),
    })
}
