//! The methods about the daemon as a service: `version`, `self_test`, `acknowledge`, `reload` and `stop`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::method::{Role, is_false};

call! {
    /// Returns the version of the daemon.
    VersionParams, "version" for None => VersionAnswer, {}
}

/// The versions of the daemon and of the protocol.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VersionAnswer {
    /// The daemon's version.
    pub version: String,
    /// The version of the protocol, see [`crate::limits::PROTOCOL`].
    pub protocol: u32,
}

call! {
    /// Makes the daemon send a datagram to each of its own ports, over each address family.
    SelfTestParams, "self_test" for Some(Role::Read) => SelfTestAnswer, {}
}

/// The outcomes of a self-test.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SelfTestAnswer {
    /// One for each listening address and family.
    pub tests: Vec<SelfTest>,
}

/// A datagram of a self-test.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SelfTest {
    /// The destination.
    pub to: SocketAddr,
    /// The outcome.
    pub outcome: SelfTestOutcome,
    /// The error, if it could not be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The outcome of one datagram of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTestOutcome {
    /// It was received; a message would have been stored.
    Received,
    /// It was received, but the access list denies its source, an address of this host.
    Denied,
    /// It was not received within one second.
    Lost,
    /// It could not be sent.
    NotSent,
}

call! {
    /// Clears the problems that are events. Problems that still exist stay.
    AcknowledgeParams, "acknowledge" for Some(Role::Admin) => AcknowledgeAnswer, {}
}

/// The result of an acknowledgement.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AcknowledgeAnswer {
    /// The problems that were cleared.
    pub acknowledged: Vec<String>,
}

call! {
    /// Reloads the configuration.
    ReloadParams, "reload" for Some(Role::Admin) => ReloadAnswer, {}
}

/// The result of a reload.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReloadAnswer {
    /// The changed keys that require a restart.
    pub needs_restart: Vec<String>,
    /// What is wrong with groups of users that the configuration names and that give no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// What is valid and probably not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

call! {
    /// Stops the daemon, as SIGTERM does.
    StopParams, "stop" for Some(Role::Admin) => StopAnswer, {
        /// Refuses while messages are queued that cannot be stored: the stop would lose them.
        #[serde(default, skip_serializing_if = "is_false")]
        pub unless_losing: bool,
    }
}

/// The result of a stop.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct StopAnswer {
    /// How many received datagrams are queued and cannot be stored now, if any are: they are lost unless the inbox can be
    /// written again within seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstorable: Option<u64>,
    /// Whether the service manager holds the sockets: the next datagram or connection starts the daemon again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub socket_activated: bool,
}
