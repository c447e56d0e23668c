//! The filters of `inbox`, `subscribe` and `recode`: checked once, then applied to each entry.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use udpchat_api::call::{self, DirectionFilter, InboxParams, SubscribeParams};
use udpchat_api::{DEFAULT_CONSUMER, Entry, ErrorKind, ErrorObject, Message, safe};
use udpchat_config::PeerAddress;

use crate::clock::to_ns;
use crate::inbox::reader::{Order, Range};
use crate::index::predicate::Predicate;
use crate::index::{Term, regex_terms};
use crate::peers::Configured;

/// How much memory a compiled regular expression may take, in bytes.
const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// The longest name of a consumer, in characters.
const MAX_CONSUMER_CHARACTERS: usize = 64;

/// Selects entries.
#[derive(Debug)]
pub(crate) struct Query {
    /// The part that the database filters.
    pub(crate) range: Range,
    from: Option<PeerAddress>,
    grep: Option<Regex>,
}

impl Query {
    /// Checks the parameters of `inbox`. The caller sets the cursor.
    pub(crate) fn of_inbox(params: &InboxParams, configured: &Configured) -> Result<Self, ErrorObject> {
        let filters = SubscribeParams {
            after: params.after,
            from: params.from.clone(),
            direction: params.direction,
            since: params.since,
            until: params.until,
            grep: params.grep.clone(),
            gaps: params.gaps,
        };
        let mut query = Self::of_subscribe(&filters, configured)?;
        query.range.before = params.before;
        query.range.order = match params.order.unwrap_or_default() {
            call::Order::Asc => Order::Asc,
            call::Order::Desc => Order::Desc,
        };
        Ok(query)
    }

    /// Checks the parameters of `subscribe`. The caller sets the cursor.
    pub(crate) fn of_subscribe(
        params: &SubscribeParams,
        configured: &Configured,
    ) -> Result<Self, ErrorObject> {
        let direction = params.direction.unwrap_or_default();
        let from = params.from.as_deref().map(|from| peer(from, configured)).transpose()?;
        let grep = params.grep.as_deref().map(expression).transpose()?;
        // A gap has no peer and no text: it stands among selected messages only on request.
        let is_selective = from.is_some() || grep.is_some();
        let gaps = direction != DirectionFilter::Out && (params.gaps || !is_selective);
        let predicates = [from.map(Predicate::of_peer), params.grep.as_deref().map(regex_terms::predicate)];
        let mut predicate = Predicate::all(predicates.into_iter().flatten());
        if gaps {
            predicate = Predicate::any([predicate, Predicate::Term(Term::Gap)]);
        }
        let range = Range {
            after: params.after.unwrap_or(0),
            before: None,
            since_ns: params.since.map(to_ns),
            until_ns: params.until.map(to_ns),
            received: direction != DirectionFilter::Out,
            sent: direction != DirectionFilter::In,
            gaps,
            predicate: Arc::new(predicate),
            order: Order::Asc,
        };
        Ok(Self { range, from, grep })
    }

    /// Returns whether an entry of the range matches the other filters.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let Entry::Message(Message { peer, text, .. }) = entry else { return true };
        self.from.is_none_or(|from| from.matches(*peer))
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(&safe::as_seen(text)))
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

fn expression(grep: &str) -> Result<Regex, ErrorObject> {
    // As in grep, ^ and $ match at the ends of a line. The text is matched as it is seen, with `\n` as the only line end.
    RegexBuilder::new(grep).multi_line(true).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
        // The message marks the place below the pattern in several lines; the last one states the reason.
        let error = error.to_string();
        let what = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let text = format!("`grep`: invalid regular expression: {what}");
        ErrorObject::new(ErrorKind::InvalidParams, text)
            .hint(r"a backslash makes the next character literal: `\[`")
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
