//! Any file is a configuration, or is refused with an error that is safe to show; a listing of settings is a configuration with
//! the same settings.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udpchat_api::safe;
use udpchat_config::{ConfigError, Environment, Overrides, Settings};
use udpchat_fuzz::{assert_safe, assert_safe_lines, folder};

static FOLDER: LazyLock<TempDir> = LazyLock::new(folder);

/// Loads a file, and nothing else but the defaults.
fn load(bytes: &[u8]) -> Result<Settings, ConfigError> {
    static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(Environment::of_process);
    let path: PathBuf = FOLDER.path().join("config.toml");
    fs::write(&path, bytes).expect("a temporary file");
    Settings::load(&Overrides { config: Some(path), ..Overrides::default() }, &ENVIRONMENT)
}

fuzz_target!(|bytes: &[u8]| {
    match load(bytes) {
        Ok(settings) => {
            let listing = settings.listing();
            for (key, value, origin) in &listing {
                [key, value, origin].into_iter().for_each(|text| assert_safe(text));
            }
            let text: String = listing.iter().map(|(key, value, _)| format!("{key} = {value}\n")).collect();
            let again = load(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let values = |settings: &Settings| -> Vec<_> {
                settings.listing().into_iter().map(|(key, value, _)| (key, value)).collect()
            };
            assert_eq!(values(&again), values(&settings));
        }
        Err(error) => {
            // Paths are escaped when the message is printed.
            assert_safe_lines(&safe::lines(&error.to_string()));
            assert_safe_lines(&error.hint().unwrap_or_default());
            if let ConfigError::Malformed { line, column, .. } = error {
                let lines = bytes.split(|byte| *byte == b'\n').count();
                assert!((1..=lines).contains(&(line as usize)) && column >= 1, "{line}:{column}");
            }
        }
    }
});
