//! The unit files, checked by systemd without running them.

use std::process::Command;

use crate::machine::{Machine, SERVICE};
use crate::support::available;

/// How much of the machine the service can reach, by systemd's own measure: 10 is everything. Above it, the unit fails.
/// What is left is the network, the control socket and the users whose names it looks up.
const EXPOSURE_LIMIT: f64 = 1.5;

#[test]
fn the_service_is_exposed_as_little_as_promised() {
    if !available("systemd-analyze") {
        return;
    }
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/daemon/systemd/system/udpchatd.service");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--json=off", "--no-pager", unit])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let verdict = text.lines().find(|line| line.contains("Overall exposure level"));
    let verdict = verdict.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let level = verdict.rsplit_once(": ").and_then(|(_, rest)| rest.split(' ').next()).unwrap();
    assert!(level.parse::<f64>().unwrap() <= EXPOSURE_LIMIT, "{text}");
}

#[test]
fn systemd_analyze_accepts_the_units() {
    // In a machine, where what the units name is installed.
    let Some(machine) = Machine::boot() else { return };
    machine.run(&["mkdir", "-p", "/run/user/0"]).done();
    for (manager, folder) in [("--system", "system"), ("--user", "user")] {
        for unit in [SERVICE, crate::machine::SOCKET] {
            let path = format!("/usr/lib/systemd/{folder}/{unit}");
            // Manual pages are made by the package.
            let analyze = ["env", "XDG_RUNTIME_DIR=/run/user/0", "systemd-analyze", "verify", "--man=no"];
            let ran = machine.run(&[&analyze[..], &[manager, &path]].concat());
            assert_eq!(
                (ran.code, ran.stdout.trim(), ran.stderr.trim()),
                (Some(0), "", ""),
                "{manager} {unit}"
            );
        }
    }
}
