//! The errors of OpenAI and of the servers that imitate it.
//!
//! The format has three labels for one error (`type`, `code`, and the status), and servers fill them
//! differently: OpenAI reports a used-up quota as a rate limit with status 429, llama.cpp has the status as its
//! code, and routers pass on the errors of the hosts behind them. Labels and messages
//! therefore decide before the bare status: quota first, then context, model, filter and overload, with a few exceptions
//! that the code names.
//!
//! | shape | of |
//! |---|---|
//! | `{"error": {"message", "type", "param", "code"}}` | OpenAI and most others |
//! | `{"error": {"code": 400, "message", "type"}}` | llama.cpp, vLLM |
//! | `{"error": {"code": 429, "message", "metadata": {"error_type"}}}` | OpenRouter |
//! | `{"error": {"code", "message", "headers": {"retry-after": "7"}}}` | errors inside a stream |
//! | `{"error": "text"}` | LM Studio, Hugging Face, xAI |
//! | `{"object": "error", "message"}` | older vLLM |
//! | `{"detail": …}` | servers that are built on FastAPI |

use std::time::{Duration, SystemTime};

use antiphon_llm::{ErrorKind, LimitHints};
use serde_json::Value;

use crate::exchange::{Fault, is_about, kind_of_status};

/// Codes and types of errors for used-up credit, after which no later call succeeds. OpenAI sends them with status 429, like
/// rate limits
/// (<https://developers.openai.com/api/docs/guides/error-codes>).
const QUOTA_CODES: [&str; 8] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "payment_required",
];
/// Phrases of servers without such a code: OpenRouter under 403, xAI under 403 and 429, Anthropic behind an address that
/// speaks OpenAI's format.
const QUOTA_PHRASES: [&str; 5] = [
    "key limit exceeded",
    "insufficient credits",
    "used all available credits",
    "monthly spending limit",
    "credit balance is too low",
];
/// Codes and types of errors for a prompt that is too long: OpenAI's code, llama.cpp's type, OpenRouter's type.
const CONTEXT_CODES: [&str; 4] =
    ["context_length_exceeded", "exceed_context_size_error", "string_too_long", "token_limit_exceeded"];
/// Phrases of servers without such a code: vLLM, llama.cpp, LM Studio, OpenAI's Responses.
const CONTEXT_PHRASES: [&str; 6] = [
    "maximum context length",
    "context length is only",
    "context size has been exceeded",
    "exceeds the available context size",
    "exceeds the context window",
    "greater than the context length",
];

/// Reads an error in any of the shapes in use: `{"error": {"message", "type", "code"}}`, `{"error": "…"}` (LM Studio,
/// Hugging Face), `{"object": "error", "message"}` (older vLLM), `{"detail": …}`; `None` for any other body.
pub(crate) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    Some(ErrorBody::of(body)?.fault(status, retry_after))
}

/// Returns a value's text, if it is one.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Returns whether the `error` field has an error: some servers always send the field.
fn is_something(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// Reads the limits in an error inside a stream, which has the headers that an error response would have had.
fn limits_of(headers: &Value) -> Option<LimitHints> {
    let headers = headers.as_object()?.iter();
    let plain: Vec<_> =
        headers.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?))).collect();
    Some(LimitHints::read(plain.iter().map(|(name, value)| (name.as_str(), *value)), SystemTime::now()))
}

/// The error of a body, independent of its shape.
#[derive(Debug, Default)]
struct ErrorBody {
    /// The server's text; the JSON of the error where it has none.
    message: String,
    /// The codes and types that are texts, of the error itself and of its metadata.
    labels: Vec<String>,
    /// The status as a number in the body, as llama.cpp, vLLM and OpenRouter send it; inside a stream it is the only status.
    status: Option<u16>,
    /// Whether OpenRouter's moderation reports flagged input.
    is_flagged: bool,
    /// The limits in an error inside a stream.
    limits: Option<LimitHints>,
}

