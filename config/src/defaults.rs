//! The default ports, and the annotated file with every default.

/// The UDP port of an address without a port.
pub const DEFAULT_PORT: u16 = 7788;

/// The TCP port of a metrics address without a port.
///
/// Outside the ports 9100 to 9999, which Prometheus assigns to exporters (its wiki, "Default port allocations"), and
/// below the ephemeral ports of Linux (from 32768).
pub const DEFAULT_METRICS_PORT: u16 = 17788;

/// The annotated configuration file: every key with its default.
pub const DEFAULT_FILE: &str = include_str!("../udpchat.toml");
