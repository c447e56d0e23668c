//! Settings for tests of what is kept.

use udpchat_config::{Environment, Overrides, Settings};

/// Reads settings from the text of a configuration file.
pub(crate) fn settings(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let overrides = Overrides {
        config: Some(file),
        data_dir: Some(folder.path().to_owned()),
        socket: Some(folder.path().join("socket")),
        ..Overrides::default()
    };
    Settings::load(&overrides, &Environment::of_process()).unwrap()
}
