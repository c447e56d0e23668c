//! Completion in real shells, with a real daemon, and without any.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Daemon, Peer, Running, available, eventually, new_folder, path_with_programs};

/// Two peers, one of which needs quoting in a shell.
const PEERS: &str = "[peers.bobby]\naddress = \"127.0.0.1:9\"\nencoding = \"gbk\"\n\
                     [peers.\"bo$HOME\"]\naddress = \"127.0.0.1:10\"\n\
                     [peers.\"小明\"]\naddress = \"127.0.0.2\"\n";

/// Prepares a program as a shell that has completion would find this one.
fn in_a_shell(program: &str, socket: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path_with_programs())
        .env("HOME", socket.parent().unwrap())
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .env("UDPCHAT_SOCKET", socket)
        .current_dir(socket.parent().unwrap());
    command
}

/// Requests completions of a line as bash does; returns the candidates for its last word.
#[track_caller]
fn offered(socket: &Path, line: &[&str]) -> Vec<String> {
    let output = in_a_shell(env!("CARGO_BIN_EXE_udpchatctl"), socket)
        .env("_UDPCHATCTL_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", line.len().to_string())
        .args(["--", "udpchatctl"])
        .args(line)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Types a line into a shell that runs on a terminal; returns what the daemon has sent then.
#[track_caller]
fn typed(daemon: &Daemon, shell: &str, load: &str, line: &str) -> Value {
    let mut terminal =
        Running::start(in_a_shell("script", &daemon.socket()).args(["-qc", shell, "/dev/null"]));
    terminal.type_in(&format!("{load}\n{line}\n"));
    let sent = |entries: Vec<Value>| entries.into_iter().find(|entry| entry["direction"] == "out");
    let sent = eventually("the message", || sent(daemon.entries()));
    terminal.type_in("exit\n");
    assert!(terminal.wait().success());
    sent
}

/// Types the beginnings of a subcommand and of bobby's name, and checks that the whole was sent.
#[track_caller]
fn types_hello_to_bobby(shell: &str, load: &str) {
    if !available("script") || !available(shell.split(' ').next().unwrap()) {
        return;
    }
    let daemon = Daemon::start_with(PEERS, &[]);
    let sent = typed(&daemon, shell, load, "udpchatctl sen\tbo\thello");
    assert_eq!((&sent["name"], &sent["text"]), (&"bobby".into(), &"hello".into()));
}

#[test]
fn bash_completes_a_peer() {
    types_hello_to_bobby("bash --norc --noprofile -i", "source <(udpchatctl completions bash)");
}

#[test]
fn bash_completes_an_address_behind_its_colon() {
    if !available("script") || !available("bash") {
        return;
    }
    let daemon = Daemon::start();
    let stranger = Peer::at("[::1]:0");
    let inside = Daemon::start_with("", &["--listen", "[::1]:0"]);
    for (daemon, stranger) in [(&daemon, &Peer::new()), (&inside, &stranger)] {
        daemon.receive_from(stranger, ["hello"]);
        let whole = stranger.name();
        let part = &whole[..whole.len() - 2];
        let load = "source <(udpchatctl completions bash)";
        let line = format!("udpchatctl send {part}\thello");
        let sent = typed(daemon, "bash --norc --noprofile -i", load, &line);
        assert_eq!((&sent["peer"], &sent["text"]), (&whole.into(), &"hello".into()));
    }
}

#[test]
fn zsh_completes_a_peer() {
    let load = "autoload -Uz compinit && compinit -D -u; source <(udpchatctl completions zsh)";
    types_hello_to_bobby("zsh -f -i", load);
}

#[test]
fn zsh_completes_a_peer_on_first_autoload() {
    let load = "udpchatctl completions zsh > _udpchatctl; fpath=($PWD $fpath); \
                autoload -Uz compinit && compinit -D -u";
    types_hello_to_bobby("zsh -f -i", load);
}

#[test]
fn fish_completes_a_peer() {
    if !available("fish") {
        return;
    }
    let daemon = Daemon::start_with(PEERS, &[]);
    let script = "udpchatctl completions fish | source; complete -C 'udpchatctl send bo'";
    let output = in_a_shell("fish", &daemon.socket()).args(["--no-config", "-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "bobby\t127.0.0.1:9, gbk\n");
}

#[test]
fn each_argument_offers_its_own_kind_of_value() {
    let daemon = Daemon::start_with(PEERS, &[]);
    let stranger = Peer::new();
    daemon.receive_from(&stranger, ["one", "two"]);
    let socket = daemon.socket();
    let address = stranger.name();
    for line in [&["send", ""][..], &["ask", ""], &["inbox", "--from", ""], &["wait", "--from", ""]] {
        let offered = offered(&socket, line);
        for peer in ["bobby", "小明", &address] {
            assert!(offered.iter().any(|word| word == peer), "{line:?}: {offered:?}");
        }
        assert!(!offered.iter().any(|word| word.contains('$')), "{offered:?}");
    }
    // The newest first; flags come behind them.
    assert_eq!(offered(&socket, &["reply", ""])[..2], ["2", "1"]);
    assert_eq!(offered(&socket, &["send", "bobby", "-e", "gb"]), ["gbk", "gb18030"]);
    assert_eq!(offered(&socket, &["recode", "--as", "au"]), ["auto"]);
    assert_eq!(offered(&socket, &["recod"]), ["recode"]);
    // The line may name another daemon than the environment.
    let nobody = daemon.path("nobody");
    let socket = socket.to_str().unwrap();
    assert_eq!(offered(&nobody, &["--socket", socket, "send", "bobb"]), ["bobby"]);
}

#[test]
fn without_a_daemon_completion_is_silent() {
    let folder = new_folder();
    let nobody = folder.path().join("none");
    assert!(offered(&nobody, &["send", ""]).iter().all(|word| word.starts_with('-')));
    assert_eq!(offered(&nobody, &["sen"]), ["send"]);
    // One that takes connections and never answers.
    let silent = folder.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    let began = Instant::now();
    assert!(offered(&silent, &["send", "bo"]).is_empty());
    // Far more than it takes, and far less than a request may take.
    assert!(began.elapsed() < Duration::from_secs(15));
    // An invalid line is no error either.
    drop(offered(&nobody, &["no", "such", "command", ""]));
}
