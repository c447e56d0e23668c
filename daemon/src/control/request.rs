//! Parses requests and their parameters.

use std::mem;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use udpchat_api::rpc::Request;
use udpchat_api::{ErrorKind, ErrorObject};

/// How many values a request may have. One of the protocol has at most 16; each takes up to some hundred bytes when parsed,
/// however short it is.
const MAX_VALUES: usize = 128;

/// How long the `id` of a request may be, in bytes. Each response repeats it.
const MAX_ID_BYTES: usize = 512;

/// Parses a line as a request.
///
/// # Errors
/// Returns with the error the id to respond to, null if the line has none.
pub(super) fn parse(line: &[u8]) -> Result<Request, (Value, ErrorObject)> {
    let no_json = |error: serde_json::Error| {
        let text = format!("the line is not JSON: {error}");
        (Value::Null, ErrorObject::new(ErrorKind::Malformed, text).hint("one JSON object a line, in UTF-8"))
    };
    if has_too_many_values(line) {
        serde_json::from_slice::<IgnoredAny>(line).map_err(no_json)?;
        let text = format!("the line has more than {MAX_VALUES} values");
        return Err((Value::Null, ErrorObject::new(ErrorKind::Malformed, text)));
    }
    let value: Value = serde_json::from_slice(line).map_err(no_json)?;
    let invalid = |id: Value, text: String| {
        let hint = r#"such as {"jsonrpc":"2.0","id":1,"method":"version"}"#;
        (id, ErrorObject::new(ErrorKind::InvalidRequest, text).hint(hint))
    };
    let id = match value.get("id") {
        Some(Value::String(id)) if id.len() > MAX_ID_BYTES => {
            return Err(invalid(Value::Null, format!("`id` is longer than {MAX_ID_BYTES} bytes")));
        }
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        None | Some(Value::Null) => Value::Null,
        Some(_) => return Err(invalid(Value::Null, "`id` must be a string, a number or null".to_owned())),
    };
    if !value.is_object() {
        return Err(invalid(id, "a request must be an object; batches are not supported".to_owned()));
    }
    serde_json::from_value(value)
        .map_err(|error| invalid(id, format!("invalid JSON-RPC 2.0 request: {error}")))
}

/// Returns whether a line has more values than a request may have, without parsing it: each begins with a bracket, or follows
/// a comma.
fn has_too_many_values(line: &[u8]) -> bool {
    // Most lines are shorter than that.
    if line.len() <= MAX_VALUES {
        return false;
    }
    let (mut values, mut is_in_string, mut is_escaped) = (0, false, false);
    for byte in line {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_in_string,
            b'"' => is_in_string = !is_in_string,
            b'[' | b'{' | b',' if !is_in_string => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
}

/// Takes the parameters out of a request, and parses them. A request without any has an empty object.
pub(super) fn parameters<T: DeserializeOwned>(request: &mut Request) -> Result<T, ErrorObject> {
    let invalid = |text: String| ErrorObject::new(ErrorKind::InvalidParams, text);
    let params = mem::take(&mut request.params).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if !params.is_object() {
        return Err(invalid("`params` must be an object: parameters are given by name".to_owned()));
    }
    serde_path_to_error::deserialize(params).map_err(|error| {
        let (path, what) = (error.path().to_string(), error.inner());
        // The error itself already names an unknown or a missing parameter.
        let name = if path == "." || what.to_string().contains(&path) {
            String::new()
        } else {
            format!("`{path}`: ")
        };
        invalid(format!("invalid parameters: {name}{what}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> (Value, ErrorObject) {
        parse(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_line_with_too_many_values_is_not_parsed() {
        let with =
            |values: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":[{values}]}}}}"#);
        assert!(parse(with(&"0,".repeat(100)).replace(",]", "]").as_bytes()).is_ok());
        for values in [
            "0,".repeat(200),
            "[],".repeat(200),
            r#"{"a":{}},"#.repeat(100),
            "[".repeat(200) + &"]".repeat(200),
        ] {
            let line = with(&values).replace(",]", "]");
            let (id, error) = error(&line);
            assert_eq!((id, error.data.kind), (Value::Null, ErrorKind::Malformed), "{line}");
            assert!(error.message.contains("128 values"), "{error}");
        }
        assert!(error(&"[".repeat(1_000)).1.message.contains("not JSON"));
    }

    #[test]
    fn the_text_of_a_message_is_no_value() {
        let text = r#"[{,,\"[{,\\"#.repeat(1_000);
        let line =
            serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "m", "params": { "text": text } });
        assert!(parse(line.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn a_long_id_is_refused() {
        let with = |id: String| format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"m"}}"#);
        assert!(parse(with("x".repeat(MAX_ID_BYTES)).as_bytes()).is_ok());
        let (id, error) = error(&with("x".repeat(MAX_ID_BYTES + 1)));
        assert!(id.is_null() && error.message.contains("512 bytes"), "{error}");
    }
}
