//! Held messages: their limits, numbers, order and ends.

use super::*;

#[test]
fn a_message_over_a_limit_is_not_held_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, ..) = open(folder.path());
    let many = |number| vec![b"x".to_vec(); number];
    assert!(hold(&mut writer, "bob", many(MAX_HELD_FOR_ONE - 1)).is_ok());
    assert_eq!(hold(&mut writer, "bob", many(2)), Err(HeldFull::ForOne));
    assert_eq!(hold(&mut writer, "bob", many(1)).map(|ids| ids.len()), Ok(1));
    for peer in 1..10 {
        let (to, by) = (format!("10.0.0.{peer}:0"), if peer < 5 { "ann" } else { "eve" });
        assert!(hold_by(&mut writer, by, &to, many(MAX_HELD_FOR_ONE)).is_ok());
    }
    assert_eq!(hold_by(&mut writer, "joe", "ann", many(1)), Err(HeldFull::Messages));
    let (mut writer, ..) = {
        drop(writer);
        let folder = tempfile::tempdir().unwrap();
        open(folder.path())
    };
    let large = |number: usize| vec![vec![7; 60_000]; number];
    for (by, number) in [("ann", 139), ("eve", 139), ("joe", 1)] {
        assert!(hold_by(&mut writer, by, "bob", large(number)).is_ok());
    }
    assert_eq!(hold_by(&mut writer, "joe", "ann", large(1)), Err(HeldFull::Bytes));
    assert_eq!(held_rows(&writer).len(), 279);
}

#[test]
fn one_user_cannot_take_the_room_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, ..) = open(folder.path());
    let to = |peer: usize| format!("10.0.0.{peer}:0");
    for peer in 0..5 {
        assert!(hold(&mut writer, &to(peer), vec![b"x".to_vec(); MAX_HELD / PART_OF_USER / 5]).is_ok());
    }
    assert_eq!(hold(&mut writer, &to(9), vec![b"x".to_vec()]), Err(HeldFull::OfUser));
    assert!(hold_by(&mut writer, "eve", &to(9), vec![vec![7; 60_000]; 139]).is_ok());
    assert_eq!(hold_by(&mut writer, "eve", &to(9), vec![vec![7; 60_000]]), Err(HeldFull::OfUser));
    // What is no longer held makes room.
    let first = held_rows(&writer)[0];
    cancel(&mut writer, first);
    assert!(hold(&mut writer, &to(9), vec![b"x".to_vec()]).is_ok());
}

fn cancel(writer: &mut Writer, id: u64) {
    assert!(writer.store(&mut [Item::Cancel(Box::new(CancelItem { id, stored: None }))], &[]));
}

#[test]
fn a_removed_file_has_no_number_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let id = hold(&mut writer, "bob", vec![vec![1]]).unwrap()[0];
    cancel(&mut writer, id);
    for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    receive(&queue, b"into a new file");
    store_all(&mut writer, &queue);
    assert_eq!(hold(&mut writer, "bob", vec![vec![2]]), Ok(vec![id + 1]));
}

#[test]
fn nothing_overtakes_what_is_given_back() {
    let mut world = World::new();
    let ids: Vec<u64> = (0..20).map(|n| hold(&mut world.writer, "bob", vec![vec![n]]).unwrap()[0]).collect();
    let word = |world: &mut World| {
        let peer = SOURCES[0].parse().unwrap();
        world.queue.intake(|intake| intake.datagram(1, peer, None, b"word"));
        world.store();
    };
    word(&mut world);
    let view = Arc::clone(&world.writer.parts.kept);
    let first = view.try_next_release().unwrap();
    // The next ones are released while the first are being sent, and that fails.
    word(&mut world);
    view.give_back(first.peer.ip(), first.rows.iter());
    assert!(view.try_next_release().is_none(), "they would go before the first");
    word(&mut world);
    let again = view.try_next_release().unwrap();
    assert_eq!(again.rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..16]);
}

#[test]
fn each_of_many_messages_that_expire_together_has_a_notice() {
    let mut world = World::new();
    // They expire at the same time.
    for (to, parts) in [(0, 12), (1, 2)] {
        world.hold(to, parts, 5);
    }
    world.now += 6;
    set_clocks(world.now);
    world.due();
    let found: Vec<_> = all_notices(&world.writer)
        .into_iter()
        .filter(|notice| notice.notice == NoticeDetail::EXPIRED)
        .map(|notice| (notice.name.unwrap(), notice.held.unwrap()))
        .collect();
    let of =
        |name: &'static str, numbers: RangeInclusive<u64>| numbers.map(move |held| (name.to_owned(), held));
    let expected: Vec<_> = of("bob", 1..=12).chain(of("dev", 13..=14)).collect();
    assert_eq!(found, expected);
    assert_eq!(held_rows(&world.writer), Vec::<u64>::new());
}
