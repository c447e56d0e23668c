//! udpchat.toml(5).

use udpchat_config::{KeyReference, TableReference, reference};
use udpchat_locale::{tr, translated};

use super::page::{Headings, Page};

fn description() -> [&'static str; 3] {
    [
        tr!(
            "udpchatd(8) reads its settings from files in TOML. Every key has a default; a file contains only the values \
             that differ. An unknown key, a wrong type or an invalid value is an error, which names file and line and gives \
             a hint."
        ),
        tr!(
            "The daemon reads /etc/udpchat/config.toml, then ~/.config/udpchat/config.toml (below $XDG_CONFIG_HOME if it is \
             set; not with --system). A key in the second file overrides the first. --config or UDPCHAT_CONFIG names a file \
             that replaces both. The variables UDPCHAT_LISTEN, UDPCHAT_DATA_DIR, UDPCHAT_SOCKET and UDPCHAT_LOG override \
             the files; flags override the variables."
        ),
        tr!(
            "`udpchatd --check-config` prints every value in effect and its origin. After a change, `udpchatctl reload` \
             applies what does not need a restart, and lists the keys that do."
        ),
    ]
}

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
    let mut page = Page::new("udpchat.toml", "5", tr!("the configuration of udpchatd"), tr!("File Formats"));
    page.section(tr!("Description"));
    for paragraph in description() {
        page.paragraph();
        page.text(paragraph);
    }
    for TableReference { name, text, keys } in reference() {
        page.section(&if name.is_empty() { tr!("Top-level keys").to_owned() } else { format!("[{name}]") });
        page.help(&translated(&text), Headings::Bold);
        for KeyReference { name, default, example, text } in keys {
            let value = match default {
                Some(default) => format!(" = {default}"),
                None => tr!(", for example {example}", example),
            };
            page.item(&name, &value, &translated(&text));
        }
    }
    page.section(tr!("Example"));
    page.example(&EXAMPLE);
    page.section(tr!("See also"));
    page.text("udpchatd(8), udpchatctl(1)");
    page
}
