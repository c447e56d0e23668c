//! The unit of all costs.

/// A cost: the negative logarithm of a probability, in half bits.
pub(crate) type HalfBits = u32;
