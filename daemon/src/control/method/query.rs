//! What a client wants to read: the filters of `inbox` and `subscribe`, checked once and then applied to each
//! entry.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use udpchat_api::call::{self, DirectionFilter, InboxParams, SubscribeParams};
use udpchat_api::{DEFAULT_CONSUMER, Entry, ErrorKind, ErrorObject, Message};
use udpchat_config::PeerAddress;

use crate::clock::to_ns;
use crate::inbox::reader::{Order, Range};
use crate::index::predicate::Predicate;
use crate::index::{Term, regex_terms};
use crate::peers::Configured;

/// How much memory a regular expression may take when it is compiled, in bytes.
const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// The longest name of a consumer, in characters.
const MAX_CONSUMER_CHARACTERS: usize = 64;

/// Which entries are wanted.
#[derive(Debug)]
pub(crate) struct Query {
    /// What the database filters.
    pub(crate) range: Range,
    from: Option<PeerAddress>,
    grep: Option<Regex>,
}

impl Query {
    /// Checks the parameters of `inbox`; where it begins is the caller's matter.
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

    /// Checks the parameters of `subscribe`; where it begins is the caller's matter.
    pub(crate) fn of_subscribe(
        params: &SubscribeParams,
        configured: &Configured,
    ) -> Result<Self, ErrorObject> {
        let direction = params.direction.unwrap_or_default();
        let from = params.from.as_deref().map(|from| peer(from, configured)).transpose()?;
        let grep = params.grep.as_deref().map(expression).transpose()?;
        // A gap is of no peer and has no text: among chosen messages it stands only if that is asked for.
        let chosen = from.is_some() || grep.is_some();
        let gaps = direction != DirectionFilter::Out && (params.gaps || !chosen);
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

    /// Tells whether an entry in the range is wanted.
    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        let Entry::Message(Message { peer, text, .. }) = entry else { return true };
        self.from.is_none_or(|from| from.matches(*peer))
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(text))
    }
}

fn peer(from: &str, configured: &Configured) -> Result<PeerAddress, ErrorObject> {
    if let Some(named) = configured.by_name(from) {
        return Ok(named.address);
    }
    from.parse().map_err(|_| {
        let text = format!("`from`: no peer is called `{from}`, and it is no address");
        ErrorObject::new(ErrorKind::InvalidParams, text).hint("`udpchatctl peers` lists names and addresses")
    })
}

fn expression(grep: &str) -> Result<Regex, ErrorObject> {
    // As in grep, ^ and $ mean the ends of a line.
    RegexBuilder::new(grep).multi_line(true).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
        // The message has several lines with the place drawn below the pattern; the last one says what is wrong.
        let error = error.to_string();
        let what = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let text = format!("`grep` is no regular expression: {what}");
        ErrorObject::new(ErrorKind::InvalidParams, text)
            .hint(r"a backslash takes a character literally: `\[`")
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