impl ErrorBody {
    /// Reads the error of a body, if it has one.
    fn of(body: &Value) -> Option<Self> {
        match body.get("error").filter(|error| is_something(error)) {
            Some(Value::String(message)) => Some(Self { message: message.clone(), ..Self::default() }),
            Some(error) => Some(Self::of_object(error)),
            None if body["object"] == "error" => Some(Self::of_object(body)),
            None => {
                let detail = body.get("detail").filter(|_| body.get("choices").is_none())?;
                let message = text(detail).unwrap_or_else(|| detail.to_string());
                Some(Self { message, ..Self::default() })
            }
        }
    }

    /// Reads the fields of an error.
    fn of_object(error: &Value) -> Self {
        let labels = ["/code", "/type", "/metadata/error_type", "/metadata/limit_source"];
        Self {
            message: error.get("message").and_then(text).unwrap_or_else(|| error.to_string()),
            labels: labels.iter().filter_map(|place| error.pointer(place).and_then(text)).collect(),
            status: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
            is_flagged: error.pointer("/metadata/flagged_input").is_some(),
            limits: error.get("headers").and_then(limits_of),
        }
    }

    /// Returns whether one of the labels is among the known ones.
    fn is_one_of(&self, known: &[&str]) -> bool {
        self.labels.iter().any(|label| known.contains(&label.as_str()))
    }

    /// Converts the body to an error with its kind. A `retry_after` of the response's headers is preferred to that
    /// of the error.
    fn fault(self, status: u16, retry_after: Option<Duration>) -> Fault {
        let mut kind = self.kind(status, retry_after);
        if let (ErrorKind::RateLimited { retry_after }, Some(limits)) = (&mut kind, &self.limits) {
            *retry_after = retry_after.or(limits.retry_after);
        }
        Fault { limits: self.limits.map(Box::new), ..Fault::new(kind, self.message) }
    }

