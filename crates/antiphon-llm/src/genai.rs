//! OpenTelemetry's names for calls of generative AI.
//!
//! From <https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md>; the names
//! of metrics from the last tagged version,
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-metrics.md>, which collectors
//! know. They are still in development, so they stand here and not in a dependency.

use serde_json::{Value, json};

/// What is done: `chat`.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Who is asked, by the convention's own names.
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The most tokens that the answer may have.
pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// How freely words are drawn.
pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// The seed.
pub const REQUEST_SEED: &str = "gen_ai.request.seed";
/// The provider's own name for the call.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// The model that served the call.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why the model stopped: a list of one, as JSON.
pub const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds until the first words.
pub const RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Tokens of the prompt, cached ones included.
pub const USAGE_INPUT: &str = "gen_ai.usage.input_tokens";
/// Tokens of the prompt that came from the cache.
pub const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
/// Tokens of the prompt that were written into the cache.
pub const USAGE_CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
/// Tokens of the answer, reasoning included.
pub const USAGE_OUTPUT: &str = "gen_ai.usage.output_tokens";
/// Tokens of reasoning.
pub const USAGE_REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
/// The standing instructions, only when asked for.
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// The conversation, only when asked for.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// The answer, only when asked for.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The host that is asked.
pub const SERVER_ADDRESS: &str = "server.address";
/// Its port.
pub const SERVER_PORT: &str = "server.port";
/// The kind of the error: [`ErrorKind::name`](crate::ErrorKind::name).
pub const ERROR_TYPE: &str = "error.type";
/// Calls made in all; not of the convention.
pub const ATTEMPTS: &str = "antiphon.attempts";
/// Whether tokens are of the prompt or of the answer: `input`, `output`.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";
/// Seconds from a call's beginning to its end.
pub const METRIC_DURATION: &str = "gen_ai.client.operation.duration";
/// Tokens of a call.
pub const METRIC_TOKENS: &str = "gen_ai.client.token.usage";
/// Seconds until a call's first words.
pub const METRIC_FIRST_CHUNK: &str = "gen_ai.client.operation.time_to_first_chunk";

/// The convention's name for a vendor, where it has one.
#[must_use]
pub fn provider_name(vendor: &str) -> Option<&'static str> {
    Some(match vendor {
        "openai" => "openai",
        "anthropic" => "anthropic",
        "gemini" => "gcp.gemini",
        _ => return None,
    })
}

/// Host and port of an address.
pub(crate) fn server(url: &str) -> (&str, Option<u16>) {
    let Some((scheme, rest)) = url.split_once("://") else { return ("", None) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let usual = if scheme == "https" { 443 } else { 80 };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (bare(host), port.parse().ok()),
        _ => (bare(authority), Some(usual)),
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

pub(crate) fn list(name: &str) -> String {
    json!([name]).to_string()
}

pub(crate) fn parts(text: &str) -> Value {
    json!([{ "type": "text", "content": text }])
}

pub(crate) fn output_message(text: &str, finish: &str) -> String {
    json!([{ "role": "assistant", "parts": parts(text), "finish_reason": finish }]).to_string()
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn host_and_port_are_read_from_an_address() {
        assert_eq!(server("https://api.example.org/v1"), ("api.example.org", Some(443)));
        assert_eq!(server("http://127.0.0.1:8080/v1"), ("127.0.0.1", Some(8080)));
        assert_eq!(server("http://[::1]:80"), ("::1", Some(80)));
        assert_eq!(server(""), ("", None));
    }
}
