//! Writes the parts of a manual page: headings, paragraphs, examples, flags.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use udpchat_locale::{Language, help, language, tr};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Chinese punctuation behind which a line may end.
const CLOSING: &str = "，。：；！？、）》”";

/// Chinese punctuation with which a line may begin.
const OPENING: &str = "（《“";

/// What ends a heading in a help text.
const COLONS: [char; 2] = [':', '：'];

/// The lines that clap_mangen repeats before everything it renders; they define the apostrophe, once is enough.
const PREAMBLE: [&str; 2] = [".ie ", ".el "];

/// A page that is being written.
pub(super) struct Page {
    source: String,
}

impl Page {
    /// Starts a page with its title and a summary.
    pub(super) fn new(name: &str, section: &str, about: &str, manual: &str) -> Self {
        let mut roff = Roff::new();
        // No date, so that the same definitions make the same page. It is a space, since `Roff` writes no empty argument.
        roff.control("TH", [&name.to_uppercase(), section, " ", &format!("udpchat {VERSION}"), manual]);
        // No hyphenation and no justification, since much of the text is paths and commands. The macros of groff 1.23
        // reset `ad` in each paragraph to the string AD.
        roff.control("nr", ["HY", "0"]).control("nh", []).control("ad", ["l"]).control("ds", ["AD", "l"]);
        if language() == Language::Chinese {
            // Lets lines break between Chinese characters.
            roff.control("mso", ["zh.tmac"]);
        }
        roff.control("SH", [tr!("Name").to_uppercase().as_str()]);
        roff.text([roman(format!("{name} - {}", lower_first(about)))]);
        Self { source: roff.render() }
    }

    /// Starts a section. The name of a TOML table keeps its case.
    pub(super) fn section(&mut self, heading: &str) {
        let heading = if heading.starts_with('[') { heading.to_owned() } else { heading.to_uppercase() };
        self.add(Roff::new().control("SH", [heading.as_str()]));
    }

    /// Starts a subsection.
    pub(super) fn subsection(&mut self, heading: &str) {
        self.add(Roff::new().control("SS", [heading]));
    }

    /// Writes the synopsis of a command, its name in bold.
    pub(super) fn usage(&mut self, command: &Command) {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim();
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let rest = help::with_words(usage.strip_prefix(name).unwrap_or(usage));
        self.add(Roff::new().text([bold(name), roman(rest)]));
    }

    /// Writes a help text: paragraphs, and indented lines, which are kept unchanged. A line that ends with a colon above
    /// indented lines is a heading; it becomes a section, or a line in bold.
    pub(super) fn help(&mut self, text: &str, headings: Headings) {
        let lines: Vec<&str> = text.lines().collect();
        let (mut at, mut is_new) = (0, true);
        while at < lines.len() {
            let is_indented = |line: &&str| line.starts_with("  ");
            if lines[at].is_empty() {
                (at, is_new) = (at + 1, true);
            } else if is_indented(&lines[at]) {
                let end = at + lines[at..].iter().take_while(|line| is_indented(line)).count();
                self.example(&lines[at..end]);
                (at, is_new) = (end, true);
            } else if lines.get(at + 1).is_some_and(is_indented) && lines[at].ends_with(COLONS) {
                self.heading(lines[at], headings);
                at += 1;
            } else {
                if std::mem::take(&mut is_new) {
                    self.paragraph();
                }
                self.add(Roff::new().text([roman(lines[at])]));
                at += 1;
            }
        }
    }

    /// Writes a heading that ends with a colon.
    fn heading(&mut self, heading: &str, headings: Headings) {
        match headings {
            Headings::Sections => self.section(heading.trim_end_matches(COLONS)),
            Headings::Bold => {
                self.paragraph();
                self.add(Roff::new().text([bold(heading)]));
            }
        }
    }

    /// Starts a paragraph.
    pub(super) fn paragraph(&mut self) {
        self.add(Roff::new().control("PP", []));
    }

