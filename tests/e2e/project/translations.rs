//! Each text for people has a translation in the catalogue, and each entry of the catalogue is of a text.

use std::collections::BTreeSet;
use std::fs;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::commands::sources;
use super::layering::root;

/// Where texts for people are.
const FOLDERS: [&str; 3] = ["config", "ctl", "daemon"];

/// Comments that mark texts of libraries, which are in no source of ours.
const FOREIGN: [&str; 6] =
    ["of clap", "of regex-syntax", "of serde", "of SQLite", "of the system", "of toml"];

/// Macros whose texts are for the log, which is English, or for those who change the code.
const NOT_FOR_PEOPLE: [&str; 15] = [
    "assert",
    "assert_eq",
    "concat",
    "debug",
    "debug_assert",
    "env",
    "error",
    "info",
    "panic",
    "tr",
    "trace",
    "unreachable",
    "warn",
    "todo",
    "getsockopt_impl",
];

/// Texts of the daemon and of the configuration that look like sentences. Only programs read them, or they are
/// never printed.
const NO_SENTENCES: [&str; 12] = [
    "1 if a peer has sent nothing for its `silent_after`, otherwise 0.",
    "1 if the daemon has a problem, which `udpchatctl status` shows, otherwise 0.",
    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
    "a list of entries",
    "acknowledge problems",
    "metrics are served to this machine only: use localhost or a loopback address; a reverse proxy must send `Host: localhost`",
    "not found; the metrics are at /metrics",
    "reception on {local}",
    "the metrics are read with GET or HEAD",
    "the writer of the inbox",
    "version, send, held, cancel, inbox, ack, consumers, set_mark, remove_mark, recode, subscribe, unsubscribe, peers, talkers, targets, status, \
     self_test, acknowledge, reload, stop",
    "{} messages stored, {lost} lost",
];

/// The texts of the sources.
#[derive(Default)]
struct Texts {
    /// The first argument of each `tr!`, and each topic of `doctor`, which is translated where it is printed.
    translated: BTreeSet<String>,
    /// All string literals and documentation comments, one after the other, without spaces.
    all: String,
}

impl Texts {
    fn read() -> Self {
        let mut texts = Self::default();
        let files = FOLDERS.iter().flat_map(|folder| sources(root().join(folder)));
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let source = fs::read_to_string(&file).unwrap();
            texts.add(source.parse().unwrap());
        }
        // The manual explains the keys with the comments of this file.
        let file = fs::read_to_string(root().join("config/udpchat.toml")).unwrap();
        let comments = file.lines().filter_map(|line| line.strip_prefix('#'));
        texts.all.extend(comments.map(without_spaces));
        texts
    }

    fn add(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (place, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(name) if name == "TOPIC" => {
                    // `TOPIC: &str = "..."`
                    self.translated.extend(tokens.get(place + 5).cloned().and_then(text));
                }
                TokenTree::Group(group) => {
                    let is_translated = group.delimiter() == Delimiter::Parenthesis
                        && place >= 2
                        && tokens[place - 2].to_string() == "tr"
                        && tokens[place - 1].to_string() == "!";
                    if let Some(text) =
                        group.stream().into_iter().next().filter(|_| is_translated).and_then(text)
                    {
                        self.translated.insert(text);
                    }
                    self.add(group.stream());
                }
                other => self.all.extend(text(other.clone()).map(|text| without_spaces(&text))),
            }
        }
    }
}

/// Returns the value of a string literal.
fn text(token: TokenTree) -> Option<String> {
    syn::parse2::<syn::LitStr>(token.into()).ok().map(|literal| literal.value())
}

/// Adds the texts that the daemon and the settings make in English, and that are translated where they are printed: those of
/// `#[error("...")]`, and all other literals of several words. Tests and what is for the log are left out.
fn add_sentences(tokens: TokenStream, sentences: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |place: Option<usize>, what: &str| place.is_some_and(|place| tokens[place].to_string() == what);
    let mut is_for_tests = false;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if is(place.checked_sub(1), "#") || is(place.checked_sub(2), "#") => {
                let attribute = group.stream().to_string().replace(' ', "");
                is_for_tests |= attribute.starts_with("cfg(test)");
                let arguments = group.stream().into_iter().nth(1).filter(|_| attribute.starts_with("error("));
                if let Some(TokenTree::Group(arguments)) = arguments {
                    let error = arguments.stream().into_iter().next().and_then(text);
                    sentences.extend(error.filter(|text| has_words(text)));
                }
            }
            TokenTree::Group(group) => {
                let is_macro = is(place.checked_sub(1), "!");
                let is_quiet = NOT_FOR_PEOPLE.iter().any(|name| is_macro && is(place.checked_sub(2), name));
                let is_skipped = is_for_tests && group.delimiter() == Delimiter::Brace;
                if is_skipped {
                    is_for_tests = false;
                } else if !is_quiet && !is_for_tests {
                    add_sentences(group.stream(), sentences);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => is_for_tests = false,
            other => sentences.extend(text(other.clone()).filter(|text| is_sentence(text))),
        }
    }
}

/// Returns whether a text has words beside its placeholders.
fn has_words(text: &str) -> bool {
    let outside = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, outside)| outside));
    outside.collect::<String>().contains(char::is_alphabetic)
}

