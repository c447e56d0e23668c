//! Power cuts under load: nothing that was acknowledged is lost or changed, and no id is used again for something else.
//!
//! The data directory is an ext4 file system in an image on a tmpfs, mounted through a loop device. At a cut the daemon is
//! stopped, the image is copied, and the next daemon runs on the copy. The copy has what the file system has passed to its
//! device: what is only in the page cache, in inodes in memory or in an uncommitted transaction of ext4's journal is lost, since
//! the file system commits by itself only every 60 s. The next daemon sees another boot identifier, as after a reboot.
//!
//! It does not show a device that loses or reorders writes in its own cache: see `lost_writes`. Nothing helps against one that
//! lies about a flush.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::kills::wait_for_all;
use crate::load::{Acknowledged, CONFIG, Load, account, check_integrity};
use crate::mounts::{Mounted, make_ext4, new_namespace, set_boot_id};
use crate::random::{Random, seed};
use crate::support::{Daemon, eventually, id, new_folder, scaled};

/// How many cuts, in the short and in the full size, and how many of one disk.
const CUTS: (usize, usize) = (6, 200);
const CUTS_OF_ONE_DISK: usize = 10;

const IMAGE_BYTES: u64 = 96 << 20;

/// The time of a start in milliseconds: with an allowance for a machine that has other work, and as promised, in the full size.
const STARTS_WITHIN: (usize, usize) = (2_000, 1_000);

#[test]
fn power_cuts_under_load_lose_nothing_acknowledged() {
    if !new_namespace() {
        return;
    }
    let (seed, cuts) = (seed(), scaled(CUTS.0, CUTS.1));
    let mut random = Random(seed);
    let mut figures = Figures::default();
    let mut left = cuts;
    while left > 0 {
        let of_this = left.min(CUTS_OF_ONE_DISK);
        cut_often(of_this, &mut random, &mut figures);
        left -= of_this;
    }
    eprintln!("power cuts: seed {seed}, {cuts} cuts, {figures:?}");
    assert_eq!(json!(figures.wrong), json!([]));
}

#[derive(Debug, Default)]
struct Figures {
    /// Entries that were shown or answered for.
    acknowledged: usize,
    sent: u64,
    /// Datagrams that are missing, and those of them that have a gap.
    missing: u64,
    reported: u64,
    slowest_start: Duration,
    wrong: Vec<String>,
}

/// Cuts the power of one disk again and again.
fn cut_often(cuts: usize, random: &mut Random, figures: &mut Figures) {
    let (work, folder) = (new_folder(), new_folder());
    let images = work.path().join("images");
    let _tmpfs = Mounted::tmpfs(&images, "512m");
    let mut image = images.join("0");
    make_ext4(&image, IMAGE_BYTES);
    set_boot_id(&images, random);
    let mut disk = Mounted::image(&image, &folder.path().join("data"), "commit=60");
    fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
    let mut daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let (mut sent, mut all) = (0, Acknowledged::default());
    for cut in 1..=cuts {
        let newest = daemon.status()["inbox"]["newest_id"].as_u64().unwrap();
        let load = Load::start(&daemon, sent, Random(random.next()));
        thread::sleep(Duration::from_millis(50 + random.below(600) as u64));
        daemon.signal(Signal::SIGSTOP);
        eventually("the daemon to stop", || has_stopped(daemon.pid()).then_some(()));
        let copy = images.join(cut.to_string());
        fs::copy(&image, &copy).unwrap();
        // The clients now read what was written to them before, and then the end.
        daemon.signal(Signal::SIGKILL);
        let _ended = daemon.wait();
        let (acknowledged, next) = load.end();
        let (folder, flags) = daemon.into_folder();
        drop(disk);
        fs::remove_file(&image).unwrap();
        image = copy;
        set_boot_id(&images, random);
        disk = Mounted::image(&image, &folder.path().join("data"), "commit=60");
        let mut wrong = Vec::from_iter(check_integrity(&folder.path().join("data")).err());
        let began = Instant::now();
        daemon = Daemon::start_in(folder, flags);
        let start = began.elapsed();
        if start > Duration::from_millis(scaled(STARTS_WITHIN.0, STARTS_WITHIN.1) as u64) {
            wrong.push(format!("a start took {start:?}"));
        }
        wait_for_all(&daemon);
        let status = daemon.status();
        if status["state"] != "ok" {
            wrong.push(format!("{status}"));
        }
        let entries = daemon.rpc().entries(json!({ "after": newest }));
        match account(&entries, sent..next) {
            Ok(account) if status["lost_before"] == account.lost => {
                figures.missing += account.residual + account.lost;
                figures.reported += account.lost;
            }
            account => wrong.push(format!("{account:?}, and {status}")),
        }
        if acknowledged.newest() >= entries.last().map(id) {
            wrong.push(format!(
                "#{:?} was shown, and is not below {:?}",
                acknowledged.newest(),
                entries.last()
            ));
        }
        wrong.extend(acknowledged.missing_in(&daemon, &entries));
        wrong.extend(all.add(acknowledged));
        figures.wrong.extend(wrong.into_iter().map(|wrong| format!("cut {cut}: {wrong:.2000}")));
        figures.sent += next - sent;
        figures.slowest_start = figures.slowest_start.max(start);
        sent = next;
    }
    let wrong = all.missing_in(&daemon, &daemon.entries());
    figures.wrong.extend(wrong.into_iter().map(|wrong| format!("in the end: {wrong}")));
    figures.acknowledged += all.len();
    let (folder, _) = daemon.into_folder();
    drop(disk);
    drop(folder);
}

/// Returns whether every thread of a process has stopped.
pub(crate) fn has_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| entry.unwrap().path());
    let mut states = threads.map(|thread| fs::read_to_string(thread.join("status")).unwrap_or_default());
    states.all(|state| state.contains("State:\tT"))
}