    /// Decides the kind; the first rule that applies wins, and the status is the last.
    fn kind(&self, status: u16, retry_after: Option<Duration>) -> ErrorKind {
        let message = &self.message;
        // Inside a stream the HTTP status is 200, and the error's own number has the information.
        let status = self.status.filter(|number| status == 200 && *number >= 400).unwrap_or(status);
        match status {
            // OpenRouter's budget for calls in flight, for accounts with little credit.
            402 if self.is_one_of(&["openrouter_in_flight_budget"]) => ErrorKind::RateLimited { retry_after },
            _ if self.is_one_of(&QUOTA_CODES) || is_about(message, &QUOTA_PHRASES) => ErrorKind::Quota,
            _ if self.is_one_of(&CONTEXT_CODES) || is_about(message, &CONTEXT_PHRASES) => {
                ErrorKind::ContextTooLong
            }
            _ if self.is_one_of(&["model_not_found", "model_not_supported", "NotFoundError"]) => {
                ErrorKind::ModelNotFound
            }
            _ if self.is_one_of(&["content_filter", "content_policy_violation"]) => ErrorKind::Filtered,
            404 if is_about(message, &["model"]) => ErrorKind::ModelNotFound,
            400 if is_about(message, &["model"]) && is_about(message, &["not found", "not supported by"]) => {
                ErrorKind::ModelNotFound
            }
            // LM Studio's answer to an unknown path, with status 200.
            _ if is_about(message, &["unexpected endpoint or method"]) => ErrorKind::Unsupported,
            403 if self.is_flagged => ErrorKind::Filtered,
            // The traffic grew too fast, or the server is full; both are temporary.
            _ if self.is_one_of(&["server_is_overloaded", "provider_overloaded"]) => {
                ErrorKind::Overloaded { retry_after }
            }
            200 if self.is_one_of(&["rate_limit_exceeded", "rate_limit_error", "slow_down"]) => {
                ErrorKind::RateLimited { retry_after }
            }
            200 if self.is_one_of(&["invalid_request_error", "invalid_prompt"]) => ErrorKind::InvalidRequest,
            200 if self.is_one_of(&["authentication_error", "invalid_api_key"]) => ErrorKind::Auth,
            // A single request larger than the limit never succeeds.
            429 if is_about(message, &["request too large"]) => ErrorKind::ContextTooLong,
            status => kind_of_status(status, retry_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::ErrorKind;
    use serde_json::{Value, json};

    use super::fault;

    #[track_caller]
    fn check(status: u16, body: Value, expected: ErrorKind) {
        assert_eq!(fault(status, &body, None).unwrap().kind, expected, "{body}");
    }

    #[test]
    fn errors_of_many_shapes_have_their_kind() {
        let error = |message: &str, label: &str| json!({ "error": { "message": message, "type": label, "code": null } });
        check(401, error("Incorrect API key", "invalid_request_error"), ErrorKind::Auth);
        check(404, error("The model `x` does not exist", "invalid_request_error"), ErrorKind::ModelNotFound);
        check(
            403,
            json!({ "error": { "message": "no access to model", "code": "model_not_found" } }),
            ErrorKind::ModelNotFound,
        );
        check(
            400,
            json!({ "error": { "code": 400, "message": "too big", "type": "exceed_context_size_error" } }),
            ErrorKind::ContextTooLong,
        );
        check(
            400,
            json!({ "object": "error", "message": "This model's maximum context length is 10" }),
            ErrorKind::ContextTooLong,
        );
        check(
            400,
            json!({ "error": "'response_format.type' must be 'json_schema' or 'text'" }),
            ErrorKind::InvalidRequest,
        );
        check(
            503,
            json!({ "error": { "code": 503, "message": "Loading model", "type": "unavailable_error" } }),
            ErrorKind::Overloaded { retry_after: None },
        );
        check(200, json!({ "error": { "message": "The server had an error" } }), ErrorKind::Unavailable);
        check(200, json!({ "error": { "code": 401, "message": "no" } }), ErrorKind::Auth);
        check(422, json!({ "detail": [{ "msg": "bad" }] }), ErrorKind::InvalidRequest);
        assert_eq!(fault(200, &json!({ "choices": [], "error": null }), None), None);
    }

    #[test]
    fn used_up_credit_is_not_a_rate_limit() {
        for code in ["insufficient_quota", "credit_balance_exhausted", "project_spend_limit_exceeded"] {
            check(429, json!({ "error": { "message": "pay", "type": "x", "code": code } }), ErrorKind::Quota);
        }
        check(402, json!({ "error": "You have depleted your monthly included credits." }), ErrorKind::Quota);
        let message = "Key limit exceeded (total limit). Manage it in your settings";
        check(403, json!({ "error": { "message": message, "code": 403 } }), ErrorKind::Quota);
        let message = "Your team has used all available credits or reached its monthly spending limit.";
        check(429, json!({ "error": message, "code": "exhausted" }), ErrorKind::Quota);
        let waits = ErrorKind::RateLimited { retry_after: None };
        check(429, json!({ "error": { "message": "slow", "type": "tokens" } }), waits);
        let in_flight = json!({ "limit_source": "openrouter_in_flight_budget" });
        check(402, json!({ "error": { "code": 402, "message": "busy", "metadata": in_flight } }), waits);
    }

    #[test]
    fn an_error_inside_a_stream_has_its_own_headers() {
        let headers = json!({ "retry-after": "7", "x-ratelimit-remaining-tokens": "4735" });
        let body =
            json!({ "error": { "code": "rate_limit_exceeded", "message": "slow", "headers": headers } });
        let fault = fault(200, &body, None).unwrap();
        assert_eq!(fault.kind, ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(7)) });
        assert_eq!(fault.limits.unwrap().tokens.remaining, Some(4735));
    }
}
