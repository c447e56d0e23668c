//! A model of the inbox under random operations: the real queue, writer, reader and in-flight journal beside a list of entries.
//!
//! [`operations`] generates what happens, [`machine`] has the clocks and the boots, [`daemon`] is the real thing in a data
//! directory, [`image`] is a data directory as a crash leaves it, [`reference`] says what must be in the log. [`world`] applies
//! each operation to both, and [`campaign`] runs the cases.
//!
//! The operations need no state when they are generated: a place is an index into what there is when it is used. So a list of
//! operations is enough, and no crate for state machines is needed.

mod campaign;
mod daemon;
mod image;
mod machine;
mod operations;
mod reference;
mod world;
