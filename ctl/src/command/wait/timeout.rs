//! What a timeout says: which entries are missing, and which came that do not match.

use std::collections::VecDeque;

use udpchat_api::call::{InboxAnswer, InboxParams, Order};
use udpchat_api::{Client, Entry};
use udpchat_locale::tr;

use super::wanted::Wanted;
use crate::command::condition::Selection;
use crate::error::{CtlError, Exit};
use crate::output::{counted, duration, grouped};

/// How many of the newest messages are read to count those that do not match.
const MOST_COUNTED: u32 = 1_000;

/// The messages that matched.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) count: u64,
    /// The ids of the newest ones.
    newest: VecDeque<u64>,
}

impl Arrived {
    pub(super) fn add(&mut self, id: u64) {
        self.count += 1;
        if self.newest.len() == MOST_COUNTED as usize {
            self.newest.pop_front();
        }
        self.newest.push_back(id);
    }
}

/// Returns the error for a timeout; `after` is the id at which the wait began.
pub(super) async fn timed_out(
    client: &mut Client,
    wanted: &Wanted,
    after: u64,
    arrived: &Arrived,
) -> CtlError {
    let is_selective = wanted.pattern().is_some() && !wanted.subscription.notices;
    let page = if is_selective { newest(client, wanted, after).await } else { None };
    let mut selection = Selection::new(&wanted.conditions);
    let others = page.and_then(|page| {
        let came: Vec<&Entry> = page.entries.iter().filter(|entry| wanted.is_waited_for(entry)).collect();
        came.iter().for_each(|entry| _ = selection.select(entry));
        let came: Vec<u64> = came.iter().map(|entry| entry.id()).collect();
        others(&came, page.more, &arrived.newest)
    });
    let bytes = wanted
        .is_meant_for_bytes()
        .then(|| tr!("--grep searches the text; --grep-hex searches the bytes").to_owned());
    let hints: Vec<String> = others.into_iter().chain(selection.note()).chain(bytes).collect();
    let error = CtlError::new(Exit::TimedOut, "timed_out", missing(wanted, arrived.count));
    if hints.is_empty() { error } else { error.hint(hints.join(tr!("; "))) }
}

/// Reads the newest messages since the wait began; none if they cannot be read.
async fn newest(client: &mut Client, wanted: &Wanted, after: u64) -> Option<InboxAnswer> {
    let page = InboxParams {
        after: Some(after),
        from: wanted.senders.clone(),
        direction: wanted.subscription.direction,
        limit: Some(MOST_COUNTED),
        order: Some(Order::Desc),
        ..InboxParams::default()
    };
    client.call(&page).await.ok()
}

/// Says how many of the messages that came, newest first, are not among those that match; none if all are.
fn others(came: &[u64], more: bool, matched: &VecDeque<u64>) -> Option<String> {
    let others: Vec<u64> = came.iter().copied().filter(|id| matched.binary_search(id).is_err()).collect();
    let (number, last) = (others.len() as u64, *others.first()?);
    Some(match (number, more) {
        (number, true) => {
            tr!(
                "at least {number} messages came that do not match, the last message is #{last}",
                number = grouped(number),
                last
            )
        }
        (1, false) => tr!("1 message came that does not match, #{last}", last),
        (number, false) => {
            tr!(
                "{messages} came that do not match, the last message is #{last}",
                messages = counted(number, "message"),
                last
            )
        }
    })
}

/// Says which entries are missing.
fn missing(wanted: &Wanted, arrived: u64) -> String {
    match (wanted.subscription.notices, arrived) {
        (true, _) => notices_missing(wanted, arrived),
        (false, 0) => none_arrived(wanted),
        (false, arrived) => too_few_arrived(wanted, arrived),
    }
}

fn notices_missing(wanted: &Wanted, arrived: u64) -> String {
    let time = duration(wanted.timeout.unwrap_or_default());
    match (arrived, &wanted.from) {
        (0, None) => tr!("no such notice came within {time}", time),
        (0, Some(peer)) => tr!("no such notice about {peer} came within {time}", peer, time),
        (arrived, _) => tr!(
            "only {arrived} of {count} notices came within {time}",
            arrived,
            count = grouped(wanted.count),
            time
        ),
    }
}

