//! Any pattern compiles within the limits or is refused, finds what the reference engine finds, and the index never excludes a
//! message that matches.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regex::RegexBuilder;
use udpchat_api::safe::as_seen;
use udpchat_daemon::fuzzing::{Found, Grep, is_internal};
use udpchat_fuzz::Input;

thread_local! {
    static GREP: Grep = Grep::new();
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let length = usize::from(input.byte()) * 8 + usize::from(input.byte()) % 8;
    let pattern = String::from_utf8_lossy(input.bytes(length));
    let payload = input.0;
    GREP.with(|grep| {
        match grep.search(&pattern, payload) {
            Ok(Found { text, is_match, is_excluded, is_within_memory }) => {
                assert!(is_within_memory);
                assert!(
                    !(is_match && is_excluded),
                    "the index excludes {payload:02x?}, which `{pattern}` matches"
                );
                let reference = RegexBuilder::new(&pattern).multi_line(true).nest_limit(50).build();
                if let Ok(reference) = reference {
                    assert_eq!(reference.is_match(&as_seen(&text)), is_match, "`{pattern}` in {text:?}");
                }
            }
            Err(error) => assert!(!is_internal(&error), "{error:?}"),
        }
        assert_eq!(grep.held_bytes(), 0, "no memory stays charged");
    });
});
