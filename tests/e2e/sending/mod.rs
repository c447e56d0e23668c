//! Sending from the port: `send`, also to many and again and again (`bench`), `replay`, and the commands that wait for an answer.

mod bench;
mod destination;
mod encodings;
mod held;
mod lost;
mod replay;
mod send;
mod waiting;
