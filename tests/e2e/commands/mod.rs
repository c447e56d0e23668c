//! `udpchatctl` in front of a person: full screens, completion, manual pages, diagnosis and error messages.
//!
//! What a single command does to messages belongs to `sending`, `inbox` or `text`.

mod chat;
mod completion;
mod doctor;
mod manual;
mod mistakes;
mod watch;
