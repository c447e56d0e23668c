//! A long run: a steady rate with bursts, clients that come and go, restarts, kills, steps of the clock, full disks and damage.
//!
//! In the first half, daemons follow each other in one folder; one runs in the second half, and what it uses in the last third of
//! that time is compared with the middle third.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::churn::Churn;
use crate::client::Client;
use crate::counters::Counters;
use crate::random::{Random, seed};
use crate::support::clock::{Clocks, HOUR, YEAR};
use crate::support::{Daemon, available, command_in, eventually_within, new_folder, scaled};
use crate::traffic::Traffic;
use crate::watch::{Watch, Watched, descriptors};

/// How long it lasts, in seconds: the short and the full form.
const SECONDS: (usize, usize) = (60, 1_800);

/// How many daemons run in the first half.
const LIVES: (usize, usize) = (3, 12);

/// Datagrams a second: usually, and in a burst.
const RATE: u64 = 500;
const BURST: u64 = 20_000;

/// How often something happens, in the short and the full form, and how long it lasts.
const EVENT_EVERY: (usize, usize) = (3, 15);
const EVENT: Duration = Duration::from_secs(1);

/// How long a fault may outlast its cause, with an allowance for a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(5 + 5);

/// The page size of the inbox, in bytes.
const PAGE: u64 = 16_384;

/// How much larger, in KiB, the median of the memory of the last third may be.
const MEMORY_GROWTH: u64 = 4 * 1_024;

/// How many lines an hour a daemon may log beside those of clients and of each event of the campaign.
const LINES_AN_HOUR: u64 = 100;
const LINES_AN_EVENT: u64 = 4;

/// Retention works during the run.
const CONFIG: &str = "inbox.max_size = '64MiB'\ninbox.max_age = '10m'\nlog.messages_per_second = 0";

/// The run.
struct Soak {
    random: Random,
    clocks: Clocks,
    newest_id: u64,
    acts: u64,
    sent: u64,
    lost: u64,
    events: u64,
    readings: usize,
    slowest: Duration,
    wrong: Vec<String>,
}

/// A daemon and its load.
struct Life {
    daemon: Daemon,
    client: Client,
    traffic: Traffic,
    churn: Churn,
    watch: Watch,
    began: Instant,
}

#[test]
fn memory_and_descriptors_stay_flat_in_a_long_run() {
    if !available("prlimit") {
        return;
    }
    let (seed, folder) = (seed(), new_folder());
    let Some(clocks) = Clocks::new(folder.path()) else { return };
    let mut soak = Soak::new(seed, clocks);
    let half = Duration::from_secs(scaled(SECONDS.0, SECONDS.1) as u64) / 2;
    let lives = scaled(LIVES.0, LIVES.1) as u32;
    let mut folder = folder;
    for _ in 0..lives {
        let mut life = soak.start(folder);
        soak.load(&mut life, half / lives);
        folder = if soak.random.below(2) == 0 { soak.kill(life) } else { soak.stop(life).0 };
        if soak.random.below(2) == 0 {
            soak.damage(&folder);
        }
    }
    let mut life = soak.start(folder);
    let events = soak.events;
    soak.load(&mut life, half);
    let (events, time) = (soak.events - events, life.began.elapsed());
    let (_folder, watched, log) = soak.stop(life);
    soak.check_growth(&watched);
    soak.check_log(&log, events, time);
    let Soak { acts, sent, lost, events, readings, slowest, wrong, .. } = soak;
    eprintln!(
        "soak: seed {seed}, {} s, {sent} datagrams, {lost} lost and counted, {acts} acts of clients, {events} events, \
         {readings} readings, slowest status {slowest:?}, {} wrong",
        half.as_secs() * 2,
        wrong.len()
    );
    assert_eq!(json!(wrong), json!([]));
}

impl Soak {
    fn new(seed: u64, clocks: Clocks) -> Self {
        Self {
            random: Random(seed),
            clocks,
            newest_id: 0,
            acts: 0,
            sent: 0,
            lost: 0,
            events: 0,
            readings: 0,
            slowest: Duration::ZERO,
            wrong: Vec::new(),
        }
    }

    /// Starts a daemon and its load.
    fn start(&mut self, folder: TempDir) -> Life {
        fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
        let mut command = command_in(folder.path());
        Clocks::preload(folder.path(), command.args(["--listen", "127.0.0.1:0"]));
        let daemon = Daemon::start_by(folder, &mut command);
        let mut client = Client::new(daemon.socket(), ENDS_WITHIN);
        let newest = client.status_in_the_end()["inbox"]["newest_id"].as_u64().unwrap();
        if newest < self.newest_id {
            self.wrong.push(format!("the newest id was {} and is {newest}", self.newest_id));
        }
        Life {
            traffic: Traffic::start(daemon.address(), RATE),
            churn: Churn::start(&daemon, &mut self.random),
            watch: Watch::start(&daemon),
            began: Instant::now(),
            client,
            daemon,
        }
    }

    /// Lets events happen for a time.
    fn load(&mut self, life: &mut Life, time: Duration) {
        let every = Duration::from_secs(scaled(EVENT_EVERY.0, EVENT_EVERY.1) as u64);
        while life.began.elapsed() + every + EVENT < time {
            thread::sleep(every - EVENT);
            self.events += 1;
            match self.random.below(4) {
                0 | 1 => {
                    life.traffic.set_rate(BURST);
                    thread::sleep(EVENT);
                    life.traffic.set_rate(RATE);
                }
                2 => {
                    let steps = [HOUR, -HOUR, YEAR, -YEAR];
                    self.clocks.step(steps[self.random.below(steps.len())]);
                    thread::sleep(EVENT);
                }
                _ => self.fill_disk(life),
            }
        }
        thread::sleep(time.saturating_sub(life.began.elapsed()));
    }

