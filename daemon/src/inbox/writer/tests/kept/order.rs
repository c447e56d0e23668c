//! What a transaction changes besides the log is known before its entries are published: a client that reads a notice finds what it
//! says in `status`.

use std::pin::pin;
use std::task::{Context, Wake, Waker};

use super::*;

/// Runs a function in the thread that wakes it.
struct OnWake(Box<dyn Fn() + Send + Sync>);

impl Wake for OnWake {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn what_a_notice_says_is_known_when_it_is_published() {
    set_clocks(1_000);
    let folder = tempfile::tempdir().unwrap();
    let sender = watch::Sender::new(Arc::new(settings(CONFIG)));
    let (mut writer, _queue, mut commits, _journal) =
        open_configured(folder.path(), sender.subscribe(), InflightJournal::default);
    let before = commits.see().newest_id;
    let (found, is_found) = std::sync::mpsc::channel();
    let view = Arc::clone(&writer.parts.kept);
    let waker = Waker::from(Arc::new(OnWake(Box::new(move || {
        found.send(view.watched()["bob"].silent_since_ns.is_some()).unwrap();
    }))));
    let published = commits.clone();
    let mut changed = pin!(commits.changed());
    assert!(changed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    for now_ns in [1_020 * SECOND, 1_020 * SECOND + SECOND / 2] {
        set_clocks_ns(now_ns);
        let now = writer.kept.now();
        writer.note_due(now);
    }
    assert_eq!(published.now().newest_id, before + 1, "the notice");
    assert_eq!(is_found.try_recv(), Ok(true));
}
