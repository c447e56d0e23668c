//! What must hold of every text, under every fallback.

use std::collections::BTreeSet;

use udpchat_config::Encoding;
use udpchat_text::{Knowledge, decode, evidence};

use super::case::Case;
use super::conversation::{self, Outcome};
use super::form::Form;
use super::random::Random;
use super::setting::fallbacks;
use super::speaker::{self, Speaker};
use super::tally::Tally;
use super::texts;

/// A promise, and how well it is kept.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    /// The least share of right cases.
    pub(crate) least: f64,
    pub(crate) tally: Tally,
}

impl Goal {
    fn new(name: &'static str, least: f64) -> Self {
        Self { name, least, tally: Tally::default() }
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.tally.cases > 0 && self.tally.right as f64 >= self.least * self.tally.cases as f64
    }

    fn read(&mut self, case: &Case, knowledge: &Knowledge) {
        let decoded = decode(&case.bytes, knowledge);
        self.tally.count(case.is_right(&decoded.text), || {
            format!("fallback {}: {}", knowledge.fallback, case.describe(&decoded.text))
        });
    }

    fn read_first(&mut self, case: &Case, fallbacks: &[Encoding]) {
        for fallback in fallbacks {
            self.read(case, &Knowledge::none(*fallback));
        }
    }
}

/// Judges all goals, with every `step`th text and this many conversations for each speaker and fallback.
pub(crate) fn judge(step: usize, conversations: usize) -> Vec<Goal> {
    let speakers = speaker::all(None, step);
    let named = |name| speakers.iter().find(|speaker| speaker.name == name).expect("a speaker");
    let (utf_8, gbk) = (named("utf-8"), named("gbk"));
    let mut goals = utf_8_goals(utf_8);
    goals.extend(gbk_goals(gbk, step));
    goals.push(evidence_goal(&speakers));
    goals.push(conversation_goal(&speakers, conversations));
    goals
}

fn utf_8_goals(speaker: &Speaker) -> Vec<Goal> {
    let mut first = Goal::new("utf-8: a first message with a whole character of three bytes", 1.0);
    let mut alone = Goal::new("utf-8: such a character alone", 1.0);
    let mut cut = Goal::new("utf-8: a cut first message with a whole character of three bytes", 1.0);
    let fallbacks = fallbacks();
    let mut characters = BTreeSet::new();
    for message in speaker.all_messages() {
        characters.extend(message.text.chars().filter(|character| character.len_utf8() == 3));
        if !message.has_three_byte_character() {
            continue;
        }
        for form in [Form::Whole, Form::Framed] {
            form.cases(speaker, message).iter().for_each(|case| first.read_first(case, &fallbacks));
        }
        for form in [Form::CutInFront, Form::CutAtEnd] {
            let cases = form.cases(speaker, message);
            let is_three = |character: char| character.len_utf8() >= 3;
            let provable =
                cases.iter().filter(|case| case.before.contains(is_three) || case.after.contains(is_three));
            provable.for_each(|case| cut.read_first(case, &fallbacks));
        }
    }
    for message in characters.iter().filter_map(|character| speaker.say(&character.to_string())) {
        Form::Whole.cases(speaker, &message).iter().for_each(|case| alone.read_first(case, &fallbacks));
    }
    vec![first, alone, cut]
}

fn gbk_goals(speaker: &Speaker, step: usize) -> Vec<Goal> {
    let mut two = Goal::new("gbk: a first message of two characters", 0.99);
    let mut four = Goal::new("gbk: a first message of four characters", 0.999);
    let mut word = Goal::new("gbk: a first message that is a common word of two characters", 0.99);
    let mut proven = Goal::new("gbk: any earlier message, once the peer is known", 1.0);
    let whole = |text: &str| speaker.say(text).map(|message| Case::whole(message.bytes, text));
    let chinese = [Encoding::GB18030, Encoding::GBK];
    for case in neighbours(speaker, 2).iter().filter_map(|text| whole(text)) {
        two.read_first(&case, &chinese);
        proven.read(&case, &known_gbk());
    }
    for case in neighbours(speaker, 4).iter().filter_map(|text| whole(text)) {
        four.read_first(&case, &chinese);
        proven.read(&case, &known_gbk());
    }
    for case in texts::chinese_words().step_by(step).filter_map(whole) {
        word.read_first(&case, &chinese);
        proven.read(&case, &known_gbk());
    }
    // The standard's encoder has bytes for characters of private use that its decoder reads as others.
    let is_private = |character: &char| matches!(character, '\u{e000}'..='\u{f8ff}');
    let characters = ('\u{80}'..='\u{ffff}').filter(|character| !is_private(character));
    for case in characters.filter_map(|character| whole(&character.to_string())) {
        proven.read(&case, &known_gbk());
    }
    for message in speaker.all_messages() {
        for form in [Form::Whole, Form::Framed] {
            form.cases(speaker, message).iter().for_each(|case| proven.read(case, &known_gbk()));
        }
    }
    vec![two, four, word, proven]
}

fn known_gbk() -> Knowledge {
    Knowledge { remembered: Some(Encoding::GB18030), ..Knowledge::none(Encoding::GB18030) }
}

/// Returns all runs of so many characters outside ASCII in the messages.
fn neighbours(speaker: &Speaker, count: usize) -> BTreeSet<String> {
    let mut runs = BTreeSet::new();
    for message in speaker.all_messages() {
        let characters: Vec<char> = message.text.chars().collect();
        let foreign = characters.windows(count).filter(|run| !run.iter().any(char::is_ascii));
        runs.extend(foreign.map(|run| run.iter().collect::<String>()));
    }
    runs
}

/// No message, in any form, proves another encoding, whether that of the peer is known or not.
fn evidence_goal(speakers: &[Speaker]) -> Goal {
    let mut goal = Goal::new("all: no message, cut, damaged or framed, is evidence of another encoding", 1.0);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            speakers.iter().map(|speaker| scope.spawn(|| evidence_tally(speaker))).collect();
        for thread in threads {
            goal.tally.add(thread.join().expect("it does not panic"));
        }
    });
    goal
}

fn evidence_tally(speaker: &Speaker) -> Tally {
    let mut tally = Tally::default();
    let fallbacks = fallbacks();
    let forms = |message| Form::ALL.into_iter().flat_map(move |form| form.cases(speaker, message));
    for case in speaker.all_messages().flat_map(forms) {
        for fallback in &fallbacks {
            for remembered in [None, Some(speaker.configured)] {
                let learned = evidence(&case.bytes, remembered, *fallback);
                let wrong = learned.filter(|learned| !speaker.speaks(*learned));
                tally.count(wrong.is_none(), || {
                    let read = wrong.map(|learned| udpchat_text::read(&case.bytes, learned));
                    let described = case.describe(&read.unwrap_or_default());
                    let known = if remembered.is_some() { ", known" } else { "" };
                    let learned = wrong.map_or_else(String::new, |learned| learned.to_string());
                    format!("{}{known}, fallback {fallback}, learned {learned}: {described}", speaker.name)
                });
            }
        }
    }
    tally
}

fn conversation_goal(speakers: &[Speaker], conversations: usize) -> Goal {
    let mut goal = Goal::new("all: no conversation in which another encoding is remembered", 1.0);
    let mut random = Random::new(2);
    for speaker in speakers {
        for fallback in fallbacks() {
            let mut outcome = Outcome::default();
            for number in 0..conversations {
                let messages = conversation::make(speaker, &mut random, number % 2 == 1);
                conversation::hold(speaker, fallback, &messages, &mut outcome);
            }
            goal.tally.add(outcome.never_wrong);
        }
    }
    goal
}
