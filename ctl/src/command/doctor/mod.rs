//! `doctor`: explains why nothing arrives.
//!
//! [`mod@gather`] collects facts from the daemon and the machine, and draws no conclusions; it is specific to Linux. Each other file
//! checks one topic: a function from [`Facts`] to [`Finding`]s, independent of the platform. Nothing is sent to other
//! machines, and nothing is changed.

mod access;
mod buffer;
mod clock;
mod daemon;
mod disk;
mod facts;
mod finding;
mod firewall;
mod gather;
mod groups;
mod inbox;
mod listen;
mod network;
mod peer;
mod port;
mod self_test;
mod silence;
#[cfg(test)]
mod testing;
mod traffic;

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_locale::tr;

use self::facts::Facts;
use self::finding::{Finding, Level};
use self::gather::gather;
use super::completions::candidates;
use super::context::Context;
use crate::error::{CtlError, Exit, Result};
use crate::output::counted;

const HELP: &str = "\
Checks port, addresses, firewall, receive buffer, access list, disk and clock, and runs a self-test. \
With PEER, also whether the last message to it bounced. Prints a line for each check: ok, warning (it may prevent datagrams from arriving) or problem (it does), with a hint below. \
Without a daemon it shows which program holds the port. Run as root it sees more: the rules of firewalls, and the programs \
of other users.

Sends nothing to other machines, not even to PEER: the daemon sends test datagrams to itself, which appear in no counter \
and not in the inbox. Exits with 1 if there is a problem, and with 0 if there are only warnings.

Examples:
  udpchatctl doctor
  udpchatctl doctor bob
  udpchatctl --json doctor | jq -r 'select(.level != \"ok\").seen'";

/// Find out why no messages arrive
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = HELP)]
pub(crate) struct DoctorArgs {
    /// Check the connection to PEER as well: a name, an address or a host
    #[arg(value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) peer: Option<String>,
    /// Without a daemon, check what one with the configuration FILE would use
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Runs `doctor`. Fails if a check finds a problem.
pub(crate) async fn run(context: Context<'_>, arguments: &DoctorArgs) -> Result<()> {
    let (peer, config) = (arguments.peer.as_deref(), arguments.config.as_deref());
    let facts = gather(context.socket.as_deref(), peer, config).await;
    let mut findings = check_all(&facts);
    if !context.output.is_json() {
        silence::summarize(&mut findings);
    }
    context.output.use_pager();
    for finding in &findings {
        finding.print(context.output)?;
    }
    match findings.iter().filter(|finding| finding.level == Level::Problem).count() as u64 {
        0 => Ok(()),
        problems => {
            let message = tr!("{problems} found", problems = counted(problems, "problem"));
            Err(CtlError::new(Exit::Failed, "problems", message))
        }
    }
}

/// Runs all checks, in the order of a datagram's path: from the daemon to the inbox, then the peer.
fn check_all(facts: &Facts) -> Vec<Finding> {
    let checks: [fn(&Facts) -> Vec<Finding>; 15] = [
        daemon::findings,
        port::findings,
        listen::findings,
        network::findings,
        firewall::findings,
        groups::findings,
        self_test::findings,
        access::findings,
        buffer::findings,
        traffic::findings,
        silence::findings,
        inbox::findings,
        disk::findings,
        clock::findings,
        peer::findings,
    ];
    /// Those of the network: they compare the daemon with the addresses, ports and firewalls of this process.
    const OF_NETWORK: Range<usize> = 1..5;
    let is_left_out = |number: usize| facts.is_network_foreign && OF_NETWORK.contains(&number);
    let foreign = facts.is_network_foreign.then(|| network::foreign(facts));
    let checks = checks.iter().enumerate().filter(|(number, _)| !is_left_out(*number));
    foreign.flatten().into_iter().chain(checks.flat_map(|(_, check)| check(facts))).collect()
}