fn none_arrived(wanted: &Wanted) -> String {
    let time = duration(wanted.timeout.unwrap_or_default());
    match (&wanted.from, &wanted.pattern()) {
        (None, None) => tr!("no message arrived within {time}", time),
        (Some(peer), None) => tr!("no message from {peer} arrived within {time}", peer, time),
        (None, Some(pattern)) => {
            tr!("no message that matches `{pattern}` arrived within {time}", pattern, time)
        }
        (Some(peer), Some(pattern)) => {
            tr!("no message from {peer} that matches `{pattern}` arrived within {time}", peer, pattern, time)
        }
    }
}

fn too_few_arrived(wanted: &Wanted, arrived: u64) -> String {
    let (messages, time) = (counted(wanted.count, "message"), duration(wanted.timeout.unwrap_or_default()));
    match (&wanted.from, &wanted.pattern()) {
        (None, None) => tr!("only {arrived} of {messages} arrived within {time}", arrived, messages, time),
        (Some(peer), None) => {
            tr!(
                "only {arrived} of {messages} from {peer} arrived within {time}",
                arrived,
                messages,
                peer,
                time
            )
        }
        (None, Some(pattern)) => tr!(
            "only {arrived} of {messages} that match `{pattern}` arrived within {time}",
            arrived,
            messages,
            pattern,
            time
        ),
        (Some(peer), Some(pattern)) => tr!(
            "only {arrived} of {messages} from {peer} that match `{pattern}` arrived within {time}",
            arrived,
            messages,
            peer,
            pattern,
            time
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use udpchat_api::Raw;
    use udpchat_api::call::SubscribeParams;
    use udpchat_locale::{Language, with_language};

    use super::*;

    #[test]
    fn a_timeout_names_the_missing_messages() {
        let error = |from: Option<&str>, grep: Option<&str>, count, timeout, arrived| {
            let subscription =
                SubscribeParams { grep: grep.map(str::to_owned), ..SubscribeParams::default() };
            let from = from.map(str::to_owned);
            let timeout = Some(Duration::from_millis(timeout));
            missing(&Wanted { subscription, from, count, timeout, ..Wanted::default() }, arrived)
        };
        assert_eq!(error(None, None, 1, 5_000, 0), "no message arrived within 5s");
        let text = error(Some("bob"), Some("^ok"), 3, 90_500, 0);
        assert_eq!(text, "no message from bob that matches `^ok` arrived within 1m 30s 500ms");
        assert_eq!(error(Some("bob"), None, 3, 500, 2), "only 2 of 3 messages from bob arrived within 500ms");
        let chinese = with_language(Language::Chinese, || {
            [error(Some("bob"), Some("^ok"), 3, 90_500, 0), error(None, Some("^ok"), 3, 500, 2)]
        });
        let expected = [
            "1 分钟 30 秒 500 毫秒内没有收到来自 bob 且匹配 `^ok` 的消息",
            "500 毫秒内只收到 2 条匹配 `^ok` 的消息（要求 3 条消息）",
        ];
        assert_eq!(chinese, expected);
    }

    #[test]
    fn what_matched_is_not_named_as_what_did_not() {
        let mut arrived = Arrived::default();
        [481, 483, 485, 486].into_iter().for_each(|id| arrived.add(id));
        let came = [486, 485, 484, 483, 481];
        let text = others(&came, false, &arrived.newest).unwrap();
        assert_eq!(text, "1 message came that does not match, #484");
        assert_eq!(others(&came[..2], false, &arrived.newest), None);
        assert!(others(&came, true, &VecDeque::new()).unwrap().starts_with("at least 5 messages"));
        (1_000..3_000).for_each(|id| arrived.add(id));
        assert_eq!((arrived.count, arrived.newest.len()), (2_004, MOST_COUNTED as usize));
    }

    #[test]
    fn bytes_are_a_pattern_too() {
        let subscription = SubscribeParams { contains: Some(Raw(vec![1, 3])), ..SubscribeParams::default() };
        let wanted =
            Wanted { subscription, timeout: Some(Duration::from_secs(1)), count: 1, ..Wanted::default() };
        assert_eq!(missing(&wanted, 0), "no message that matches `01 03` arrived within 1s");
    }
}
