//! Addresses in JSON, as their text. An entry has two: written by the formatter, they took 13 % of the daemon's time while
//! 1,000,000 messages were exported.

use std::net::{SocketAddr, SocketAddrV4};

use serde::{Serialize, Serializer};

/// Writes an address with its port.
pub(crate) fn serialize<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        SocketAddr::V4(address) => serializer.serialize_str(&text(*address)),
        SocketAddr::V6(_) => address.serialize(serializer),
    }
}

/// Writes an address, or null.
pub(crate) fn serialize_optional<S: Serializer>(
    address: &Option<SocketAddr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serialize(address, serializer),
        None => serializer.serialize_none(),
    }
}

fn text(address: SocketAddrV4) -> String {
    let mut text = String::with_capacity("255.255.255.255:65535".len());
    let mut digits = itoa::Buffer::new();
    for octet in address.ip().octets() {
        text.push_str(digits.format(octet));
        text.push('.');
    }
    text.pop();
    text.push(':');
    text.push_str(digits.format(address.port()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_address_is_written_as_its_formatter_writes_it(address: SocketAddr) {
            let written = serialize(&address, serde_json::value::Serializer).unwrap();
            proptest::prop_assert_eq!(written, serde_json::Value::String(address.to_string()));
        }
    }
}
