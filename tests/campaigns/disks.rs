//! Disks that are full, read-only, limited, slow or broken while a daemon runs on them, and as they were again.
//!
//! Of each fault: reception goes on, and the kernel drops nothing at a rate that the daemon can keep up with; what cannot be
//! stored waits in memory; a problem is reported within a second, and is over within five seconds of the end; no send is
//! answered for that is not stored; no kind of line is logged more than once a second; the counters balance at every reading.
//!
//! The full size repeats each fault with other rates and lengths. The kernel of the test machine may have no quotas, so a quota
//! is shown by a limit of the file size, and by `EDQUOT`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::counters::Counters;
use crate::load::{CONFIG, check_integrity, number_of};
use crate::mounts::{Mounted, make_ext4, new_namespace};
use crate::power_cuts::has_stopped;
use crate::random::{Random, seed};
use crate::steady::{
    BEGINS_WITHIN, ENDS_WITHIN, Progress, Rate, Steady, falsely_answered, floods, is_degraded, number,
    settled,
};
use crate::support::{Daemon, Delay, Injection, available, eventually, new_folder, proc, scaled};

/// How often each fault is made, in the short and in the full size.
const ROUNDS: (usize, usize) = (1, 10);

/// The size of the image of a disk.
const IMAGE_BYTES: u64 = 160 << 20;

/// More than the memory of a daemon holds during the shortest fault: at most 22 MB a second.
const FLOOD: Rate = Rate { bytes: 1_400, burst: 16, pause: Duration::from_millis(1) };

/// The size of the image of a disk that is flooded. It has room for the flood of the longest fault, of the time before it and of
/// [`ENDS_WITHIN`]: otherwise the inbox itself would fill the disk again.
const FLOODED_IMAGE_BYTES: u64 = 400 << 20;

/// How long a flood may take to fill the memory of a daemon: 24 MiB, at a tenth of the usual speed and less.
const DROPS_WITHIN: Duration = Duration::from_secs(60);

/// What a fault is expected to do.
#[derive(Clone, Copy)]
struct Expected {
    /// Whether it keeps entries from being stored, which is a problem.
    is_problem: bool,
    /// Whether the disk is replaced by a copy: an event, which stays until somebody has seen it.
    is_replaced: bool,
    /// Whether datagrams are dropped, since more come than memory may hold.
    drops: bool,
}

const PROBLEM: Expected = Expected { is_problem: true, is_replaced: false, drops: false };

#[test]
fn faults_of_a_mounted_disk_stop_no_reception() {
    if !(new_namespace() && available("prlimit")) {
        return;
    }
    let mut campaign = Campaign::new("mounted disks");
    for _ in 0..scaled(ROUNDS.0, ROUNDS.1) {
        campaign.run("a full tmpfs", |faults| {
            let disk = Disk::tmpfs();
            faults.make(disk.daemon(), PROBLEM, |_| Ballast::fill(&disk.data), drop)
        });
        campaign.run("a full ext4", |faults| {
            let disk = Disk::ext4("defaults", IMAGE_BYTES);
            faults.make(disk.daemon(), PROBLEM, |_| Ballast::fill(&disk.data), drop)
        });
        campaign.run("a read-only ext4", |faults| {
            let mut disk = Disk::ext4("errors=remount-ro", IMAGE_BYTES);
            let (data, expected) = (disk.data.clone(), Expected { is_replaced: true, ..PROBLEM });
            faults.make(disk.daemon(), expected, |daemon| fail_ext4(daemon, &data), |()| disk.replace())
        });
        campaign.run("a file size limit", |faults| {
            let daemon = Daemon::start_with(CONFIG, &[]);
            let pid = daemon.pid();
            let limit = |bytes: &str| {
                let mut command = Command::new("prlimit");
                command.args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:unlimited")]);
                assert!(command.status().unwrap().success());
            };
            faults.make(daemon, PROBLEM, |_| limit("8192"), |()| limit("unlimited"))
        });
    }
    campaign.end();
}

#[test]
fn failing_and_slow_calls_of_a_disk_stop_no_reception() {
    if !available("strace") {
        return;
    }
    let mut campaign = Campaign::new("calls of a disk");
    let start = || Daemon::start_with(CONFIG, &[]);
    for _ in 0..scaled(ROUNDS.0, ROUNDS.1) {
        for (name, calls, errno) in [
            ("a broken disk", "openat,pread64,pwrite64,fsync,ftruncate", "EIO"),
            ("a read-only disk", "openat,pwrite64,fsync,ftruncate", "EROFS"),
            ("a quota", "pwrite64,ftruncate", "EDQUOT"),
        ] {
            campaign.run(name, |faults| {
                let inject = |daemon: &Daemon| Injection::start(daemon.pid(), calls, errno, "1+");
                faults.make(start(), PROBLEM, inject, drop)
            });
        }
        campaign.run("a slow disk", |faults| {
            let expected = Expected { is_problem: false, ..PROBLEM };
            let delay = |daemon: &Daemon| {
                let writer = proc::thread(Path::new("/proc"), daemon.pid(), "writer");
                Delay::start(&mut Command::new("strace"), &writer, "fsync", Duration::from_millis(300))
            };
            faults.make(start(), expected, delay, drop)
        });
    }
    campaign.end();
}

