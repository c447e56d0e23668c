//! A client that survives the daemon: it connects again when its connection is closed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually_within;

/// A client of the control socket.
pub(crate) struct Client {
    socket: PathBuf,
    limit: Duration,
    connection: Option<BufReader<UnixStream>>,
}

impl Client {
    /// Connects, with a time limit for each later call.
    pub(crate) fn new(socket: PathBuf, limit: Duration) -> Self {
        let mut client = Self { socket, limit, connection: None };
        client.connect();
        client
    }

    fn connect(&mut self) {
        let connected = UnixStream::connect(&self.socket);
        self.connection = connected.ok().map(|connection| {
            connection.set_read_timeout(Some(self.limit)).unwrap();
            connection.set_write_timeout(Some(self.limit)).unwrap();
            BufReader::new(connection)
        });
    }

    /// Calls a method; returns the whole reply, or none if there is none within the limit.
    pub(crate) fn reply(&mut self, method: &str, params: &Value) -> Option<Value> {
        if self.connection.is_none() {
            self.connect();
        }
        let connection = self.connection.as_mut()?;
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut line = String::new();
        let written = connection.get_mut().write_all(format!("{request}\n").as_bytes());
        match written.and_then(|()| connection.read_line(&mut line)) {
            Ok(_) if line.ends_with('\n') => Some(serde_json::from_str(&line).unwrap()),
            _ => {
                self.connection = None;
                None
            }
        }
    }

    /// Calls a method; returns none if there is no result.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Option<Value> {
        Some(self.reply(method, params)?["result"].take()).filter(|result| !result.is_null())
    }

    pub(crate) fn status(&mut self) -> Option<Value> {
        self.call("status", &json!({}))
    }

    /// Requests the status until there is one.
    #[track_caller]
    pub(crate) fn status_in_the_end(&mut self) -> Value {
        eventually_within(Duration::from_secs(20), "a status", || self.status())
    }
}
