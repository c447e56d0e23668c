//! What arrives at the port: datagrams of every kind, from real peers, and who may send.
//!
//! How the bytes are read as text belongs to `text`, how they are kept to `inbox`.

mod access;
mod any_datagram;
mod multicast;
mod peers;
