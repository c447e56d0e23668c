//! Paths as they stand in a configuration file.

use std::path::PathBuf;
use std::str::FromStr;

use super::{ValueError, deserialize_from_text, quoted};

/// Holds a path that means the same wherever the daemon was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AbsolutePath(pub(crate) PathBuf);

impl FromStr for AbsolutePath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let path = PathBuf::from(text);
        if text.contains('\0') {
            let message = format!("path {} contains a zero byte", quoted(text));
            return Err(ValueError::new(message, "no file can have such a name"));
        }
        if path.is_absolute() {
            return Ok(Self(path));
        }
        let hint = if text.starts_with(['~', '$']) {
            "write the directory out: `~` and variables are not expanded here"
        } else {
            "write it from the root, with a leading `/`"
        };
        Err(ValueError::new(format!("path {} is not absolute", quoted(text)), hint))
    }
}

deserialize_from_text!(AbsolutePath, "a path as text");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_are_taken() {
        assert_eq!("/var/lib/x".parse::<AbsolutePath>().unwrap().0, PathBuf::from("/var/lib/x"));
        for text in ["", "data", "./data", "~/data", "$HOME/data"] {
            let error = text.parse::<AbsolutePath>().unwrap_err();
            assert!(error.to_string().ends_with("is not absolute"), "{text}: {error}");
        }
        assert!("~/data".parse::<AbsolutePath>().unwrap_err().hint().unwrap().contains("not expanded"));
        assert!("/a\0b".parse::<AbsolutePath>().unwrap_err().to_string().contains("zero byte"));
    }
}
