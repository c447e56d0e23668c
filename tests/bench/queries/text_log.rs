//! The same messages as a text log, as other programs keep one: time, peer and text, a line each.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row};

/// Writes the log of an inbox into a folder, and returns the file.
pub(crate) fn write(inbox: &Path, folder: &Path) -> PathBuf {
    let path = folder.join("messages.log");
    let mut log = BufWriter::new(File::create(&path).unwrap());
    let inbox = Connection::open_with_flags(inbox, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query =
        inbox.prepare("SELECT at_ns, peer, payload FROM entry WHERE kind = 0 ORDER BY id").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        line(row, &mut log);
    }
    log.into_inner().unwrap().sync_all().unwrap();
    path
}

fn line(row: &Row<'_>, log: &mut impl Write) {
    let at_ns: i64 = row.get(0).unwrap();
    let (peer, payload) =
        (row.get_ref(1).unwrap().as_blob().unwrap(), row.get_ref(2).unwrap().as_blob().unwrap());
    let [a, b, c, d, high, low] = peer.try_into().unwrap();
    let port = u16::from_be_bytes([high, low]);
    let (seconds, micros) = (at_ns / 1_000_000_000, at_ns % 1_000_000_000 / 1000);
    write!(log, "{seconds}.{micros:06} {}:{port} ", Ipv4Addr::new(a, b, c, d)).unwrap();
    log.write_all(payload).unwrap();
    log.write_all(b"\n").unwrap();
}
