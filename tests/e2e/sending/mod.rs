//! Sending from the port: `send`, also to many and again and again (`bench`), `replay`, the commands that wait for an answer,
//! and what becomes known of a delivery.

mod bench;
mod delivery;
mod destination;
mod encodings;
mod held;
mod lost;
mod notes;
mod replay;
mod send;
mod waiting;
