//! Ports and the annotated file that stand for what a configuration leaves out.

/// The UDP port that is meant where none is given.
pub const DEFAULT_PORT: u16 = 7788;

/// The TCP port of loopback that is meant where metrics are served and none is given.
///
/// Outside of the ports 9100 to 9999, which Prometheus assigns to exporters (its wiki, "Default port allocations"), and
/// below those that Linux gives away by itself (from 32768).
pub const DEFAULT_METRICS_PORT: u16 = 17788;

/// The annotated configuration file: every key with its default.
pub const DEFAULT_FILE: &str = include_str!("../udpchat.toml");
