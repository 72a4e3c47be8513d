//! OpenTelemetry's attribute and metric names for calls of generative AI.
//!
//! The attribute names are those of
//! <https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md>. The metric names
//! are those of the last tagged version,
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-metrics.md>, which collectors know.
//! The convention is still in development, so the names are defined here and not taken from a dependency.

use serde_json::{Value, json};

/// The operation: `chat`.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// The provider, by the name that the convention gives it: [`provider_name`].
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model that was requested.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The maximum number of tokens that the answer may have.
pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// The sampling temperature.
pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// The seed of the sampling.
pub const REQUEST_SEED: &str = "gen_ai.request.seed";
/// The nucleus sampling (`top_p`).
pub const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
/// The number of the likeliest tokens that are sampled from (`top_k`).
pub const REQUEST_TOP_K: &str = "gen_ai.request.top_k";
/// The presence penalty.
pub const REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
/// The frequency penalty.
pub const REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
/// The stop sequences, as a JSON array.
pub const REQUEST_STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
/// The provider's id of the answer.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// The model that served the call.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// The finish reason, as a JSON array with one name.
pub const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// The time to the first text (time to first token), in seconds.
pub const RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Tokens of the prompt, cached ones included.
pub const USAGE_INPUT: &str = "gen_ai.usage.input_tokens";
/// Tokens of the prompt that came from the provider's cache (prompt caching).
pub const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
/// Tokens of the prompt that were written into the provider's cache.
pub const USAGE_CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
/// Tokens of the answer, reasoning included.
pub const USAGE_OUTPUT: &str = "gen_ai.usage.output_tokens";
/// Tokens of reasoning.
pub const USAGE_REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
/// The system instructions; recorded only with [`Observed::with_content`](crate::Observed::with_content).
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// The messages of the prompt; recorded only with [`Observed::with_content`](crate::Observed::with_content).
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// The answer; recorded only with [`Observed::with_content`](crate::Observed::with_content).
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The host of the server.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port of the server.
pub const SERVER_PORT: &str = "server.port";
/// The kind of the error: [`ErrorKind::name`](crate::ErrorKind::name).
pub const ERROR_TYPE: &str = "error.type";
/// The number of calls made; not part of the convention.
pub const ATTEMPTS: &str = "antiphon.attempts";
/// The type of the tokens: `input` for the prompt, `output` for the answer.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";
/// The histogram of the durations of calls, in seconds, from the start to the end of the answer.
pub const METRIC_DURATION: &str = "gen_ai.client.operation.duration";
/// The histogram of the tokens of calls, with the label [`TOKEN_TYPE`].
pub const METRIC_TOKENS: &str = "gen_ai.client.token.usage";
/// The histogram of the time to the first text, in seconds.
pub const METRIC_FIRST_CHUNK: &str = "gen_ai.client.operation.time_to_first_chunk";

/// Returns the convention's name for a vendor; `None` if the convention has none, in which case the vendor's own name is
/// recorded.
#[must_use]
pub fn provider_name(vendor: &str) -> Option<&'static str> {
    Some(match vendor {
        "openai" => "openai",
        "anthropic" => "anthropic",
        "gemini" => "gcp.gemini",
        _ => return None,
    })
}

/// Returns host and port of an address.
pub(crate) fn server(url: &str) -> (&str, Option<u16>) {
    let Some((scheme, rest)) = url.split_once("://") else { return ("", None) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let usual = if scheme == "https" { 443 } else { 80 };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (bare(host), port.parse().ok()),
        _ => (bare(authority), Some(usual)),
    }
}

/// Returns a host without the brackets of an IPv6 address.
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
