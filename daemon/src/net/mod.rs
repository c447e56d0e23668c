//! Sockets that receiving and sending share: opening them, their options, addresses, multicast groups, interfaces.
//!
//! What one platform does differently stands in `linux` and `portable`, which have the same functions: the rest of the
//! program calls [`platform`]. Reading datagrams belongs to [`crate::receive`], choosing what to send and to whom to
//! [`crate::send`]. This folder knows neither of them, nor the inbox, nor the control socket.

pub(crate) mod address;
pub(crate) mod drops;
pub(crate) mod interfaces;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod multicast;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(not(target_os = "linux"))]
pub(crate) mod portable;
pub(crate) mod route;
pub(crate) mod socket;

#[cfg(target_os = "linux")]
pub(crate) use linux as platform;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable as platform;
