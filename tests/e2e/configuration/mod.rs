//! The configuration: its mistakes, its layers, its defaults, and what a reload changes.

mod layers;
