//! The control socket as a script uses it: lines in, lines out, without the project's client.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::DEADLINE;

/// A connection to the control socket.
pub(crate) struct Rpc {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Rpc {
    pub(crate) fn connect(socket: &Path) -> Self {
        Self::try_connect(socket, DEADLINE).expect("a connection to the control socket")
    }

    /// Connects to a daemon that may not listen yet, with a time limit for each later call.
    pub(crate) fn try_connect(socket: &Path, limit: Duration) -> io::Result<Self> {
        let writer = UnixStream::connect(socket)?;
        writer.set_read_timeout(Some(limit))?;
        writer.set_write_timeout(Some(limit))?;
        Ok(Self { reader: BufReader::new(writer.try_clone()?), writer })
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
    }

    /// Shuts down the writing side.
    pub(crate) fn end_writing(&self) {
        self.writer.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Returns whether a line, or the end of the connection, has arrived.
    pub(crate) fn has_line(&mut self) -> bool {
        self.writer.set_nonblocking(true).unwrap();
        let waits = self.reader.fill_buf().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.writer.set_nonblocking(false).unwrap();
        !waits
    }

    /// Reads the next line; none at the end of the connection.
    pub(crate) fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line from the daemon: {error}"),
        }
    }

    /// Reads the next line as it is, line end included; none at the end of the connection. What came before an
    /// end in the midst of a line counts as none.
    pub(crate) fn raw_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(_) => line.ends_with(b"\n").then(|| String::from_utf8(line).unwrap()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line from the daemon: {error}"),
        }
    }

    /// Calls a method and returns the whole reply.
    pub(crate) fn reply(&mut self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        self.write(format!("{request}\n").as_bytes());
        self.line().expect("a reply")
    }

    /// Calls a method that must succeed, and returns its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let mut reply = self.reply(method, params);
        assert!(reply.get("error").is_none(), "{method}: {reply}");
        reply["result"].take()
    }

    /// Calls a method that must fail, and returns its error.
    #[track_caller]
    pub(crate) fn error(&mut self, method: &str, params: Value) -> Value {
        let mut reply = self.reply(method, params);
        assert!(reply.get("result").is_none(), "{method}: {reply}");
        reply["error"].take()
    }

    /// Reads all pages of `inbox` with these parameters.
    pub(crate) fn entries(&mut self, mut params: Value) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let mut page = self.call("inbox", params.clone());
            entries.append(page["entries"].as_array_mut().unwrap());
            if page["more"] == false {
                return entries;
            }
            params["after"] = page["next"].take();
        }
    }

    /// Waits for the next notification `entry`, and returns the entry.
    #[track_caller]
    pub(crate) fn entry(&mut self) -> Value {
        let mut line = self.line().expect("a notification");
        assert_eq!(line["method"], "entry", "{line}");
        line["params"].take()
    }
}
