//! The methods of the protocol: one file a subject, with the parameters and the result of each method.
//!
//! Belongs here: the types that a method reads and writes. Does not belong here: the envelope of JSON-RPC
//! ([`crate::rpc`]), and what the daemon does in a method. A file here may use `method`, `filter` and [`crate::entry`].
//!
//! The daemon rejects unknown parameters. Results may get new fields; readers ignore unknown fields.

// First, because its macro is used by the others.
#[macro_use]
mod method;

mod filter;
mod follow;
mod inbox;
mod peers;
mod recode;
mod send;
mod service;
mod status;

pub use self::filter::DirectionFilter;
pub use self::follow::{ENTRY_NOTIFICATION, SubscribeAnswer, SubscribeParams, UnsubscribeParams};
pub use self::inbox::{AckAnswer, AckParams, InboxAnswer, InboxParams, Order};
pub use self::method::{Call, Empty, Role};
pub use self::peers::{Peer, PeersAnswer, PeersParams, Talker, TalkersAnswer, TalkersParams};
pub use self::recode::{Reading, RecodeAnswer, RecodeParams, Recoded};
pub use self::send::{SendParams, Sent, Split};
pub use self::service::{
    ReloadAnswer, ReloadParams, SelfTest, SelfTestAnswer, SelfTestOutcome, SelfTestParams, StopParams,
    VersionAnswer, VersionParams,
};
pub use self::status::{
    AccessStatus, Dropped, GroupStatus, InboxStatus, IndexStatus, QueueStatus, ReceiveBuffer, Refusal,
    SentCounts, State, Status, StatusParams, Traffic,
};
