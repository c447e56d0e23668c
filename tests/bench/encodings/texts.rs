//! The texts that peers send: one a line, in files by language.

/// The texts of one language.
pub(crate) struct Language(&'static str);

/// A half of the lines. Rules and limits are chosen by looking at one half, and judged by the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// Odd lines: the code may be tuned with them.
    Tuning,
    /// Even lines.
    HeldOut,
}

macro_rules! language {
    ($name:ident, $file:literal) => {
        pub(crate) const $name: Language = Language(include_str!(concat!("texts/", $file, ".txt")));
    };
}

language!(ARABIC, "arabic");
language!(CHINESE, "chinese");
language!(GREEK, "greek");
language!(HEBREW, "hebrew");
language!(JAPANESE, "japanese");
language!(KOREAN, "korean");
language!(POLISH, "polish");
language!(RUSSIAN, "russian");
language!(THAI, "thai");
language!(TRADITIONAL_CHINESE, "chinese-traditional");
language!(TURKISH, "turkish");
language!(VIETNAMESE, "vietnamese");
language!(WESTERN, "western");

pub(crate) const ALL: [Language; 13] = [
    CHINESE,
    TRADITIONAL_CHINESE,
    JAPANESE,
    KOREAN,
    THAI,
    RUSSIAN,
    WESTERN,
    GREEK,
    HEBREW,
    ARABIC,
    TURKISH,
    VIETNAMESE,
    POLISH,
];

/// Common Chinese words of two characters.
const CHINESE_WORDS: &str = include_str!("texts/chinese-words.txt");

impl Language {
    /// Returns the lines of one half, or all.
    pub(crate) fn lines(&self, half: Option<Half>) -> impl Iterator<Item = &'static str> {
        let numbered = self.0.lines().zip([Half::Tuning, Half::HeldOut].into_iter().cycle());
        numbered.filter(move |(_, of)| half.is_none_or(|half| half == *of)).map(|(line, _)| line)
    }
}

/// Returns common Chinese words of two characters.
pub(crate) fn chinese_words() -> impl Iterator<Item = &'static str> {
    CHINESE_WORDS.split_whitespace()
}
