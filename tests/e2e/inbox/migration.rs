//! Inboxes of every schema that a build of main has written migrate completely, at whatever moment the daemon is killed.
//!
//! They are in `tests/e2e/inbox/databases/`, written by the daemons of their time with the script `make` there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;
use udpchat_api::Timestamp;

use crate::support::{
    Background, Daemon, Host, Network, Peer, available, command_in, eventually, ids, new_folder,
};

/// For each schema: an inbox of a stopped daemon, and one of a killed daemon.
const VARIANTS: [&str; 2] = ["clean.db", "killed.db"];

/// System calls that write to a file or its folder.
const WRITES: &str = "pwrite64,write,fsync,fdatasync,ftruncate,unlink,rename";

fn inboxes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/inbox/databases")
}

/// Returns the schemas of which there are inboxes.
fn schemas() -> Vec<u32> {
    let names = fs::read_dir(inboxes()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut schemas: Vec<u32> = names.filter_map(|name| name.strip_prefix("schema-")?.parse().ok()).collect();
    schemas.sort_unstable();
    schemas
}

fn of_schema(schema: u32) -> PathBuf {
    inboxes().join(format!("schema-{schema}"))
}

/// Makes a daemon's folder with a test inbox in it.
fn folder_with(schema: u32, variant: &str) -> TempDir {
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    for suffix in ["", "-wal"] {
        let source = of_schema(schema).join(format!("{variant}{suffix}"));
        if source.exists() {
            fs::copy(source, folder.path().join(format!("data/inbox.db{suffix}"))).unwrap();
        }
    }
    folder
}

fn start_in(folder: TempDir) -> Daemon {
    Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()])
}

/// Returns the schema version in the header of a database, its first 100 bytes.
fn schema_in(path: &Path) -> u32 {
    u32::from_be_bytes(fs::read(path).unwrap()[60..64].try_into().unwrap())
}

/// Returns the schema of this version.
fn newest_schema() -> u32 {
    let folder = Daemon::start().into_folder().0;
    schema_in(&folder.path().join("data/inbox.db"))
}

#[test]
fn there_is_an_inbox_of_every_schema() {
    // A schema grows together with tests/e2e/inbox/databases: run `make` there with the version before, and with this one.
    assert!((1..=newest_schema()).eq(schemas()), "{:?}", schemas());
    for schema in schemas() {
        for variant in VARIANTS {
            assert_eq!(schema_in(&of_schema(schema).join(variant)), schema);
        }
        assert!(fs::metadata(of_schema(schema).join("killed.db-wal")).unwrap().len() > 0);
    }
}

/// Checks that every field that was printed then is printed now. Additional fields do not matter, nor do the digits of a time:
/// earlier daemons left out the last zeros.
#[track_caller]
fn assert_same_fields(now: &Value, then: &Value) {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    for (key, value) in then.as_object().unwrap() {
        match time(value) {
            Some(then) if matches!(key.as_str(), "at" | "last_heard") => {
                assert_eq!(time(&now[key]), Some(then), "{key} of {}", now["id"]);
            }
            _ => assert_eq!(&now[key], value, "{key} of {}", now["id"]),
        }
    }
}

