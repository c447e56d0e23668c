//! udpchatctl(1).

use clap::Command;

use super::page::{Headings, Page};

const DESCRIPTION: &str = "\
Sends and reads messages through udpchatd(8), the daemon that holds the UDP port and stores what arrives. Text from other
programs is printed safely for terminals: control characters and invisible characters appear as \\u{..}.";

const FILES: [(&str, &str); 2] = [
    ("$XDG_RUNTIME_DIR/udpchat/control.sock", "The control socket of a user's own daemon."),
    ("/run/udpchat/control.sock", "The control socket of the system's daemon."),
];

/// Writes the page from the definition of the command line.
pub(super) fn page(definition: Command) -> Page {
    let mut command = definition.disable_help_subcommand(true);
    command.build();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = Page::new("udpchatctl", "1", &about, "User Commands");
    page.section("Synopsis");
    page.usage(&command);
    page.section("Description");
    page.text(DESCRIPTION);
    page.section("Commands");
    for subcommand in command.get_subcommands() {
        page.subsection(subcommand.get_name());
        page.usage(subcommand);
        page.paragraph();
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        page.text(&format!("{about}."));
        page.options(subcommand, Headings::Bold);
        let more = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
        page.help(&more, Headings::Bold);
    }
    page.options(&command, Headings::Sections);
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.help(&more, Headings::Sections);
    page.section("Files");
    for (file, what) in FILES {
        page.item(file, "", what);
    }
    page.section("See also");
    page.text("udpchatd(8), udpchat.toml(5)");
    page
}