#[test]
fn a_disk_that_stays_full_loses_only_what_is_counted() {
    if !new_namespace() {
        return;
    }
    let mut campaign = Campaign::new("disks that stay full");
    for _ in 0..scaled(1, 5) {
        campaign.run("a full ext4 in a flood", |faults| {
            let disk = Disk::ext4("defaults", FLOODED_IMAGE_BYTES);
            faults.rate = FLOOD;
            let expected = Expected { drops: true, ..PROBLEM };
            faults.make(disk.daemon(), expected, |_| Ballast::fill(&disk.data), drop)
        });
    }
    campaign.end();
}

/// The faults of a test, and what was wrong.
struct Campaign {
    name: &'static str,
    seed: u64,
    random: Random,
    faults: usize,
    wrong: Vec<String>,
}

impl Campaign {
    fn new(name: &'static str) -> Self {
        let seed = seed();
        Self { name, seed, random: Random(seed), faults: 0, wrong: Vec::new() }
    }

    fn run(&mut self, name: &str, make: impl FnOnce(&mut Fault) -> Vec<String>) {
        let mut fault = Fault::new(&mut self.random);
        let wrong = make(&mut fault);
        let verdict = if wrong.is_empty() { "right" } else { "WRONG" };
        eprintln!("{name}: {verdict}; {fault:?}");
        self.faults += 1;
        for wrong in wrong {
            eprintln!("{wrong:.2000}");
            self.wrong.push(format!("{name}: {wrong:.2000}"));
        }
    }

    fn end(self) {
        eprintln!("{}: seed {}, {} faults, {} wrong", self.name, self.seed, self.faults, self.wrong.len());
        assert_eq!(json!(self.wrong), json!([]));
    }
}

/// How long a fault lasts and how much arrives meanwhile, and what was seen.
#[derive(Debug)]
struct Fault {
    time: Duration,
    rate: Rate,
    sent: u64,
    /// How long after the beginning a problem was seen, and how long after the end there was none.
    began: Option<Duration>,
    over: Option<Duration>,
}

impl Fault {
    fn new(random: &mut Random) -> Self {
        let time = Duration::from_millis(2_000 + random.below(scaled(1, 3_000)) as u64);
        let rate = Rate { bytes: 1_000, burst: 2, pause: Duration::from_millis(5) };
        let rate = if random.below(scaled(1, 3)) == 0 { rate } else { Rate { burst: 8, ..rate } };
        Self { time, rate, sent: 0, began: None, over: None }
    }

