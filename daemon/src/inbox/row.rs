//! A row of the log, as an entry.

use std::net::SocketAddr;

use rusqlite::Row;
use serde::de::DeserializeOwned;
use udpchat_config::Encoding;

use super::InboxError;
use super::address::unpack;
use super::entry::{Body, GapDetail, Kind, LaterDetail, Stored};

/// The columns that [`stored`] reads.
pub(super) const SELECT: &str = "SELECT id, at_ns, kind, peer, local, payload, detail FROM entry";

/// The columns that depend on the kind of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    pub(super) id: u64,
    pub(super) kind: i64,
    pub(super) peer: Option<&'a [u8]>,
    pub(super) local: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) detail: Option<&'a str>,
}

impl Columns<'_> {
    /// Returns the entry, and the encoding that was assigned to it later. Fails with the name of a column whose content this
    /// program does not write.
    pub(super) fn entry(self) -> Result<(Body, Option<Encoding>), &'static str> {
        let body = match self.kind {
            kind if kind == Kind::Received as i64 => {
                Body::Received { peer: self.peer()?, local: self.local(), payload: self.payload() }
            }
            kind if kind == Kind::Sent as i64 => Body::Sent {
                peer: self.peer()?,
                local: self.local(),
                payload: self.payload(),
                detail: json(self.detail.unwrap_or_default())?,
            },
            kind if kind == Kind::Gap as i64 => {
                let gap: GapDetail = json(self.detail.unwrap_or_default())?;
                if gap.first_id.is_some_and(|first| !(1..=self.id).contains(&first)) {
                    return Err("detail");
                }
                Body::Gap(gap)
            }
            kind if kind == Kind::Notice as i64 => Body::Notice(json(self.detail.unwrap_or_default())?),
            _ => return Err("kind"),
        };
        Ok((body, self.recoded()?))
    }

    fn peer(&self) -> Result<SocketAddr, &'static str> {
        self.peer.and_then(unpack).ok_or("peer")
    }

    fn local(&self) -> Option<SocketAddr> {
        self.local.and_then(unpack)
    }

    fn payload(&self) -> Vec<u8> {
        self.payload.map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// Most messages have no detail at all.
    fn recoded(&self) -> Result<Option<Encoding>, &'static str> {
        let Some(detail) = self.detail else { return Ok(None) };
        // A later version may know encodings that this one does not.
        Ok(json::<LaterDetail>(detail)?.recoded.and_then(|name| name.parse().ok()))
    }
}

fn json<T: DeserializeOwned>(detail: &str) -> Result<T, &'static str> {
    serde_json::from_str(detail).map_err(|_| "detail")
}

/// Reads a row of [`SELECT`]. Content that this program does not write is reported as damage of the file.
pub(super) fn stored(row: &Row<'_>) -> Result<Stored, InboxError> {
    let blob = |column: usize| -> rusqlite::Result<_> { Ok(row.get_ref(column)?.as_blob_or_null()?) };
    let (id, kind) = (row.get(0)?, row.get(2)?);
    let (peer, local, payload) = (blob(3)?, blob(4)?, blob(5)?);
    let detail = row.get_ref(6)?.as_str_or_null()?;
    let (body, recoded) = Columns { id, kind, peer, local, payload, detail }.entry().map_err(malformed)?;
    Ok(Stored { id, at_ns: row.get(1)?, body, recoded })
}

fn malformed(column: &str) -> InboxError {
    InboxError::Damaged(format!("the column `{column}` of an entry cannot be read"))
}
