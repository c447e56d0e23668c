//! Facts about this machine: interfaces, kernel settings, clock, disk.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::super::facts::{Disk, Interface};
use super::program;
use crate::process::living_name;

/// Returns the interfaces.
pub(super) fn interfaces() -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        // An IPv4 address may have a label after a colon.
        let name = entry.interface_name.split(':').next().unwrap_or_default();
        let interface = found.entry(name.to_owned()).or_default();
        name.clone_into(&mut interface.name);
        interface.is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        interface.is_running |= entry.flags.contains(InterfaceFlags::IFF_RUNNING);
        interface.is_loopback |= entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        interface.addresses.extend(entry.address.as_ref().and_then(ip));
        // Addresses of one network have the same.
        interface.broadcasts.extend(broadcast(&entry).filter(|ip| !interface.broadcasts.contains(ip)));
    }
    found.into_values().collect()
}

/// Returns the broadcast address of a network: its last address, which every host there accepts, whatever its settings.
fn broadcast(entry: &InterfaceAddress) -> Option<Ipv4Addr> {
    /// A network of one or two addresses has no broadcast address.
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

/// Returns whether a daemon's process is known to be in another network namespace than this one.
pub(super) fn is_network_foreign(pid: u32) -> bool {
    let of = |process: &str| fs::read_link(Path::new("/proc").join(process).join("ns/net")).ok();
    let process = pid.to_string();
    // In another PID namespace, the number may be that of another process.
    let is_daemon = living_name(&Path::new("/proc").join(&process)).is_some_and(|name| name == "udpchatd");
    is_daemon && matches!((of(&process), of("self")), (Some(its), Some(own)) if its != own)
}

/// Reads a number in `/proc/sys`.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// Returns whether the clock is synchronised; none if unknown.
pub(super) async fn clock_synchronised() -> Option<bool> {
    let ran = program::run("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).await?;
    match ran.output.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Returns the free space of the file system of a folder.
pub(super) fn disk(path: &Path) -> Option<Disk> {
    let found = statvfs(path).ok()?;
    // A file system without a limit of files reports zero.
    let free_files = (found.files() > 0).then(|| found.files_available());
    Some(Disk {
        path: path.to_owned(),
        bytes: found.blocks().saturating_mul(found.fragment_size()),
        free_bytes: found.blocks_available().saturating_mul(found.fragment_size()),
        free_files,
        is_read_only: found.flags().contains(FsFlags::ST_RDONLY),
    })
}
