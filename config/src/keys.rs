//! The keys of the configuration file: which there are, what stands there, and which one was probably meant.

/// One key that can be set.
pub(crate) struct Key {
    /// The tables and the key, joined by dots; `NAME` stands for any name of a peer.
    pub(crate) path: &'static str,
    /// A value, as TOML.
    pub(crate) example: &'static str,
}

/// Every key, in the order of the default file.
pub(crate) const KEYS: [Key; 20] = [
    Key { path: "listen", example: r#"["[::]:7788"]"# },
    Key { path: "groups", example: r#"["239.1.2.3", "ff02::1%eth0"]"# },
    Key { path: "data_dir", example: r#""/var/lib/udpchat""# },
    Key { path: "receive_buffer", example: r#""8MiB""# },
    Key { path: "socket", example: r#""/run/udpchat/control.sock""# },
    Key { path: "inbox.max_size", example: r#""4GiB""# },
    Key { path: "inbox.max_age", example: r#""90d""# },
    Key { path: "text.encoding", example: r#""utf-8""# },
    Key { path: "text.fallback", example: r#""gb18030""# },
    Key { path: "log.level", example: r#""info""# },
    Key { path: "log.format", example: r#""text""# },
    Key { path: "log.messages_per_second", example: "100" },
    Key { path: "access.allow", example: r#"["192.168.0.0/16"]"# },
    Key { path: "access.deny", example: r#"["192.168.7.9"]"# },
    Key { path: "control.read", example: r#"["udpchat"]"# },
    Key { path: "control.send", example: r#"["udpchat"]"# },
    Key { path: "control.admin", example: r#"["udpchat-admin"]"# },
    Key { path: "metrics.listen", example: r#""127.0.0.1:17788""# },
    Key { path: "peers.NAME.address", example: r#""192.168.43.159:8080""# },
    Key { path: "peers.NAME.encoding", example: r#""gbk""# },
];

/// Shows how to write what belongs at a place: a key with a value, or the header of a table.
pub(crate) fn example_for(place: &[String]) -> Option<String> {
    let path = generic(place);
    if let Some(key) = KEYS.iter().find(|key| key.path == path) {
        let name = place.last()?;
        return Some(format!("write for example: {name} = {}", key.example));
    }
    let below = format!("{path}.");
    let key = KEYS.iter().find(|key| key.path.starts_with(&below))?;
    let (table, name) = key.path.rsplit_once('.')?;
    Some(format!(
        "write for example: [{}], and below it: {name} = {}",
        table.replace("NAME", "bob"),
        key.example
    ))
}

/// Says what to do about a key that is not known where it stands.
pub(crate) fn hint_for_unknown(place: &[String]) -> Option<String> {
    let (unknown, table) = place.split_last()?;
    let table = generic(table);
    let known = names_in(&table);
    if let Some(near) = nearest(unknown, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    if let Some(home) = table_with(unknown) {
        return Some(if home.is_empty() {
            format!("`{unknown}` belongs at the top of the file, before the first [table]")
        } else {
            format!("`{unknown}` belongs below [{}]", home.replace("NAME", "bob"))
        });
    }
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    Some(format!("the keys here are {}", known.join(", ")))
}

/// Joins a path, with `NAME` for the name of a peer.
fn generic(place: &[String]) -> String {
    let mut parts: Vec<&str> = place.iter().map(String::as_str).collect();
    if let ["peers", name, ..] = parts.as_mut_slice() {
        *name = "NAME";
    }
    parts.join(".")
}

/// Lists the keys and tables directly in a table; the path of the top is empty.
fn names_in(table: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in &KEYS {
        let rest = match table {
            "" => Some(key.path),
            _ => key.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')),
        };
        let name = rest.map(|rest| rest.split_once('.').map_or(rest, |(name, _)| name));
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// Finds the table that a key belongs to.
fn table_with(name: &str) -> Option<&'static str> {
    KEYS.iter().find_map(|key| match key.path.rsplit_once('.') {
        Some((table, last)) => (last == name).then_some(table),
        None => (key.path == name).then_some(""),
    })
}

/// Finds the candidate that a text was probably meant to be: one with few edits for its length.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes this much, and the distance takes quadratic time.
    if text.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(text, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Counts the characters to insert, delete or replace to make one text of another (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, character) in from.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Vec<String> {
        path.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn the_distance_counts_single_edits() {
        for (from, to, edits) in
            [("", "", 0), ("", "ab", 2), ("listen", "lisen", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(from, to), edits);
            assert_eq!(distance(to, from), edits);
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_what_was_meant() {
        for (path, hint) in [
            ("lisen", "did you mean `listen`?"),
            ("inbox.max_sise", "did you mean `max_size`?"),
            ("inboxx", "did you mean `inbox`?"),
            ("peers.bob.adress", "did you mean `address`?"),
            ("max_size", "`max_size` belongs below [inbox]"),
            ("log.listen", "`listen` belongs at the top of the file, before the first [table]"),
            ("text.address", "`address` belongs below [peers.bob]"),
            ("inbox.colour", "the keys here are `max_size`, `max_age`"),
        ] {
            assert_eq!(hint_for_unknown(&place(path)).as_deref(), Some(hint), "{path}");
        }
        let top = hint_for_unknown(&place("colour")).unwrap();
        assert!(top.contains("`listen`") && top.contains("`peers`") && !top.contains("max_size"), "{top}");
    }

    #[test]
    fn a_place_is_explained_by_an_example() {
        for (path, example) in [
            ("listen", r#"write for example: listen = ["[::]:7788"]"#),
            ("inbox.max_size", r#"write for example: max_size = "4GiB""#),
            ("peers.x.encoding", r#"write for example: encoding = "gbk""#),
            ("inbox", r#"write for example: [inbox], and below it: max_size = "4GiB""#),
            ("peers.x", r#"write for example: [peers.bob], and below it: address = "192.168.43.159:8080""#),
        ] {
            assert_eq!(example_for(&place(path)).as_deref(), Some(example), "{path}");
        }
    }
}
