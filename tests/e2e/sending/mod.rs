//! Sending from the port: `send`, `replay`, and the commands that wait for an answer.

mod destination;
mod encodings;
mod lost;
mod replay;
mod send;
mod waiting;
