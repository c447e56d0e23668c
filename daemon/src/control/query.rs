//! The filters of `inbox`, `subscribe` and `recode`: checked once, then applied to each entry.

use std::sync::Arc;

use udpchat_api::call::{self, DirectionFilter, InboxParams, SubscribeParams};
use udpchat_api::{DEFAULT_CONSUMER, Entry, ErrorKind, ErrorObject, Message, safe};
use udpchat_config::PeerAddress;

use super::pattern::{self, Pattern};
use crate::clock::to_ns;
use crate::inbox::reader::{Order, Range};
use crate::index::Term;
use crate::index::predicate::Predicate;
use crate::peers::Configured;

/// The longest name of a consumer, in characters.
const MAX_CONSUMER_CHARACTERS: usize = 64;

/// Selects entries.
#[derive(Debug)]
pub(crate) struct Query {
    /// The part that the database filters.
    pub(crate) range: Range,
    from: Option<PeerAddress>,
    grep: Option<Arc<Pattern>>,
}

/// Applies the filters that the database does not, to the entries of one read.
#[derive(Debug)]
pub(crate) struct Matcher {
    from: Option<PeerAddress>,
    grep: Option<(Arc<Pattern>, pattern::Search)>,
}

impl Query {
    /// Checks the parameters of `inbox`, except `grep`, which is compiled by now. The caller sets the cursor.
    pub(crate) fn of_inbox(
        params: &InboxParams,
        grep: Option<Arc<Pattern>>,
        configured: &Configured,
    ) -> Result<Self, ErrorObject> {
        let filters = SubscribeParams {
            after: params.after,
            from: params.from.clone(),
            direction: params.direction,
            since: params.since,
            until: params.until,
            grep: None,
            gaps: params.gaps,
        };
        let mut query = Self::of_subscribe(&filters, grep, configured)?;
        query.range.before = params.before;
        query.range.order = match params.order.unwrap_or_default() {
            call::Order::Asc => Order::Asc,
            call::Order::Desc => Order::Desc,
        };
        Ok(query)
    }

    /// Checks the parameters of `subscribe`, except `grep`, which is compiled by now. The caller sets the cursor.
    pub(crate) fn of_subscribe(
        params: &SubscribeParams,
        grep: Option<Arc<Pattern>>,
        configured: &Configured,
    ) -> Result<Self, ErrorObject> {
        let direction = params.direction.unwrap_or_default();
        let from = params.from.as_deref().map(|from| peer(from, configured)).transpose()?;
        // A gap has no peer and no text: it stands among selected messages only on request.
        let is_selective = from.is_some() || grep.is_some();
        let gaps = direction != DirectionFilter::Out && (params.gaps || !is_selective);
        let mut predicate = match (from.map(Predicate::of_peer), &grep) {
            (None, None) => Arc::new(Predicate::Anything),
            (None, Some(grep)) => Arc::clone(grep.predicate()),
            (Some(from), None) => Arc::new(from),
            (Some(from), Some(grep)) => Arc::new(Predicate::all([from, Predicate::clone(grep.predicate())])),
        };
        if gaps {
            let with_gaps = [Predicate::clone(&predicate), Predicate::Term(Term::Gap)];
            predicate = Arc::new(Predicate::any(with_gaps));
        }
        let range = Range {
            after: params.after.unwrap_or(0),
            before: None,
            since_ns: params.since.map(to_ns),
            until_ns: params.until.map(to_ns),
            received: direction != DirectionFilter::Out,
            sent: direction != DirectionFilter::In,
            gaps,
            predicate,
            order: Order::Asc,
        };
        Ok(Self { range, from, grep })
    }

    /// Returns how much memory a [`Matcher`] may take, in bytes.
    pub(crate) fn matcher_bytes(&self) -> usize {
        if self.grep.is_some() { pattern::MAX_SEARCH_BYTES } else { 0 }
    }

    /// Returns a matcher for one read. Its memory is freed with it.
    pub(crate) fn matcher(&self) -> Matcher {
        let grep = self.grep.as_ref().map(|grep| (Arc::clone(grep), grep.search()));
        Matcher { from: self.from, grep }
    }
}

impl Matcher {
    /// Returns whether an entry of the range matches the other filters.
    pub(crate) fn matches(&mut self, entry: &Entry) -> bool {
        let Entry::Message(Message { peer, text, .. }) = entry else { return true };
        self.from.is_none_or(|from| from.matches(*peer))
            && self.grep.as_mut().is_none_or(|(grep, search)| grep.is_match(search, &safe::as_seen(text)))
    }
}

fn peer(from: &str, configured: &Configured) -> Result<PeerAddress, ErrorObject> {
    if let Some(named) = configured.by_name(from) {
        return Ok(named.address);
    }
    from.parse().map_err(|_| {
        let text = format!("`from`: `{from}` is neither a configured peer nor an address");
        ErrorObject::new(ErrorKind::InvalidParams, text).hint("`udpchatctl peers` lists names and addresses")
    })
}

/// Checks the name of a consumer.
pub(crate) fn consumer(name: Option<&str>) -> Result<String, ErrorObject> {
    let name = name.unwrap_or(DEFAULT_CONSUMER);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
    if (1..=MAX_CONSUMER_CHARACTERS).contains(&name.chars().count()) && name.chars().all(plain) {
        return Ok(name.to_owned());
    }
    let text = format!("`consumer` must be 1 to {MAX_CONSUMER_CHARACTERS} letters, digits or `-_.@:`");
    Err(ErrorObject::new(ErrorKind::InvalidParams, text))
}
