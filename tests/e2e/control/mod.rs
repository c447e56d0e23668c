//! The control socket: its file, its requests, the roles of its users, what they may take, and the log of their actions.

mod audit;
mod limits;
mod requests;
mod roles;
mod socket_file;
