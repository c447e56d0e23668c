//! A full disk: the inbox is brought within its limits before anything is stored, and its index does not grow.

use super::Writer;
use crate::inbox::InboxError;

impl Writer {
    /// Notes whether the disk is full. As long as it is, the index does not take what becomes free.
    pub(super) fn note_full_disk(&mut self, is_full: bool) {
        self.disk_is_full = is_full;
        self.parts.reader.index().pause(is_full);
    }

    /// Removes what exceeds the limits, where the disk is full: what waits would take the room that the removal needs. Fails as
    /// long as there is none.
    pub(super) fn make_room(&mut self) -> Result<(), InboxError> {
        if !self.disk_is_full {
            return Ok(());
        }
        loop {
            self.parts.heartbeat.record();
            self.maintain();
            if !self.maintenance.has_more() {
                break;
            }
        }
        if self.maintenance.lacks_room() {
            return Err(InboxError::NoRoomToRemove);
        }
        Ok(())
    }
}
