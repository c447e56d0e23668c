//! What becomes known of the delivery of sent messages: reports of the network, and words of the peers.
//!
//! A closed port of loopback makes the kernel report a real ICMP error.

mod answers;
mod bounces;
mod error_queue;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Daemon, Rpc, eventually};

/// Sends a text, and returns the id of its entry.
#[track_caller]
fn send(rpc: &mut Rpc, to: SocketAddr, text: &str) -> u64 {
    let sent = rpc.call("send", json!({ "to": to, "text": text }));
    assert_eq!(sent["delivery"], "sent", "{sent}");
    sent["id"].as_u64().unwrap()
}

/// Returns the entry with an id, as it is now.
fn entry(rpc: &mut Rpc, id: u64) -> Value {
    let page = rpc.call("inbox", json!({ "after": id - 1, "limit": 1, "notices": true }));
    page["entries"][0].clone()
}

/// Waits until an entry has a delivery, and returns it.
#[track_caller]
fn delivered(rpc: &mut Rpc, id: u64, delivery: &str) -> Value {
    eventually(&format!("#{id} to be {delivery}"), || {
        Some(entry(rpc, id)).filter(|entry| entry["delivery"] == delivery)
    })
}

/// Waits until so many messages were reported as not delivered.
#[track_caller]
fn bounced(daemon: &Daemon, messages: u64) {
    eventually("all reports to be stored", || (daemon.status()["sent"]["bounced"] == messages).then_some(()));
}

fn notices(rpc: &mut Rpc) -> Vec<Value> {
    let mut entries = rpc.entries(json!({ "after": 0, "notices": true }));
    entries.retain(|entry| entry["type"] == "notice");
    entries
}
