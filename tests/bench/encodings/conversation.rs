//! Several messages of one peer, with what is learned from them.

use udpchat_config::Encoding;
use udpchat_text::{Knowledge, decode, evidence};

use super::case::Case;
use super::form::Form;
use super::random::Random;
use super::speaker::Speaker;
use super::tally::Tally;

const LENGTHS: std::ops::RangeInclusive<u64> = 2..=20;

/// What became of conversations.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The messages as they were shown when they came.
    pub(crate) at_once: Tally,
    /// The same messages, read again at the end.
    pub(crate) afterwards: Tally,
    /// The conversations in which the encoding of the peer was known at the end.
    pub(crate) learned: Tally,
    /// The conversations in which no other encoding was ever remembered.
    pub(crate) never_wrong: Tally,
}

/// Makes a conversation of whole messages in one language; if `damaged`, every second one is cut, framed or has a bad byte.
pub(crate) fn make(speaker: &Speaker, random: &mut Random, damaged: bool) -> Vec<Case> {
    let language = random.one_of(&speaker.messages);
    let length = LENGTHS.start() + random.below(LENGTHS.end() - LENGTHS.start() + 1);
    let message = |_| {
        let message = random.one_of(language);
        let form = if damaged && random.below(2) == 0 { *random.one_of(&Form::ALL) } else { Form::Whole };
        let mut cases = form.cases(speaker, message);
        match cases.len() as u64 {
            // Nothing whole would be left of it.
            0 => Form::Whole.cases(speaker, message).remove(0),
            count => cases.swap_remove(random.below(count) as usize),
        }
    };
    (0..length).map(message).collect()
}

/// Receives the messages one after the other and learns from each, as the writer of the daemon does.
pub(crate) fn hold(speaker: &Speaker, fallback: Encoding, messages: &[Case], outcome: &mut Outcome) {
    let mut knowledge = Knowledge { known_before: true, ..Knowledge::none(fallback) };
    let mut wrong = None;
    for message in messages {
        if let Some(learned) = evidence(&message.bytes, knowledge.remembered, fallback) {
            if !speaker.speaks(learned) {
                wrong.get_or_insert((learned, message));
            }
            knowledge.remembered = Some(learned);
        }
        count(&mut outcome.at_once, message, &knowledge);
    }
    for message in messages {
        count(&mut outcome.afterwards, message, &knowledge);
    }
    let is_known = knowledge.remembered.is_some_and(|learned| speaker.speaks(learned));
    outcome.learned.count(is_known, || format!("{} {:?}", speaker.name, knowledge.remembered));
    outcome.never_wrong.count(wrong.is_none(), || match wrong {
        Some((learned, message)) => {
            let read = udpchat_text::read(&message.bytes, learned);
            format!("{}, fallback {fallback}, learned {learned}: {}", speaker.name, message.describe(&read))
        }
        None => String::new(),
    });
}

fn count(tally: &mut Tally, message: &Case, knowledge: &Knowledge) {
    let decoded = decode(&message.bytes, knowledge);
    tally.count(message.is_right(&decoded.text), || message.describe(&decoded.text));
}
