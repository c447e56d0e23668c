//! Power cuts that lose any part of what was not synced: sectors written after the last `fsync` of a file are kept or dropped by a
//! seed, whatever their order, as by a disk with a volatile cache.
//!
//! strace records the writes and the finished `fsync` calls of a daemon under load, until it is killed. Of each recording, several
//! data directories are built: all writes before the last `fsync` of their file, and a selection of the later ones, by sectors of
//! 512 bytes. The next daemon runs on such a directory, with another boot identifier.
//!
//! The names of files do not change in a recording. It rests on `fsync` of the file system and on a disk that keeps whole
//! sectors.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::kills::wait_for_all;
use crate::load::{Acknowledged, CONFIG, Load, account, check_integrity};
use crate::mounts::{Mounted, new_namespace, set_boot_id};
use crate::random::{Random, seed};
use crate::support::{Daemon, Guard, available, eventually, id, new_folder, scaled};

/// How many recordings, in the short and in the full size, and how many cuts of each.
const RECORDINGS: (usize, usize) = (2, 40);
const CUTS: usize = 5;

/// What a disk keeps or loses as a whole, in bytes.
const SECTOR: usize = 512;

#[test]
fn lost_unsynced_writes_lose_nothing_acknowledged() {
    if !(new_namespace() && available("strace")) {
        return;
    }
    let (seed, recordings) = (seed(), scaled(RECORDINGS.0, RECORDINGS.1));
    let mut random = Random(seed);
    let memory = new_folder();
    let _tmpfs = Mounted::tmpfs(&memory.path().join("t"), "64m");
    let (mut wrong, mut acknowledged, mut dropped) = (Vec::new(), 0, 0);
    for number in 0..recordings {
        let recording = Recording::make(&mut random);
        acknowledged += recording.acknowledged.len();
        for cut in 0..CUTS {
            set_boot_id(&memory.path().join("t"), &mut random);
            let (found, lost) = recording.cut(&mut random);
            dropped += lost;
            wrong.extend(
                found.into_iter().map(|wrong| format!("recording {number}, cut {cut}: {wrong:.2000}")),
            );
        }
    }
    let cuts = recordings * CUTS;
    eprintln!(
        "lost writes: seed {seed}, {cuts} cuts of {recordings} recordings, {acknowledged} acknowledged, {dropped} sectors dropped, \
         {} wrong",
        wrong.len()
    );
    assert_eq!(json!(wrong), json!([]));
}

