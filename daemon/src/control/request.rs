//! Parses requests and their parameters.

use serde::de::DeserializeOwned;
use serde_json::Value;
use udpchat_api::rpc::Request;
use udpchat_api::{ErrorKind, ErrorObject};

/// Parses a line as a request.
///
/// # Errors
/// Returns with the error the id to respond to, null if the line has none.
pub(super) fn parse(line: &[u8]) -> Result<Request, (Value, ErrorObject)> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        let text = format!("the line is not JSON: {error}");
        (Value::Null, ErrorObject::new(ErrorKind::Malformed, text).hint("one JSON object a line, in UTF-8"))
    })?;
    let invalid = |id: Value, text: String| {
        let hint = r#"such as {"jsonrpc":"2.0","id":1,"method":"version"}"#;
        (id, ErrorObject::new(ErrorKind::InvalidRequest, text).hint(hint))
    };
    let id = match value.get("id") {
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

/// Parses the parameters of a request. A request without any has an empty object.
pub(super) fn parameters<T: DeserializeOwned>(request: &Request) -> Result<T, ErrorObject> {
    let invalid = |text: String| ErrorObject::new(ErrorKind::InvalidParams, text);
    let params = request.params.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
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
