//! The server side of the control socket: accepts the connections of users that the configuration gives a role, up to a
//! limit, and serves each one in a session.
//!
//! Belongs here: everything that depends on the protocol of the socket. Only this folder converts stored entries to their
//! form on the wire. Does not belong here: the work that a method makes the daemon do. Start-up serves it, and `metrics` gets
//! the daemon's status from it; no other part of the daemon may depend on it.

mod audit;
mod client;
mod connection_limit;
mod consumer;
mod context;
mod credentials;
mod entry;
mod free_memory;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod listener;
mod memory;
mod method;
mod outlet;
mod pattern;
mod query;
mod reading;
mod request;
mod response;
mod response_queue;
mod roles;
mod sender;
mod session;
mod shared;
pub(crate) mod socket;
mod socket_watch;
mod subscription;
mod supplementary_groups;
mod users;

pub(crate) use connection_limit::MAX_CONNECTIONS;
pub(crate) use listener::serve;
pub(crate) use method::status;
pub(crate) use roles::Rules;
pub(crate) use shared::{Control, look_up};
pub(crate) use users::MAX_TURNS;