    /// Makes all files too large for a while, which is a full disk for the daemon.
    fn fill_disk(&mut self, life: &mut Life) {
        life.daemon.limit_files("0");
        thread::sleep(EVENT);
        if !life.client.status().is_some_and(|status| other_problems(&status).contains("written")) {
            self.wrong.push(format!("a full disk is not reported: {:?}", life.client.status()));
        }
        life.daemon.limit_files("unlimited");
        let ended = Instant::now();
        while life.client.status().is_none_or(|status| other_problems(&status).contains("written")) {
            if ended.elapsed() > ENDS_WITHIN {
                self.wrong.push(format!("a full disk is not over: {:?}", life.client.status()));
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills a daemon in the middle of its load.
    fn kill(&mut self, life: Life) -> TempDir {
        let Life { daemon, traffic, churn, watch, .. } = life;
        let watched = watch.end();
        daemon.signal(Signal::SIGKILL);
        self.sent += traffic.end();
        let folder = daemon.into_folder().0;
        self.account(&watched, churn);
        folder
    }

    /// Ends the load of a daemon, checks it, and stops it. Returns its folder, its readings and its log.
    fn stop(&mut self, life: Life) -> (TempDir, Watched, Vec<String>) {
        let Life { mut daemon, mut client, traffic, churn, watch, .. } = life;
        let watched = watch.end();
        self.account(&watched, churn);
        let sent = traffic.end();
        let settled = eventually_within(ENDS_WITHIN * 6, "the counters to settle", || {
            let counters = Counters::of(&client.status()?);
            counters.is_settled(sent).then_some(counters)
        });
        self.wrong.extend(settled.check_settled(sent).err());
        self.sent += sent;
        self.lost += settled.lost();
        self.check_idle(&daemon, &mut client);
        let log = daemon.log();
        daemon.signal(Signal::SIGTERM);
        if !daemon.wait().success() {
            self.wrong.push(format!("the stop failed: {:?}", daemon.log().last()));
        }
        (daemon.into_folder().0, watched, log)
    }

    fn account(&mut self, watched: &Watched, churn: Churn) {
        let (acts, wrong) = churn.end();
        self.acts += acts;
        self.readings += watched.readings.len();
        self.slowest = self.slowest.max(watched.slowest);
        self.wrong.extend(wrong);
        self.wrong.extend(watched.wrong.iter().cloned());
        self.newest_id = watched.readings.last().map_or(0, |last| last.newest_id);
    }

    /// Checks that problems end and descriptors are given back, without load.
    fn check_idle(&mut self, daemon: &Daemon, client: &mut Client) {
        let _acknowledged = client.call("acknowledge", &json!({}));
        let began = Instant::now();
        loop {
            let status = client.status_in_the_end();
            let (problems, descriptors) = (other_problems(&status), descriptors(daemon.pid()));
            if problems.is_empty() && descriptors < 64 {
                return;
            }
            if began.elapsed() > ENDS_WITHIN * 6 {
                self.wrong.push(format!("idle with {descriptors} descriptors and the problems {problems}"));
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Destroys a page of the inbox.
    fn damage(&mut self, folder: &TempDir) {
        let inbox = File::options().write(true).open(folder.path().join("data/inbox.db")).unwrap();
        let pages = inbox.metadata().unwrap().len() / PAGE;
        if pages > 1 {
            let page = 1 + self.random.below(pages as usize - 1) as u64;
            inbox.write_all_at(&[0; PAGE as usize], page * PAGE).unwrap();
            self.events += 1;
        }
    }

    /// Compares what a daemon used in the last third with the middle third.
    fn check_growth(&mut self, watched: &Watched) {
        let (before, after) = (watched.medians(1), watched.medians(2));
        eprintln!("memory in KiB and descriptors: {:?}, {before:?}, {after:?}", watched.medians(0));
        if after.0 > before.0 + MEMORY_GROWTH || after.1 > before.1 + 8 {
            self.wrong.push(format!("memory in KiB and descriptors grew from {before:?} to {after:?}"));
        }
    }

    /// Counts the lines of a log.
    fn check_log(&mut self, log: &[String], events: u64, time: Duration) {
        let lines = log.iter().filter_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let message = line["message"].as_str().unwrap_or_default();
            (!["reads", "sent"].contains(&message)).then(|| message.to_owned())
        });
        let lines: Vec<_> = lines.collect();
        let most = LINES_AN_HOUR.max(LINES_AN_HOUR * time.as_secs() / 3_600) + LINES_AN_EVENT * events;
        eprintln!("{} lines in {time:?} with {events} events", lines.len());
        if lines.len() as u64 > most {
            self.wrong.push(format!("{} lines, at most {most}: {:#?}", lines.len(), &lines));
        }
    }
}

/// Returns the problems but for those of the clock, which stay for an hour.
fn other_problems(status: &Value) -> String {
    let problems = status["problems"].as_array().unwrap().iter().filter_map(Value::as_str);
    problems.filter(|problem| !problem.contains("clock")).collect::<Vec<_>>().join("; ")
}
