//! The help of clap in the user's language.
//!
//! clap breaks lines only at spaces, and counts a character as one column. A Chinese text has no spaces, and its characters
//! take two columns. So [`prepared`] puts a space behind each wide character, or a word joiner (U+2060)
//! where no line may break, and [`finished`] removes them when clap has broken the lines.

use clap::builder::StyledStr;
use clap::{Arg, Command};
use unicode_width::UnicodeWidthChar;

use crate::catalogue::find;
use crate::{Language, language};

const JOINER: char = '\u{2060}';

/// A line does not begin with one of these.
const CLOSING: &str = "，。：；！？、）》”’…])}";

/// A line does not end with one of these.
const OPENING: &str = "（《“‘";

/// clap's own words, a longer one before one that it contains. None of them is wrapped: each is short, or begins a line.
const WORDS: &[&str] = &[
    "Usage:",
    "Arguments:",
    "Options:",
    "Commands:",
    "Possible values:",
    "[possible values: ",
    "[default: ",
    "[aliases: ",
    "[alias: ",
    "[OPTIONS]",
    "[COMMAND]",
    "<COMMAND>",
    "Print help (see a summary with '-h')",
    "Print help (see more with '--help')",
    "Print this message or the help of the given subcommand(s)",
    // Before its beginning.
    "Print help for the subcommand(s)",
    "Print help",
    "Print version",
];

/// Translates the help of a command and of its subcommands.
#[must_use]
pub fn translated(command: Command) -> Command {
    match language() {
        Language::English => command,
        Language::Chinese => with_texts(command, &|text| find(text).map(str::to_owned)),
    }
}

/// Prepares translated help for clap, which breaks its lines. What clap makes of it goes through [`finished`].
#[must_use]
pub fn prepared(command: Command) -> Command {
    match language() {
        Language::English => command,
        // clap counts a column too few for a line that ends with a wide character.
        Language::Chinese => with_texts(command, &|text| Some(breakable(text))).term_width(columns() - 1),
    }
}

/// Returns how many columns help may take, as clap finds it.
fn columns() -> usize {
    const MOST: usize = 100;
    let terminal = terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| columns.into());
    let given = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal.or_else(given).unwrap_or(MOST).clamp(2, MOST)
}

/// Replaces the texts of a command and of its subcommands by what a function returns for them.
fn with_texts(mut command: Command, replacement: &impl Fn(&str) -> Option<String>) -> Command {
    let new = |text: Option<&StyledStr>| text.and_then(|text| replacement(&text.to_string()));
    if let Some(text) = new(command.get_about()) {
        command = command.about(text);
    }
    if let Some(text) = new(command.get_long_about()) {
        command = command.long_about(text);
    }
    if let Some(text) = new(command.get_after_help()) {
        command = command.after_help(text);
    }
    if let Some(text) = new(command.get_after_long_help()) {
        command = command.after_long_help(text);
    }
    command
        .mut_args(|argument| argument_with_texts(argument, replacement))
        .mut_subcommands(|subcommand| with_texts(subcommand, replacement))
}

fn argument_with_texts(mut argument: Arg, replacement: &impl Fn(&str) -> Option<String>) -> Arg {
    let new = |text: Option<&StyledStr>| text.and_then(|text| replacement(&text.to_string()));
    if let Some(text) = new(argument.get_help()) {
        argument = argument.help(text);
    }
    if let Some(text) = new(argument.get_long_help()) {
        argument = argument.long_help(text);
    }
    if let Some(heading) = argument.get_help_heading().and_then(find) {
        argument = argument.help_heading(heading);
    }
    argument
}

/// Lets lines break behind each wide character, except where Chinese text does not allow it.
fn breakable(text: &str) -> String {
    let mut made = String::with_capacity(2 * text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        made.push(character);
        if is_wide(character) {
            // A space at the end of a line that is full would begin another one.
            let is_joined = characters.peek().is_none_or(|&next| next == '\n' || CLOSING.contains(next));
            made.push(if is_joined || OPENING.contains(character) { JOINER } else { ' ' });
        }
    }
    made
}

/// Returns help that clap has made as it is shown.
pub fn finished(help: &str) -> String {
    if language() == Language::English {
        return help.to_owned();
    }
    let mut made = String::with_capacity(help.len());
    let mut characters = help.chars().peekable();
    while let Some(character) = characters.next() {
        made.push(character);
        if is_wide(character) {
            characters.next_if(|&next| next == ' ' || next == JOINER);
            let mut rest = characters.clone();
            // The colon that clap writes behind a heading.
            if rest.next() == Some(':') && rest.next().is_none_or(|next| ['\n', '\u{1b}'].contains(&next)) {
                characters.next();
                made.push('：');
            }
        }
    }
    let mut made = with_words(&made);
    // No space follows a wide colon, which may be styled.
    for colon in ["： ", "：\u{1b}[0m "] {
        made = made.replace(colon, colon.trim_end());
    }
    made
}

