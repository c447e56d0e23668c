//! Any line is a request, or gets one error that is safe JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udpchat_api::MAX_LINE_BYTES;
use udpchat_api::rpc::{Id, Reply};
use udpchat_daemon::fuzzing::{Line, is_internal, parse_line};
use udpchat_fuzz::assert_safe_json;

fuzz_target!(|line: &[u8]| {
    let Line { id, refusal } = parse_line(line);
    let Some(refusal) = refusal else { return };
    assert!(refusal.len() < MAX_LINE_BYTES / 64, "{} bytes for an error", refusal.len());
    let refusal = String::from_utf8(refusal).expect("an error is UTF-8");
    let refusal = refusal.strip_suffix('\n').expect("a line end");
    assert_safe_json(refusal);
    let reply: Reply = serde_json::from_str(refusal).expect("an error is JSON");
    let error = reply.error.expect("an error");
    assert!(!is_internal(&error) && error.code == error.data.kind.code(), "{refusal}");
    let written = |id: Option<Id>| serde_json::to_string(&id.unwrap_or(Id::Null)).expect("an id is JSON");
    assert_eq!(written(reply.id), written(id));
});
