//! How well text is read whose encoding nobody has configured: for peers of sixteen encodings, how many messages are read
//! right and what is learned of the peer, beside three detectors of encodings.
//!
//! `cargo bench --bench encodings`, or with `-- quick`. The tables are of the held-out half of the texts; the goals are
//! judged with all texts, and a goal that is missed makes the exit code 1.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "encodings/case.rs"]
mod case;
#[path = "encodings/contender.rs"]
mod contender;
#[path = "encodings/conversation.rs"]
mod conversation;
#[path = "encodings/form.rs"]
mod form;
#[path = "encodings/goal.rs"]
mod goal;
#[expect(dead_code, reason = "a benchmark uses a part of what they share")]
#[path = "harness/options.rs"]
mod options;
#[path = "harness/random.rs"]
mod random;
#[path = "encodings/setting.rs"]
mod setting;
#[path = "encodings/speaker.rs"]
mod speaker;
#[path = "harness/table.rs"]
mod table;
#[path = "encodings/tally.rs"]
mod tally;
#[path = "encodings/texts.rs"]
mod texts;

use std::hint::black_box;
use std::time::Instant;

use udpchat_config::Encoding;
use udpchat_text::{Knowledge, decode, evidence};

use case::Case;
use conversation::Outcome;
use form::Form;
use goal::Goal;
use options::Options;
use random::Random;
use setting::Setting;
use speaker::Speaker;
use table::{progress, table};
use tally::Tally;
use texts::Half;

fn main() {
    let options = Options::read();
    let step = options.pick(60, 1);
    let speakers = speaker::all(Some(Half::HeldOut), step);
    for form in Form::ALL {
        first_messages(form, &speakers, options.pick(8, 200));
    }
    for damaged in [false, true] {
        conversations(&speakers, damaged, options.pick(10, 2000));
    }
    halves(&speakers, &speaker::all(Some(Half::Tuning), step));
    times(&speakers, options.pick(20, 200));
    progress("goals");
    let goals = goal::judge(step, options.pick(4, 200));
    report(&goals);
    if !goals.iter().all(Goal::is_reached) {
        std::process::exit(1);
    }
}

/// Prints how many first messages are read right, in per cent, by this project and by the other detectors; these are asked
/// about some of the cases.
fn first_messages(form: Form, speakers: &[Speaker], asked: usize) {
    let names = contender::ALL.map(|contender| contender.name);
    let columns = [&["peer", "cases", "default", "own fallback", "configured"][..], &names].concat();
    progress(form.title());
    let samples: Vec<_> = speakers.iter().map(|speaker| sample(form, speaker, asked)).collect();
    let answers = contender::ALL.map(|contender| contender.shares(&samples));
    let row = |(number, speaker): (usize, &Speaker)| {
        let tallies = Setting::ALL.map(|setting| first_tally(form, speaker, setting));
        let mut row = vec![speaker.name.to_owned(), tallies[0].cases.to_string()];
        row.extend(tallies.iter().map(Tally::share));
        row.extend(answers.iter().map(|shares| shares[number].clone()));
        row
    };
    let rows: Vec<_> = speakers.iter().enumerate().map(row).collect();
    let title = format!(
        "First messages, {}: read right, %; other detectors: of up to {asked} of the cases",
        form.title()
    );
    table(&title, &columns, &rows);
}

fn first_tally(form: Form, speaker: &Speaker, setting: Setting) -> Tally {
    let knowledge = setting.knowledge(speaker);
    let mut tally = Tally::default();
    for message in speaker.all_messages() {
        for case in form.cases(speaker, message) {
            let decoded = decode(&case.bytes, &knowledge);
            tally.count(case.is_right(&decoded.text), String::new);
        }
    }
    tally
}

/// Chooses some of the cases at random (reservoir sampling).
fn sample(form: Form, speaker: &Speaker, count: usize) -> Vec<Case> {
    let mut random = Random::new(1);
    let mut chosen = Vec::new();
    let cases = speaker.all_messages().flat_map(|message| form.cases(speaker, message));
    for (number, case) in cases.enumerate() {
        if chosen.len() < count {
            chosen.push(case);
        } else if let Some(place) = chosen.get_mut(random.below(number as u64 + 1) as usize) {
            *place = case;
        }
    }
    chosen
}

