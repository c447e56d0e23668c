//! The filters of `inbox`, `subscribe` and `recode`: checked once, then applied to each entry.

use std::cell::LazyCell;
use std::sync::Arc;

use jiff::Zoned;
use memchr::memmem::Finder;
use udpchat_api::call::{self, DeliveryFilter, DirectionFilter, InboxParams, Kind, SubscribeParams};
use udpchat_api::{Delivery, Entry, ErrorKind, ErrorObject, Gap, Message, Notice, Raw, Timestamp, safe};
use udpchat_config::when;

use super::entry::Viewer;
use super::pattern::{self, Pattern};
use super::sender::{Sender, senders};
use crate::clock::to_ns;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::reader::{Order, Range};
use crate::index::predicate::Predicate;
use crate::index::{Term, regex_terms};
use crate::peers::Configured;

/// How many bytes may be looked for in payloads.
const MAX_CONTAINED_BYTES: usize = 1024;

/// Selects entries.
#[derive(Debug)]
pub(crate) struct Query {
    /// The part that the database filters.
    pub(crate) range: Range,
    /// An entry of any of them passes; without any, every entry does.
    from: Arc<[Sender]>,
    /// An entry of any of them does not pass.
    not_from: Arc<[Sender]>,
    grep: Option<Arc<Pattern>>,
    /// Finds the bytes that the payload contains.
    contains: Option<Arc<Finder<'static>>>,
    /// Which notices pass.
    direction: DirectionFilter,
    /// Whether gaps without a peer pass.
    gaps_of_nobody: bool,
    delivery: Option<DeliveryFilter>,
    configured: Configured,
}

/// Applies the filters that the database does not, to the entries of one read.
#[derive(Debug)]
pub(crate) struct Matcher {
    from: Arc<[Sender]>,
    not_from: Arc<[Sender]>,
    grep: Option<(Arc<Pattern>, pattern::Search)>,
    contains: Option<Arc<Finder<'static>>>,
    direction: DirectionFilter,
    gaps_of_nobody: bool,
    delivery: Option<DeliveryFilter>,
    configured: Configured,
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
            not_from: params.not_from.clone(),
            direction: params.direction,
            since: params.since.clone(),
            until: params.until.clone(),
            grep: None,
            contains: params.contains.clone(),
            gaps: params.gaps,
            notices: params.notices,
            only: params.only.clone(),
            delivery: params.delivery,
        };
        let mut query = Self::of_subscribe(&filters, grep, configured)?;
        query.range.before = params.before;
        // Without a cursor, the log is read from the oldest entry on, wherever that is.
        query.range.removed &= params.after.is_some();
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
        // One time for both, which reads the time zone of this machine at most once.
        let now: LazyCell<Zoned> = LazyCell::new(when::now);
        let since = time("since", params.since.as_deref(), &now, None)?;
        let until = time("until", params.until.as_deref(), &now, since)?;
        let from = senders("from", &params.from, configured)?;
        let not_from = senders("not_from", &params.not_from, configured)?;
        let contains = params.contains.as_ref().map(contained).transpose()?;
        // What is known of a delivery is known of a sent message.
        let is_wanted = |kind| {
            (params.only.is_empty() || params.only.contains(&kind))
                && (params.delivery.is_none() || kind == Kind::Sent)
        };
        // A gap has no text: it stands among messages that are selected by theirs only on request, and so does one without a
        // peer among those of peers.
        let is_by_text = grep.is_some() || contains.is_some();
        let gaps = direction != DirectionFilter::Out && (params.gaps || !is_by_text) && is_wanted(Kind::Gaps);
        let gaps_of_nobody = params.gaps || from.is_empty();
        // Nor has a notice a text. The matcher looks at its direction.
        let notices = params.notices && !is_by_text && is_wanted(Kind::Notices);
        let of_senders = match from.is_empty() {
            true => Predicate::Anything,
            false => Predicate::any(from.iter().map(Sender::predicate)),
        };
        let mut predicate = match &grep {
            Some(grep) if of_senders == Predicate::Anything => Arc::clone(grep.predicate()),
            Some(grep) => Arc::new(Predicate::all([of_senders, Predicate::clone(grep.predicate())])),
            None => Arc::new(of_senders),
        };
        if let Some(finder) = &contains {
            let of_bytes = regex_terms::bytes_predicate(finder.needle());
            predicate = Arc::new(Predicate::all([Predicate::clone(&predicate), of_bytes]));
        }
        for (_, term) in
            [(gaps, Term::Gap), (notices, Term::Notice)].into_iter().filter(|(wanted, _)| *wanted)
        {
            predicate = Arc::new(Predicate::any([Predicate::clone(&predicate), Predicate::Term(term)]));
        }
        let range = Range {
            after: params.after.unwrap_or(0),
            before: None,
            since_ns: since.map(to_ns),
            until_ns: until.map(to_ns),
            received: direction != DirectionFilter::Out && is_wanted(Kind::Received),
            sent: direction != DirectionFilter::In && is_wanted(Kind::Sent),
            gaps,
            notices,
            removed: params.after.is_none_or(|after| after > 0) && is_wanted(Kind::Gaps),
            predicate,
            order: Order::Asc,
        };
        let (delivery, configured) = (params.delivery, configured.clone());
        Ok(Self { range, from, not_from, grep, contains, direction, gaps_of_nobody, delivery, configured })
    }

    /// Returns how much memory a [`Matcher`] may take, in bytes.
    pub(crate) fn matcher_bytes(&self) -> usize {
        if self.grep.is_some() { pattern::MAX_SEARCH_BYTES } else { 0 }
    }

    /// Returns a matcher for one read. Its memory is freed with it.
    pub(crate) fn matcher(&self) -> Matcher {
        let grep = self.grep.as_ref().map(|grep| (Arc::clone(grep), grep.search()));
        let (from, not_from) = (Arc::clone(&self.from), Arc::clone(&self.not_from));
        let contains = self.contains.clone();
        let Self { direction, gaps_of_nobody, delivery, ref configured, .. } = *self;
        let configured = configured.clone();
        Matcher { from, not_from, grep, contains, direction, gaps_of_nobody, delivery, configured }
    }
}

