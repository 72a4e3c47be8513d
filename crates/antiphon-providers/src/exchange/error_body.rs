//! Errors in the bodies of responses, whatever format the server speaks.
//!
//! A format has its own shape for errors, and servers do not keep to it: a proxy passes on the errors of the servers behind it, in
//! their shape or inside a text; a gateway in front of both has a third one. So one reader serves all formats: it looks for the
//! error in every shape in use (`shape`), follows errors inside errors (`nested`), and decides the kind by labels, then by
//! phrases, then by the status (`kinds`). Quotas of a day or a month, and waits, are read wherever they are (`quota`).
//!
//! | shape | of |
//! |---|---|
//! | `{"error": {"message", "type", "param", "code"}}` | OpenAI and most others |
//! | `{"error": {"code": 400, "message", "type"}}` | llama.cpp, vLLM |
//! | `{"type": "error", "error": {"type", "message"}, "request_id"}` | Anthropic |
//! | `{"error": {"code": 429, "message", "status", "details": […]}}`, also as the one element of a list | Google |
//! | `{"error": {"code": 429, "message", "metadata": {"raw", "provider_name", "headers"}}}` | OpenRouter |
//! | `{"error": {"code": "content_filter", "innererror": {"code"}}}`, `{"statusCode", "message"}` | Azure |
//! | `{"error": {"code", "message", "headers": {"retry-after": "7"}}}` | errors inside a stream |
//! | `{"error": "text"}`, `{"error": "text", "error_type"}`, `{"error": ["text"]}` | Ollama, LM Studio, Hugging Face, xAI |
//! | `{"object": "error", "message"}`, `{"message"}`, `{"Message"}`, `{"msg"}` | older vLLM, Mistral, Bedrock, Cohere |
//! | `{"detail": "text"}`, `{"detail": [{"loc", "msg", "type"}]}` | servers that are built on FastAPI |
//! | `{"type", "title", "status", "detail"}` | RFC 9457 |
//! | `{"errors": [{"code", "message"}]}` | Cloudflare, watsonx |
//! | `{"base_resp": {"status_code", "status_msg"}}`, `{"error_code", "error_msg"}`, `{"fault": {…}}` | MiniMax, Baidu, Apigee |
//! | `"text"` | SiliconFlow |

mod codes;
mod foreign;
mod kinds;
mod named;
mod nested;
mod quota;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use foreign::{ForeignBody, error_in_text};
pub(crate) use kinds::read_fault;
#[cfg(feature = "_chat")]
pub(crate) use shape::is_error;
