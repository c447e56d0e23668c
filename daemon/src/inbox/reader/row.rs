//! A row of the log, as an entry.

use std::net::SocketAddr;

use rusqlite::Row;
use udpchat_config::Encoding;

use crate::inbox::InboxError;
use crate::inbox::address::unpack;
use crate::inbox::entry::{Body, Kind, LaterDetail, Stored};

/// The columns that [`stored`] reads.
pub(super) const SELECT: &str = "SELECT id, at_ns, kind, peer, local, payload, detail FROM entry";

/// Reads a row of [`SELECT`]. Content that this program does not write is reported as damage of the file.
pub(super) fn stored(row: &Row<'_>) -> Result<Stored, InboxError> {
    let address = |column: usize| -> rusqlite::Result<Option<SocketAddr>> {
        Ok(row.get_ref(column)?.as_blob_or_null()?.and_then(unpack))
    };
    let peer = || address(3)?.ok_or_else(|| malformed("peer"));
    let payload = || row.get::<_, Option<Vec<u8>>>(5).map(Option::unwrap_or_default);
    let body = match row.get::<_, i64>(2)? {
        kind if kind == Kind::Received as i64 => {
            Body::Received { peer: peer()?, local: address(4)?, payload: payload()? }
        }
        kind if kind == Kind::Sent as i64 => {
            Body::Sent { peer: peer()?, local: address(4)?, payload: payload()?, detail: detail(row)? }
        }
        kind if kind == Kind::Gap as i64 => Body::Gap(detail(row)?),
        _ => return Err(malformed("kind")),
    };
    Ok(Stored { id: row.get(0)?, at_ns: row.get(1)?, body, recoded: recoded(row)? })
}

/// Returns the encoding that was assigned later. Most messages have no detail at all.
fn recoded(row: &Row<'_>) -> Result<Option<Encoding>, InboxError> {
    let detail = row.get_ref(6)?.as_str_or_null()?;
    let Some(detail) = detail else { return Ok(None) };
    let later: LaterDetail = serde_json::from_str(detail).map_err(|_| malformed("detail"))?;
    // A later version may know encodings that this one does not.
    Ok(later.recoded.and_then(|name| name.parse().ok()))
}

fn detail<T: serde::de::DeserializeOwned>(row: &Row<'_>) -> Result<T, InboxError> {
    let detail = row.get_ref(6)?.as_str()?;
    serde_json::from_str(detail).map_err(|_| malformed("detail"))
}

fn malformed(column: &str) -> InboxError {
    InboxError::Damaged(format!("the column `{column}` of an entry cannot be read"))
}