impl Matcher {
    /// Returns an entry of the range as clients see it if it matches the other filters.
    pub(crate) fn matching(&mut self, viewer: &Viewer, stored: Stored) -> Option<Entry> {
        // Decoding takes longer than looking for bytes.
        let is_candidate = self.has_direction(&stored) && self.has_bytes(&stored);
        let entry = is_candidate.then(|| viewer.entry(stored))?;
        self.matches(&entry).then_some(entry)
    }

    /// Returns whether a notice has the direction that is wanted; of messages the database selects it.
    fn has_direction(&self, stored: &Stored) -> bool {
        let Body::Notice(notice) = &stored.body else { return true };
        match self.direction {
            DirectionFilter::Both => true,
            DirectionFilter::Out => notice.is_about_sending(),
            DirectionFilter::In => !notice.is_about_sending(),
        }
    }

    fn has_bytes(&self, stored: &Stored) -> bool {
        match (&self.contains, &stored.body) {
            (None, _) | (_, Body::Gap(_) | Body::Notice(_)) => true,
            (Some(finder), Body::Received { payload, .. } | Body::Sent { payload, .. }) => {
                finder.find(payload).is_some()
            }
        }
    }

    fn matches(&mut self, entry: &Entry) -> bool {
        let message = match entry {
            Entry::Message(message) => message,
            Entry::Gap(Gap { peer: Some(source), .. }) => {
                let is_from = self.from.is_empty() || self.from.iter().any(|sender| sender.concerns(source));
                return is_from && !self.not_from.iter().any(|sender| sender.covers(source));
            }
            Entry::Gap(_) => return self.gaps_of_nobody,
            Entry::Notice(Notice { peer, .. }) => {
                let has_peer = |matches: fn(&Sender, &str) -> bool, senders: &[Sender]| {
                    let peer = peer.as_ref();
                    peer.is_some_and(|peer| senders.iter().any(|sender| matches(sender, peer)))
                };
                return (self.from.is_empty() || has_peer(Sender::concerns, &self.from))
                    && !has_peer(Sender::covers, &self.not_from);
            }
        };
        let is_of = |sender: &Sender| sender.matches(message.peer, &self.configured);
        (self.from.is_empty() || self.from.iter().any(is_of))
            && !self.not_from.iter().any(is_of)
            && self.delivery.is_none_or(|delivery| has_delivery(message, delivery))
            && self
                .grep
                .as_mut()
                .is_none_or(|(grep, search)| grep.is_match(search, &safe::as_seen(&message.text)))
    }
}

