//! Filters that several methods share.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Selects entries by their direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectionFilter {
    /// Received messages, and gaps.
    In,
    /// Sent messages.
    Out,
    /// Everything.
    #[default]
    Both,
}

/// Converts a list of senders, which in JSON may also be a single text.
pub(super) mod senders {
    use super::*;

    pub(in crate::call) fn serialize<S: Serializer>(
        senders: &[String],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match senders {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }

    pub(in crate::call) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }

    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string or a list of strings")
        }

        fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
            Ok(vec![one.to_owned()])
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::call::InboxParams;

    #[test]
    fn senders_are_a_text_or_a_list() {
        let read = |json: &str| serde_json::from_str::<InboxParams>(json).map(|params| params.from);
        assert_eq!(read(r#"{"from":"bob"}"#).unwrap(), ["bob"]);
        assert_eq!(read(r#"{"from":["bob","10.0.0.0/8"]}"#).unwrap(), ["bob", "10.0.0.0/8"]);
        for none in ["{}", r#"{"from":null}"#, r#"{"from":[]}"#] {
            assert!(read(none).unwrap().is_empty(), "{none}");
        }
        let error = read(r#"{"from":5}"#).unwrap_err().to_string();
        assert!(error.contains("a string or a list of strings"), "{error}");
        let written = |from: &[&str]| {
            let from = from.iter().map(|&sender| sender.to_owned()).collect();
            serde_json::to_string(&InboxParams { from, ..InboxParams::default() }).unwrap()
        };
        assert_eq!(written(&[]), "{}");
        assert_eq!(written(&["bob"]), r#"{"from":"bob"}"#);
        assert_eq!(written(&["a", "b"]), r#"{"from":["a","b"]}"#);
    }
}
