//! A note for those who ask for a time of which entries have been removed: what they get looks complete.

use jiff::Timestamp;
use udpchat_api::call::{InboxParams, StatusParams};
use udpchat_api::{Client, Entry};
use udpchat_locale::tr;

use super::filter::Filter;
use crate::output::{Output, local_time};

/// Prints a note if the inbox begins after the time from which on entries are selected, and its first entry is not the first one that
/// there was: older ones have been removed, or were in an inbox that was lost. What cannot be found out gets none.
pub(super) async fn note_removed(client: &mut Client, output: &mut Output, filter: &Filter) {
    let since = filter.since.as_ref().and_then(|since| since.parse().ok());
    let Some(since) = since.filter(|_| output.has_notes()) else { return };
    if let Some((id, begins)) = beginning(client).await.filter(|(_, begins)| *begins > since) {
        let time = local_time(begins, output.zone());
        output.note(&tr!("the inbox begins at {time}, with #{id}: it has no older entries", time, id));
    }
}

/// Returns the oldest entry and its time, if it is not the first one that there was.
async fn beginning(client: &mut Client) -> Option<(u64, Timestamp)> {
    let oldest = client.call(&StatusParams {}).await.ok()?.inbox.oldest_id;
    if oldest <= 1 {
        return None;
    }
    let page = InboxParams { after: Some(oldest - 1), limit: Some(1), ..InboxParams::default() };
    let entry = client.call(&page).await.ok()?.entries.into_iter().next()?;
    let at = match &entry {
        Entry::Message(message) => message.at,
        Entry::Gap(gap) => gap.at,
        Entry::Notice(notice) => notice.at,
    };
    Some((entry.id(), at))
}