/// Returns whether this is known of the delivery of a sent message.
fn has_delivery(message: &Message, wanted: DeliveryFilter) -> bool {
    match wanted {
        DeliveryFilter::NotSent => message.error.is_some(),
        DeliveryFilter::Sent => message.delivery == Some(Delivery::Sent),
        DeliveryFilter::Answered => message.delivery == Some(Delivery::Answered),
        DeliveryFilter::Bounced => message.delivery == Some(Delivery::Bounced),
    }
}

/// Checks bytes that payloads must contain.
fn contained(bytes: &Raw) -> Result<Arc<Finder<'static>>, ErrorObject> {
    if (1..=MAX_CONTAINED_BYTES).contains(&bytes.0.len()) {
        return Ok(Arc::new(Finder::new(&bytes.0).into_owned()));
    }
    let text = format!("`contains` must be 1 to {MAX_CONTAINED_BYTES} bytes");
    Err(ErrorObject::new(ErrorKind::InvalidParams, text))
}

/// Reads a time in any notation of the command line, in the time zone of this process.
fn time(
    name: &str,
    text: Option<&str>,
    now: &LazyCell<Zoned>,
    since: Option<Timestamp>,
) -> Result<Option<Timestamp>, ErrorObject> {
    let Some(text) = text else { return Ok(None) };
    // What `udpchatctl` sends needs no time zone.
    if let Ok(time) = text.parse() {
        return Ok(Some(time));
    }
    when::parse(text, now, since).map(Some).ok_or_else(|| {
        let text = format!("`{name}`: invalid time `{text}`");
        ErrorObject::new(ErrorKind::InvalidParams, text).hint(when::EXAMPLES)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::sync::watch;
    use udpchat_api::{Direction, EncodingBy};
    use udpchat_config::{Environment, Overrides, Settings};

    use super::*;
    use crate::inbox::entry::SentDetail;
    use crate::inbox::learned_encodings::LearnedEncodings;
    use crate::net::interface_names::InterfaceNames;
    use crate::peers::Peers;

    fn configured(peers: &str) -> Configured {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, peers).unwrap();
        let overrides = Overrides { config: Some(file), ..Overrides::default() };
        let settings = Settings::load(&overrides, &Environment::of_process()).unwrap();
        let (_sender, settings) = watch::channel(Arc::new(settings));
        let names = Arc::new(InterfaceNames::default());
        assert!(names.look_up(&"lo".parse().unwrap()));
        Peers::new(settings, names, Arc::new(LearnedEncodings::default())).configured()
    }

    fn query(params: Value, configured: &Configured) -> Result<Query, ErrorObject> {
        Query::of_subscribe(&serde_json::from_value(params).unwrap(), None, configured)
    }

    fn entry(peer: &str) -> Entry {
        Entry::Message(Message {
            id: 1,
            at: Timestamp::UNIX_EPOCH,
            direction: Direction::In,
            peer: peer.parse().unwrap(),
            name: None,
            local: None,
            text: String::new(),
            encoding: "utf-8".to_owned(),
            encoding_by: EncodingBy::Detected,
            encoding_is_default: false,
            bytes: 0,
            raw: Raw(Vec::new()),
            error: None,
            by: None,
            delivery: None,
            answer: None,
            bounce: None,
            held_seconds: None,
        })
    }

    #[test]
    fn messages_of_a_peer_are_found_while_its_interface_is_missing() {
        // No interface has these numbers now.
        let configured = configured("[peers.bob]\naddress = 'fe80::1%nosuch0'\n");
        for peer in ["[fe80::1%999998]:9", "[fe80::1%999999]:9"] {
            let mut matcher = query(json!({"from": ["bob"]}), &configured).unwrap().matcher();
            assert!(matcher.matches(&entry(peer)) && !matcher.matches(&entry("[fe80::2%7]:9")), "{peer}");
            assert_eq!(configured.of(peer.parse().unwrap()).map(|named| named.name), Some("bob"), "{peer}");
        }
    }

    #[test]
    fn a_gap_of_a_source_is_selected_with_its_messages() {
        let configured = configured("[peers.bob]\naddress = '10.0.0.5:9'\n");
        for (from, source, is_selected) in [
            ("bob", "10.0.0.5", true),
            ("bob", "10.0.0.5:9", true),
            ("bob", "10.0.0.5:8", false),
            ("bob", "10.0.0.6", false),
            ("10.0.0.5", "10.0.0.5:8", true),
            ("10.0.0.0/24", "10.0.0.6", true),
            ("10.0.1.0/24", "10.0.0.6", false),
            ("2001:db8::7", "2001:db8::/64", true),
            ("2001:db8:0:1::7", "2001:db8::/64", false),
            ("2001:db8::/32", "2001:db8:0:7::/64", true),
            ("bob", "a later notation", true),
        ] {
            let (at, reason) = (Timestamp::UNIX_EPOCH, "limited".to_owned());
            let peer = Some(source.to_owned());
            let gap = Entry::Gap(Gap { id: 1, at, lost: 1, reason, first_id: None, peer, name: None });
            let mut matcher = query(json!({"from": [from], "gaps": true}), &configured).unwrap().matcher();
            assert_eq!(matcher.matches(&gap), is_selected, "{from} {source}");
            assert!(query(json!({}), &configured).unwrap().matcher().matches(&gap));
        }
    }

    #[test]
    fn what_is_of_an_unwanted_sender_alone_is_left_out() {
        let configured = configured("[peers.bob]\naddress = '10.0.0.5:9'\n");
        for (not_from, peer, is_left_out) in [
            ("bob", "10.0.0.5:9", true),
            ("bob", "10.0.0.5:8", false),
            ("10.0.0.5", "10.0.0.5:8", true),
            ("10.0.0.0/24", "10.0.0.5:8", true),
            ("10.0.1.0/24", "10.0.0.5:8", false),
        ] {
            let mut matcher = query(json!({"not_from": [not_from]}), &configured).unwrap().matcher();
            assert_eq!(matcher.matches(&entry(peer)), !is_left_out, "{not_from} {peer}");
            // A gap of the address may have datagrams of other ports.
            for (source, is_left_out) in [(peer, is_left_out), ("10.0.0.5", is_left_out && not_from != "bob")]
            {
                let (at, reason) = (Timestamp::UNIX_EPOCH, "limited".to_owned());
                let peer = Some(source.to_owned());
                let gap = Entry::Gap(Gap { id: 1, at, lost: 1, reason, first_id: None, peer, name: None });
                assert_eq!(matcher.matches(&gap), !is_left_out, "{not_from} {source}");
            }
        }
        let refused = query(json!({"not_from": ["bop"]}), &configured).unwrap_err();
        assert!(refused.message.contains("`not_from`: `bop`"), "{refused}");
    }

    #[test]
    fn kinds_and_deliveries_select_by_what_an_entry_is() {
        let configured = configured("");
        let kinds = |params| {
            let Range { received, sent, gaps, notices, .. } = query(params, &configured).unwrap().range;
            [received, sent, gaps, notices]
        };
        assert_eq!(kinds(json!({"notices": true})), [true; 4]);
        assert_eq!(kinds(json!({"only": ["gaps", "notices"], "notices": true})), [false, false, true, true]);
        assert_eq!(kinds(json!({"only": ["notices"]})), [false; 4]);
        assert_eq!(
            kinds(json!({"only": ["received", "sent"], "direction": "in"})),
            [true, false, false, false]
        );
        assert_eq!(kinds(json!({"delivery": "bounced", "notices": true})), [false, true, false, false]);
        let of = |delivery, error: Option<&str>| {
            let Entry::Message(message) = entry("10.0.0.7:80") else { unreachable!() };
            Entry::Message(Message { delivery, error: error.map(str::to_owned), ..message })
        };
        let entries = [
            of(None, Some("network is unreachable")),
            of(Some(Delivery::Sent), None),
            of(Some(Delivery::Answered), None),
            of(Some(Delivery::Bounced), None),
        ];
        for (place, delivery) in ["not_sent", "sent", "answered", "bounced"].into_iter().enumerate() {
            let mut matcher = query(json!({"delivery": delivery}), &configured).unwrap().matcher();
            let matching: Vec<_> = (0..4).filter(|entry| matcher.matches(&entries[*entry])).collect();
            assert_eq!(matching, [place], "{delivery}");
        }
    }

    #[test]
    fn the_interface_selects_where_two_peers_share_an_address() {
        let peers = "[peers.bob]\naddress = 'fe80::1%lo'\n[peers.eve]\naddress = 'fe80::1%nosuch0'\n";
        let configured = configured(peers);
        for (from, on_loopback, elsewhere) in
            [("bob", true, false), ("eve", false, false), ("fe80::1", true, true)]
        {
            let mut matcher = query(json!({"from": [from]}), &configured).unwrap().matcher();
            let matches = ["[fe80::1%1]:9", "[fe80::1%7]:9"].map(|peer| matcher.matches(&entry(peer)));
            assert_eq!(matches, [on_loopback, elsewhere], "{from}");
        }
    }

    #[test]
    fn a_written_address_selects_its_interface() {
        let configured = configured("");
        for from in ["fe80::1%lo", "[fe80::1%1]:9"] {
            let mut matcher = query(json!({"from": [from]}), &configured).unwrap().matcher();
            assert!(
                matcher.matches(&entry("[fe80::1%1]:9")) && !matcher.matches(&entry("[fe80::1%7]:9")),
                "{from}"
            );
        }
        let refused = query(json!({"from": ["fe80::1%nosuch0"]}), &configured).unwrap_err();
        assert!(refused.message.contains("no interface `nosuch0`"), "{refused}");
    }

    #[test]
    fn a_list_selects_the_messages_of_each_member() {
        let peers = "[peers.bob]\naddress = '10.0.0.7:80'\n[peers.lab]\nmembers = ['bob', '10.0.0.9']\n";
        let configured = configured(peers);
        let mut matcher = query(json!({"from": ["lab", "10.0.0.9"]}), &configured).unwrap().matcher();
        for (peer, expected) in
            [("10.0.0.7:80", true), ("10.0.0.7:81", false), ("10.0.0.9:1", true), ("10.0.0.8:80", false)]
        {
            assert_eq!(matcher.matches(&entry(peer)), expected, "{peer}");
        }
        let missing = query(json!({"from": ["lob"]}), &configured).unwrap_err();
        assert_eq!(missing.data.hint.as_deref(), Some("did you mean `bob`?"));
    }

    #[test]
    fn contained_bytes_are_found_anywhere_in_messages() {
        let contains = serde_json::to_value(Raw(b"\0\0\x01".to_vec())).unwrap();
        let matcher = query(json!({"contains": contains}), &configured("")).unwrap().matcher();
        let has_bytes = |body| matcher.has_bytes(&Stored { id: 1, at_ns: 0, body, recoded: None });
        let peer = "10.0.0.7:80".parse().unwrap();
        for (payload, expected) in
            [(&b"\0\0\0\x01"[..], true), (b"\0\0\x01\xff", true), (b"\0\x01\0", false), (b"", false)]
        {
            let body = Body::Received { peer, local: None, payload: payload.to_vec() };
            assert_eq!(has_bytes(body), expected, "{payload:?}");
            let (local, payload, detail) = (None, payload.to_vec(), SentDetail::default());
            assert_eq!(has_bytes(Body::Sent { peer, local, payload, detail }), expected);
        }
    }

    #[test]
    fn the_times_of_a_request_have_one_present() {
        for time in ["now", "10m"] {
            let Range { since_ns, until_ns, .. } =
                query(json!({"since": time, "until": time}), &configured("")).unwrap().range;
            assert!(since_ns.is_some() && since_ns == until_ns, "{time}: {since_ns:?} {until_ns:?}");
        }
    }
}
