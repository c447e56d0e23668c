//! The definition of a method: its name, required role, parameters and result.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Connects the parameters of a method with its name, its required role and its result.
pub trait Call: Serialize {
    /// The name of the method in a request.
    const METHOD: &'static str;
    /// The required role; none if every role may call the method.
    const ROLE: Option<Role>;
    /// The result.
    type Answer: DeserializeOwned;
}

/// A permission that the configuration gives to groups of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May read messages.
    Read,
    /// May send messages.
    Send,
    /// May call every method.
    Admin,
}

impl Role {
    /// Returns the key of the role in the configuration's table `control`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Admin => "admin",
        }
    }
}

/// Defines the parameters of a method, with its name, its required role and its result.
macro_rules! call {
    ($(#[$doc:meta])* $params:ident, $method:literal for $role:expr => $answer:ty, { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct $params { $($fields)* }

        impl $crate::call::Call for $params {
            const METHOD: &'static str = $method;
            const ROLE: Option<$crate::call::Role> = $role;
            type Answer = $answer;
        }
    };
}

/// A result without content.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Empty {}

/// Returns whether a parameter has its default and is left out of the request.
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

/// Returns whether a number is left out of the result.
pub(super) fn is_zero(value: &u64) -> bool {
    *value == 0
}
