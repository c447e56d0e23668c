//! The control socket: its file, its requests, the roles of its users, and the log of their actions.

mod audit;
mod requests;
mod roles;
mod socket_file;
