//! Any page of the in-flight journal is ignored, or reports at most the losses that it states, and the same ones after another
//! crash.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udpchat_daemon::fuzzing::{Log, Row, seal_page};
use udpchat_fuzz::{Input, folder};

const PAGE_BYTES: usize = 512;

/// How many entries the log has. The time of each is its id.
const ENTRIES: u32 = 30;

thread_local! {
    static LOG: (Log, TempDir) = {
        let folder = folder();
        let log = Log::create(folder.path()).without_durability();
        for id in 1..=ENTRIES {
            let (kind, detail) = match id % 5 {
                3 => (2, Some(&br#"{"lost":3,"reason":"queue_full"}"#[..])),
                4 => (1, Some(&b"{}"[..])),
                _ => (0, None),
            };
            let address = (kind != 2).then(|| vec![127, 0, 0, 1, 0, 9]);
            let detail = detail.map(<[u8]>::to_vec);
            let row = Row { id, at_ns: id.into(), kind, peer: address, detail, ..Row::default() };
            assert!(log.add(&row));
        }
        (log, folder)
    };
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (flags, anchor) = (input.byte(), input.byte());
    let mut page = [0; PAGE_BYTES];
    let content = input.bytes(PAGE_BYTES);
    page[..content.len()].copy_from_slice(content);
    let mut put =
        |word: usize, value: u64| page[8 * word..8 * word + 8].copy_from_slice(&value.to_le_bytes());
    if flags & 1 != 0 {
        put(0, u64::from_le_bytes(*if flags & 2 == 0 { b"udpbook\x02" } else { b"udpbook\x01" }));
    }
    if flags & 4 != 0 {
        // An entry that the log has.
        let id = u64::from(anchor) % (u64::from(ENTRIES) + 1);
        put(2, id);
        put(3, id);
    }
    if flags & 8 != 0 {
        seal_page(&mut page);
    }
    let word = |at: usize| u64::from_le_bytes(page[8 * at..8 * at + 8].try_into().expect("eight bytes"));
    let stated = (5..9).map(word).fold(0, u64::saturating_add);
    // A shorter file is a page that was never written.
    let page = if flags & 16 != 0 { content } else { &page[..] };
    let [lost, again] = LOG.with(|log| log.0.compare_journal(page));
    assert!(lost <= stated, "{lost} lost of {stated}");
    assert_eq!(again, lost, "what is not yet stored is reported again");
});