/// A change of a file.
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => file.resize(*length, 0),
            Self::Write { at, bytes } => {
                file.resize(file.len().max(at + bytes.len()), 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

/// A file: what is synced, and the later changes.
#[derive(Default)]
struct File {
    synced: Vec<u8>,
    changes: Vec<Change>,
}

/// The files of a daemon that was killed, and what it had answered for.
struct Recording {
    files: BTreeMap<String, File>,
    acknowledged: Acknowledged,
    sent: u64,
}

impl Recording {
    fn make(random: &mut Random) -> Self {
        let mut daemon = Daemon::start_with(CONFIG, &[]);
        wait_for_all(&daemon);
        let trace = daemon.path("trace");
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-qq",
            "-y",
            "-xx",
            "-s",
            "2000000",
            "-e",
            "trace=pwrite64,fsync,fdatasync,ftruncate",
        ]);
        strace.arg("-o").arg(&trace).arg("-p").arg(daemon.pid().to_string());
        let mut strace =
            Guard::start(strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        eventually("strace to attach", || is_traced(daemon.pid()).then_some(()));
        let data = daemon.path("data");
        let mut files = BTreeMap::new();
        for file in fs::read_dir(&data).unwrap().map(Result::unwrap) {
            let name = file.file_name().into_string().unwrap();
            let synced = fs::read(file.path()).unwrap();
            // The index of the log is shared memory, made again at each start.
            if name != "inbox.db-shm" {
                files.insert(name, File { synced, changes: Vec::new() });
            }
        }
        let load = Load::start(&daemon, 0, Random(random.next()));
        thread::sleep(Duration::from_millis(100 + random.below(900) as u64));
        daemon.signal(Signal::SIGKILL);
        let _ended = daemon.wait();
        strace.wait();
        let (acknowledged, sent) = load.end();
        let mut recording = Self { files, acknowledged, sent };
        recording.replay(&fs::read_to_string(trace).unwrap(), &data);
        recording
    }

    /// Reads the lines of strace.
    fn replay(&mut self, trace: &str, data: &Path) {
        // Of each thread whose `fsync` has not ended: the file, and how many changes came before.
        let mut syncing = HashMap::<&str, (String, usize)>::new();
        for line in trace.lines() {
            let Some((thread, call)) = line.split_once(' ').map(|(thread, call)| (thread, call.trim_start()))
            else {
                continue;
            };
            if call.starts_with("<... f") && call.contains("sync resumed>") {
                if let Some((name, changes)) = syncing.remove(thread).filter(|_| call.ends_with("= 0")) {
                    self.sync(&name, changes);
                }
                continue;
            }
            let Some((name, arguments)) = file_of(call, data) else { continue };
            let file = self.files.entry(name.clone()).or_default();
            if call.starts_with("pwrite64(") {
                file.changes.extend(write_of(arguments));
            } else if call.starts_with("ftruncate(") {
                let length = arguments.trim_start_matches(", ").split([')', ' ']).next();
                file.changes.extend(length.and_then(|length| length.parse().ok()).map(Change::Truncate));
            } else if arguments.contains("unfinished") {
                syncing.insert(thread, (name, file.changes.len()));
            } else if arguments.ends_with("= 0") {
                let changes = file.changes.len();
                self.sync(&name, changes);
            }
        }
    }

    fn sync(&mut self, name: &str, changes: usize) {
        let file = self.files.get_mut(name).unwrap();
        for change in file.changes.drain(..changes) {
            change.apply(&mut file.synced);
        }
    }

    /// Runs a daemon on what a cut may leave; returns what is wrong, and how many sectors were dropped.
    fn cut(&self, random: &mut Random) -> (Vec<String>, usize) {
        let folder = new_folder();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        // Some cuts keep nearly all, others nearly nothing.
        let (kept_of_8, mut dropped) = (random.below(9), 0);
        for (name, file) in &self.files {
            let mut bytes = file.synced.clone();
            for change in &file.changes {
                match change {
                    Change::Write { at, bytes: written } => {
                        let mut from = 0;
                        while from < written.len() {
                            let to = written.len().min(((at + from) / SECTOR + 1) * SECTOR - at);
                            if random.below(8) < kept_of_8 {
                                Change::Write { at: at + from, bytes: written[from..to].to_vec() }
                                    .apply(&mut bytes);
                            } else {
                                dropped += 1;
                            }
                            from = to;
                        }
                    }
                    truncate if random.below(8) < kept_of_8 => truncate.apply(&mut bytes),
                    _ => dropped += 1,
                }
            }
            fs::write(data.join(name), bytes).unwrap();
        }
        fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
        let mut wrong = Vec::from_iter(check_integrity(&data).err());
        let began = Instant::now();
        let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        if began.elapsed() > Duration::from_secs(2) {
            wrong.push(format!("a start took {:?}", began.elapsed()));
        }
        wait_for_all(&daemon);
        let (status, entries) = (daemon.status(), daemon.entries());
        if status["state"] != "ok" {
            wrong.push(format!("{status}"));
        }
        wrong.extend(account(&entries, 0..self.sent).err());
        if self.acknowledged.newest() >= entries.last().map(id) {
            wrong.push(format!("{:?} was shown, {:?}", self.acknowledged.newest(), entries.last()));
        }
        wrong.extend(self.acknowledged.missing_in(&daemon, &entries));
        (wrong, dropped)
    }
}

/// Returns the name of the file in the data directory that a call is for, and the rest of its arguments.
fn file_of<'a>(call: &'a str, data: &Path) -> Option<(String, &'a str)> {
    let (_, rest) = call.split_once('<')?;
    let (path, arguments) = rest.split_once('>')?;
    let path = String::from_utf8(unescape(path)).ok()?;
    let name = Path::new(&path).strip_prefix(data).ok()?;
    // The directory itself is synced too.
    name.file_name()?;
    Some((name.to_str()?.to_owned(), arguments))
}

/// Returns the write of `, "BYTES", LENGTH, OFFSET`; none if it failed.
fn write_of(arguments: &str) -> Option<Change> {
    let (bytes, rest) = arguments.strip_prefix(", \"")?.split_once('"')?;
    let at = rest.trim_start_matches(", ").split([',', ')', '<']).nth(1)?.trim().parse().ok()?;
    (!rest.contains("= -1")).then(|| Change::Write { at, bytes: unescape(bytes) })
}

/// Reads `\x61\x62`.
fn unescape(text: &str) -> Vec<u8> {
    let numbers = text.split("\\x").skip(1);
    numbers.map(|number| u8::from_str_radix(&number[..2], 16).unwrap()).collect()
}

fn is_traced(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| entry.unwrap().path());
    let mut states = threads.map(|thread| fs::read_to_string(thread.join("status")).unwrap_or_default());
    states.all(|state| !state.contains("TracerPid:\t0\n"))
}
