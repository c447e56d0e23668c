//! README.md and README.zh-CN.md: every command of their `console` blocks is run in a real shell, and each
//! output compared with the documented one.
//!
//! Ports are replaced by free ones; numbers and the width of blanks may differ, since times and addresses do.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Daemon, available};

const ENGLISH: &str = include_str!("../../../README.md");
const CHINESE: &str = include_str!("../../../README.zh-CN.md");

/// Waits, as a reader of the tour would, until there is something to read.
const WAIT_FOR_NEWS: &str =
    "for _ in $(seq 600); do [ -n \"$(udpchatctl inbox --peek)\" ] && break; sleep 0.05; done";

/// Stands before the output of each command.
const MARK: &str = "@@ next";

/// A command of the tour and what it prints.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

#[test]
fn the_readme_prints_the_documented_output() {
    run_tour(ENGLISH);
}

#[test]
fn the_chinese_readme_prints_the_documented_output() {
    run_tour(CHINESE);
}

#[test]
fn both_languages_run_the_same_commands() {
    let commands = |text| steps(text).into_iter().map(|step| step.command).collect::<Vec<_>>();
    assert_eq!(commands(ENGLISH), commands(CHINESE));
}

fn run_tour(text: &str) {
    if !available("bash") || !available("nc") || !available("python3") {
        return;
    }
    let daemon = Daemon::start_with("", &["--listen", "[::]:0"]);
    let bob = free_port();
    let ports = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", bob.port()))
            .replace("(\"\", 8080)", &format!("(\"\", {})", bob.port()))
            .replace("7788", &daemon.address().port().to_string())
    };
    let script = block(text, "python").expect("the tour has bob's program");
    std::fs::write(daemon.path("bob.py"), ports(script)).unwrap();

    let steps = steps(text);
    assert!(steps.len() > 10, "only {} commands were found", steps.len());
    let outputs = shell(&daemon, &ports(&shell_script(&steps)));
    assert_eq!(outputs.len(), steps.len());
    for (step, output) in steps.iter().zip(outputs) {
        assert_eq!(comparable(&output), comparable(&step.output), "$ {}", step.command);
    }
}

/// Returns the inside of the first block of a language.
fn block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    text.split_once(&format!("```{language}\n"))?.1.split("```").next()
}

/// Takes the console blocks apart.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for rest in text.split("```console\n").skip(1) {
        for line in rest.split("```").next().unwrap_or_default().lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), output: String::new() }),
                (None, Some(step)) => step.output += &format!("{line}\n"),
                (None, None) => panic!("output before any command: {line}"),
            }
        }
    }
    steps
}

fn shell_script(steps: &[Step]) -> String {
    let mut script = "exec 2>&1\n".to_owned();
    for step in steps {
        if step.command == "udpchatctl inbox" && !step.output.is_empty() {
            script += &format!("{WAIT_FOR_NEWS}\n");
        }
        if step.command.starts_with("cat ") {
            script += "wait\n";
        }
        script += &format!("echo '{MARK}'\n{}\n", step.command);
    }
    script
}

/// Runs the script; returns what each command printed.
fn shell(daemon: &Daemon, script: &str) -> Vec<String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_udpchatctl")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash")
        .current_dir(daemon.folder.path())
        .env_clear()
        .env("PATH", path)
        .env("PYTHONIOENCODING", "utf-8")
        .env("UDPCHAT_SOCKET", daemon.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap();
    output.split(&format!("{MARK}\n")).skip(1).map(str::to_owned).collect()
}

/// Makes every run of digits, and of blanks, the same.
fn comparable(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let same = if character.is_ascii_digit() { '0' } else { character };
        if !(matches!(same, '0' | ' ') && out.ends_with(same)) {
            out.push(same);
        }
    }
    out
}

fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
