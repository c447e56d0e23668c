//! Reads the selected entries as a stream of pages, oldest first, up to the newest entry at the start.
//!
//! Several pages are requested ahead, so that the daemon reads while this program writes. Memory is bounded, however many
//! entries there are. `export`, `replay` and `recode` use it.

mod prefetch;
mod span;

use udpchat_api::call::{InboxParams, StatusParams};
use udpchat_api::{Client, RawInboxAnswer};

use self::prefetch::Prefetch;
use self::span::PAGE_ENTRIES;
pub(super) use self::span::{Span, span};
use super::condition::Selection;
use super::filter::Filter;
use crate::error::{CtlError, Result};

/// Pages of selected entries.
pub(super) struct Pages {
    client: Client,
    filter: InboxParams,
    selection: Selection,
    prefetch: Prefetch,
    span: Span,
    listen_port: Option<u16>,
}

impl Pages {
    /// Selects the current entries that pass the filter; with `number`, the last ones of them.
    pub(super) async fn select(mut client: Client, filter: &Filter, number: Option<u64>) -> Result<Self> {
        let status = client.call(&StatusParams {}).await?;
        let selection = Selection::new(&filter.conditions);
        let span = span(&mut client, filter, number, &status.inbox).await?;
        // With a filter, one part covers everything: the daemon's index finds the next entry.
        let step = if filter.is_open() { PAGE_ENTRIES } else { u64::MAX };
        let prefetch = Prefetch::new(span, step);
        let listen_port = the_only(status.listen.iter().map(std::net::SocketAddr::port));
        Ok(Self { client, filter: filter.page(), selection, prefetch, span, listen_port })
    }

    /// Returns the ids that are read.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Returns the port of the daemon, if all its sockets have the same one.
    pub(super) fn listen_port(&self) -> Option<u16> {
        self.listen_port
    }

    /// Returns a note on a number of a condition that no message has had.
    pub(super) fn note(&self) -> Option<String> {
        self.selection.note()
    }

    /// Returns the next page; none at the end. A page may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<RawInboxAnswer>> {
        loop {
            let ready = self.prefetch.take().map(|mut page| {
                if self.selection.is_selective() {
                    page.entries.retain(|entry| self.selection.select_json(entry));
                }
                page
            });
            // The next requests are sent before the page is processed.
            while let Some(Span { after, last }) = self.prefetch.ask() {
                let page = InboxParams {
                    after: Some(after),
                    before: Some(last.saturating_add(1)),
                    limit: Some(PAGE_ENTRIES as u32),
                    ..self.filter.clone()
                };
                self.client.ask(&page)?;
            }
            if ready.is_some() || self.client.in_flight() == 0 {
                return Ok(ready);
            }
            let page = self.client.answer().await?;
            self.prefetch.answered(page).map_err(|stuck| CtlError::failed(stuck.to_string()))?;
        }
    }
}

fn the_only(mut ports: impl Iterator<Item = u16>) -> Option<u16> {
    let first = ports.next()?;
    ports.all(|port| port == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_known_if_all_sockets_share_it() {
        assert_eq!(the_only([7788, 7788].into_iter()), Some(7788));
        assert_eq!(the_only([7788, 7789].into_iter()), None);
        assert_eq!(the_only([].into_iter()), None);
    }
}
