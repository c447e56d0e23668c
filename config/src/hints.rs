//! The hints of errors, derived from the list of keys.

use crate::key::split;
use crate::settings::paths_and_examples;
use crate::suggestion::did_you_mean;

/// Shows how to write the key or the table at a path; `None` if there is none.
pub(crate) fn example_for(path: &str) -> Option<String> {
    if let Some((_, example)) = paths_and_examples().find(|(known, _)| *known == path) {
        return Some(format!("write for example: {} = {example}", split(path).1));
    }
    let in_table = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    let (key, example) = paths_and_examples().find(|(known, _)| in_table(known))?;
    let (table, name) = split(key);
    Some(format!("write for example: [{}], and below it: {name} = {example}", table.replace("NAME", "bob")))
}

/// Suggests what to do about an unknown key in a table; the path of the top is empty.
pub(crate) fn hint_for_unknown(table: &str, unknown: &str) -> String {
    let known = names_in(table);
    if let Some(question) = did_you_mean(unknown, known.iter().copied()) {
        return question;
    }
    match table_with(unknown) {
        Some("") => format!("`{unknown}` belongs at the top of the file, before the first [table]"),
        Some(table) => format!("`{unknown}` belongs below [{}]", table.replace("NAME", "bob")),
        None => {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("the keys here are {}", known.join(", "))
        }
    }
}

/// Lists the keys and tables directly in a table.
fn names_in(table: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (path, _) in paths_and_examples() {
        let rest = match table {
            "" => Some(path),
            _ => path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')),
        };
        let name = rest.map(|rest| rest.split_once('.').map_or(rest, |(name, _)| name));
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// Finds the table that a key belongs to.
fn table_with(name: &str) -> Option<&'static str> {
    paths_and_examples()
        .map(|(path, _)| split(path))
        .find_map(|(table, last)| (last == name).then_some(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_answered_with_a_suggestion() {
        for (path, hint) in [
            ("lisen", "did you mean `listen`?"),
            ("inbox.max_sise", "did you mean `max_size`?"),
            ("inboxx", "did you mean `inbox`?"),
            ("peers.NAME.adress", "did you mean `address`?"),
            ("max_size", "`max_size` belongs below [inbox]"),
            ("log.listen", "`listen` belongs at the top of the file, before the first [table]"),
            ("text.address", "`address` belongs below [peers.bob]"),
            (
                "peers.NAME.colour",
                "the keys here are `address`, `encoding`, `limit`, `bytes`, `silent_after`, `members`",
            ),
        ] {
            let (table, name) = split(path);
            assert_eq!(hint_for_unknown(table, name), hint, "{path}");
        }
        let top = hint_for_unknown("", "colour");
        assert!(top.contains("`listen`") && top.contains("`peers`") && !top.contains("max_size"), "{top}");
    }

    #[test]
    fn a_table_or_key_has_an_example() {
        for (path, example) in [
            ("listen", r#"write for example: listen = ["[::]:7788"]"#),
            ("inbox.max_size", r#"write for example: max_size = "4GiB""#),
            ("peers.NAME.encoding", r#"write for example: encoding = "gbk""#),
            ("inbox", r#"write for example: [inbox], and below it: max_size = "4GiB""#),
            (
                "peers.NAME",
                r#"write for example: [peers.bob], and below it: address = "192.168.43.159:8080""#,
            ),
        ] {
            assert_eq!(example_for(path).as_deref(), Some(example), "{path}");
        }
    }
}
