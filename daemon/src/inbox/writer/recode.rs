//! Assigns an encoding to stored messages, in the detail of each. Their bytes stay unchanged.

use rusqlite::{Transaction, params};

use crate::inbox::entry::Kind;
use crate::inbox::queue::RecodeItem;

/// How many messages one transaction recodes at most. Each may be in a page of its own, so that the transaction writes up
/// to 4 MiB, as much as one of received messages.
pub(crate) const MAX_RECODED_PER_COMMIT: usize = 256;

/// Writes the encoding of messages; returns how many of them exist.
pub(crate) fn write(transaction: &Transaction<'_>, item: &RecodeItem) -> rusqlite::Result<u64> {
    // A received message has no detail of its own, a sent message always has one.
    let assign = "UPDATE entry SET detail = json_set(coalesce(detail, '{}'), '$.recoded', ?2)
               WHERE id = ?1 AND kind < ?3";
    let remove =
        "UPDATE entry SET detail = CASE kind WHEN ?2 THEN NULL ELSE json_remove(detail, '$.recoded') END
                     WHERE id = ?1 AND kind < ?3";
    let mut statement = transaction.prepare_cached(if item.encoding.is_some() { assign } else { remove })?;
    let mut found = 0;
    for id in &item.ids {
        found += match item.encoding {
            Some(encoding) => statement.execute(params![id, encoding.to_string(), Kind::Gap as i64])?,
            None => statement.execute(params![id, Kind::Received as i64, Kind::Gap as i64])?,
        };
    }
    Ok(found as u64)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::inbox::address::{Packed, pack};
    use crate::inbox::entry::{Body, SentDetail};
    use crate::inbox::file;
    use crate::inbox::reader::Reader;
    use udpchat_config::Encoding;

    /// Creates an inbox with a received message, a sent one and a gap.
    fn inbox() -> (tempfile::TempDir, Reader) {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let peer = pack("1.2.3.4:5".parse::<SocketAddr>().unwrap());
        let sent = r#"{"encoding":{"name":"utf-8","by":"configured"},"error":"no route"}"#;
        let rows = [
            (Kind::Received, Some(&peer), None),
            (Kind::Sent, Some(&peer), Some(sent)),
            (Kind::Gap, None, Some(r#"{"lost":1,"reason":"queue_full"}"#)),
        ];
        for (kind, peer, detail) in rows {
            let insert =
                "INSERT INTO entry (at_ns, kind, peer, payload, detail) VALUES (1, ?1, ?2, x'd2bb', ?3)";
            connection.execute(insert, params![kind as i64, peer.map(Packed::as_slice), detail]).unwrap();
        }
        let reader = Reader::new(folder.path());
        reader.publish(3);
        (folder, reader)
    }

    fn recode(folder: &tempfile::TempDir, encoding: Option<Encoding>) -> u64 {
        let mut connection = file::open(folder.path()).unwrap().connection;
        let transaction = connection.transaction().unwrap();
        let item = RecodeItem { ids: vec![1, 2, 3, 9], encoding, peers: Vec::new(), stored: None };
        let found = write(&transaction, &item).unwrap();
        transaction.commit().unwrap();
        found
    }

    #[test]
    fn recoding_messages_keeps_their_other_details() {
        let (folder, reader) = inbox();
        let original: Vec<_> = (1..=3).map(|id| reader.entry(id).unwrap().unwrap()).collect();
        for encoding in [Encoding::GBK, Encoding::UTF_8] {
            assert_eq!(recode(&folder, Some(encoding)), 2);
            for (id, came) in (1..=3).zip(&original) {
                let now = reader.entry(id).unwrap().unwrap();
                assert_eq!(now.recoded, (id < 3).then_some(encoding));
                assert_eq!(now.body, came.body);
            }
        }
        let Body::Sent { detail: SentDetail { encoding: Some(sent), error, .. }, .. } = &original[1].body
        else {
            panic!()
        };
        assert_eq!((sent.name.as_str(), error.as_deref()), ("utf-8", Some("no route")));
        assert_eq!(recode(&folder, None), 2);
        for (id, came) in (1..=3).zip(original) {
            assert_eq!(reader.entry(id).unwrap().unwrap(), came);
        }
    }
}
