//! The queries: command lines to time, and their results.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use encoding_rs::GBK;
use serde_json::Value;

use crate::corpus::{Corpus, RARE_ASCII, RARE_GBK, RARE_UTF8};
use crate::harness::before;
use crate::harness::daemon::Daemon;

/// A command line.
pub(crate) struct Question {
    pub(crate) name: String,
    command: Command,
    /// Of a question to the daemon: the arguments of `udpchatctl`.
    arguments: Vec<String>,
    /// How many lines the answer must have, if it is about messages.
    expected: Option<usize>,
    /// In milliseconds.
    times: Vec<f64>,
    lines: usize,
}

/// Lists the questions to the daemon, then those to other programs about the same messages.
pub(crate) fn all(daemon: &Daemon, corpus: &Corpus, log: &Path) -> Vec<Question> {
    let mut questions = of_build(daemon, corpus);
    questions.extend(others(&daemon.data_dir().join("inbox.db"), log));
    questions
}

/// Lists the questions to the daemon of the other build, which has a corpus of its own.
pub(crate) fn before(daemon: &Daemon, corpus: &Corpus) -> Vec<Question> {
    let other = |question: Question| Question {
        name: format!("before: {}", question.name),
        command: before::program("udpchatctl", &question.command),
        // Its answers are not compared.
        arguments: Vec::new(),
        ..question
    };
    of_build(daemon, corpus).into_iter().map(other).collect()
}

/// Lists the questions to a daemon.
fn of_build(daemon: &Daemon, corpus: &Corpus) -> Vec<Question> {
    let version = Question::new("udpchatctl version", daemon.ctl(&["version"]), None);
    let ask = |name, expected, arguments: &[&str]| Question {
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        ..Question::new(name, daemon.ctl(arguments), Some(expected))
    };
    let rare_peer = corpus.rare_peer.to_string();
    vec![
        version,
        ask("inbox -n 20", 20, &["inbox", "-n", "20"]),
        ask("inbox --from RARE -n 20", 20, &["inbox", "--from", &rare_peer, "-n", "20"]),
        ask("inbox --from RARE --direction in", 3, &["inbox", "--from", &rare_peer, "--direction", "in"]),
        ask("inbox --since MIDDLE -n 20", 20, &["inbox", "--since", &corpus.middle, "-n", "20"]),
        ask("inbox --since END -n 20", 20, &["inbox", "--since", &corpus.near_the_end, "-n", "20"]),
        ask("inbox --until MIDDLE -n 20", 20, &["inbox", "--until", &corpus.middle, "-n", "20"]),
        ask("inbox --direction out -n 20", 20, &["inbox", "--direction", "out", "-n", "20"]),
        ask("inbox --grep ASCII", 1, &["inbox", "--grep", RARE_ASCII]),
        ask("inbox --grep UTF-8", 1, &["inbox", "--grep", RARE_UTF8]),
        ask("inbox --grep GBK", 1, &["inbox", "--grep", RARE_GBK]),
        ask("inbox --grep NOWHERE", 0, &["inbox", "--grep", "no such text anywhere"]),
    ]
}

fn others(inbox: &Path, log: &Path) -> Vec<Question> {
    let gbk = GBK.encode(RARE_GBK).0;
    let mut others = vec![
        grep("grep -a ASCII", "C.UTF-8", RARE_ASCII.as_bytes(), log),
        grep("LC_ALL=C grep -a ASCII", "C", RARE_ASCII.as_bytes(), log),
        grep("grep -a UTF-8", "C.UTF-8", RARE_UTF8.as_bytes(), log),
        grep("LC_ALL=C grep -a UTF-8", "C", RARE_UTF8.as_bytes(), log),
        grep("LC_ALL=C grep -a GBK", "C", &gbk, log),
    ];
    let version = Command::new("sqlite3").arg("--version").stdout(Stdio::null()).status();
    if version.is_ok_and(|ended| ended.success()) {
        let instr = format!("instr(payload, CAST('{RARE_ASCII}' AS BLOB))");
        others.push(sqlite("sqlite3 instr ASCII", inbox, &instr));
        others.push(sqlite(
            "sqlite3 LIKE ASCII",
            inbox,
            &format!("CAST(payload AS TEXT) LIKE '%{RARE_ASCII}%'"),
        ));
    } else {
        println!("left out: sqlite3, which is not installed; see tests/bench/install-peers");
    }
    others
}

fn grep(name: &'static str, locale: &str, literal: &[u8], log: &Path) -> Question {
    let mut command = Command::new("grep");
    command.env("LC_ALL", locale).args(["-a", "-e"]).arg(OsStr::from_bytes(literal)).arg(log);
    Question::new(name, command, Some(1))
}

fn sqlite(name: &'static str, inbox: &Path, condition: &str) -> Question {
    let mut command = Command::new("sqlite3");
    command.arg("-readonly").arg(inbox).arg(format!("SELECT id FROM entry WHERE {condition}"));
    Question::new(name, command, Some(1))
}

impl Question {
    fn new(name: &str, command: Command, expected: Option<usize>) -> Self {
        Self { name: name.to_owned(), command, arguments: Vec::new(), expected, times: Vec::new(), lines: 0 }
    }

    /// Runs it, and records how long it took.
    pub(crate) fn ask(&mut self) {
        let command = self.command.stdin(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let output = command.output().unwrap();
        self.times.push(began.elapsed().as_secs_f64() * 1e3);
        let lines = output.stdout.iter().filter(|&&byte| byte == b'\n').count();
        let expected = self.expected.unwrap_or(lines);
        assert!(lines == expected, "{lines} lines instead of {expected}: {command:?}");
        self.lines = lines;
    }

    pub(crate) fn times(&self) -> &[f64] {
        &self.times
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Returns how long it took in all.
    pub(crate) fn taken(&self) -> Duration {
        Duration::from_secs_f64(self.times.iter().sum::<f64>() / 1e3)
    }

    /// Returns whether it is put to the daemon, about the inbox.
    pub(crate) fn is_to_daemon(&self) -> bool {
        !self.arguments.is_empty()
    }

    /// Returns the entries that the daemon answers with.
    pub(crate) fn entries(&self, daemon: &Daemon) -> Vec<Value> {
        self.entries_timed(daemon).0
    }

    /// Returns the entries, and how long it took to get them.
    pub(crate) fn entries_timed(&self, daemon: &Daemon) -> (Vec<Value>, Duration) {
        if !self.is_to_daemon() {
            return (Vec::new(), Duration::ZERO);
        }
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.push("--json");
        let began = Instant::now();
        let output = daemon.ctl(&arguments).output().unwrap();
        let took = began.elapsed();
        let text = String::from_utf8(output.stdout).unwrap();
        (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), took)
    }
}
