//! The firewalls of this machine, from their own programs.

use std::fs;

use super::super::facts::{Firewall, Rules};
use super::firewall_rules::{iptables, nft};
use super::process;
use super::program::{Ran, run};

/// Returns the firewalls, with what they do to datagrams to these ports. If ufw or firewalld manages the rules of the
/// kernel, the rules themselves are not read.
pub(super) async fn all(ports: &[u16]) -> Vec<Firewall> {
    let mut managers = Vec::new();
    managers.extend(ufw(ports).await);
    managers.extend(firewalld(ports).await);
    if managers.is_empty() { kernel(ports).await } else { managers }
}

async fn ufw(ports: &[u16]) -> Option<Firewall> {
    let settings = fs::read_to_string("/etc/ufw/ufw.conf").ok()?;
    settings.lines().find(|line| line.trim() == "ENABLED=yes")?;
    let rules = match run("ufw", &["status"]).await {
        Some(Ran { succeeded: true, output }) => {
            let allows = |port: &u16| {
                let forms = [format!("{port}/udp "), format!("{port} ")];
                let begins = |line: &str| forms.iter().any(|form| line.starts_with(form.as_str()));
                output.lines().any(|line| begins(line) && line.contains("ALLOW"))
            };
            if ports.iter().all(allows) { Rules::AllowPort } else { Rules::MayRefuse }
        }
        _ => Rules::ActiveUnreadable,
    };
    Some(Firewall { name: "ufw", rules })
}

async fn firewalld(ports: &[u16]) -> Option<Firewall> {
    process::named("firewalld").first()?;
    let mut rules = Rules::AllowPort;
    for port in ports {
        let answer = run("firewall-cmd", &[&format!("--query-port={port}/udp")]).await;
        match answer.as_ref().map(|ran| ran.output.trim()) {
            Some("yes") => {}
            Some("no") => rules = Rules::MayRefuse,
            _ => return Some(Firewall { name: "firewalld", rules: Rules::ActiveUnreadable }),
        }
    }
    Some(Firewall { name: "firewalld", rules })
}

/// Reads the rules of the kernel. Rules of `iptables` often appear among those of nftables as well.
async fn kernel(ports: &[u16]) -> Vec<Firewall> {
    let rules = |ran: Option<Ran>, read: fn(&str, &[u16]) -> Rules| {
        ran.map(|ran| if ran.succeeded { read(&ran.output, ports) } else { Rules::Unreadable })
    };
    let tables = [
        ("nftables", rules(run("nft", &["list", "ruleset"]).await, nft)),
        ("iptables", rules(run("iptables", &["-S"]).await, iptables)),
        ("ip6tables", rules(run("ip6tables", &["-S"]).await, iptables)),
    ];
    tables.into_iter().filter_map(|(name, rules)| Some(Firewall { name, rules: rules? })).collect()
}
