//! Damage of a log that was recovered before: the ids that it has skipped were never used and cannot be lost.

use std::path::Path;

use super::{filled, gaps, open, open_with_journal, receive, received, recover_all, store_all, zero_page};
use crate::clock::simulated::{self, Clocks};
use crate::inbox::file::FILE_NAME;
use crate::inbox::recovery::{self, skipped};
use crate::inbox::writer::*;

/// How many messages are stored between two damages.
const MESSAGES: usize = 100;

fn text(number: usize) -> String {
    format!("message {number} {}", "x".repeat(1_000))
}

/// Stores the messages of a round.
fn store_round(writer: &mut Writer, queue: &Queue, round: usize) {
    for number in 0..MESSAGES {
        receive(queue, text(round * MESSAGES + number).as_bytes());
    }
    store_all(writer, queue);
    checkpoint(writer.connection.as_ref().unwrap());
}

/// Zeroes the page of the table that has a text.
fn zero_page_with(data_dir: &Path, text: &str) {
    let bytes = std::fs::read(data_dir.join(FILE_NAME)).unwrap();
    let has_text =
        |page: &[u8]| page[0] == 13 && page.windows(text.len()).any(|part| part == text.as_bytes());
    let page = bytes.chunks(16_384).position(has_text).unwrap_or_else(|| panic!("{text}"));
    zero_page(data_dir, page);
}

/// Checks that each id between the oldest and the newest one has an entry, or is known to have none, and that readers take none of them
/// for damaged. Returns how many entries the gaps stand for.
#[track_caller]
fn lost_of_whole(writer: &Writer) -> u64 {
    let reader = &writer.parts.reader;
    let mut after = 0;
    while let Some(end) = reader.check(after).unwrap() {
        after = end;
    }
    assert_eq!(reader.damage().news(), None);
    let bounds = reader.bounds().unwrap();
    let count = "SELECT count(*) FROM entry";
    let count: u64 = writer.connection.as_ref().unwrap().query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(bounds.entries() - reader.damage().missing(bounds.oldest..=bounds.newest), count);
    gaps(writer).iter().map(|(.., lost)| lost).sum()
}

#[test]
fn only_what_was_stored_is_lost_in_each_of_several_damages() {
    let folder = tempfile::tempdir().unwrap();
    let damages: [&dyn Fn(); 4] = [
        &|| zero_page_with(folder.path(), "message 50 x"),
        // The page with the last messages before the ids that were skipped and with the first ones behind them.
        &|| zero_page_with(folder.path(), "message 100 x"),
        &|| zero_page_with(folder.path(), "message 200 x"),
        &|| zero_page(folder.path(), 0),
    ];
    let mut before = 0;
    for (round, damage) in damages.into_iter().enumerate() {
        let (mut writer, queue, ..) = open_with_journal(folder.path());
        store_round(&mut writer, &queue, round);
        drop((writer, queue));
        damage();
        // Ids continue far behind the known ones. Without the schema, only the journal knows the newest one.
        if round < 3 {
            std::fs::remove_file(folder.path().join("books")).unwrap();
        }
        let (mut writer, ..) = open(folder.path());
        recover_all(&mut writer);
        let lost = lost_of_whole(&writer);
        assert_eq!(lost + received(&writer).len() as u64, ((round + 1) * MESSAGES) as u64, "{round}");
        assert_eq!(lost > before, round < 3, "round {round}: {lost} after {before}");
        assert_eq!(gaps(&writer).len(), [1, 3, 5, 5][round], "{:?}", gaps(&writer));
        before = lost;
        // Also for a daemon that starts on what was recovered.
        drop(writer);
        assert_eq!(lost_of_whole(&open(folder.path()).0), lost);
    }
}

#[test]
fn skipped_ids_are_known_where_the_gap_before_them_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let boot = |boot_id| simulated::set(Clocks { wall_ns: 1 << 60, boottime_ns: 1 << 40, boot_id });
    boot(1);
    let (mut writer, queue, ..) = open_with_journal(folder.path());
    store_round(&mut writer, &queue, 0);
    drop((writer, queue));
    let log = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    log.execute("DELETE FROM entry WHERE id > 60", []).unwrap();
    log.close().unwrap();
    boot(2);
    let (mut writer, queue, ..) = open_with_journal(folder.path());
    assert_eq!(gaps(&writer), [(61, 2_000_000, 40)]);
    store_round(&mut writer, &queue, 1);
    drop((writer, queue));
    zero_page_with(folder.path(), r#""first_id":61"#);
    let (mut writer, ..) = open(folder.path());
    recover_all(&mut writer);
    // The gap was an entry too.
    assert_eq!(lost_of_whole(&writer), 2 * MESSAGES as u64 + 1 - received(&writer).len() as u64);
}

#[test]
fn an_inbox_that_an_earlier_version_has_recovered_is_known_to_have_skipped_ids() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, ..) = open(folder.path());
    recover_all(&mut writer);
    let skipped = || skipped::read(writer.connection.as_ref().unwrap()).unwrap();
    assert_eq!(skipped(), [(501, 2_000_000)]);
    writer.connection.as_ref().unwrap().execute_batch("DROP TABLE skipped").unwrap();
    drop(writer);
    let (writer, ..) = open(folder.path());
    assert_eq!(skipped::read(writer.connection.as_ref().unwrap()).unwrap(), [(501, 2_000_000)]);
    drop(writer);
    assert_eq!(recovery::skipped_ids(&folder.path().join(FILE_NAME)), [(501, 2_000_000)]);
}
