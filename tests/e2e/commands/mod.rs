//! `udpchatctl` as users see it: full screens, completion, manual pages, diagnosis and error messages.
//!
//! The effects of single commands on messages belong to `sending`, `inbox` or `text`.

mod chat;
mod completion;
mod delivery;
mod doctor;
mod forgotten_port;
mod held;
mod languages;
mod manual;
mod many_peers;
mod mistakes;
mod pager;
mod plot;
mod watch;
