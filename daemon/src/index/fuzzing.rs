//! What fuzz targets call of the index.

use std::cell::RefCell;

use super::bloom::Builder;
use super::log::{Anchor, IndexedEntry};
use super::predicate::Predicate;

/// Returns whether the index would skip a block that holds only a message with this payload.
pub(crate) fn excludes(predicate: &Predicate, payload: &[u8]) -> bool {
    thread_local!(static BUILDER: RefCell<Builder> = RefCell::new(Builder::new()));
    let mut block = BUILDER.with_borrow_mut(|builder| {
        builder.add(&IndexedEntry { anchor: Anchor::default(), kind: None, peer: None, payload });
        builder.finish()
    });
    predicate.survivors(&mut block, 1).is_ok_and(|left| left == 0)
}
