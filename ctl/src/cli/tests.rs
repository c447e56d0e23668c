//! What the command line accepts and refuses.

use std::collections::BTreeSet;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::cli::*;
use crate::command::ask::AskArgs;
use crate::command::reply::ReplyArgs;
use crate::command::send::MessageArgs;
use crate::command::status::StatusArgs;
use crate::error::CtlError;

fn parse(line: &[&str]) -> Parsed {
    Cli::parse(std::iter::once("udpchatctl").chain(line.iter().copied()).map(Into::into).collect())
}

fn accepted(line: &[&str]) -> Cli {
    match parse(line) {
        Parsed::Run(cli) => *cli,
        Parsed::Wrong(error, _) => panic!("{line:?}: {error}"),
        Parsed::Misread(misread) => panic!("{line:?}: {misread:?}"),
        Parsed::NotUtf8(number, _) => panic!("{line:?}: argument {number}"),
        Parsed::Show(_) => panic!("{line:?} shows help"),
    }
}

fn is_refused(line: &[&str]) -> bool {
    matches!(parse(line), Parsed::Wrong(..))
}

fn message(line: &[&str]) -> MessageArgs {
    match accepted(line).command {
        Command::Send(arguments) => arguments.message.message,
        Command::Reply(ReplyArgs { message, .. }) => message.message,
        Command::Ask(AskArgs { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_valid() {
    Cli::command().debug_assert();
}

#[test]
fn the_definition_of_one_command_is_that_of_all() {
    for command in Cli::command().get_subcommands() {
        // The place in the list of commands is that of all.
        let alone =
            Command::definition_of(command.get_name()).unwrap().display_order(command.get_display_order());
        assert_eq!(format!("{alone:?}"), format!("{command:?}"));
    }
}

#[test]
fn global_flags_stand_before_or_behind_the_command() {
    for line in [&["--json", "-q", "--socket", "/s", "peers"], &["peers", "--json", "-q", "--socket", "/s"]] {
        let global = accepted(line).global;
        assert!(global.json && global.quiet && global.socket.is_some());
    }
    assert!(is_refused(&["--color", "pink", "peers"]));
    assert!(is_refused(&["--socket", "", "peers"]));
}

#[test]
fn words_may_be_numbers_and_flags_need_two_dashes() {
    assert_eq!(message(&["send", "bob", "a", "-5", "b"]).text, ["a", "-5", "b"]);
    assert_eq!(message(&["send", "bob", "-"]).text, ["-"]);
    assert_eq!(message(&["send", "bob", "--", "--json", "-x"]).text, ["--json", "-x"]);
    assert!(is_refused(&["send", "bob", "-x"]));
}

#[test]
fn split_takes_a_size_only_after_an_equals_sign() {
    let size = |args: &[&str]| message(args).split.unwrap().bytes();
    assert_eq!(size(&["send", "bob", "--split", "x"]), 1024);
    assert_eq!(size(&["send", "bob", "--split=500", "x"]), 500);
    assert!(is_refused(&["send", "bob", "--split=0", "x"]));
    assert!(is_refused(&["send", "bob", "--split=65508", "x"]));
}

#[test]
fn contradictory_arguments_are_refused() {
    for line in [
        &["send", "bob", "x", "--file", "f"][..],
        &["send", "bob", "x", "--lines"],
        &["send", "bob", "--hex", "--escape", "41"],
        &["send", "bob", "--hex", "-e", "gbk", "41"],
        &["ask"],
        &["ask", "bob", "x", "--lines"],
        &["ask", "bob", "x", "--timeout", "soon"],
        &["ask", "bob", "x", "-c", "0"],
        &["wait", "-c", "0"],
        &["wait", "--timeout", "-1s"],
        &["wait", "--after", "x"],
        &["wait", "bob"],
        &["inbox", "-n", "3", "--all"],
        &["inbox", "--peek", "--from", "bob"],
        &["inbox", "--consumer", "x", "-n", "3"],
        &["inbox", "-r", "-f"],
        &["export", "-n", "x"],
        &["export", "--format", "xml"],
        &["plot", "--span", "0.5s"],
        &["send", "bob", "--every", "0"],
        &["send", "bob", "-c", "3"],
        &["export", "--peek"],
        &["replay"],
        &["replay", "--to", "bob", "--speed", "-1"],
        &["replay", "--to", "bob", "--speed", "fast"],
        &["replay", "--to", "bob", "--max-pause", "10x"],
        &["replay", "--to", "bob", "--file", "f", "--from", "bob"],
        &["replay", "--to", "bob", "--file", "f", "-n", "3"],
        &["replay", "--to", "bob", "--file", "f", "--since", "2h"],
        &["recode", "--all"],
        &["recode", "--as", "gbk", "7", "--from", "bob"],
        &["recode", "--as", "gbk", "7", "--all"],
        &["recode", "--as", "gbk", "--all", "-n", "3"],
        &["recode", "--as", "gbk", "seven"],
        &["reply", "x", "y"],
        &["reply", "-1", "y"],
        &["status", "--format", "xml"],
        &["status", "--format", "prometheus", "--watch"],
        &["status", "--output", "f"],
    ] {
        assert!(is_refused(line), "{line:?}");
    }
    accepted(&["send", "bob", "--lines", "--file", "f", "-e", "gbk", "--escape"]);
    accepted(&["send", "bob", "--lines", "--file", "f", "--hex"]);
    accepted(&["ask", "bob", "x", "y", "-e", "gbk", "--escape", "--timeout", "0.5s", "-c", "2", "--anyone"]);
    accepted(&["wait", "--after", "#7", "--from", "bob", "--grep", "x", "--timeout", "1m", "--hex"]);
    accepted(&["inbox", "--peek", "--consumer", "x", "-f", "--hex"]);
    accepted(&["export", "-n", "3", "--from", "bob", "-S", "2h", "-U", "now", "--grep", "x", "-o", "-"]);
    accepted(&["recode", "--as", "gbk", "7", "9-12", "--remember", "--dry-run"]);
    accepted(&["recode", "--as", "auto", "-n", "3", "--from", "bob", "--direction", "out", "--grep", "x"]);
    accepted(&["status", "--format", "openmetrics", "-o", "f"]);
    accepted(&["replay", "--to", "bob", "--file", "-", "--direction", "both", "--max-pause", "1s"]);
}

#[test]
fn an_id_may_have_its_hash_sign() {
    for id in ["812", "#812"] {
        let Command::Reply(reply) = accepted(&["reply", id, "x"]).command else { panic!() };
        assert_eq!(reply.id, 812);
    }
}

#[test]
fn help_is_shown_for_every_command() {
    for command in Cli::command().get_subcommands() {
        assert!(matches!(parse(&[command.get_name(), "--help"]), Parsed::Show(_)), "{command}");
    }
    assert!(matches!(parse(&["-V"]), Parsed::Show(_)));
}

#[test]
fn help_ends_with_examples_and_short_help_points_there() {
    let shown = |line: &[&str]| match parse(line) {
        Parsed::Show(help) => help.to_string(),
        _ => panic!("{line:?} shows no help"),
    };
    for command in Cli::command().get_subcommands().map(clap::Command::get_name) {
        let long = shown(&[command, "--help"]);
        let examples: Vec<_> =
            long.split("\nExamples:\n").nth(1).expect(command).trim_end().lines().collect();
        assert!(examples.len() >= 2, "{long}");
        let mut continues = false;
        for example in examples {
            let is_one = continues || example.contains("udpchatctl");
            assert!(example.starts_with("  ") && is_one, "{command}: {example}");
            continues = example.ends_with('\\');
        }
        let short = shown(&[command, "-h"]);
        assert!(short.lines().count() < long.lines().count() + 1, "{short}");
        assert!(short.trim_end().ends_with("--help` shows more, with examples."), "{short}");
    }
    assert!(shown(&["-h"]).lines().count() < shown(&["--help"]).lines().count());
}

/// A line that is broken by the terminal or by clap is no command that can be copied.
#[test]
fn examples_and_tables_fit_into_80_columns() {
    const COLUMNS: usize = 80;
    let definition = Cli::command();
    for command in std::iter::once(&definition).chain(definition.get_subcommands()) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.starts_with(' ')) {
            assert!(line.width() <= COLUMNS, "{}: {line}", command.get_name());
        }
    }
}

#[test]
fn filters_have_a_heading_of_their_own() {
    for (command, expected) in [("inbox", 12), ("export", 12), ("replay", 10), ("recode", 9)] {
        let Parsed::Show(help) = parse(&[command, "--help"]) else { panic!("{command}") };
        let help = help.to_string();
        let group =
            help.split("\nWhich entries:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        let flags = group.lines().filter(|line| line.trim_start().starts_with('-')).count();
        assert_eq!(flags, expected, "{group}");
    }
}

#[test]
fn the_look_is_found_without_parsing() {
    let peek = |line: &[&str]| {
        peek_look(&std::iter::once("x").chain(line.iter().copied()).map(Into::into).collect::<Vec<_>>())
    };
    assert!(peek(&["bogus", "--json"]).json);
    assert!(!peek(&["send", "bob", "--", "--json"]).json);
    assert_eq!(peek(&["--color=never", "bogus"]).color, ColorChoice::Never);
    assert_eq!(peek(&["--color", "always", "bogus"]).color, ColorChoice::Always);
    assert_eq!(peek(&["--color"]).color, ColorChoice::Auto);
}

#[test]
fn an_interval_needs_watch_and_has_limits() {
    let interval = |line: &[&str]| match accepted(line).command {
        Command::Status(StatusArgs { interval, watch, .. }) => (watch, interval),
        other => panic!("{other:?}"),
    };
    assert_eq!(interval(&["status"]), (false, Duration::from_secs(1)));
    assert_eq!(interval(&["status", "-w", "-i", "100ms"]), (true, Duration::from_millis(100)));
    assert_eq!(interval(&["status", "--watch", "--interval", "1h"]), (true, Duration::from_secs(3_600)));
    for line in
        [&["status", "--interval", "5s"][..], &["status", "-w", "-i", "99ms"], &["status", "-w", "-i", "61m"]]
    {
        assert!(is_refused(line), "{line:?}");
    }
}

#[test]
fn wrong_usage_has_a_message_and_a_hint() {
    let wrong = |line: &str| match Cli::parse(line.split(' ').map(Into::into).collect()) {
        Parsed::Wrong(error, name) => CtlError::from_clap(&error, name.as_deref()).into_failure(),
        _ => panic!("{line} is accepted"),
    };
    let unknown = wrong("udpchatctl statos");
    assert_eq!(unknown.message, "unrecognized subcommand 'statos'");
    let unknown_hint = unknown.hint.unwrap();
    assert!(unknown_hint.starts_with("some similar subcommands exist: 'stop', 'status'; see"));
    assert!(unknown_hint.ends_with("see `udpchatctl --help`"), "{unknown_hint}");
    assert_eq!(wrong("udpchatctl").message, "missing command");
    let wrong_number = wrong("udpchatctl inbox -n x");
    assert_eq!(wrong_number.message, "invalid value 'x' for '--number <N>': not a whole number");
    assert_eq!(
        wrong("udpchatctl send --no-such-flag").hint.unwrap().split("; ").last(),
        Some("`udpchatctl send --help` lists the options")
    );
    let list = "`udpchatctl inbox --help` lists the options";
    assert_eq!(wrong("udpchatctl inbox --no-such-flag").hint.as_deref(), Some(list));
    let of_value = wrong("udpchatctl --color never inbox -n x").hint;
    assert_eq!(of_value.as_deref(), Some("see `udpchatctl inbox --help`"));
    for (word, command) in [("发送", "send TO"), ("接收", "inbox"), ("聊天", "chat")] {
        let hint = wrong(&format!("udpchatctl {word} x")).hint.unwrap();
        assert!(hint.starts_with(&format!("`udpchatctl {command}")), "{hint}");
    }
    assert!(wrong("udpchatctl send").message.ends_with("were not provided: <TO>"));
}

#[test]
fn every_help_text_has_a_translation() {
    let texts: BTreeSet<_> = help::texts(&Cli::command()).into_iter().collect();
    let missing: Vec<_> = texts.iter().filter(|text| !udpchat_locale::is_known(text)).collect();
    let entries: String = missing.iter().map(|text| format!("msgid {text:?}\nmsgstr \"\"\n\n")).collect();
    assert!(missing.is_empty(), "{} without a translation in config/locale/po:\n{entries}", missing.len());
}
