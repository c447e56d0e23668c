//! `udpchatd --check-config`: prints the settings, and what a start here would fail at.

use std::io;
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use udpchat_api::safe::one_line;
use udpchat_config::{
    Group, Interface, ListenAddress, Need, Origin, Settings, Size, access_hint, unsafe_hint,
};
use udpchat_locale::{tr, translated};

use super::listing::listing;
use crate::control::Rules;
use crate::error::reason;
use crate::failure::{Failure, system};
use crate::service::accounts;
use crate::service::directory;

/// Prints every setting, and fails if a group of users does not exist. Only this machine knows that, so the settings were valid
/// so far.
pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    print_settings(settings).map_err(system("cannot print"))?;
    let (_rules, warnings) = Rules::of(settings, accounts::own_uid(), accounts::group_id);
    if !warnings.is_empty() {
        return Err(Failure::Groups(warnings));
    }
    let mut errors = io::stderr().lock();
    for note in obstacles(settings) {
        let note = tr!("note: {note}", note = one_line(&note));
        writeln!(errors, "{note}").map_err(system("cannot print"))?;
    }
    writeln!(errors, "{}", tr!("the configuration is valid")).map_err(system("cannot print"))
}

/// Describes what a start on this machine, by this user, would fail at now or do without. None of it is an error of the configuration.
fn obstacles(settings: &Settings) -> Vec<String> {
    let addresses = settings.listen.iter().filter_map(address_obstacle);
    let files = data_dir_obstacle(&settings.data_dir).into_iter().chain(socket_obstacle(&settings.socket));
    let disk = disk_obstacle(settings);
    let doubts = settings.doubts().into_iter().map(|doubt| translated(&doubt).into_owned());
    missing_interfaces(settings).into_iter().chain(doubts).chain(addresses).chain(files).chain(disk).collect()
}

/// Describes why an address cannot be bound, unless another program has its port: that may be the daemon that runs.
fn address_obstacle(listen: &ListenAddress) -> Option<String> {
    const FIRST_FREE_PORT: u16 = 1024;
    let mut address = listen.socket_address()?;
    // Any port shows whether the address exists, and a port that a daemon may use is not taken from it.
    if address.port() >= FIRST_FREE_PORT {
        address.set_port(0);
    }
    let error = UdpSocket::bind(address).err()?;
    match error.kind() {
        // Without IPv6, the daemon listens on IPv4 alone.
        _ if address.ip().is_unspecified() && error.kind() != io::ErrorKind::PermissionDenied => None,
        io::ErrorKind::AddrNotAvailable => Some(tr!(
            "`listen` names the address {address}, which this machine does not have now: the daemon does not start without \
             it",
            address = listen.ip()
        )),
        io::ErrorKind::PermissionDenied => Some(tr!(
            "`listen` names the port {port}, which this user may not use: ports below 1024 need privileges, or a service \
             manager that passes the socket",
            port = listen.port()
        )),
        _ => None,
    }
}

fn data_dir_obstacle(path: &Path) -> Option<String> {
    let shown = path.display();
    if let Some(hint) = access_hint(path, Need::Directory) {
        let hint = translated(&hint);
        return Some(tr!("this user cannot use the data directory {path}: {hint}", path = shown, hint));
    }
    match directory::danger(path, directory::Use::Data) {
        Ok(Some(danger)) => {
            let (danger, hint) = (translated(&danger), unsafe_hint(path));
            let hint = translated(&hint);
            Some(tr!(
                "the data directory {path} is not safe: it {danger}; {hint}",
                path = shown,
                danger,
                hint
            ))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let reason = reason(&error);
            let reason = translated(&reason);
            Some(tr!("this user cannot use the data directory {path}: {hint}", path = shown, hint = reason))
        }
        _ => None,
    }
}

/// Describes a limit on the inbox that its file system cannot hold.
fn disk_obstacle(settings: &Settings) -> Option<String> {
    if settings.inbox.max_size.origin == Origin::Default {
        // The daemon adapts it to the file system.
        return None;
    }
    let disk = settings.data_dir.ancestors().find_map(|path| statvfs(path).ok())?;
    let total = disk.blocks() * disk.fragment_size();
    (settings.inbox.max_size.bytes() > total).then(|| {
        tr!(
            "`inbox.max_size` is {size}, but the file system of {path} has {total}: the disk will be full before the inbox \
             reaches its limit",
            size = settings.inbox.max_size.value,
            path = settings.data_dir.display(),
            total = Size::from_bytes(total)
        )
    })
}

fn socket_obstacle(path: &Path) -> Option<String> {
    let hint = access_hint(path, Need::Write)?;
    let hint = translated(&hint);
    Some(tr!("this user cannot create the control socket {path}: {hint}", path = path.display(), hint))
}

/// Describes the interfaces that the settings name and this machine does not have now. They may appear later, so this is no
/// error of the configuration.
fn missing_interfaces(settings: &Settings) -> Vec<String> {
    let is_missing = |interface: &&Interface| interface.number().is_none();
    let listen = settings.listen.iter().filter_map(ListenAddress::interface).filter(is_missing);
    let listen = listen.map(|interface| {
        tr!(
            "`listen` names the interface `{interface}`, which this machine does not have now: the daemon does not start \
             without it",
            interface
        )
    });
    let groups = settings.groups.iter().filter_map(Group::interface).filter(is_missing);
    let groups = groups.map(|interface| {
        tr!(
            "`groups` names the interface `{interface}`, which this machine does not have now: the group is joined once it \
             is there",
            interface
        )
    });
    let peers = settings.peers.iter().filter_map(|(name, peer)| {
        let interface = peer.address.interface().filter(is_missing)?;
        Some(tr!(
            "peer `{name}` names the interface `{interface}`, which this machine does not have now: nothing can be sent to \
             it until then",
            name,
            interface
        ))
    });
    listen.chain(groups).chain(peers).collect()
}

/// Prints every setting with its value and origin.
fn print_settings(settings: &Settings) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let size = terminal_size::terminal_size_of(&out);
    let columns = size.map(|(terminal_size::Width(columns), _)| usize::from(columns));
    out.write_all(listing(&settings.listing(), columns).as_bytes())
}
