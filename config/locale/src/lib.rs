//! The language of what `udpchatctl` and `udpchatd` print for people: English, or Chinese in a Chinese locale.
//!
//! The English text in the source is the key of its translation, as with gettext. [`tr!`] translates a text where it is
//! made. Text that arrives as a finished English sentence (an error of the daemon, of the command line's parser, of the
//! system) is translated where it is printed, by [`translated`]. The catalogue `po/zh_CN.po` is compiled into the programs.
//!
//! What programs read stays English: JSON, log lines, keys, kinds. A run with `--json` is in English as a whole.

mod catalogue;
pub mod help;
mod language;
mod template;

pub use self::catalogue::{is_known, translation};
pub use self::language::{Language, language, set_language, with_language};
pub use self::template::{fill, placeholders, translated};

/// Returns a text in the user's language.
///
/// Without arguments it returns a `&'static str`. Arguments, `name` or `name = expression`, fill the placeholders `{name}`
/// of the text, and it returns a `String`. Placeholders have no format specifications.
///
/// ```
/// use udpchat_locale::tr;
///
/// let peer = "bob";
/// assert_eq!(tr!("no answer"), "no answer");
/// assert_eq!(tr!("no answer from {peer} within {time}", peer, time = "2 s"), "no answer from bob within 2 s");
/// ```
#[macro_export]
macro_rules! tr {
    ($text:literal $(,)?) => {
        $crate::translation($text)
    };
    ($text:literal $(, $name:ident $(= $value:expr)?)+ $(,)?) => {
        match $crate::language() {
            $crate::Language::English => {
                ::std::format!($text $(, $name = $crate::value_of!($name $(= $value)?))+)
            }
            $crate::Language::Chinese => $crate::fill(
                $crate::translation($text),
                &[$((::std::stringify!($name), &$crate::value_of!($name $(= $value)?) as &dyn ::std::fmt::Display)),+],
            ),
        }
    };
}

/// Returns the value of an argument of [`tr!`].
#[doc(hidden)]
#[macro_export]
macro_rules! value_of {
    ($name:ident) => {
        $name
    };
    ($name:ident = $value:expr) => {
        $value
    };
}
