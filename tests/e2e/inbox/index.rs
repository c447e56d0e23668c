//! The index: filters skip blocks that cannot match, and give the same answers with and without it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use udpchat_api::Raw;

use crate::support::{Daemon, Peer, available, eventually, ids, texts};

/// More than three blocks of 1,024 entries, and less than a fourth one more.
const MESSAGES: u64 = 3_500;
const INDEXED: u64 = 3_071;

/// A daemon that has received many messages from one peer, and a few in between from others.
struct Crowd {
    daemon: Daemon,
    utf_8: Peer,
    gbk: Peer,
}

impl Crowd {
    fn start() -> Self {
        let (noisy, utf_8, gbk) = (Peer::new(), Peer::at("127.0.0.2:0"), Peer::at("127.0.0.3:0"));
        let daemon = Daemon::start_with("", &["--listen", "0.0.0.0:0"]);
        daemon.receive_from(&noisy, (0..1_500).map(|number| format!("node {number} is fine")));
        daemon.receive_from(&utf_8, ["\u{feff}alarm: 温度 42\r\nsecond line\r\n"]);
        daemon.receive_from(&gbk, [encoding_rs::GBK.encode("报警：温度 43，请检查\n\0").0]);
        daemon.receive_from(&noisy, (0..MESSAGES - 1_502).map(|number| format!("node {number} is fine")));
        Self { daemon, utf_8, gbk }
    }

    /// Waits until the index is complete.
    #[track_caller]
    fn indexed(&self) {
        eventually("the index to be complete", || {
            let index = self.daemon.status()["index"].take();
            (index["newest_id"] == INDEXED && index["behind"] == 0).then_some(())
        });
    }

    fn start_again(self) -> Self {
        Self { daemon: self.daemon.start_again(), ..self }
    }

    fn find(&self, params: Value) -> Vec<Value> {
        self.daemon.rpc().entries(params)
    }

    /// Checks that each filter finds what it must, in both orders.
    #[track_caller]
    fn answers(&self) {
        for (params, wanted) in [
            (json!({ "grep": "alarm" }), &[1_501][..]),
            (json!({ "grep": "(?i)ALARM:" }), &[1_501]),
            (json!({ "grep": "温度" }), &[1_501, 1_502]),
            (json!({ "grep": "报警" }), &[1_502]),
            (json!({ "grep": "温度 4[0-9]", "from": "127.0.0.3" }), &[1_502]),
            (json!({ "grep": "湿度" }), &[]),
            // As the text is shown: without a mark, the end that tools add, and `\r`.
            (json!({ "grep": "^alarm: 温度 42$" }), &[1_501]),
            (json!({ "grep": "42$\n^second line$" }), &[1_501]),
            (json!({ "grep": "温度 43，请检查$" }), &[1_502]),
            (json!({ "grep": "\\Aalarm.*\\n.*line\\z" }), &[1_501]),
            (json!({ "grep": "检查\0" }), &[]),
            (json!({ "from": self.utf_8.name() }), &[1_501]),
            (json!({ "from": self.gbk.name() }), &[1_502]),
            (json!({ "from": "127.0.0.4" }), &[]),
            (json!({ "direction": "out" }), &[]),
            (json!({ "since": "2100-01-01T00:00:00Z" }), &[]),
            (json!({ "grep": "node 1499 " }), &[1_500, 3_002]),
            (json!({ "contains": Raw(b"\xef\xbb\xbfalarm".to_vec()) }), &[1_501]),
            (json!({ "contains": Raw(b"43".to_vec()), "from": "127.0.0.3" }), &[1_502]),
            (json!({ "contains": Raw(b"\n\0".to_vec()) }), &[1_502]),
            (json!({ "contains": Raw(b"ALARM".to_vec()) }), &[]),
            (json!({ "contains": Raw(b"\0".to_vec()), "grep": "检查" }), &[1_502]),
        ] {
            assert_eq!(ids(&self.find(params.clone())), wanted, "{params}");
        }
        let newest = json!({ "from": "127.0.0.2", "order": "desc", "limit": 1 });
        assert_eq!(ids(self.daemon.rpc().call("inbox", newest)["entries"].as_array().unwrap()), [1_501]);
    }
}

