//! Ollama's errors: `{"error": "model 'm' not found"}`, with a status or, inside a stream, as a line under
//! status 200.
//!
//! Beside the status, the text is all that distinguishes them. It may be the JSON of the llama.cpp server that
//! runs the model; then the message in it is used.

use std::time::Duration;

use antiphon_llm::ErrorKind;
use serde_json::Value;

use crate::exchange::{Fault, is_about, read_fault};

/// Reads `{"error": "…"}`, in an error response or as a line of a stream (<https://docs.ollama.com/api/errors>), and the shapes of
/// proxies; `None` for any other body. The message may be the JSON of the llama.cpp server inside.
pub(super) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    let fault = read_fault(status, body, retry_after)?;
    let says = |things: &[&str]| is_about(&fault.message, things);
    let kind = match (status, fault.kind) {
        (_, ErrorKind::ContextTooLong) => ErrorKind::ContextTooLong,
        _ if says(&["usage limit", "requires a subscription"]) => ErrorKind::Quota,
        (400, ErrorKind::InvalidRequest) if says(&["does not support"]) => ErrorKind::Unsupported,
        (_, kind) => kind,
    };
    Some(Fault { kind, ..fault })
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
        for status in [200, 404] {
            check(status, "model \"m\" not found, try pulling it first", ErrorKind::ModelNotFound);
            check(status, "model 'hf.co/a/b:Q4' not found", ErrorKind::ModelNotFound);
        }
        check(200, "tensor 'blk.0.attn_q' not found", ErrorKind::Unavailable);
        check(200, "llama runner process: library libcudart.so.12 not found", ErrorKind::Unavailable);
        check(404, "path \"/api/chatt\" not found", ErrorKind::Unsupported);
        check(200, "an error was encountered while running the model", ErrorKind::Unavailable);
        assert_eq!(fault(200, &json!({ "done": true }), None), None);
    }
}
