//! The project itself: which part may depend on which, where things are, and documents that must agree with the programs.

mod circles;
mod commands;
mod layering;
mod protocol;
mod readme;
mod source;
