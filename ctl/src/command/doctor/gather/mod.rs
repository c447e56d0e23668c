//! Collects the facts: from the daemon over its control socket, and from this machine. What cannot be read is left out.
//!
//! Everything specific to Linux is here (`/proc`, `nft`, `iptables`, `ufw`, `firewalld`, `timedatectl`); another platform
//! needs another version of this folder only.

mod daemon;
mod firewall;
mod firewall_rules;
mod machine;
mod peer;
mod process;
mod program;
mod service;
mod socket;

use std::path::Path;

use udpchat_api::Timestamp;
use udpchat_api::call::DirectionFilter;
use udpchat_config::{Environment, ListenAddress, Need, Overrides, Settings, access_hint};

use super::facts::{Configured, Facts, Newest, Reach, Running, Unusable, shown};
use crate::time::local_zone;

/// Collects all facts; `explicit` is the socket given by `--socket`, `peer` the peer to check.
/// Without a daemon, `config` is the configuration file that one would use.
pub(super) async fn gather(explicit: Option<&Path>, peer: Option<&str>, config: Option<&Path>) -> Facts {
    let (reach, mut client) = daemon::ask(explicit).await;
    let configured = match &reach {
        // A daemon that refuses this user has a configuration of its own.
        Reach::Reached(_) | Reach::NotReached { denied: Some(_), .. } => Ok(Configured::default()),
        Reach::NotReached { denied: None, .. } => configured(config),
    };
    let running = match &reach {
        Reach::Reached(reached) => service::of(reached.status.pid).await,
        Reach::NotReached { .. } => Running::default(),
    };
    let mut facts = Facts {
        now: Timestamp::now(),
        zone: local_zone(),
        is_network_foreign: matches!(&reach, Reach::Reached(reached) if machine::is_network_foreign(reached.status.pid)),
        daemon: reach,
        running,
        configured,
        sockets: Vec::new(),
        interfaces: machine::interfaces(),
        ipv6_disabled: machine::sysctl("net/ipv6/conf/all/disable_ipv6") == Some(1),
        rmem_max: machine::sysctl("net/core/rmem_max"),
        firewalls: Vec::new(),
        clock_synchronised: machine::clock_synchronised().await,
        disk: None,
        last_received: Newest::Nothing,
        peer: None,
    };
    let ports = facts.ports();
    facts.sockets = socket::bound_to(&ports);
    facts.firewalls = firewall::all(&ports).await;
    let received = facts.status().map(Facts::received_of_others);
    if let (Some(0), Some(client)) = (received, client.as_mut()) {
        facts.last_received = peer::last(client, &[], DirectionFilter::In).await;
    }
    facts.disk = facts.status().and_then(|status| machine::disk(&status.data_dir));
    if let Some(name) = peer {
        facts.peer = Some(peer::facts(name, client.as_mut()).await);
    }
    facts
}

/// Returns what a file, or this user's configuration, says, or the first line of its error.
fn configured(config: Option<&Path>) -> Result<Configured, Unusable> {
    let overrides = Overrides { config: config.map(Path::to_owned), ..Overrides::default() };
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let settings = Settings::load(&overrides, &Environment::of_process());
    let settings =
        settings.map_err(|error| Unusable { what: first_line(error.to_string()), hint: error.hint() })?;
    let of_socket = if settings.control.has_roles() { Need::SharedDirectory } else { Need::Directory };
    let directories =
        [(Some(settings.data_dir.as_path()), Need::Directory), (settings.socket.parent(), of_socket)];
    let mut closed: Vec<Unusable> = Vec::new();
    for (directory, need) in directories {
        let Some(directory) = directory else { continue };
        let what = shown(directory);
        if let Some(hint) = access_hint(directory, need)
            && closed.iter().all(|other| other.what != what)
        {
            closed.push(Unusable { what, hint: Some(hint) });
        }
    }
    // An address without its interface cannot be listened on now.
    let listen = settings.listen.iter().filter_map(ListenAddress::socket_address).collect();
    Ok(Configured { listen, closed })
}