    /// Makes the fault under load; returns what is wrong.
    fn make<T>(
        &mut self,
        mut daemon: Daemon,
        expected: Expected,
        begin: impl FnOnce(&Daemon) -> T,
        end: impl FnOnce(T),
    ) -> Vec<String> {
        let mut client = Client::new(daemon.socket(), BEGINS_WITHIN);
        let (load, mut wrong) = (Steady::start(&daemon, self.rate), Vec::new());
        thread::sleep(Duration::from_millis(300));
        let (began, fault) = (Instant::now(), begin(&daemon));
        let made = Instant::now();
        // A daemon whose memory is full leaves datagrams in the kernel.
        let counter = if expected.drops { "/kernel_drops" } else { "/received/datagrams" };
        let mut progress = [Progress::of(counter), Progress::or_problem("/stored")];
        let mut memory_fills = expected.drops;
        while (made.elapsed() < self.time || memory_fills) && wrong.is_empty() {
            let Some(status) = client.status() else {
                wrong.push("the status is not answered".to_owned());
                break;
            };
            if is_degraded(&status) && self.began.is_none() {
                self.began = Some(made.elapsed());
            }
            if memory_fills {
                // How long it takes depends on how fast this machine sends.
                progress[0].pause();
                memory_fills = number(&status, counter) == 0;
                if made.elapsed() > DROPS_WITHIN {
                    wrong.push(format!("nothing was dropped: {status}"));
                }
            }
            wrong.extend(progress.iter_mut().filter_map(|progress| progress.reading(&status)));
            wrong.extend(Counters::of(&status).check().err());
            let known = number(&status, "/received/datagrams") + number(&status, "/kernel_drops");
            if known > load.sent() || (number(&status, "/kernel_drops") > 0 && !expected.drops) {
                wrong.push(format!("{} sent, {status}", load.sent()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        if expected.is_problem && self.began.is_none() {
            wrong.push("no problem was reported".to_owned());
        }
        end(fault);
        let ended = Instant::now();
        let mut last = client.status_in_the_end();
        let at_the_end = number(&last, "/stored");
        let mut acknowledged = ended;
        while is_degraded(&last) || number(&last, "/stored") <= at_the_end {
            wrong.extend(Counters::of(&last).check().err());
            if ended.elapsed() > ENDS_WITHIN {
                wrong.push(format!("not over: {last}"));
                break;
            }
            if expected.is_replaced && acknowledged.elapsed() > Duration::from_secs(1) {
                acknowledged = Instant::now();
                let _acknowledged = client.call("acknowledge", &json!({}));
            }
            thread::sleep(Duration::from_millis(20));
            last = client.status_in_the_end();
        }
        self.over = Some(ended.elapsed());
        let (sent, answered) = load.end();
        self.sent = sent;
        let settled = settled(&mut client, sent);
        wrong.extend(Counters::of(&settled).check_settled(sent).err());
        let entries = daemon.entries();
        wrong.extend(falsely_answered(&answered, &entries));
        let mut numbers: Vec<_> = entries.iter().filter_map(number_of).collect();
        let received = numbers.len() as u64;
        numbers.sort_unstable();
        numbers.dedup();
        let stored = number(&settled, "/stored");
        let again = received - numbers.len() as u64;
        if numbers.len() as u64 != stored || again > 0 {
            let missing: Vec<_> = (0..sent).filter(|number| numbers.binary_search(number).is_err()).collect();
            wrong.push(format!(
                "{received} datagrams in the inbox, {again} of them again, {stored} stored; not there: {missing:.500?}"
            ));
        }
        let lost: u64 = entries.iter().filter_map(|entry| entry["lost"].as_u64()).sum();
        let dropped = number(&settled, "/kernel_drops") + number(&settled, "/dropped/queue_full");
        if lost != dropped || (dropped > 0) != expected.drops {
            wrong.push(format!("gaps of {lost} in the inbox, {settled}"));
        }
        wrong.extend(floods(&daemon.log(), began.elapsed()));
        drop(client);
        wrong.extend(check_integrity(&daemon.path("data")).err());
        wrong
    }
}

/// A data directory that is a file system of its own.
struct Disk {
    mounted: Option<Mounted>,
    data: PathBuf,
    folder: std::cell::RefCell<Option<TempDir>>,
    images: Option<(Mounted, TempDir)>,
}

impl Disk {
    const TMPFS: &str = "96m";

    fn tmpfs() -> Self {
        let folder = new_folder();
        let data = folder.path().join("data");
        let mounted = Some(Mounted::tmpfs(&data, Self::TMPFS));
        Self { mounted, data, folder: Some(folder).into(), images: None }
    }

    fn ext4(options: &str, bytes: u64) -> Self {
        let (folder, images) = (new_folder(), new_folder());
        let data = folder.path().join("data");
        let memory = Mounted::tmpfs(&images.path().join("t"), "900m");
        let image = images.path().join("t/image");
        make_ext4(&image, bytes);
        let mounted = Some(Mounted::image(&image, &data, options));
        Self { mounted, data, folder: Some(folder).into(), images: Some((memory, images)) }
    }

    /// Starts a daemon on it.
    fn daemon(&self) -> Daemon {
        let folder = self.folder.take().unwrap();
        fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
        Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()])
    }

    /// Mounts a copy in its place, as after a repair.
    fn replace(&mut self) {
        let folder = self.images.as_ref().unwrap().1.path().join("t");
        let copy = folder.join("copy");
        fs::copy(folder.join("image"), &copy).unwrap();
        self.mounted = None;
        self.mounted = Some(Mounted::image(&copy, &self.data, "defaults"));
    }
}

/// Makes an ext4 file system read-only, as an inconsistency that the kernel finds does. No call of the daemon runs meanwhile: an
/// `fsync` that had begun before could succeed although the journal is aborted.
fn fail_ext4(daemon: &Daemon, at: &Path) {
    let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
    let device = mounts.lines().find_map(|line| {
        let (device, rest) = line.split_once(' ')?;
        (Path::new(rest.split(' ').next()?) == at).then(|| device.trim_start_matches("/dev/").to_owned())
    });
    let device = device.unwrap();
    daemon.signal(Signal::SIGSTOP);
    eventually("the daemon to stop", || has_stopped(daemon.pid()).then_some(()));
    fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "campaign").unwrap();
    daemon.signal(Signal::SIGCONT);
}

/// A file that takes all room of a disk. Dropping it frees the room.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(data: &Path) -> Self {
        let path = data.join("ballast");
        let mut file = File::create(&path).unwrap();
        let mut length = 1 << 20;
        while length > 0 {
            while file.write_all(&vec![1; length]).is_ok() {}
            length /= 2;
        }
        // An error here is the full disk as well.
        let _full = file.sync_all();
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}
