//! Reception at the port: datagrams of every kind, from real peers, and who may send.
//!
//! Decoding the bytes as text belongs to `text`, storing them to `inbox`.

mod access;
mod any_datagram;
mod limits;
mod multicast;
mod peers;
mod silence;
