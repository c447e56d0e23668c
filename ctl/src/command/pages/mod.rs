//! The selected entries as a stream of pages, oldest first, up to what was the newest at the start.
//!
//! Several pages are asked for ahead, so that the daemon reads while this side writes. What is held at once is
//! bounded, however many entries there are.

mod prefetch;

use udpchat_api::call::{InboxParams, InboxStatus, Order, StatusParams};
use udpchat_api::{Client, RawInboxAnswer};

use self::prefetch::Parts;
use super::filter::Filter;
use crate::error::{CtlError, Result};

/// The most entries of a page, the most that the daemon gives.
const PAGE_ENTRIES: u64 = 1_000;

/// Which entries are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// Entries above this id.
    pub(super) after: u64,
    /// Entries up to this id.
    pub(super) last: u64,
}

impl Span {
    /// Returns how many ids there are in it.
    pub(super) fn ids(self) -> u64 {
        self.last.saturating_sub(self.after)
    }
}

/// Pages of selected entries.
pub(super) struct Pages {
    client: Client,
    filter: InboxParams,
    parts: Parts,
    span: Span,
    listen_port: Option<u16>,
}

impl Pages {
    /// Selects everything that passes the filter and is there now, or with a number the last so many of that.
    pub(super) async fn select(mut client: Client, filter: &Filter, number: Option<u64>) -> Result<Self> {
        let status = client.call(&StatusParams {}).await?;
        let span = span(&mut client, filter, number, &status.inbox).await?;
        // Where few entries pass, the daemon finds the next one without being told where to look.
        let step = if filter.is_open() { PAGE_ENTRIES } else { u64::MAX };
        let parts = Parts::new(span, step);
        let listen_port = the_only(status.listen.iter().map(std::net::SocketAddr::port));
        Ok(Self { client, filter: filter.page(), parts, span, listen_port })
    }

    /// Returns the ids that are looked at.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Returns the port that the daemon listens on, if it is one and the same everywhere.
    pub(super) fn listen_port(&self) -> Option<u16> {
        self.listen_port
    }

    /// Returns the next page, none at the end. A page may have no entries.
    pub(super) async fn next(&mut self) -> Result<Option<RawInboxAnswer>> {
        loop {
            let ready = self.parts.take();
            // The next requests are on their way before anything is done with the page.
            while let Some(Span { after, last }) = self.parts.ask() {
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
            self.parts.answered(page).map_err(|stuck| CtlError::failed(stuck.to_string()))?;
        }
    }
}

/// Returns the ids that hold all that passes the filter and is there now, or with a number the last so many of that.
pub(super) async fn span(
    client: &mut Client,
    filter: &Filter,
    number: Option<u64>,
    inbox: &InboxStatus,
) -> Result<Span> {
    let mut span = Span { after: inbox.oldest_id.saturating_sub(1), last: inbox.newest_id };
    match number {
        // Ids have no holes.
        Some(number) if filter.is_open() => span.after = span.after.max(span.last.saturating_sub(number)),
        Some(number) => span.after = before_the_last(client, filter, span, number).await?,
        None => {}
    }
    Ok(span)
}

/// Returns the id before the `number`th last entry of a span that passes the filter.
async fn before_the_last(client: &mut Client, filter: &Filter, span: Span, number: u64) -> Result<u64> {
    let mut left = number;
    let mut before = span.last.saturating_add(1);
    while left > 0 {
        let page = InboxParams {
            after: Some(span.after),
            before: Some(before),
            limit: Some(left.min(PAGE_ENTRIES) as u32),
            order: Some(Order::Desc),
            ..filter.page()
        };
        let page = client.call(&page).await?;
        left = left.saturating_sub(page.entries.len() as u64);
        before = match page.entries.last() {
            Some(oldest) if left == 0 => oldest.id(),
            _ => page.next,
        };
        if !page.more && left > 0 {
            return Ok(span.after);
        }
    }
    Ok(before.saturating_sub(1))
}

fn the_only(mut ports: impl Iterator<Item = u16>) -> Option<u16> {
    let first = ports.next()?;
    ports.all(|port| port == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_known_if_all_sockets_have_it() {
        assert_eq!(the_only([7788, 7788].into_iter()), Some(7788));
        assert_eq!(the_only([7788, 7789].into_iter()), None);
        assert_eq!(the_only([].into_iter()), None);
    }
}
