//! An inbox whose limit is near the size of its own small disk.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Background, Peer, Rpc, can_mount, eventually, new_folder};

/// Runs a daemon whose folder is a small file system.
const SMALL_DISK: &str = "mount -t tmpfs -o size=12m,mode=700 udpchat \"$1\" && shift && exec \"$@\"";

/// How many messages are sent between two looks at the status.
const BURST: usize = 50;

struct Full {
    rpc: Rpc,
    address: SocketAddr,
    peer: Peer,
}

impl Full {
    fn status(&mut self) -> Value {
        self.rpc.call("status", json!({}))
    }

    /// Sends until the status is as wanted.
    fn send_until(&mut self, what: &str, is_reached: impl Fn(&Value) -> bool) {
        eventually(what, || {
            for _ in 0..BURST {
                self.peer.send(self.address, [b'x'; 1_000]);
            }
            is_reached(&self.status()).then_some(())
        });
    }
}

/// Takes all that is free, as another program could.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
}

#[test]
fn an_inbox_recovers_on_a_small_disk_of_its_own() {
    if !can_mount() {
        return;
    }
    let (data, outside) = (new_folder(), new_folder());
    let (socket, config) = (outside.path().join("s"), outside.path().join("config.toml"));
    fs::write(&config, "inbox.max_size = '11MiB'").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SMALL_DISK, "sh"]).arg(data.path());
    command.arg(env!("CARGO_BIN_EXE_udpchatd")).args(["--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(data.path()).arg("--socket").arg(&socket).arg("--config").arg(&config);
    let mut daemon = Background::start(&mut command);
    let mut rpc = daemon.answers_on(&socket);
    let address = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    let mut full = Full { rpc, address, peer: Peer::new() };
    full.send_until("the limit to be reached", |status| status["inbox"]["removed"].as_u64() > Some(0));
    let foreign = Path::new("/proc").join(format!("{}/root{}/foreign", daemon.pid(), data.path().display()));
    fill(&foreign);
    // More waits than what the foreign file will leave.
    full.send_until("messages to wait", |status| {
        status["state"] == "degraded" && status["queued"].as_u64() > Some(5_000)
    });
    fs::write(&config, "inbox.max_size = '5MiB'").unwrap();
    full.rpc.call("reload", json!({}));
    fs::remove_file(&foreign).unwrap();
    let status = eventually("the daemon to continue", || {
        let status = full.status();
        let bytes = status["inbox"]["bytes"].as_u64();
        let is_over = status["state"] == "ok" && status["queued"] == 0 && bytes < Some(6 << 20);
        is_over.then_some(status)
    });
    // Nothing that waited is lost.
    assert_eq!(status["stored"], status["received"]["datagrams"], "{status}");
    let dropped: u64 = status["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(dropped, 0, "{status}");
}
