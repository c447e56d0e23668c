//! Times in JSON: RFC 3339 in UTC with six digits of a second, so that times also sort as text.
//!
//! For `#[serde(with = "crate::time")]` on a field that is a [`Timestamp`].

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a time; what is less than a microsecond is left out.
pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.6}"))
}

/// Reads a time with any number of digits.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::deserialize(deserializer)
}

/// Times that may be absent: for fields that are an `Option<Timestamp>` and are left out if there is none.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    /// Writes a time, or null.
    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time or null.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Option::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "crate::time")]
        at: Timestamp,
        #[serde(with = "crate::time::optional")]
        heard: Option<Timestamp>,
    }

    #[test]
    fn times_have_six_digits() {
        for (text, written) in [
            ("2026-11-22T06:03:05Z", "2026-11-22T06:03:05.000000Z"),
            ("2026-11-22T06:03:05.12Z", "2026-11-22T06:03:05.120000Z"),
            ("2026-11-22T06:03:05.123456789Z", "2026-11-22T06:03:05.123456Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
        ] {
            let at: Timestamp = text.parse().unwrap();
            let json = serde_json::to_string(&Times { at, heard: Some(at) }).unwrap();
            assert_eq!(json, format!(r#"{{"at":"{written}","heard":"{written}"}}"#));
            assert_eq!(serde_json::from_str::<Times>(&json).unwrap().at, written.parse().unwrap());
        }
        let without: Times = serde_json::from_str(r#"{"at":"2026-11-22T06:03:05Z","heard":null}"#).unwrap();
        assert!(serde_json::to_string(&without).unwrap().ends_with(r#""heard":null}"#));
    }
}
