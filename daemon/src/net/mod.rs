//! Sockets that receiving and sending share: opening, options, multicast groups, interfaces, and the system calls of each platform.

pub(crate) mod interfaces;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod multicast;
pub(crate) mod netlink;
#[cfg(any(not(target_os = "linux"), test))]
pub(crate) mod portable;
pub(crate) mod socket;
