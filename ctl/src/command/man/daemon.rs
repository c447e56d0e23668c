//! udpchatd(8).

use udpchat_config::Flags;

use super::page::{Headings, Page};

const FILES: [(&str, &str); 4] = [
    ("/etc/udpchat/config.toml", "The configuration; see udpchat.toml(5)."),
    ("~/.config/udpchat/config.toml", "The user's own configuration, not read with --system."),
    ("~/.local/share/udpchat", "The inbox; /var/lib/udpchat with --system."),
    (
        "$XDG_RUNTIME_DIR/udpchat/control.sock",
        "The control socket; in the data directory where that variable is unset, /run/udpchat/control.sock with --system.",
    ),
];

/// Writes the page.
pub(super) fn page() -> Page {
    let mut command = Flags::definition();
    command.build();
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let about = text(command.get_about());
    let mut page = Page::new("udpchatd", "8", about.trim_end_matches('.'), "System Administration");
    page.section("Synopsis");
    page.usage(&command);
    page.section("Description");
    page.help(&text(command.get_long_about()), Headings::Bold);
    page.options(&command, Headings::Sections);
    page.section("Operation");
    page.help(&text(command.get_after_help()), Headings::Sections);
    page.section("Files");
    for (file, what) in FILES {
        page.item(file, "", what);
    }
    page.section("See also");
    page.text("udpchatctl(1), udpchat.toml(5)");
    page
}