    /// Writes text into the current paragraph.
    pub(super) fn text(&mut self, text: &str) {
        self.add(Roff::new().text([roman(text)]));
    }

    /// Writes lines unchanged, without their indentation.
    pub(super) fn example(&mut self, lines: &[&str]) {
        let mut roff = Roff::new();
        roff.control("RS", ["4"]).control("EX", []);
        for line in lines {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        self.add(roff.control("EE", []).control("RE", []));
    }

    /// Writes an item of a list: a term in bold, text after it, and its meaning.
    pub(super) fn item(&mut self, term: &str, rest: &str, meaning: &str) {
        let mut roff = Roff::new();
        self.add(roff.control("TP", []).text([bold(term), roman(rest)]).text([roman(meaning)]));
    }

    /// Writes the arguments and flags of a command; for a subcommand without the global ones.
    pub(super) fn options(&mut self, command: &Command, headings: Headings) {
        let is_top = matches!(headings, Headings::Sections);
        let own = command.clone().mut_args(|argument| {
            let is_everywhere = argument.is_global_set() || argument.get_id() == "help";
            if is_everywhere && !is_top { argument.hide(true) } else { argument }
        });
        if own.get_arguments().all(clap::Arg::is_hide_set) {
            return;
        }
        let mut source = Vec::new();
        // Writing to memory cannot fail.
        drop(Man::new(own).render_options_section(&mut source));
        for line in String::from_utf8_lossy(&source).lines() {
            match line.strip_prefix(".SH ") {
                Some("OPTIONS") if is_top => self.section(tr!("Options")),
                Some("OPTIONS") => {}
                Some(heading) if is_top => self.section(heading.trim_matches('"')),
                Some(heading) => {
                    let heading = capitalised(heading.trim_matches('"'));
                    self.heading(&tr!("{heading}:", heading), headings);
                }
                None if PREAMBLE.iter().any(|preamble| line.starts_with(preamble)) => {}
                None => {
                    self.source += &help::with_words(line);
                    self.source.push('\n');
                }
            }
        }
    }

    /// Returns the source for groff.
    pub(super) fn into_source(self) -> String {
        match language() {
            Language::English => self.source,
            Language::Chinese => self.source.lines().map(|line| with_break_points(line) + "\n").collect(),
        }
    }

    fn add(&mut self, roff: &Roff) {
        let source = roff.render();
        let own = source.lines().filter(|line| !PREAMBLE.iter().any(|preamble| line.starts_with(preamble)));
        for line in own {
            self.source += line;
            self.source.push('\n');
        }
    }
}

/// How the headings of a text are written.
#[derive(Clone, Copy)]
pub(super) enum Headings {
    /// Sections of the page.
    Sections,
    /// Lines in bold.
    Bold,
}

/// Lets a line of text break between Chinese punctuation and text in other scripts. `zh.tmac` allows that only between
/// Chinese characters.
fn with_break_points(line: &str) -> String {
    if line.starts_with('.') {
        return line.to_owned();
    }
    let mut made = String::with_capacity(line.len());
    let mut before = ' ';
    for character in line.chars() {
        let ends = CLOSING.contains(before) && character.is_ascii_graphic();
        let begins = OPENING.contains(character) && before.is_ascii_graphic();
        if ends || begins {
            made.push_str(r"\:");
        }
        made.push(character);
        before = character;
    }
    made
}

/// Makes the first letter lower case, since a name precedes the text.
fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// Makes all letters but the first lower case.
fn capitalised(heading: &str) -> String {
    let (first, rest) = heading.split_at(heading.chars().next().map_or(0, char::len_utf8));
    format!("{first}{}", rest.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_chinese_punctuation_and_latin_text() {
        for (line, expected) in [
            ("默认值、/etc、~/x。", r"默认值、\:/etc、\:~/x。"),
            (r"选项，\-\-all（-a）。见 x", r"选项，\:\-\-all\:（-a）。见 x"),
            (".SH 名称：x", ".SH 名称：x"),
        ] {
            assert_eq!(with_break_points(line), expected);
        }
    }
}
