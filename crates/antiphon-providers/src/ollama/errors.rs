//! Ollama's errors: `{"error": "model 'm' not found"}`, with a status or, inside a stream, as a line under
//! status 200.
//!
//! Beside the status, the text is all that distinguishes them. It may be the JSON of the llama.cpp server that
//! runs the model; then the message in it is used.

use std::time::Duration;

use antiphon_llm::ErrorKind;
use serde_json::Value;

use crate::exchange::{Fault, is_about, kind_of_status};

/// Reads `{"error": "…"}`, in an error response or as a line of a stream (<https://docs.ollama.com/api/errors>); `None` for
/// any other body. The message may be the JSON of the llama.cpp server inside.
pub(super) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    let error = body.get("error").filter(|error| !error.is_null())?;
    let said = error.as_str().or(error["message"].as_str()).unwrap_or("no further details");
    let inner = serde_json::from_str::<Value>(said).ok();
    let inner = inner.as_ref().and_then(|inner| inner.pointer("/error/message")?.as_str());
    let message = inner.unwrap_or(said);
    let kind = match status {
        _ if is_about(message, &["context length", "available context size", "exceeds the context"]) => {
            ErrorKind::ContextTooLong
        }
        404 => ErrorKind::ModelNotFound,
        _ if is_about(message, &["usage limit", "requires a subscription"]) => ErrorKind::Quota,
        _ if is_about(message, &["maximum pending requests"]) => ErrorKind::Overloaded { retry_after },
        400 if is_about(message, &["does not support"]) => ErrorKind::Unsupported,
        200 if is_about(message, &["not found"]) => ErrorKind::ModelNotFound,
        _ => kind_of_status(status, retry_after),
    };
    Some(Fault::new(kind, message))
}

#[cfg(test)]
mod tests {
    use antiphon_llm::ErrorKind;
    use serde_json::json;

    use super::fault;

    #[track_caller]
    fn check(status: u16, message: &str, expected: ErrorKind) {
        assert_eq!(fault(status, &json!({ "error": message }), None).unwrap().kind, expected, "{message}");
    }

    #[test]
    fn each_error_has_its_kind() {
        check(404, "model 'm' not found", ErrorKind::ModelNotFound);
        check(400, "\"m\" does not support chat", ErrorKind::Unsupported);
        check(400, "invalid format", ErrorKind::InvalidRequest);
        let long = "the prompt is longer than the context length currently available to the model";
        check(400, long, ErrorKind::ContextTooLong);
        let inner = json!({ "error": { "code": 400, "message": "request (9 tokens) exceeds the available context size (8 tokens)" } });
        check(500, &inner.to_string(), ErrorKind::ContextTooLong);
        let busy = "server busy, please try again.  maximum pending requests exceeded";
        check(503, busy, ErrorKind::Overloaded { retry_after: None });
        check(429, "you (user) have reached your session usage limit", ErrorKind::Quota);
        check(401, "unauthorized", ErrorKind::Auth);
        check(200, "an error was encountered while running the model", ErrorKind::Unavailable);
        assert_eq!(fault(200, &json!({ "done": true }), None), None);
    }
}
