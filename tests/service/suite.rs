//! The end-to-end tests with each daemon in the sandbox of the unit, to find what the sandbox wrongly forbids.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::machine::Machine;

/// Tests that make no sense in the sandbox, or in a machine.
const LEFT_OUT: [(&str, &str); 3] = [
    (
        "commands::doctor::a_full_disk_is_a_problem",
        "its disk is mounted for the programs of one host, and the daemon is no child of that host",
    ),
    ("project::layering::", "they start no daemon, and call cargo, which the machine does not have"),
    (
        "service::surroundings::a_read_only_data_directory_is_named",
        "its container makes the root read-only, and the machine has the data directory on a disk of its own",
    ),
];

/// Builds the end-to-end tests, if they are not, as these were built; returns the program.
fn end_to_end_tests() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["test", "--test", "e2e", "--no-run", "--message-format=json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success());
    let messages = String::from_utf8(built.stdout).unwrap();
    let artifacts = messages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let program = artifacts.filter(|message| message["target"]["name"] == "e2e");
    program.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back().unwrap()
}

#[test]
fn the_end_to_end_tests_pass_in_the_sandbox() {
    let program = end_to_end_tests();
    let Some(machine) = Machine::boot() else { return };
    // Not `/tmp`, which the sandbox replaces by an empty one.
    machine.run(&["mkdir", "/srv/t"]).done();
    let mut tests = machine.command(&[program.to_str().unwrap()]);
    for (name, _) in LEFT_OUT {
        tests.args(["--skip", name]);
    }
    // Most of the time they wait for systemd.
    tests.arg("--test-threads=8").current_dir(env!("CARGO_MANIFEST_DIR"));
    let kept = ["CI", "UDPCHAT_REQUIRE_TOOLS", "UDPCHAT_CAMPAIGN"];
    tests.envs(kept.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    let ran = tests.env("UDPCHAT_UNDER_UNIT", "1").env("TMPDIR", "/srv/t").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    // What failed, without the hundreds of names that passed.
    let failures = said.find("\nfailures:\n").map_or(&*said, |start| &said[start..]);
    assert!(ran.status.success(), "{failures}\n{}", String::from_utf8_lossy(&ran.stderr));
    let units = machine.run(&["journalctl", "--output=cat", "--grep=^Started udpchat-test-"]).done();
    let result = said.lines().find(|line| line.starts_with("test result")).unwrap();
    eprintln!("{result}; {} daemons in the sandbox", units.lines().count());
    assert!(units.lines().count() > 100, "the daemons were not in the sandbox");
}
