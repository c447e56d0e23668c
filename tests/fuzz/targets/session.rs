//! Any bytes on a connection are answered as the protocol says: each request that has an id once and in order, with safe JSON.
//! Nothing is an internal error, and no memory of the client stays charged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udpchat_api::Entry;
use udpchat_api::call::InboxAnswer;
use udpchat_api::rpc::{Id, Reply};
use udpchat_daemon::fuzzing::{Daemon, is_internal, parse_line};
use udpchat_fuzz::{assert_safe_json, folder};

/// How a notification begins.
const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method":"entry","#;

struct Server {
    daemon: Daemon,
    _folder: TempDir,
}

thread_local! {
    /// A daemon with some messages, among them what an answer must escape, and a long one.
    static SERVER: Server = {
        let folder = folder();
        let daemon = Daemon::start(folder.path());
        for payload in [&b"hello"[..], b"\xc4\xe3\xba\xc3\xca\xc0\xbd\xe7", b"\x1b[31m\xe2\x80\xae\r\n\0", b""] {
            daemon.receive(payload);
        }
        daemon.receive(&[0x1b; 60_000]);
        Server { daemon, _folder: folder }
    };
}

fuzz_target!(|data: &[u8]| {
    let Some((role, lines)) = data.split_first() else { return };
    let answers = SERVER.with(|server| server.daemon.converse(*role, lines));
    let answers = String::from_utf8(answers).expect("answers are UTF-8");
    let mut expected = lines.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        parse_line(line).id
    });
    let mut followed = 0;
    for line in answers.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else {
            // The end of a connection ends its subscription anywhere.
            assert!(
                line.starts_with(NOTIFICATION) || NOTIFICATION.starts_with(line),
                "half a line: {line:?}"
            );
            break;
        };
        assert_safe_json(line);
        let reply: Reply = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        match reply.method.as_deref() {
            Some("entry") => {
                let entry: Entry = serde_json::from_value(reply.params.expect("an entry")).expect("an entry");
                assert!(reply.id.is_none() && reply.result.is_none() && reply.error.is_none());
                assert!(entry.id() != followed);
                followed = entry.id();
            }
            Some(method) => panic!("a notification `{method}`"),
            None => check_answer(reply, expected.next()),
        }
    }
    assert!(expected.next().is_none(), "each request is answered: {answers}");
});

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn check_answer(reply: Reply, expected: Option<Id>) {
    let expected = expected.unwrap_or_else(|| panic!("an answer to nothing: {reply:?}"));
    let id = reply.id.expect("an answer has an id");
    let written = |id: &Id| serde_json::to_string(id).expect("an id is JSON");
    assert_eq!(written(&id), written(&expected));
    match (reply.result, reply.error) {
        (Some(result), None) => {
            if let Ok(page) = serde_json::from_value::<InboxAnswer>(result) {
                let ids: Vec<_> = page.entries.iter().map(Entry::id).collect();
                let rises = ids.is_sorted_by(|one, next| one < next);
                assert!(rises || ids.is_sorted_by(|one, next| one > next), "{ids:?}");
            }
        }
        (None, Some(error)) => {
            assert!(!is_internal(&error) && error.code == error.data.kind.code(), "{error:?}");
        }
        both => panic!("{both:?}"),
    }
}
