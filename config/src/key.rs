//! A key of the configuration, independent of the type of its value.

use crate::value::{Mistake, Node, Value};
use crate::{Origin, Setting};

/// Describes one key of `S`, the settings or a peer.
pub(crate) struct Key<S> {
    /// The table and the name, joined by a dot; `NAME` is a placeholder for the name of a peer.
    pub(crate) path: &'static str,
    pub(crate) applied_by: AppliedBy,
    /// A value in TOML, for hints and the manual.
    pub(crate) example: &'static str,
    pub(crate) field: fn(&S) -> &dyn Field,
    pub(crate) field_mut: fn(&mut S) -> &mut dyn Field,
}

/// Splits the path of a key into its table, empty for the top, and its name.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// States when a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppliedBy {
    Reload,
    Restart,
}

/// A field that holds the value of a key, without its type.
pub(crate) trait Field {
    /// Replaces the value, and its origin.
    fn set(&mut self, value: &Node<'_>, origin: Origin) -> Result<(), Mistake>;

    /// Returns the value in TOML and its origin, `None` if the key is optional and not set.
    fn get(&self) -> Option<(String, &Origin)>;
}

impl<T: Value> Field for Setting<T> {
    fn set(&mut self, value: &Node<'_>, origin: Origin) -> Result<(), Mistake> {
        *self = Self::new(T::read(value)?, origin);
        Ok(())
    }

    fn get(&self) -> Option<(String, &Origin)> {
        Some((self.value.to_toml(), &self.origin))
    }
}

impl<T: Value> Field for Option<Setting<T>> {
    fn set(&mut self, value: &Node<'_>, origin: Origin) -> Result<(), Mistake> {
        *self = Some(Setting::new(T::read(value)?, origin));
        Ok(())
    }

    fn get(&self) -> Option<(String, &Origin)> {
        self.as_ref().and_then(Setting::get)
    }
}
