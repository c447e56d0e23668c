//! The senders that `--from` names: the daemon knows peers, addresses and networks, and host names are resolved here, once
//! for all pages of a command.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use udpchat_api::Client;
use udpchat_api::call::PeersAnswer;
use udpchat_config::{Network, PeerAddress, check_port_sign, check_width, check_wildcards, did_you_mean};
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// What separates several senders.
const COMMAS: [char; 3] = [',', '，', '、'];

/// How long resolving a host name may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// Replaces each host name by the addresses of the host, and each list with commas by its members.
///
/// # Errors
/// A name is neither that of a peer nor that of a host.
pub(super) async fn resolve(client: &mut Client, from: &mut Vec<String>) -> Result<()> {
    if from.iter().all(|sender| is_address(sender)) {
        return Ok(());
    }
    let PeersAnswer { peers, lists, .. } = client.peers(Some(0)).await?;
    let lists = lists.into_iter().map(|list| list.name);
    let names: BTreeSet<String> = peers.into_iter().filter_map(|peer| peer.name).chain(lists).collect();
    let mut resolved = Vec::with_capacity(from.len());
    for sender in from.drain(..).flat_map(|senders| members(senders, &names)) {
        if is_address(&sender) || names.contains(&sender) {
            resolved.push(sender);
            continue;
        }
        check_width(&sender)
            .and_then(|()| check_port_sign(&sender))
            .and_then(|()| check_wildcards(&sender))
            .map_err(CtlError::of_value)?;
        let addresses = look_up(&sender).await;
        if addresses.is_empty() {
            let text =
                tr!("`{sender}` is not a configured peer, an address, a network or a known host", sender);
            let hint = did_you_mean(&sender, names.iter().map(String::as_str))
                .unwrap_or_else(|| tr!("`udpchatctl peers` lists names and addresses").to_owned());
            return Err(CtlError::usage(text).hint(hint));
        }
        resolved.extend(addresses);
    }
    resolved.sort();
    resolved.dedup();
    *from = resolved;
    Ok(())
}

/// Splits what has commas, unless it is the name of a peer.
fn members(senders: String, names: &BTreeSet<String>) -> Vec<String> {
    if names.contains(&senders) || !senders.contains(COMMAS) {
        return vec![senders];
    }
    let members = senders.split(COMMAS).map(str::trim).filter(|sender| !sender.is_empty());
    members.map(str::to_owned).collect()
}

/// Returns whether a text is an address or a network.
pub(super) fn is_address(sender: &str) -> bool {
    sender.parse::<PeerAddress>().is_ok() || (sender.contains('/') && sender.parse::<Network>().is_ok())
}

async fn look_up(sender: &str) -> Vec<String> {
    let Some((host, port)) = split(sender) else { return Vec::new() };
    let found = timeout(RESOLVE_WAIT, lookup_host((host, port.unwrap_or(0)))).await;
    let Ok(Ok(addresses)) = found else { return Vec::new() };
    addresses.map(|address| shown(address, port.is_some())).collect()
}

/// Splits a host from its port; none if it cannot be a host name. Without this check the system would read `127.1` and
/// `10.0.0.010` as addresses, of hosts that the user does not mean.
fn split(sender: &str) -> Option<(&str, Option<u16>)> {
    let bracketed = sender.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        None if sender.contains('%') => (sender, None),
        None => sender.split_once(':').map_or((sender, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse).transpose().ok()?;
    let last = host.trim_end_matches('.').rsplit('.').next()?;
    let is_numeric = last.starts_with(|first: char| first.is_ascii_digit());
    (host.contains('%') || !(last.is_empty() || is_numeric)).then_some((host, port))
}

fn shown(mut address: SocketAddr, has_port: bool) -> String {
    if has_port {
        return address.to_string();
    }
    address.set_port(0);
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_host_is_looked_up() {
        let table = [
            ("sensor", Some(("sensor", None))),
            ("sensor.lan:9000", Some(("sensor.lan", Some(9000)))),
            ("fe80::1%eth0", Some(("fe80::1%eth0", None))),
            ("[fe80::1%eth0]:80", Some(("fe80::1%eth0", Some(80)))),
            ("7segment.example.", Some(("7segment.example.", None))),
        ];
        for (sender, expected) in table {
            assert_eq!(split(sender), expected, "{sender}");
        }
        for sender in ["127.1", "10.0.0.010", "0x7f.1", "2130706433", "host:port", "host:70000", "", "."] {
            assert_eq!(split(sender), None, "{sender}");
        }
    }

    #[test]
    fn addresses_are_shown_as_the_daemon_reads_them() {
        for (address, without, with) in [
            ("10.0.0.9:80", "10.0.0.9", "10.0.0.9:80"),
            ("[fe80::1%3]:80", "fe80::1%3", "[fe80::1%3]:80"),
            ("[2001:db8::1]:80", "2001:db8::1", "[2001:db8::1]:80"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!((shown(address, false), shown(address, true)), (without.to_owned(), with.to_owned()));
            assert!(is_address(without) && is_address(with));
        }
    }
}
