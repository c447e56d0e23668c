//! udpchatd(8).

use udpchat_config::Flags;
use udpchat_locale::{help, tr};

use super::page::{Headings, Page};

fn files() -> [(&'static str, &'static str); 4] {
    [
        ("/etc/udpchat/config.toml", tr!("The configuration; see udpchat.toml(5).")),
        ("~/.config/udpchat/config.toml", tr!("The user's own configuration, not read with --system.")),
        ("~/.local/share/udpchat", tr!("The inbox; /var/lib/udpchat with --system.")),
        (
            "$XDG_RUNTIME_DIR/udpchat/control.sock",
            tr!(
                "The control socket; in the data directory where that variable is unset, /run/udpchat/control.sock with \
                 --system."
            ),
        ),
    ]
}

/// Writes the page.
pub(super) fn page() -> Page {
    let mut command = Flags::definition();
    command.build();
    // Building adds `--help`.
    let command = help::translated(command);
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let about = text(command.get_about());
    let mut page =
        Page::new("udpchatd", "8", about.trim_end_matches(['.', '。']), tr!("System Administration"));
    page.section(tr!("Synopsis"));
    page.usage(&command);
    page.section(tr!("Description"));
    page.help(&text(command.get_long_about()), Headings::Bold);
    page.options(&command, Headings::Sections);
    page.section(tr!("Operation"));
    page.help(&text(command.get_after_help()), Headings::Sections);
    page.section(tr!("Files"));
    for (file, what) in files() {
        page.item(file, "", what);
    }
    page.section(tr!("See also"));
    page.text("udpchatctl(1), udpchat.toml(5)");
    page
}
