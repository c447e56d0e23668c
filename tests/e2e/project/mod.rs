//! The project itself: which part may depend on which, and documents that must agree with the programs.

mod layering;
mod protocol;
mod readme;
