//! udpchatctl(1).

use clap::Command;
use udpchat_locale::{help, tr};

use super::page::{Headings, Page};

fn description() -> &'static str {
    tr!(
        "Sends and reads messages through udpchatd(8), the daemon that holds the UDP port and stores what arrives. Text \
         from other programs is printed safely for terminals: control characters and invisible characters appear as \
         \\u{..}."
    )
}

fn files() -> [(&'static str, &'static str); 2] {
    [
        ("$XDG_RUNTIME_DIR/udpchat/control.sock", tr!("The control socket of a user's own daemon.")),
        ("/run/udpchat/control.sock", tr!("The control socket of the system's daemon.")),
    ]
}

/// Writes the page from the definition of the command line.
pub(super) fn page(definition: Command) -> Page {
    let mut command = definition.disable_help_subcommand(true);
    command.build();
    // Building adds `--help`.
    let command = help::translated(command);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = Page::new("udpchatctl", "1", &about, tr!("User Commands"));
    page.section(tr!("Synopsis"));
    page.usage(&command);
    page.section(tr!("Description"));
    page.text(description());
    page.section(tr!("Commands"));
    for subcommand in command.get_subcommands() {
        page.subsection(subcommand.get_name());
        page.usage(subcommand);
        page.paragraph();
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        page.text(&tr!("{about}.", about));
        page.options(subcommand, Headings::Bold);
        let more = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
        page.help(&more, Headings::Bold);
    }
    page.options(&command, Headings::Sections);
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.help(&more, Headings::Sections);
    page.section(tr!("Files"));
    for (file, what) in files() {
        page.item(file, "", what);
    }
    page.section(tr!("See also"));
    page.text("udpchatd(8), udpchat.toml(5)");
    page
}
