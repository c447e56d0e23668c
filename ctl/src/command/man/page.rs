//! The parts of a manual page: headings, paragraphs, examples, flags.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The lines that the library puts in front of everything it renders: they define the apostrophe, once is enough.
const PREAMBLE: [&str; 2] = [".ie ", ".el "];

/// A page that is being written.
pub(super) struct Page {
    source: String,
}

impl Page {
    /// Begins a page with its title and what it is about.
    pub(super) fn new(name: &str, section: &str, about: &str, manual: &str) -> Self {
        let mut roff = Roff::new();
        // No date: the same definitions make the same page.
        roff.control("TH", [&name.to_uppercase(), section, "", &format!("udpchat {VERSION}"), manual]);
        // Neither hyphens nor stretched blanks: much of it is paths and commands.
        roff.control("nr", ["HY", "0"]).control("nh", []).control("ad", ["l"]);
        roff.control("SH", ["NAME"]);
        roff.text([roman(format!("{name} - {}", lower_first(about)))]);
        Self { source: roff.render() }
    }

    /// Begins a section. The name of a table stays as it is.
    pub(super) fn section(&mut self, heading: &str) {
        let heading = if heading.starts_with('[') { heading.to_owned() } else { heading.to_uppercase() };
        self.add(Roff::new().control("SH", [heading.as_str()]));
    }

    /// Begins a part of a section.
    pub(super) fn subsection(&mut self, heading: &str) {
        self.add(Roff::new().control("SS", [heading]));
    }

    /// Writes how a command is called, its name in bold.
    pub(super) fn usage(&mut self, command: &Command) {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim();
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let rest = usage.strip_prefix(name).unwrap_or(usage);
        self.add(Roff::new().text([bold(name), roman(rest)]));
    }

    /// Writes a text as the help has it: paragraphs, and indented lines that stay as they are. A heading is a line that ends
    /// with a colon above such lines; it becomes a section, or in a part of one a line in bold.
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
            } else if lines.get(at + 1).is_some_and(is_indented) && lines[at].ends_with(':') {
                self.heading(lines[at].trim_end_matches(':'), headings);
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

    fn heading(&mut self, heading: &str, headings: Headings) {
        match headings {
            Headings::Sections => self.section(heading),
            Headings::Bold => {
                self.paragraph();
                self.add(Roff::new().text([bold(format!("{heading}:"))]));
            }
        }
    }

    /// Begins a paragraph.
    pub(super) fn paragraph(&mut self) {
        self.add(Roff::new().control("PP", []));
    }

    /// Writes text into the paragraph.
    pub(super) fn text(&mut self, text: &str) {
        self.add(Roff::new().text([roman(text)]));
    }

    /// Writes lines as they are, without what they are indented by.
    pub(super) fn example(&mut self, lines: &[&str]) {
        let mut roff = Roff::new();
        roff.control("RS", ["4"]).control("EX", []);
        for line in lines {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        self.add(roff.control("EE", []).control("RE", []));
    }

    /// Writes an item of a list: a term in bold, what stands behind it, and what it means.
    pub(super) fn item(&mut self, term: &str, rest: &str, meaning: &str) {
        let mut roff = Roff::new();
        self.add(roff.control("TP", []).text([bold(term), roman(rest)]).text([roman(meaning)]));
    }

    /// Writes the arguments and flags of a command that are its own.
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
        // Writing to memory does not fail.
        drop(Man::new(own).render_options_section(&mut source));
        for line in String::from_utf8_lossy(&source).lines() {
            match line.strip_prefix(".SH ") {
                Some(heading) if is_top => self.section(heading.trim_matches('"')),
                Some("OPTIONS") => {}
                Some(heading) => self.heading(&capitalised(heading.trim_matches('"')), headings),
                None if PREAMBLE.iter().any(|preamble| line.starts_with(preamble)) => {}
                None => {
                    self.source += line;
                    self.source.push('\n');
                }
            }
        }
    }

    /// Returns the source for groff.
    pub(super) fn into_source(self) -> String {
        self.source
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

/// What the headings in a text become.
#[derive(Clone, Copy)]
pub(super) enum Headings {
    /// Sections of the page.
    Sections,
    /// Lines in bold.
    Bold,
}

/// Makes the first letter of a sentence small, since a name stands before it.
fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// Makes a heading in capitals an ordinary one.
fn capitalised(heading: &str) -> String {
    let (first, rest) = heading.split_at(heading.chars().next().map_or(0, char::len_utf8));
    format!("{first}{}", rest.to_lowercase())
}
