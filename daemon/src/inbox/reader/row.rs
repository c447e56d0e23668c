//! A row of the log, as an entry.

use std::net::SocketAddr;

use rusqlite::Row;
use udpchat_config::Encoding;

use crate::inbox::address::unpack;
use crate::inbox::{Body, Kind, LaterDetail, Stored};

/// What [`stored`] reads.
pub(super) const SELECT: &str = "SELECT id, at_ns, kind, peer, local, payload, detail FROM entry";

/// Reads a row of [`SELECT`]. What is not as we write it is reported as damage of the file.
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let address = |column: usize| -> rusqlite::Result<Option<SocketAddr>> {
        Ok(row.get_ref(column)?.as_blob_or_null()?.and_then(unpack))
    };
    let peer = || address(3)?.ok_or_else(|| malformed(3));
    let payload = || row.get::<_, Option<Vec<u8>>>(5).map(Option::unwrap_or_default);
    let body = match row.get::<_, i64>(2)? {
        kind if kind == Kind::Received as i64 => {
            Body::Received { peer: peer()?, local: address(4)?, payload: payload()? }
        }
        kind if kind == Kind::Sent as i64 => {
            Body::Sent { peer: peer()?, local: address(4)?, payload: payload()?, detail: detail(row)? }
        }
        kind if kind == Kind::Gap as i64 => Body::Gap(detail(row)?),
        _ => return Err(malformed(2)),
    };
    Ok(Stored { id: row.get(0)?, at_ns: row.get(1)?, body, recoded: recoded(row)? })
}

/// Returns what a message is to be read in, if that was said later. Most messages have no detail at all.
fn recoded(row: &Row<'_>) -> rusqlite::Result<Option<Encoding>> {
    let Some(detail) = row.get_ref(6)?.as_str_or_null()? else { return Ok(None) };
    let later: LaterDetail = serde_json::from_str(detail).map_err(|_| malformed(6))?;
    // A later version may know encodings that this one does not.
    Ok(later.recoded.and_then(|name| name.parse().ok()))
}

fn detail<T: serde::de::DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(6)?.as_str()?).map_err(|_| malformed(6))
}

fn malformed(column: usize) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(format!("column {column} of an entry cannot be read")))
}
