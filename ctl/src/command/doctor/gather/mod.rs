//! Collects the facts: from the daemon over its control socket, and from this machine. What cannot be read is left out.

mod daemon;
mod firewall;
mod machine;
mod peer;
mod process;
mod program;
mod socket;

use std::net::SocketAddr;
use std::path::Path;

use udpchat_api::Timestamp;
use udpchat_config::{Environment, Overrides, Settings};

use super::Facts;
use super::daemon::Reach;

/// Collects everything; `explicit` is the socket that the user named, `peer` whom they ask about.
pub(crate) async fn gather(explicit: Option<&Path>, peer: Option<&str>) -> Facts {
    let (reach, mut client) = daemon::ask(explicit).await;
    let configured = match &reach {
        Reach::Reached(_) => Ok(Vec::new()),
        Reach::NotReached { .. } => configured(),
    };
    let mut facts = Facts {
        now: Timestamp::now(),
        daemon: reach,
        configured,
        sockets: Vec::new(),
        interfaces: machine::interfaces(),
        ipv6_disabled: machine::sysctl("net/ipv6/conf/all/disable_ipv6") == Some(1),
        rmem_max: machine::sysctl("net/core/rmem_max"),
        firewalls: Vec::new(),
        clock_synchronised: machine::clock_synchronised().await,
        disk: None,
        peer: None,
    };
    let ports = facts.ports();
    facts.sockets = socket::bound_to(&ports);
    facts.firewalls = firewall::all(&ports).await;
    facts.disk = facts.status().and_then(|status| machine::disk(&status.data_dir));
    if let Some(name) = peer {
        facts.peer = Some(peer::look_at(name, client.as_mut()).await);
    }
    facts
}

/// Returns where the configuration of this user has a daemon listen.
fn configured() -> Result<Vec<SocketAddr>, String> {
    let settings = Settings::load(&Overrides::default(), &Environment::of_process());
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    settings.map(|settings| settings.listen.to_vec()).map_err(|error| first_line(error.to_string()))
}
