//! How an export runs: files, pipes, lost daemons, memory, and progress on a terminal.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;

use crate::support::proc::status_number;
use crate::support::{
    Account, Daemon, OtherUser, available, ctl_without_daemon, eventually, finish, new_folder, scaled,
};

use super::with_many;

#[test]
fn an_unwritable_file_fails_before_any_query() {
    let daemon = with_many(10);
    for path in ["/no/such/folder/out", "/"] {
        daemon.ctl(&["export", "-o", path]).fails(1, &[&format!("cannot write {path}"), "caused by: "]);
    }
    let error = daemon.ctl(&["--json", "export", "-o", "/"]).stderr;
    let error: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["error"]["exit"], 1);
    // A full disk is reported as well.
    daemon.ctl(&["export", "-o", "/dev/full"]).fails(1, &["cannot write /dev/full"]);
    daemon.ctl(&["export", "--grep", "("]).fails(2, &["regular expression"]);
    daemon.ctl(&["export", "--from", "nobody"]).fails(2, &["nobody"]);
    daemon.ctl(&["export", "--since", "soon"]).fails(2, &["invalid time 'soon'"]);
}

#[test]
fn a_file_size_limit_is_an_error() {
    if !available("prlimit") {
        return;
    }
    let daemon = with_many(1_000);
    let (file, folder) = (daemon.path("out"), daemon.folder.path());
    fs::write(&file, "precious").unwrap();
    let before = fs::read_dir(folder).unwrap().count();
    for format in ["jsonl", "pcap"] {
        let export = daemon.ctl_command(&["export", "--format", format, "-o", file.to_str().unwrap()]);
        let ran = finish(limited(&export).current_dir(folder), b"");
        let texts = ["cannot write ", "File too large", "at most 5000 bytes", "ulimit -f unlimited"];
        ran.fails(1, &texts);
        assert_eq!(
            (fs::read(&file).unwrap(), fs::read_dir(folder).unwrap().count()),
            (b"precious".into(), before)
        );
    }
    let mut inbox = limited(&daemon.ctl_command(&["inbox", "--all"]));
    let output = inbox.stdout(fs::File::create(&file).unwrap()).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("cannot write to standard output") && complaint.contains("ulimit -f"),
        "{complaint}"
    );
}

/// Prepares a program that may write small files only.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("prlimit");
    limited.arg("--fsize=5000").arg(command.get_program()).args(command.get_args()).env_clear();
    limited.env("PATH", std::env::var_os("PATH").unwrap());
    limited
}

#[test]
fn a_file_of_another_user_has_a_hint() {
    let Some(other) = OtherUser::get() else { return };
    let account = Account::new(54_321, &[]);
    let daemon = Daemon::start_with("[control]\nread = [54321]\nsend = [54321]\n", &[]);
    let folder = other.folder().join("ours");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("out.pcap");
    fs::write(&file, "").unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(daemon.folder.path(), 0o755);
    mode(&folder, 0o755);
    mode(&file, 0o600);
    let (file, folder) = (file.to_str().unwrap(), folder.to_str().unwrap());
    let export = |to: &str| other.ctl(&account, &daemon, &["export", "-o", to]);
    let belongs = |path: &str, mode: &str| {
        format!(
            "{path} (mode {mode}) belongs to user root (0), and this program runs as user 54321: choose another path, or run it \
             as that user, with `sudo -u root`"
        )
    };
    export(file).fails(1, &["cannot write", &belongs(file, "0600")]);
    export(&format!("{folder}/new")).fails(1, &["cannot write", &belongs(folder, "0755")]);
    let replay = other.ctl(&account, &daemon, &["replay", "--file", file, "--to", "127.0.0.1:9"]);
    replay.fails(1, &["cannot read", &belongs(file, "0600")]);
    let send = other.ctl(&account, &daemon, &["send", "127.0.0.1:9", "--file", file]);
    send.fails(1, &["cannot read", &belongs(file, "0600")]);
    mode(Path::new(folder), 0o700);
    export(file).fails(1, &["cannot write", &belongs(folder, "0700")]);
}