#[test]
fn answers_are_the_same_with_and_without_index() {
    let crowd = Crowd::start();
    crowd.answers();
    crowd.indexed();
    crowd.answers();
    assert_eq!(crowd.daemon.status()["state"], "ok");
    let shown = crowd.daemon.ctl(&["status"]).ok();
    assert!(shown.contains("\nindex:           up to #3071, "), "{shown}");
    // Later messages are found at once.
    crowd.daemon.receive_from(&crowd.utf_8, ["alarm: 温度 44"]);
    assert_eq!(texts(&crowd.find(json!({ "grep": "温度 44" }))), ["alarm: 温度 44"]);
}

#[test]
fn a_deleted_index_is_rebuilt() {
    let mut crowd = Crowd::start();
    crowd.indexed();
    crowd.daemon.ctl(&["stop"]).ok();
    crowd.daemon.wait();
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        // The last two are there only in between.
        let _none = fs::remove_file(crowd.daemon.path("data").join(name));
    }
    let crowd = crowd.start_again();
    crowd.answers();
    crowd.indexed();
    crowd.answers();
    assert!(crowd.daemon.path("data/index.db").is_file());
}

#[test]
fn a_damaged_index_is_rebuilt_with_correct_answers() {
    let mut crowd = Crowd::start();
    crowd.indexed();
    for damage in 0..3 {
        crowd.daemon.signal(Signal::SIGTERM);
        crowd.daemon.wait();
        let path = crowd.daemon.path("data/index.db");
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            0 => bytes.fill(7),
            1 => bytes.truncate(20_000),
            _ => bytes[16_384..].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55),
        }
        fs::write(&path, bytes).unwrap();
        crowd = crowd.start_again();
        crowd.answers();
        crowd.indexed();
        crowd.answers();
    }
}

#[test]
fn an_index_of_another_inbox_is_ignored() {
    let mut crowd = Crowd::start();
    let mut other = Crowd::start();
    crowd.indexed();
    other.indexed();
    for daemon in [&mut crowd.daemon, &mut other.daemon] {
        daemon.ctl(&["stop"]).ok();
        daemon.wait();
    }
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _none = fs::remove_file(crowd.daemon.path("data").join(name));
        let _none = fs::copy(other.daemon.path("data").join(name), crowd.daemon.path("data").join(name));
    }
    let crowd = crowd.start_again();
    crowd.answers();
    crowd.indexed();
    crowd.answers();
}

#[test]
fn a_killed_daemon_keeps_its_index() {
    let crowd = Crowd::start();
    crowd.indexed();
    let crowd = crowd.start_again();
    crowd.answers();
    crowd.indexed();
    crowd.answers();
}

#[test]
fn an_unwritable_index_affects_no_query() {
    let crowd = Crowd::start();
    crowd.indexed();
    let (folder, flags) = crowd.daemon.into_folder();
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _none = fs::remove_file(folder.path().join("data").join(name));
    }
    // No file can be made under this name, and none be removed.
    let blocked = folder.path().join("data/index.db");
    fs::create_dir(&blocked).unwrap();
    let crowd = Crowd { daemon: Daemon::start_in(folder, flags), ..crowd };
    eventually("the problem", || {
        let problem = crowd.daemon.status()["problems"][0].as_str()?.to_owned();
        problem.contains("the index of the inbox cannot be written").then_some(())
    });
    crowd.answers();
    crowd.daemon.receive_from(&Peer::new(), ["one more"]);
    fs::remove_dir(&blocked).unwrap();
    crowd.indexed();
    eventually("the end of the problem", || (crowd.daemon.status()["state"] == "ok").then_some(()));
    crowd.answers();
}

#[test]
fn the_problem_of_an_index_ends_when_it_is_created_again() {
    if !available("prlimit") {
        return;
    }
    let crowd = Crowd::start();
    crowd.indexed();
    crowd.daemon.limit_files("0");
    for (name, from) in [("index.db", 16_384), ("index.db-wal", 56)] {
        let Ok(file) = File::options().write(true).open(crowd.daemon.path("data").join(name)) else {
            continue;
        };
        let length = file.metadata().unwrap().len();
        file.write_all_at(&vec![7; length.saturating_sub(from) as usize], from).unwrap();
    }
    // A reader finds the damage, and no new index can be written.
    eventually("the problem", || {
        crowd.answers();
        let problems = crowd.daemon.status()["problems"].to_string();
        problems.contains("the index of the inbox cannot be written").then_some(())
    });
    crowd.daemon.limit_files("unlimited");
    // Long before the next index may be created.
    eventually("the end of the problem", || (crowd.daemon.status()["state"] == "ok").then_some(()));
    crowd.answers();
}
