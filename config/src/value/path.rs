//! Paths in a configuration file.

use std::path::{Path, PathBuf};

use super::{Mistake, Node, Value, ValueError, quoted, toml_string};

impl Value for PathBuf {
    fn read(node: &Node<'_>) -> Result<Self, Mistake> {
        let text = node.get_ref().as_str().ok_or_else(|| Mistake::wrong_type("a path as text", node))?;
        check(text).map_err(|error| Mistake::bad_value(node.span(), error))?;
        Ok(Self::from(text))
    }

    fn to_toml(&self) -> String {
        toml_string(&self.display())
    }
}

/// Refuses a relative path: its meaning would depend on the directory that the daemon is started in.
fn check(text: &str) -> Result<(), ValueError> {
    if text.contains('\0') {
        let message = format!("path {} contains a zero byte", quoted(text));
        return Err(ValueError::new(message, "remove it; no file name can contain one"));
    }
    if Path::new(text).is_absolute() {
        return Ok(());
    }
    let hint = if text.starts_with(['~', '$']) {
        "write the full path: `~` and variables are not expanded here"
    } else {
        "write an absolute path, with a leading `/`"
    };
    Err(ValueError::new(format!("path {} is not absolute", quoted(text)), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_are_accepted() {
        assert_eq!(check("/var/lib/x"), Ok(()));
        for text in ["", "data", "./data", "~/data", "$HOME/data"] {
            let error = check(text).unwrap_err();
            assert!(error.to_string().ends_with("is not absolute"), "{text}: {error}");
        }
        assert!(check("~/data").unwrap_err().hint().unwrap().contains("not expanded"));
        assert!(check("/a\0b").unwrap_err().to_string().contains("zero byte"));
    }
}
