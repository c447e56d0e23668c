//! udpchat.toml(5).

use udpchat_config::{KeyReference, TableReference, reference};

use super::page::{Headings, Page};

const DESCRIPTION: &str = "\
udpchatd(8) reads its settings from files in TOML. Every key has a default; a file says only what is to be otherwise.
An unknown key, a wrong type or a bad value is refused, with file, line and a hint.

Read are /etc/udpchat/config.toml, then ~/.config/udpchat/config.toml (or what $XDG_CONFIG_HOME says; not with --system).
The second wins, key by key. --config or UDPCHAT_CONFIG names a file that replaces both. UDPCHAT_LISTEN,
UDPCHAT_DATA_DIR, UDPCHAT_SOCKET and UDPCHAT_LOG count for more than files, flags for more than these.

`udpchatd --check-config` prints every value in effect and where it came from. After a change, `udpchatctl reload`
applies what does not need a restart, and says what does.";

const EXAMPLE: [&str; 9] = [
    "listen = [\"0.0.0.0:9000\"]",
    "",
    "[inbox]",
    "max_size = \"1GiB\"",
    "max_age = \"90d\"",
    "",
    "[peers.bob]",
    "address = \"192.168.43.159:8080\"",
    "encoding = \"gbk\"",
];

/// Writes the page.
pub(super) fn page() -> Page {
    let mut page = Page::new("udpchat.toml", "5", "the configuration of udpchatd", "File Formats");
    page.section("Description");
    page.help(DESCRIPTION, Headings::Bold);
    for TableReference { name, text, keys } in reference() {
        page.section(&if name.is_empty() { "Before any table".to_owned() } else { format!("[{name}]") });
        page.help(&text, Headings::Bold);
        for KeyReference { name, default, example, text } in keys {
            let value = match default {
                Some(default) => format!(" = {default}"),
                None => format!(", for example {example}"),
            };
            page.item(&name, &value, &text);
        }
    }
    page.section("Example");
    page.example(&EXAMPLE);
    page.section("See also");
    page.text("udpchatd(8), udpchatctl(1)");
    page
}
