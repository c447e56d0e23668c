//! Sockets that receiving and sending share: opening them, their options, addresses, multicast groups, interfaces.
//!
//! Platform differences are in `linux` and `portable`, which have the same functions: the rest of the program calls
//! [`platform`]. Reading datagrams belongs to [`crate::receive`], choosing message and target to [`crate::send`]. This folder
//! does not depend on them, on the inbox or on the control socket.

pub(crate) mod address;
pub(crate) mod drops;
#[cfg(target_os = "linux")]
mod error_queue;
pub(crate) mod interface_names;
pub(crate) mod interfaces;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod multicast;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(not(target_os = "linux"))]
pub(crate) mod portable;
pub(crate) mod reports;
pub(crate) mod route;
pub(crate) mod socket;

#[cfg(target_os = "linux")]
pub(crate) use linux as platform;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable as platform;
