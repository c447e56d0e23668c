//! Full-screen programs: terminal modes, keyboard and mouse input, signals, the event loop, and text wrapped in columns.
//!
//! `chat` and `status --watch` implement [`App`], and [`run`] does the rest. What a screen shows and what its keys mean
//! belong to the commands. This folder depends on no command and on no daemon.

mod event_loop;
mod full_screen;
mod input;
mod signals;
pub(crate) mod wrap;

pub(crate) use self::event_loop::{App, Reaction, Redraw, run};
pub(crate) use self::full_screen::{FullScreen, Input, check, supports_full_screen};

/// Returns whether the locale says that the terminal shows UTF-8.
pub(crate) fn is_utf8() -> bool {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    locale.to_ascii_lowercase().replace('-', "").contains("utf8")
}