#[test]
fn without_a_daemon_the_file_stays_unchanged() {
    let folder = new_folder();
    let (file, socket) = (folder.path().join("out"), folder.path().join("s"));
    fs::write(&file, "precious").unwrap();
    let args = ["--socket", socket.to_str().unwrap(), "export", "-o", file.to_str().unwrap()];
    ctl_without_daemon(&args, &[]).fails(3, &["no daemon"]);
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn a_closed_pipe_is_success() {
    let daemon = with_many(20_000);
    for args in [&["export"][..], &["export", "--format", "pcap"], &["export", "--grep", "."]] {
        let mut export = daemon.ctl_start(args);
        let mut pipe = export.stdout.take().unwrap();
        pipe.read_exact(&mut [0; 10]).unwrap();
        drop(pipe);
        let (code, complaint) = end_of(export);
        assert_eq!((code, complaint.as_str()), (Some(0), ""), "{args:?}");
    }
}

fn end_of(mut program: Child) -> (Option<i32>, String) {
    let ended = eventually("the end of the export", || program.try_wait().unwrap());
    let mut complaint = String::new();
    program.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    (ended.code(), complaint)
}

#[test]
fn a_lost_daemon_makes_the_export_incomplete() {
    for args in [
        &["export"][..],
        &["export", "--notices"],
        &["export", "--grep", "."],
        &["export", "--format", "pcap"],
        &["export", "--format", "csv"],
    ] {
        let daemon = with_many(50_000);
        let database = rusqlite::Connection::open(daemon.database()).unwrap();
        let silent = r#"UPDATE entry SET kind = 3, peer = NULL, local = NULL, payload = x'', detail = '{"notice":"silent"}'
                        WHERE id % 10 = 0"#;
        database.execute(silent, []).unwrap();
        let mut export = daemon.ctl_start(args);
        let mut pipe = BufReader::new(export.stdout.take().unwrap());
        // The output is far larger than all the buffers in between.
        let mut beginning = [0; 10_000];
        pipe.read_exact(&mut beginning).unwrap();
        let (_folder, _) = daemon.into_folder();
        let mut rest = Vec::new();
        pipe.read_to_end(&mut rest).unwrap();
        assert!(rest.len() < 50_000 * 116, "{args:?}: {}", rest.len());
        let (code, complaint) = end_of(export);
        assert_eq!(code, Some(1), "{args:?}: {complaint}");
        let wanted = ["error: the export is incomplete: it ends after ", "caused by: ", "hint: "];
        assert!(wanted.iter().all(|wanted| complaint.contains(wanted)), "{args:?}: {complaint}");
        // Notices count only where they are exported.
        let written = match args {
            [_, "--format", "pcap"] => (10_000 + rest.len() - 24) / (16 + 28 + 100),
            [_, "--format", "csv"] => lines(&beginning) + lines(&rest) - 1,
            _ => lines(&beginning) + lines(&rest),
        };
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let count = complaint.split_once(" after ").and_then(|(_, count)| count.split_once(' ')).unwrap().0;
        assert_eq!(digits(count), written.to_string(), "{args:?}: {complaint}");
    }
}

fn lines(output: &[u8]) -> usize {
    output.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn entries_removed_meanwhile_cause_a_warning() {
    let daemon = with_many(50_000);
    let mut export = daemon.ctl_start(&["export"]);
    let mut pipe = BufReader::new(export.stdout.take().unwrap());
    pipe.read_line(&mut String::new()).unwrap();
    let database = rusqlite::Connection::open(daemon.database()).unwrap();
    database.execute("DELETE FROM entry WHERE id BETWEEN 40001 AND 49000", []).unwrap();
    let rest = pipe.lines().count();
    assert_eq!(rest, 40_999);
    let (code, complaint) = end_of(export);
    assert_eq!(code, Some(0));
    assert!(complaint.starts_with("warning: 9,000 entries removed"), "{complaint}");
}

/// How much memory an export may take, without optimisation, in KiB; less than what it writes.
const MAX_RESIDENT_KIB: u64 = 32 * 1024;

#[test]
fn memory_does_not_grow_with_the_inbox() {
    let daemon = with_many(scaled(100_000, 1_000_000));
    for args in [&["export"][..], &["export", "--grep", "."], &["export", "--format", "pcap"]] {
        let mut export = daemon.ctl_start(args);
        let mut pipe = export.stdout.take().unwrap();
        let (mut most, mut bytes) = (0, 0);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = pipe.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            most = most.max(status_number(export.id(), "VmHWM:").unwrap_or(0));
        }
        assert_eq!(end_of(export), (Some(0), String::new()), "{args:?}");
        assert!((1..MAX_RESIDENT_KIB).contains(&most), "{args:?}: {most} KiB were resident");
        assert!(args.len() == 3 || bytes as u64 > MAX_RESIDENT_KIB * 1024, "{args:?}: {bytes}");
    }
}

/// Runs a command line of `udpchatctl` on a terminal; returns what the terminal got.
fn on_a_terminal(daemon: &Daemon, line: &str) -> Option<String> {
    if !available("script") {
        return None;
    }
    let program =
        format!("{} --socket {} {line}", env!("CARGO_BIN_EXE_udpchatctl"), daemon.socket().display());
    let script = ["-qec", &program, "/dev/null"];
    let output = Command::new("script").args(script).stdin(std::process::Stdio::null()).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_capture_is_not_written_to_a_terminal() {
    let daemon = with_many(10);
    let Some(shown) = on_a_terminal(&daemon, "export --format pcap") else { return };
    assert!(shown.contains("a capture file is binary data") && shown.contains("-o FILE"), "{shown}");
    let shown = on_a_terminal(&daemon, "export -n 1").unwrap();
    assert!(shown.starts_with(r#"{"type":"message","id":10,"#) && shown.contains("note: 1 entry"), "{shown}");
}

#[test]
fn a_terminal_shows_the_progress() {
    let daemon = with_many(50_000);
    let file = daemon.path("out.jsonl");
    let file = file.to_str().unwrap();
    let Some(shown) = on_a_terminal(&daemon, &format!("export -o {file}")) else { return };
    assert!(shown.contains("\r") && shown.contains(" of about 50,000 entries, "), "{shown}");
    assert!(shown.trim_end().ends_with("\rnote: 50,000 entries"), "{shown}");
    let shown = on_a_terminal(&daemon, &format!("-q export -o {file}")).unwrap();
    assert_eq!(shown, "");
}

#[test]
fn a_killed_export_leaves_no_half_file() {
    let daemon = with_many(100_000);
    let file = daemon.path("out.jsonl");
    let mut part = None;
    let mut export = daemon.ctl_start(&["export", "-o", file.to_str().unwrap()]);
    let is_part = |path: &std::path::PathBuf| path.to_str().unwrap().contains("out.jsonl.part-");
    eventually("a part of the export", || {
        let mut files = fs::read_dir(daemon.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        part = files.find(is_part);
        part.as_ref().and_then(|part| fs::metadata(part).ok()).filter(|part| part.len() > 0).map(drop)
    });
    export.kill().unwrap();
    export.wait().unwrap();
    assert!(!file.exists());
    assert!(part.unwrap().exists(), "it was killed before its end");
    daemon.ctl(&["-q", "export", "-o", file.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 100_000);
}
