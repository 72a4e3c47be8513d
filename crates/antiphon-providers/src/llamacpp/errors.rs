//! Errors of llama.cpp's server, in the shape of chat completions. The type `exceed_context_size_error` decides
//! the kind; for others, such as `unavailable_error` while a model is loaded, the status does.

/// Reads `{"error": {"code", "message", "type"}}`, which is OpenAI's shape with a number for a code
/// (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#api-errors>).
pub(super) use crate::exchange::read_fault as fault;
