//! The methods of the protocol: one file a subject, with the parameters and the result of each method.
//!
//! Belongs here: the types that a method reads and writes. Does not belong here: the envelope of JSON-RPC
//! ([`crate::rpc`]), and what the daemon does in a method. A file here may use `method`, `filter` and [`crate::entry`].
//!
//! All public types of these files are exported, so that a new method needs no line here.
//!
//! The daemon rejects unknown parameters. Results may get new fields; readers ignore unknown fields.

// First, because its macro is used by the others.
#[macro_use]
mod method;

mod consumers;
mod filter;
mod follow;
mod held;
mod inbox;
mod peers;
mod recode;
mod send;
mod senders;
mod service;
mod status;

pub use self::consumers::*;
pub use self::filter::*;
pub use self::follow::*;
pub use self::held::*;
pub use self::inbox::*;
pub use self::method::{Call, Empty, Role};
pub use self::peers::*;
pub use self::recode::*;
pub use self::send::*;
pub use self::service::*;
pub use self::status::*;