/// Returns the entries as the daemon of that schema printed them.
fn expected(schema: u32) -> Vec<Value> {
    let lines = fs::read_to_string(of_schema(schema).join("entries.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Checks that everything reads as before.
#[track_caller]
fn assert_reads_the_same(daemon: &Daemon, schema: u32) {
    let (then, now) = (expected(schema), daemon.entries());
    assert_eq!(now.len(), then.len());
    now.iter().zip(&then).for_each(|(now, then)| assert_same_fields(now, then));
    let state: Value =
        serde_json::from_str(&fs::read_to_string(of_schema(schema).join("state.json")).unwrap()).unwrap();
    let mut rpc = daemon.rpc();
    for (consumer, unread) in state["unread"].as_object().unwrap() {
        let answer = rpc.call("inbox", json!({ "consumer": consumer, "limit": 1 }));
        assert_eq!(&answer["unread"], unread, "{consumer}");
    }
    let peers = rpc.call("peers", json!({}));
    let (now, then) = (peers["peers"].as_array().unwrap(), state["peers"].as_array().unwrap());
    assert_eq!(now.len(), then.len());
    now.iter().zip(then).for_each(|(now, then)| assert_same_fields(now, then));
    let sought = [("grep", "报警"), ("grep", "(?i)ANSWER"), ("grep", "Привет"), ("grep", "node 1099 ")];
    let from =
        peers["peers"].as_array().unwrap().iter().map(|peer| ("from", peer["address"].as_str().unwrap()));
    for (filter, wanted) in sought.into_iter().chain(from) {
        let found = ids(&rpc.entries(json!({ "after": 0, filter: wanted })));
        let is_wanted = |entry: &&Value| match filter {
            "from" => entry["peer"] == wanted,
            _ => entry["text"].as_str().unwrap_or_default().to_lowercase().contains(&lower(wanted)),
        };
        let wanted_ids: Vec<u64> = then_ids(schema, is_wanted);
        assert!(!wanted_ids.is_empty() && found == wanted_ids, "{filter} {wanted}: {found:?}");
    }
}

fn lower(expression: &str) -> String {
    expression.trim_start_matches("(?i)").to_lowercase()
}

fn then_ids(schema: u32, is_wanted: impl FnMut(&&Value) -> bool) -> Vec<u64> {
    ids(&expected(schema).iter().filter(is_wanted).cloned().collect::<Vec<_>>())
}

#[test]
fn every_schema_migrates_entries_marks_and_peers() {
    let newest = newest_schema();
    for (schema, variant) in
        schemas().into_iter().flat_map(|schema| VARIANTS.map(|variant| (schema, variant)))
    {
        let mut daemon = start_in(folder_with(schema, variant));
        let migrated = daemon.log().iter().any(|line| line.contains("migrated to a new schema"));
        assert_eq!(migrated, schema != newest, "{:?}", daemon.log());
        assert_eq!(schema_in(&daemon.database()), newest, "{schema}, {variant}");
        assert_reads_the_same(&daemon, schema);
        eventually("the index", || (daemon.status()["index"]["newest_id"] == 1_023).then_some(()));
        assert_reads_the_same(&daemon, schema);
        assert_eq!(daemon.status()["state"], "ok");
        let last = expected(schema).len() as u64;
        daemon.receive_from(&Peer::new(), ["after"]);
        let daemon = daemon.start_again();
        let entries = daemon.rpc().entries(json!({ "after": last }));
        assert_eq!((ids(&entries), &entries[0]["text"]), (vec![last + 1], &json!("after")));
    }
}

/// Returns the tables of a database, without comments and blanks.
fn tables(path: &Path) -> BTreeMap<String, String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql <> ''").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
    let plain = |sql: String| -> String {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap());
        lines.collect::<String>().split_whitespace().collect()
    };
    rows.map(Result::unwrap).map(|(name, sql)| (name, plain(sql))).collect()
}

#[test]
fn a_migrated_inbox_equals_a_new_one() {
    let new = Daemon::start().into_folder().0;
    let wanted = tables(&new.path().join("data/inbox.db"));
    for schema in schemas() {
        let folder = start_in(folder_with(schema, "killed.db")).into_folder().0;
        assert_eq!(tables(&folder.path().join("data/inbox.db")), wanted, "{schema}");
    }
}

/// Returns all rows that every schema has had.
fn rows(database: &Path) -> Vec<Vec<Cell>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(database, flags).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let mut all = Vec::new();
    for sql in [
        "SELECT id, at_ns, kind, peer, local, payload, detail FROM entry ORDER BY id",
        "SELECT name, read_id FROM consumer ORDER BY name",
        "SELECT address, encoding, learned_id FROM peer ORDER BY address",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let found = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
        all.extend(found.unwrap().map(Result::unwrap));
    }
    all
}