/// Prints what becomes of conversations, in per cent of their messages and of the conversations.
fn conversations(speakers: &[Speaker], damaged: bool, count: usize) {
    let row = |speaker: &Speaker| {
        progress(&format!("conversations: {}", speaker.name));
        let mut row = vec![speaker.name.to_owned()];
        for setting in [Setting::Default, Setting::OwnFallback] {
            let mut random = Random::new(1);
            let mut outcome = Outcome::default();
            for _ in 0..count {
                let messages = conversation::make(speaker, &mut random, damaged);
                conversation::hold(speaker, setting.fallback(speaker), &messages, &mut outcome);
            }
            row.extend([&outcome.at_once, &outcome.afterwards, &outcome.learned].map(Tally::share));
            row.push(outcome.never_wrong.wrong().to_string());
        }
        row
    };
    let columns = [
        "peer",
        "default: at once",
        "afterwards",
        "learned",
        "wrong",
        "own fallback: at once",
        "afterwards",
        "learned",
        "wrong",
    ];
    let kind = if damaged { "half of the messages cut, framed or with a bad byte" } else { "whole messages" };
    let title = format!(
        "{count} conversations of 2 to 20 messages, {kind}: read right at once and afterwards, peer's encoding learned, %; \
         another one learned, number"
    );
    table(&title, &columns, &speakers.iter().map(row).collect::<Vec<_>>());
}

/// Prints the two halves of the texts beside each other: the code must not be better with the one that it was tuned with.
fn halves(held_out: &[Speaker], tuning: &[Speaker]) {
    let row = |(held_out, tuning): (&Speaker, &Speaker)| {
        let mut row = vec![held_out.name.to_owned()];
        for form in [Form::Whole, Form::CutAtEnd] {
            for setting in [Setting::Default, Setting::OwnFallback] {
                row.extend([held_out, tuning].map(|speaker| first_tally(form, speaker, setting).share()));
            }
        }
        row
    };
    let columns = [
        "peer",
        "whole, default",
        "tuning",
        "own fallback",
        "tuning",
        "cut at the end, default",
        "tuning",
        "own fallback",
        "tuning",
    ];
    let rows: Vec<_> = held_out.iter().zip(tuning).map(row).collect();
    table("Texts that were held out, beside those for tuning: read right, %", &columns, &rows);
}

/// Prints how long it takes to learn from a whole message and to read it, under the default fallback.
fn times(speakers: &[Speaker], rounds: usize) {
    let row = |speaker: &Speaker| {
        let messages: Vec<&[u8]> = speaker.all_messages().map(|message| &*message.bytes).collect();
        let fallback = Encoding::GB18030;
        let unknown = Knowledge::none(fallback);
        let known = Knowledge { remembered: Some(speaker.configured), ..unknown };
        let bytes = messages.iter().map(|bytes| bytes.len()).sum::<usize>();
        let nanoseconds = [
            time(&messages, rounds, |bytes| evidence(bytes, unknown.remembered, fallback)),
            time(&messages, rounds, |bytes| evidence(bytes, known.remembered, fallback)),
            time(&messages, rounds, |bytes| decode(bytes, &unknown)),
            time(&messages, rounds, |bytes| decode(bytes, &known)),
        ];
        let mut row = vec![speaker.name.to_owned(), (bytes / messages.len()).to_string()];
        row.extend(nanoseconds.map(|nanoseconds| format!("{nanoseconds:.0}")));
        row
    };
    let columns = ["peer", "bytes", "learn: unknown peer", "known peer", "read: unknown peer", "known peer"];
    table("Time, ns a message", &columns, &speakers.iter().map(row).collect::<Vec<_>>());
}

/// Returns the time of a call in nanoseconds: the mean of all messages, in the fastest round.
fn time<T>(messages: &[&[u8]], rounds: usize, call: impl Fn(&[u8]) -> T) -> f64 {
    let round = |_| {
        let began = Instant::now();
        for message in messages {
            black_box(call(black_box(message)));
        }
        began.elapsed()
    };
    let fastest = (0..rounds).map(round).min().unwrap_or_default();
    fastest.as_nanos() as f64 / messages.len() as f64
}

fn report(goals: &[Goal]) {
    let row = |goal: &Goal| {
        let verdict = if goal.is_reached() { "reached" } else { "MISSED" };
        vec![
            goal.name.to_owned(),
            goal.tally.cases.to_string(),
            goal.tally.wrong().to_string(),
            goal.tally.share(),
            (goal.least * 100.0).to_string(),
            verdict.to_owned(),
        ]
    };
    let rows: Vec<_> = goals.iter().map(row).collect();
    table("Goals", &["goal", "cases", "wrong", "right, %", "at least", ""], &rows);
    for goal in goals.iter().filter(|goal| goal.tally.wrong() > 0) {
        println!("\n{}: the first wrong ones", goal.name);
        goal.tally.examples.iter().for_each(|example| println!("  {example}"));
    }
}
