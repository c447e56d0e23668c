//! Reception: one thread for each listening socket, which moves datagrams from the kernel into the queue.
//!
//! A thread handles bytes, addresses and times. It decodes nothing and waits for nothing but the kernel. What happens to a
//! datagram is decided here ([`udpchat_config::Access`], [`limit`], [`classify`]); where it goes is [`crate::inbox::queue`].
//!
//! How datagrams are read is the platform's matter: `recvmmsg` on Linux, `portable` elsewhere, with the same four functions:
//! wait for datagrams, read a batch, wait while more arrive, stop. Sockets themselves belong to [`crate::net`].

mod classify;
mod coalesce;
pub(crate) mod dropped_sources;
mod limit;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux compiles it for its test only"))]
mod portable;
#[cfg(target_os = "linux")]
mod recvmmsg;
pub(crate) mod self_test;
pub(crate) mod thread;
mod types;

#[cfg(not(target_os = "linux"))]
use portable as platform;
#[cfg(target_os = "linux")]
use recvmmsg as platform;

pub(crate) use classify::Rules;
pub(crate) use limit::Limits;
pub(crate) use platform::Stop;