/// Starts a daemon that is killed before its main thread's call number `when` that writes to the inbox's files. Returns
/// whether it was; one that serves instead is killed now.
fn killed_at(folder: &Path, when: usize) -> bool {
    let data = folder.join("data");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(folder.join("trace"));
    for name in ["inbox.db", "inbox.db-wal", "inbox.db-journal"] {
        strace.arg("-P").arg(data.join(name));
    }
    strace.args(["-e", &format!("trace={WRITES}")]);
    strace.args(["-e", &format!("inject={WRITES}:signal=KILL:when={when}")]);
    let daemon = command_in(folder);
    strace.arg(daemon.get_program()).args(daemon.get_args()).args(["--listen", "127.0.0.1:0"]);
    strace.env_clear().env("HOME", folder);
    let mut running = Background::start(&mut strace);
    let Some(ready) = running.line_with_or_end("\"ready\"") else { return true };
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let pid = i32::try_from(ready["pid"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let _ended = running.wait();
    false
}

/// Kills daemons at every call that writes, while they open an inbox of schema 1; returns at how many.
fn survives_kills_at_every_write(variant: &str) -> usize {
    let wanted = rows(&folder_with(1, "clean.db").path().join("data/inbox.db"));
    let newest = newest_schema();
    for when in 1.. {
        let folder = folder_with(1, variant);
        let was_killed = killed_at(folder.path(), when);
        // This version continues from either state.
        let folder = start_in(folder).into_folder().0;
        let database = folder.path().join("data/inbox.db");
        assert_eq!(schema_in(&database), newest, "killed at {when}");
        assert!(rows(&database) == wanted, "killed at {when}");
        let names = fs::read_dir(folder.path().join("data")).unwrap().map(|file| file.unwrap().file_name());
        let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains("db.")).collect();
        assert!(aside.is_empty(), "killed at {when}: {aside:?}");
        if !was_killed {
            return when - 1;
        }
    }
    unreachable!("it ends at the first daemon that serves")
}

#[test]
fn migrating_a_clean_inbox_survives_kills() {
    if available("strace") {
        let points = survives_kills_at_every_write("clean.db");
        assert!(points >= 20, "only {points} calls were found");
    }
}

#[test]
fn migrating_a_killed_inbox_survives_kills() {
    if available("strace") {
        let points = survives_kills_at_every_write("killed.db");
        assert!(points >= 30, "only {points} calls were found");
    }
}

/// Returns the bytes of the inbox's files.
fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(data).unwrap().map(|file| file.unwrap().path());
    let files = files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
    let inbox = files.filter(|(name, _)| name.starts_with("inbox.db"));
    inbox.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

#[track_caller]
fn assert_refused_as_newer(folder: &Path, found: u32) {
    let before = files(&folder.join("data"));
    let refused = Daemon::refused(folder, &["--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for text in ["written by a newer udpchat", &format!("schema {found}"), "hint: ", "backup", "--data-dir"] {
        assert!(refused.stderr.contains(text), "no {text}: {}", refused.stderr);
    }
    // The index of the write-ahead log is rebuilt by every reader; it holds no data of its own.
    let without_index = |mut files: BTreeMap<_, _>| {
        files.remove("inbox.db-shm");
        files
    };
    let after = files(&folder.join("data"));
    assert!(without_index(after) == without_index(before), "a file was changed");
}

#[test]
fn a_newer_inbox_is_refused_unchanged() {
    let newest = newest_schema();
    for (read_only, variant) in [(false, "clean.db"), (false, "killed.db"), (true, "killed.db")] {
        let folder = folder_with(newest, variant);
        let database = folder.path().join("data/inbox.db");
        let mut bytes = fs::read(&database).unwrap();
        bytes[60..64].copy_from_slice(&(newest + 1).to_be_bytes());
        fs::write(&database, bytes).unwrap();
        fs::write(database.with_file_name("inbox.db-shm"), [7; 32_768]).unwrap();
        let before = files(&folder.path().join("data"));
        if read_only {
            for name in before.keys() {
                let path = database.with_file_name(name);
                let mut permissions = fs::metadata(&path).unwrap().permissions();
                permissions.set_readonly(true);
                fs::set_permissions(path, permissions).unwrap();
            }
        }
        assert_refused_as_newer(folder.path(), newest + 1);
        assert!(files(&folder.path().join("data")) == before, "{variant}");
    }
}

#[test]
fn a_newer_schema_in_the_write_ahead_log_is_refused() {
    let newest = newest_schema();
    let folder = start_in(folder_with(newest, "killed.db")).into_folder().0;
    let database = folder.path().join("data/inbox.db");
    let connection = Connection::open(&database).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    connection.pragma_update(None, "user_version", newest + 1).unwrap();
    connection.close().unwrap();
    assert_eq!(schema_in(&database), newest);
    assert_refused_as_newer(folder.path(), newest + 1);
}

/// A small disk, seen only by programs on a host of the test's own.
struct SmallDisk {
    network: Network,
    folder: TempDir,
}

impl SmallDisk {
    fn run(&self, script: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script, "sh"]).arg(self.folder.path().join("data")).arg(of_schema(1));
        self.host().run(&shell);
    }

    fn host(&self) -> &Host {
        &self.network.here
    }

    /// Resizes the disk so that a number of KiB is free.
    fn leave_free(&self, kib: u32) {
        self.run(&format!("mount -o remount,size=$(($(du -sk \"$1\" | cut -f1) + {kib}))k \"$1\""));
    }

    /// Tries to start a daemon; returns its error if it does not start.
    fn refusal(&self) -> Option<String> {
        let mut command = self.host().enter(command_in(self.folder.path()).args(["--listen", "127.0.0.1:0"]));
        let mut running = Background::start(&mut command);
        if running.line_with_or_end("\"ready\"").is_some() {
            return None;
        }
        let (ended, lines) = running.wait();
        assert_eq!(ended.code(), Some(1), "{lines:?}");
        Some(lines.join("\n"))
    }

    /// Checks what the disk holds, by a copy of it.
    #[track_caller]
    fn holds(&self, wanted: &[Vec<Cell>], schema: u32) {
        let copy = new_folder();
        let source = self.folder.path().join("data");
        let mut cp = Command::new("sh");
        cp.args(["-ec", "cp \"$1\"/inbox.db* \"$2\"", "sh"]).arg(source).arg(copy.path());
        self.host().run(&cp);
        let database = copy.path().join("inbox.db");
        let rows = rows(&database);
        assert!(rows == wanted, "{} of {} rows, {:?}", rows.len(), wanted.len(), files(copy.path()).keys());
        assert_eq!(schema_in(&database), schema);
    }
}

