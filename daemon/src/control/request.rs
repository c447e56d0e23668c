//! A request, read from a line: what it must be, and what its parameters must be.

use serde::de::DeserializeOwned;
use serde_json::Value;
use udpchat_api::rpc::Request;
use udpchat_api::{ErrorKind, ErrorObject};

/// Reads a line as a request; with an error comes the id to answer it under, as far as there is one.
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
        return Err(invalid(id, "a request is an object; there are no batches".to_owned()));
    }
    serde_json::from_value(value)
        .map_err(|error| invalid(id, format!("this is no request of JSON-RPC 2.0: {error}")))
}

/// Reads the parameters of a method; none at all means no parameter given.
pub(super) fn parameters<T: DeserializeOwned>(request: &Request) -> Result<T, ErrorObject> {
    let invalid = |text: String| ErrorObject::new(ErrorKind::InvalidParams, text);
    let params = request.params.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if !params.is_object() {
        return Err(invalid("parameters are given by name, in an object".to_owned()));
    }
    serde_path_to_error::deserialize(params).map_err(|error| {
        let (path, what) = (error.path().to_string(), error.inner());
        // A parameter that is unknown or missing is named by the error itself.
        let named = if path == "." || what.to_string().contains(&path) {
            String::new()
        } else {
            format!("`{path}`: ")
        };
        invalid(format!("invalid parameters: {named}{what}"))
    })
}
