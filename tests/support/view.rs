//! Fields of entries.

use serde_json::Value;

/// Returns the texts of entries.
#[track_caller]
pub(crate) fn texts(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["text"].as_str().expect("a message")).collect()
}

/// Returns the ids of entries.
pub(crate) fn ids(entries: &[Value]) -> Vec<u64> {
    entries.iter().map(id).collect()
}

/// Returns the id of an entry.
pub(crate) fn id(entry: &Value) -> u64 {
    entry["id"].as_u64().unwrap()
}

/// Returns the payload of an entry.
#[track_caller]
pub(crate) fn raw(entry: &Value) -> Vec<u8> {
    serde_json::from_value::<udpchat_api::Raw>(entry["raw"].clone()).unwrap().0
}