#[test]
fn a_full_disk_leaves_the_old_inbox() {
    let Some(network) = Network::new() else { return };
    let disk = SmallDisk { network, folder: new_folder() };
    fs::create_dir(disk.folder.path().join("data")).unwrap();
    // By default an inbox takes a tenth of its disk at most, and deletes its oldest entries.
    fs::write(disk.folder.path().join("config.toml"), "[inbox]\nmax_size = '16MiB'").unwrap();
    disk.run("mount -t tmpfs -o size=2m,mode=700 udpchat \"$1\"");
    let wanted = rows(&folder_with(1, "clean.db").path().join("data/inbox.db"));
    let mut full_in_the_middle = 0;
    for kib in (0..).step_by(8) {
        disk.run("rm -f \"$1\"/*; cp \"$2/clean.db\" \"$1/inbox.db\"");
        disk.leave_free(kib);
        let refusal = disk.refusal();
        disk.run("mount -o remount,size=2m \"$1\"");
        let Some(refusal) = refusal else { break };
        disk.holds(&wanted, 1);
        if refusal.contains("cannot be migrated from schema 1") {
            full_in_the_middle += 1;
            assert!(refusal.contains("full") && refusal.contains(r#""hint":"make room"#), "{refusal}");
            // The same disk with more room.
            assert_eq!(disk.refusal(), None);
            disk.holds(&wanted, newest_schema());
        }
    }
    assert!(full_in_the_middle > 0);
}
