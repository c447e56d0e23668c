//! Which language the user reads.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A language of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The language of the source, and of everything that programs read.
    English,
    /// Simplified Chinese.
    Chinese,
}

static IS_CHINESE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static OF_THREAD: Cell<Option<Language>> = const { Cell::new(None) };
}

/// Returns the language of this thread, which is that of the process except in tests.
pub fn language() -> Language {
    OF_THREAD.get().unwrap_or(if IS_CHINESE.load(Relaxed) { Language::Chinese } else { Language::English })
}

/// Sets the language of the process. It is English until this is called.
pub fn set_language(language: Language) {
    IS_CHINESE.store(language == Language::Chinese, Relaxed);
}

/// Calls a function with another language for this thread, for tests of texts in both languages.
pub fn with_language<T>(language: Language, call: impl FnOnce() -> T) -> T {
    let before = OF_THREAD.replace(Some(language));
    let made = call();
    OF_THREAD.set(before);
    made
}

impl Language {
    /// Returns the language that the environment asks for: the first of `UDPCHAT_LANG`, `LC_ALL`, `LC_MESSAGES` and `LANG`
    /// that is set and not empty decides, as in locale(7); our own only if it names a language that there is.
    pub fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name| variable(name).filter(|value| !value.is_empty());
        let is_known = |own: &String| {
            let language = own.split(['_', '-', '.', '@']).next().unwrap_or_default();
            ["en", "zh", "C", "POSIX"].iter().any(|known| language.eq_ignore_ascii_case(known))
        };
        if let Some(own) = value("UDPCHAT_LANG").filter(is_known) {
            return Self::of_locale(&own, true);
        }
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(value)
            .map_or(Self::English, |locale| Self::of_locale(&locale, false))
    }

    /// Returns the language of a locale such as `zh_CN.UTF-8`. The programs write UTF-8, so Chinese in another encoding
    /// would be unreadable; a locale without one is in GB 2312 (setlocale(3) of glibc), except in our own variable.
    fn of_locale(locale: &str, is_own: bool) -> Self {
        let locale = locale.split('@').next().unwrap_or_default();
        let (name, encoding) =
            locale.split_once('.').unwrap_or((locale, if is_own { "UTF-8" } else { "GB2312" }));
        let is_utf_8 = encoding.replace('-', "").eq_ignore_ascii_case("utf8");
        let mut parts = name.split(['_', '-']);
        let is_chinese = parts.next().is_some_and(|language| language.eq_ignore_ascii_case("zh"));
        // Traditional characters are used elsewhere; English is read there more readily than simplified ones.
        let is_simplified = parts
            .all(|part| ["CN", "SG", "Hans"].iter().any(|simplified| part.eq_ignore_ascii_case(simplified)));
        if is_chinese && is_simplified && is_utf_8 { Self::Chinese } else { Self::English }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language_of(variables: &[(&str, &str)]) -> Language {
        Language::of(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let order = ["UDPCHAT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
        for (place, name) in order.iter().enumerate() {
            let weaker = order[place + 1..].iter().map(|weaker| (*weaker, "en_US.UTF-8"));
            let stronger = order[..place].iter().map(|stronger| (*stronger, ""));
            let variables: Vec<_> = stronger.chain([(*name, "zh_CN.UTF-8")]).chain(weaker).collect();
            assert_eq!(language_of(&variables), Language::Chinese, "{variables:?}");
        }
        assert_eq!(language_of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(language_of(&[("LC_ALL", "zh_CN.UTF-8"), ("UDPCHAT_LANG", "en")]), Language::English);
        assert_eq!(language_of(&[]), Language::English);
        for unknown in ["中文", "cn", "fr"] {
            let variables = [("LC_ALL", "zh_CN.UTF-8"), ("UDPCHAT_LANG", unknown)];
            assert_eq!(language_of(&variables), Language::Chinese, "{unknown}");
            assert_eq!(language_of(&[("LC_ALL", "C"), ("UDPCHAT_LANG", unknown)]), Language::English);
        }
    }

    #[test]
    fn simplified_chinese_in_utf_8_is_chinese() {
        for locale in
            ["zh_CN.UTF-8", "zh_CN.utf8", "zh_SG.UTF-8", "zh.UTF-8", "zh_CN.UTF-8@pinyin", "zh-Hans-CN.UTF-8"]
        {
            assert_eq!(language_of(&[("LANG", locale)]), Language::Chinese, "{locale}");
        }
        for locale in
            ["zh_CN.GBK", "zh_CN", "zh_TW.UTF-8", "en_US.UTF-8", "C.UTF-8", "C", "POSIX", "zhx.UTF-8", "."]
        {
            assert_eq!(language_of(&[("LANG", locale)]), Language::English, "{locale}");
        }
        for own in ["zh", "zh_CN", "zh-CN", "zh_CN.UTF-8"] {
            assert_eq!(language_of(&[("UDPCHAT_LANG", own)]), Language::Chinese, "{own}");
        }
    }
}
