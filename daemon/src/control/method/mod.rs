//! The methods of the control socket, one file each: read the parameters, call the daemon, build the answer.

pub(crate) mod ack;
pub(crate) mod inbox;
pub(crate) mod peers;
pub(crate) mod query;
pub(crate) mod recode;
pub(crate) mod reload;
pub(crate) mod self_test;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod subscribe;
pub(crate) mod talkers;
pub(crate) mod version;
