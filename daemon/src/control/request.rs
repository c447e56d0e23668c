//! Parses requests and their parameters.

use std::mem;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use udpchat_api::rpc::{Id, Request};
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
pub(super) fn parse(line: &[u8]) -> Result<Request, (Id, ErrorObject)> {
    let no_json = |error: serde_json::Error| {
        let text = format!("the line is not JSON: {error}");
        (Id::Null, ErrorObject::new(ErrorKind::Malformed, text).hint("one JSON object a line, in UTF-8"))
    };
    if has_too_many_values(line) {
        serde_json::from_slice::<IgnoredAny>(line).map_err(no_json)?;
        let text = format!("the line has more than {MAX_VALUES} values");
        return Err((Id::Null, ErrorObject::new(ErrorKind::Malformed, text)));
    }
    let invalid = |id: Id, text: String| {
        let hint = r#"such as {"jsonrpc":"2.0","id":1,"method":"version"}"#;
        (id, ErrorObject::new(ErrorKind::InvalidRequest, text).hint(hint))
    };
    match serde_json::from_slice::<Request>(line) {
        Ok(Request { id: Some(id), .. }) if id.bytes() > MAX_ID_BYTES => {
            Err(invalid(Id::Null, format!("`id` is longer than {MAX_ID_BYTES} bytes")))
        }
        Ok(request) => Ok(request),
        Err(error) => {
            let value: Value = serde_json::from_slice(line).map_err(no_json)?;
            let id = id_of(line).filter(|id| id.bytes() <= MAX_ID_BYTES).unwrap_or(Id::Null);
            let text = match (&value, value.get("id")) {
                (Value::Object(_), Some(Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
                    "`id` must be a string, a number or null".to_owned()
                }
                (Value::Object(_), _) => format!("invalid JSON-RPC 2.0 request: {error}"),
                _ => "a request must be an object; batches are not supported".to_owned(),
            };
            Err(invalid(id, text))
        }
    }
}

/// Returns the id of a request that is invalid otherwise.
fn id_of(line: &[u8]) -> Option<Id> {
    #[derive(Deserialize)]
    struct WithId {
        id: Id,
    }
    serde_json::from_slice::<WithId>(line).ok().map(|request| request.id)
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
        if path == "." || what.to_string().contains(&path) {
            invalid(format!("invalid parameters: {what}"))
        } else {
            invalid(format!("invalid parameters: `{path}`: {what}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> (Id, ErrorObject) {
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
            assert!(matches!(id, Id::Null) && error.data.kind == ErrorKind::Malformed, "{line}");
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
    fn an_id_comes_back_as_it_was_written() {
        for id in ["12345678901234567890123", "1.10", "1e2", "-0", "0", "null", r#""x""#, r#""你好""#] {
            for line in [
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#),
                format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"m","unknown":1}}"#),
            ] {
                let found = match parse(line.as_bytes()) {
                    Ok(request) => request.id.unwrap(),
                    Err((found, _)) => found,
                };
                assert_eq!(serde_json::to_string(&found).unwrap(), id);
            }
        }
        assert!(error(r#"{"jsonrpc":"2.0","id":[1],"method":"m"}"#).1.message.contains("`id` must be"));
        assert!(error("[]").1.message.contains("batches"));
    }

    #[test]
    fn a_long_id_is_refused() {
        let with = |id: String| format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"m"}}"#);
        assert!(parse(with("x".repeat(MAX_ID_BYTES)).as_bytes()).is_ok());
        let (id, error) = error(&with("x".repeat(MAX_ID_BYTES + 1)));
        assert!(matches!(id, Id::Null) && error.message.contains("512 bytes"), "{error}");
    }
}
