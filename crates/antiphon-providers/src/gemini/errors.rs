//! Gemini's errors, in the shape of Google's APIs (google.rpc.Status, <https://google.aip.dev/193>):
//!
//! ```json
//! {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota.", "details": [
//!   {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDay"}]},
//!   {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}
//! ```
//!
//! | status | kind |
//! |---|---|
//! | `RESOURCE_EXHAUSTED` | `RateLimited`, or `Quota` for a daily quota or used-up credit |
//! | `INVALID_ARGUMENT` | `InvalidRequest`, `Auth` for an invalid key, `ContextTooLong` for too many tokens |
//! | `FAILED_PRECONDITION`, `UNAUTHENTICATED`, `PERMISSION_DENIED` | `Auth` |
//! | `NOT_FOUND` | `ModelNotFound` |
//! | `UNAVAILABLE` | `Overloaded` |
//! | `INTERNAL` | `Unavailable`, or `ContextTooLong` by its message |
//! | `DEADLINE_EXCEEDED`, `CANCELLED`, `UNKNOWN` | `Unavailable` |
//!
//! Signs of an exceeded quota (HTTP status 402, phrases in the message, a daily quota) are `Quota` under every status.

use std::time::Duration;

use antiphon_llm::ErrorKind;
use serde_json::Value;

use crate::exchange::{Fault, read_fault};

/// Reads `{"error": {"code", "message", "status", "details"}}`, also when it is the one element of a list
/// (<https://ai.google.dev/gemini-api/docs/generate-content/api-errors>), and the shapes of proxies; `None` for any other body.
///
/// A daily quota does not reset before the day ends: it is mapped to `Quota`, whatever wait the error suggests. Gemini reports
/// `retry_after` in no header but in the error's `RetryInfo`.
///
/// Inside a stream the HTTP status is 200; then `code` in the body replaces it. What is not found is the model: its name is a part
/// of the path.
pub(super) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    let fault = read_fault(status, body, retry_after)?;
    let is_missing = fault.code.as_deref() == Some("NOT_FOUND") && fault.kind == ErrorKind::Unsupported;
    Some(if is_missing { Fault { kind: ErrorKind::ModelNotFound, ..fault } } else { fault })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::ErrorKind;
    use serde_json::{Value, json};

    use super::fault;

    #[track_caller]
    fn check(code: u16, status: &str, message: &str, details: Value, expected: ErrorKind) {
        let body =
            json!({ "error": { "code": code, "message": message, "status": status, "details": details } });
        for (http, body) in [(code, body.clone()), (200, body.clone()), (code, json!([body]))] {
            assert_eq!(fault(http, &body, None).unwrap().kind, expected, "{message}");
        }
    }

    #[test]
    fn each_error_has_its_kind() {
        let reason =
            json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }]);
        check(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            reason,
            ErrorKind::Auth,
        );
        let long = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).";
        check(400, "INVALID_ARGUMENT", long, json!([]), ErrorKind::ContextTooLong);
        check(400, "INVALID_ARGUMENT", "Unknown name \"x\"", json!([]), ErrorKind::InvalidRequest);
        check(403, "PERMISSION_DENIED", "no", json!([]), ErrorKind::Auth);
        check(404, "NOT_FOUND", "models/x is not found", json!([]), ErrorKind::ModelNotFound);
        check(
            402,
            "RESOURCE_EXHAUSTED",
            "Your prepayment credits are depleted.",
            json!([]),
            ErrorKind::Quota,
        );
        let cap = "Your project has exceeded its monthly spending cap.";
        check(429, "RESOURCE_EXHAUSTED", cap, json!([]), ErrorKind::Quota);
        check(503, "UNAVAILABLE", "high demand", json!([]), ErrorKind::Overloaded { retry_after: None });
        check(500, "INTERNAL", "An internal error has occurred.", json!([]), ErrorKind::Unavailable);
        check(504, "DEADLINE_EXCEEDED", "Deadline expired", json!([]), ErrorKind::Unavailable);
    }

    #[test]
    fn a_quota_per_minute_is_a_rate_limit_and_one_per_day_is_not() {
        let details = |quota: &str| {
            json!([
                { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{ "quotaId": quota }] },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "45.5s" },
            ])
        };
        let wait = Some(Duration::from_millis(45_500));
        let minute = details("GenerateRequestsPerMinutePerProjectPerModel-FreeTier");
        check(429, "RESOURCE_EXHAUSTED", "slow down", minute, ErrorKind::RateLimited { retry_after: wait });
        let day = details("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
        check(429, "RESOURCE_EXHAUSTED", "come back tomorrow", day, ErrorKind::Quota);
    }
}
