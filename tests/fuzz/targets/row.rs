//! Any row of the log is an entry or damage. An entry reads the same when it is written again, and recovery finds it; what
//! recovery finds is an entry.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udpchat_daemon::fuzzing::{Log, Reading, Row};
use udpchat_fuzz::{Input, folder};

thread_local! {
    static LOG: (Log, TempDir) = {
        let folder = folder();
        (Log::create(folder.path()).without_durability(), folder)
    };
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let flags = input.byte();
    let mut column = |bit: u8| (flags & bit == 0).then(|| input.part().to_vec());
    let (peer, local, detail) = (column(1), column(2), column(4));
    let kind = match input.byte() {
        kind @ 0..=3 => kind.into(),
        _ => i64::from(input.word()),
    };
    let (id, at_ns) = (input.word().max(1), i64::from(input.word()) << 32 | i64::from(input.word()));
    let payload = (flags & 8 == 0).then(|| input.0.to_vec());
    let row = Row { id, at_ns, kind, peer, local, payload, detail };
    LOG.with(|(log, _)| {
        let read = |row: &Row| {
            log.clear();
            log.add(row).then(|| log.read())
        };
        let Some(Reading { written, is_recovered }) = read(&row) else { return };
        assert!(written.is_some() || !is_recovered, "recovery finds what cannot be read: {row:?}");
        if let Some(written) = written {
            assert_eq!((written.id, written.at_ns, written.kind), (row.id, row.at_ns, row.kind));
            let again = read(&written).expect("a row that is written is valid");
            let expected = Reading { written: Some(written), is_recovered: true };
            assert_eq!(again, expected, "of {row:?}");
        }
    });
});