/// Translates clap's own words in a text that clap has made of translated help.
pub fn with_words(text: &str) -> String {
    let mut made = text.to_owned();
    if language() == Language::Chinese {
        for word in WORDS {
            let translation = find(word).unwrap_or(word);
            // A line may end within the word's last space.
            made = made.replace(word, translation).replace(word.trim_end(), translation);
        }
    }
    made
}

fn is_wide(character: char) -> bool {
    character.width() == Some(2)
}

/// Returns the texts of the help of a command and its subcommands, for tests that none lacks a translation.
pub fn texts(command: &Command) -> Vec<String> {
    let own = [
        command.get_about(),
        command.get_long_about(),
        command.get_after_help(),
        command.get_after_long_help(),
    ];
    let of_arguments = command.get_arguments().flat_map(|argument| {
        [
            argument.get_help().map(StyledStr::to_string),
            argument.get_long_help().map(StyledStr::to_string),
            argument.get_help_heading().map(str::to_owned),
        ]
    });
    let own = own.into_iter().map(|text| text.map(StyledStr::to_string));
    let below = command.get_subcommands().flat_map(texts);
    own.chain(of_arguments).flatten().chain(below).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::with_language;

    fn width(line: &str) -> usize {
        line.chars().filter_map(UnicodeWidthChar::width).sum()
    }

    fn help_of(about: &str) -> String {
        with_language(Language::Chinese, || {
            let mut command = prepared(Command::new("x").about(about.to_owned())).term_width(39);
            finished(&command.render_help().to_string())
        })
    }

    #[test]
    fn the_words_of_clap_have_translations() {
        assert!(WORDS.iter().all(|word| find(word).is_some()));
    }

    #[test]
    fn headings_end_with_a_wide_colon() {
        let shown = with_language(Language::Chinese, || {
            finished("全局选项:\n  端口:7788\n\u{1b}[1m过滤:\u{1b}[0m\n条目:")
        });
        assert_eq!(shown, "全局选项：\n  端口:7788\n\u{1b}[1m过滤：\u{1b}[0m\n条目：");
    }

    #[test]
    fn chinese_help_breaks_at_the_width_of_the_terminal() {
        let about = "把一条消息发送给一个对端（名称或地址），从守护进程持有的端口发出；对端的回答进入收件箱，UDP 不保证送达。".repeat(3);
        let help = help_of(&about);
        let lines: Vec<&str> = help.lines().take_while(|line| !line.is_empty()).collect();
        assert!(lines.len() > 3, "{help}");
        assert!(lines.iter().all(|line| width(line) <= 40), "{help}");
        assert!(lines[..lines.len() - 1].iter().all(|line| width(line) >= 34), "{help}");
        assert!(lines.iter().all(|line| !line.starts_with(|first| CLOSING.contains(first))), "{help}");
        assert!(help.contains("用法：x"), "{help}");
    }

    #[test]
    fn no_line_starts_with_what_closes_brackets() {
        let about =
            "守护进程的控制套接字 [默认值：UDPCHAT_SOCKET，其次是用户自己的，再次是系统的](见手册){见下文}";
        for columns in 20..60 {
            let help = with_language(Language::Chinese, || {
                let mut command = prepared(Command::new("x").about(about)).term_width(columns);
                finished(&command.render_help().to_string())
            });
            assert!(help.lines().all(|line| !line.starts_with([']', ')', '}'])), "{help}");
        }
    }

    #[test]
    fn a_full_last_line_is_not_followed_by_an_empty_one() {
        for characters in 10..60 {
            let about = format!("{}。\n下一段。", "消".repeat(characters));
            let help = help_of(&about);
            assert!(help.contains("。\n下一段。\n\n用法"), "{help}");
        }
    }

    #[test]
    fn a_space_stands_before_the_default_value() {
        let help = with_language(Language::Chinese, || {
            let argument = Arg::new("t").long("t").help("何时使用颜色").default_value("auto");
            finished(&prepared(Command::new("x").arg(argument)).render_help().to_string())
        });
        assert!(help.contains("何时使用颜色 [默认值：auto]"), "{help}");
    }

    proptest! {
        #[test]
        fn breaking_lines_keeps_the_text(text in "[a-z发送消息，。（） ]{1,60}") {
            let joined = |text: &str| text.split_whitespace().collect::<String>();
            let help = help_of(&text);
            let about = help.split("用法：").next().unwrap_or_default();
            prop_assert_eq!(joined(about), joined(&text));
        }

        #[test]
        fn a_text_without_breaks_is_shown_as_it_was(text in "[a-z发送消息，。（） \n]{0,60}") {
            let shown = with_language(Language::Chinese, || finished(&breakable(&text)));
            prop_assert_eq!(shown, text);
        }
    }
}
