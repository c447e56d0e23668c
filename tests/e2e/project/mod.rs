//! The project itself: dependencies between its parts, the places of files, and documents that must agree with the programs.

mod circles;
mod commands;
mod layering;
mod protocol;
mod readme;
mod source;
mod translations;
