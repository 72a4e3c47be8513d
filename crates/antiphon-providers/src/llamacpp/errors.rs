//! Errors of llama.cpp's server, in the shape of chat completions. The type `exceed_context_size_error` decides
//! the kind; for others, such as `unavailable_error` while a model is loaded, the status does.

use std::time::Duration;

use serde_json::Value;

use crate::exchange::{Fault, read_fault};

/// Reads `{"error": {"code", "message", "type"}}`, which is OpenAI's shape with a number for a code
/// (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#api-errors>).
pub(super) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    read_fault(status, body, retry_after)
}
