//! The settings of udpchat: their names, values and defaults, the layers they come from, where files live, and what to do if
//! they cannot be used.
//!
//! The layers, weakest first:
//!
//! 1. the defaults, which [`DEFAULT_FILE`] lists and explains;
//! 2. `/etc/udpchat/config.toml`;
//! 3. `$XDG_CONFIG_HOME/udpchat/config.toml`, but not with `--system`
//!    (`--config` or `UDPCHAT_CONFIG` names one file that replaces 2 and 3);
//! 4. `UDPCHAT_LISTEN`, `UDPCHAT_DATA_DIR`, `UDPCHAT_SOCKET`, `UDPCHAT_LOG`;
//! 5. flags, handed in as [`Overrides`].
//!
//! A stronger layer replaces single keys, not whole tables. Every value remembers its [`Origin`].
//! [`when`] reads times as people write them, for both programs.
//!
//! Nothing here listens, sends or writes a file. [`Environment::of_process`] reads the environment of the process, and
//! [`Interface::number`] asks the system for the number of an interface. No setting depends on that: interfaces come and go.

mod access;
mod check;
mod dash;
mod defaults;
mod diagnosis;
mod doubts;
mod error;
mod file;
mod file_hint;
mod flags;
mod hints;
mod key;
mod load;
mod owner;
mod paths;
mod reference;
mod setting;
mod settings;
mod suggestion;
mod value;
pub mod when;

pub use dash::{Misread, misread};
pub use defaults::{DEFAULT_FILE, DEFAULT_METRICS_PORT, DEFAULT_PORT};
pub use error::{ConfigError, ConfigErrors};
pub use file_hint::{Need, access_hint, file_hint, size_limit, size_limit_hint, unsafe_hint, word};
pub use flags::{Flags, Overrides};
pub use owner::{interface_decides, owner};
pub use paths::{Environment, control_socket_candidates, system_control_socket};
pub use reference::{KeyReference, TableReference, reference};
pub use setting::{Origin, Setting};
pub use settings::{Access, Control, Inbox, Log, Metrics, Peer, Settings, Text};
pub use suggestion::{did_you_mean, nearest};
pub use value::{
    ByteRate, DatagramRate, Encoding, Group, Interface, ListenAddress, LogFormat, LogLevel, MaxAge, Member,
    MetricsAddress, Network, PeerAddress, PeerName, Repertoire, SilentAfter, Size, UserGroup, ValueError,
    check_destination, check_ipv4, check_port_sign, check_width, check_wildcards, narrowed, peer_table,
};
