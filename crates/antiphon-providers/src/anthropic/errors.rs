//! Anthropic's errors: the body of a response with its own status, or an `error` event inside a stream.
//!
//! ```json
//! {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_011CSHoEe"}
//! ```
//!
//! | type | status | kind |
//! |---|---|---|
//! | `invalid_request_error` | 400 | `InvalidRequest`, or `ContextTooLong` by its message |
//! | `authentication_error`, `permission_error` | 401, 403 | `Auth` |
//! | `billing_error` | 402 | `Quota` |
//! | `not_found_error` | 404 | `ModelNotFound` if it names a model, else `Unsupported` |
//! | `request_too_large` | 413 | `ContextTooLong` |
//! | `rate_limit_error` | 429 | `RateLimited` |
//! | `api_error`, `timeout_error` | 500, 504 | `Unavailable` |
//! | `overloaded_error` | 529 | `Overloaded` |
//!
//! Used-up credit and a reached spend limit also occur under other types: their message decides, before the type
//! (<https://platform.claude.com/docs/en/api/rate-limits#reaching-your-spend-cap>).

/// Reads `{"type": "error", "error": {"type", "message"}}`, in an error response or in a stream
/// (<https://platform.claude.com/docs/en/api/errors>), and the shapes of the proxies that speak this format; `None` for any other
/// body.
///
/// A type that is not in the list is judged by the status, so that a type which is added later is not lost.
pub(super) use crate::exchange::read_fault as fault;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::ErrorKind;
    use serde_json::json;

    use super::fault;

    #[track_caller]
    fn check(status: u16, label: &str, message: &str, expected: ErrorKind) {
        let body =
            json!({ "type": "error", "error": { "type": label, "message": message }, "request_id": "req_1" });
        let wait = Some(Duration::from_secs(3));
        assert_eq!(fault(status, &body, wait).unwrap().kind, expected, "{label}: {message}");
    }

    #[test]
    fn each_error_has_its_kind() {
        let retry_after = Some(Duration::from_secs(3));
        let invalid = "invalid_request_error";
        let low = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.";
        check(400, invalid, low, ErrorKind::Quota);
        let spent = "You have reached your specified API usage limits. You will regain access on 2026-04-01 at 00:00 UTC.";
        check(400, invalid, spent, ErrorKind::Quota);
        let cap = "You have reached your API usage limits: your organization has crossed its monthly API usage threshold";
        check(429, "rate_limit_error", cap, ErrorKind::Quota);
        check(402, "billing_error", "Billing error", ErrorKind::Quota);
        let long = "prompt is too long: 211180 tokens > 200000 maximum";
        check(400, invalid, long, ErrorKind::ContextTooLong);
        check(400, invalid, "max_tokens: Field required", ErrorKind::InvalidRequest);
        check(401, "authentication_error", "invalid x-api-key", ErrorKind::Auth);
        check(403, "permission_error", "no", ErrorKind::Auth);
        check(404, "not_found_error", "model: claude-0", ErrorKind::ModelNotFound);
        check(413, "request_too_large", "Request exceeds the maximum size", ErrorKind::ContextTooLong);
        check(429, "rate_limit_error", "slow down", ErrorKind::RateLimited { retry_after });
        check(500, "api_error", "Internal server error", ErrorKind::Unavailable);
        check(529, "overloaded_error", "Overloaded", ErrorKind::Overloaded { retry_after });
        check(200, "overloaded_error", "Overloaded", ErrorKind::Overloaded { retry_after });
        check(418, "teapot_error", "short and stout", ErrorKind::InvalidRequest);
        assert_eq!(fault(200, &json!({ "type": "message" }), None), None);
    }
}
