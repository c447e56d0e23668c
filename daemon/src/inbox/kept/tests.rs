//! Tests of the state without a writer.

use udpchat_config::{Environment, Overrides, Settings};

use super::*;

/// Reads settings from the text of a configuration file.
pub(super) fn settings(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("udpchat.toml");
    std::fs::write(&file, text).unwrap();
    let environment = Environment { home: Some(folder.path().to_owned()), ..Environment::default() };
    Settings::load(&Overrides { config: Some(file), ..Overrides::default() }, &environment).unwrap()
}