/// Returns whether a text has several words in lower case: no name, and no statement of SQL.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(char::is_lowercase);
    text.split([' ', ',', ';', ':']).filter(is_word).count() >= 2
        && !text.starts_with(|first: char| first.is_ascii_uppercase())
        && !text.starts_with(['\n', '\r'])
        && !text.starts_with("{SELECT}")
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn every_text_has_a_translation() {
    let texts = Texts::read().translated;
    assert!(texts.len() > 20, "{texts:#?}");
    let missing: Vec<_> = texts.iter().filter(|text| !udpchat_locale::is_known(text)).collect();
    let entries: String = missing.iter().map(|text| format!("msgid {text:?}\nmsgstr \"\"\n\n")).collect();
    assert!(missing.is_empty(), "{} without a translation in config/locale/po:\n{entries}", missing.len());
}

#[test]
fn every_sentence_of_the_daemon_has_a_translation() {
    let mut sentences = BTreeSet::new();
    let files = ["config/src", "daemon"].iter().flat_map(|folder| sources(root().join(folder)));
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let mut names = file.iter().filter_map(|name| name.to_str());
        let is_for_tests = |name: &str| {
            ["tests", "tests.rs", "fuzzing.rs"].contains(&name)
                || name.ends_with("_tests")
                || name.ends_with("_tests.rs")
        };
        if !names.any(is_for_tests) {
            add_sentences(fs::read_to_string(&file).unwrap().parse().unwrap(), &mut sentences);
        }
    }
    assert!(sentences.len() > 300, "{}", sentences.len());
    let is_shown = |text: &&String| !NO_SENTENCES.contains(&text.as_str());
    let missing: Vec<_> =
        sentences.iter().filter(is_shown).filter(|text| !udpchat_locale::is_known(text)).collect();
    let entries: String = missing.iter().map(|text| format!("msgid {text:?}\nmsgstr \"\"\n\n")).collect();
    assert!(missing.is_empty(), "{} without a translation in config/locale/po:\n{entries}", missing.len());
    let unused: Vec<_> = NO_SENTENCES.iter().filter(|text| !sentences.contains(**text)).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn the_help_of_the_daemon_has_a_translation() {
    let texts = udpchat_locale::help::texts(&udpchat_config::Flags::definition());
    let missing: Vec<_> = texts.iter().filter(|text| !udpchat_locale::is_known(text)).collect();
    let entries: String = missing.iter().map(|text| format!("msgid {text:?}\nmsgstr \"\"\n\n")).collect();
    assert!(missing.is_empty(), "{} without a translation in config/locale/po:\n{entries}", missing.len());
}

#[test]
fn every_translation_is_of_a_text() {
    let texts = Texts::read().all;
    for file in sources(root().join("config/locale/po")) {
        let catalogue = polib::po_file::parse(&file).unwrap();
        let unused: Vec<_> = catalogue
            .messages()
            .filter(|message| !FOREIGN.contains(&message.extracted_comments().trim()))
            .map(|message| message.msgid().to_owned())
            .filter(|text| !texts.contains(&without_spaces(text)))
            .collect();
        assert!(unused.is_empty(), "{}: no text of the sources: {unused:#?}", file.display());
    }
}

/// How a user may write durations in Chinese, as hints show it.
const NOTATIONS: [&str; 3] = ["（也可写 500毫秒、1秒、2天）", "20分钟前", "11月22日、上午8点"];

#[test]
fn durations_and_counts_have_one_form_in_chinese() {
    const UNITS: [&str; 11] = ["毫秒", "秒", "分钟", "小时", "天", "条", "个", "字节", "行", "次", "台"];
    let catalogue = fs::read_to_string(root().join("config/locale/po/zh_CN.po")).unwrap();
    let mut wrong = Vec::new();
    for line in catalogue.lines() {
        let text = NOTATIONS.iter().fold(line.to_owned(), |text, notation| text.replace(notation, ""));
        // A space stands between a number and its unit.
        let is_joined = |unit: &&str| {
            let before = text.match_indices(*unit).map(|(at, _)| text[..at].chars().next_back());
            before.flatten().any(|character| character.is_ascii_digit())
        };
        if UNITS.iter().any(is_joined) || has_mixed_range(&text) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns whether a text has a range of durations with two kinds of units, or with another word between them than 至.
fn has_mixed_range(text: &str) -> bool {
    let text = text.replace('到', " 到 ").replace('至', " 至 ");
    let parts = text.split([' ', '"', '；', '，', '。']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    let is_written = |part: &str| {
        let unit = part.trim_start_matches(|character: char| character.is_ascii_digit());
        unit.len() < part.len() && ["ms", "s", "m", "h", "d"].contains(&unit)
    };
    parts.windows(3).any(|range| {
        let is_range = is_written(range[0]) && ["到", "至"].contains(&range[1]);
        is_range && (range[1] == "到" || !is_written(range[2]))
    })
}

#[test]
fn a_mixed_range_is_noticed() {
    for text in ["应为 1s到90d", "1s 到 90d", "1s至90 天", "1s 至 90 天。"] {
        assert!(has_mixed_range(text), "{text}");
    }
    for text in ["应为 1s 至 90d。", "1s至90d", "收到 5 条消息", "10m 之后收到"] {
        assert!(!has_mixed_range(text), "{text}");
    }
}
