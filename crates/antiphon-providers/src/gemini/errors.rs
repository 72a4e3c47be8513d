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

use antiphon_llm::{ErrorKind, LimitHints, parse_retry_info};
use serde_json::Value;

use crate::exchange::{Fault, is_about, kind_of_status};

/// Phrases of errors for used-up credit or a reached spend limit: <https://ai.google.dev/gemini-api/docs/billing>.
const QUOTA_CODES: [&str; 3] =
    ["prepayment credits are depleted", "spending cap", "exceeded its monthly spending"];

/// Reads `{"error": {"code", "message", "status", "details"}}`, also when it is the one element of a list
/// (<https://ai.google.dev/gemini-api/docs/generate-content/api-errors>); `None` for any other body.
///
/// A daily quota does not reset before the day ends: it is mapped to `Quota`, whatever wait the error suggests. Gemini reports
/// `retry_after` in no header but in the error's `RetryInfo`.
///
/// Inside a stream the HTTP status is 200; then `code` in the body replaces it.
pub(super) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    let body = body.get(0).unwrap_or(body);
    let error = body.get("error").filter(|error| !error.is_null())?;
    let message = error["message"].as_str().or(error.as_str()).unwrap_or("no further details");
    let wait = parse_retry_info(&body.to_string()).or(retry_after);
    let status = match error["code"].as_u64().and_then(|code| u16::try_from(code).ok()) {
        Some(code) if status == 200 => code,
        _ => status,
    };
    let kind = if status == 402 || is_about(message, &QUOTA_CODES) || is_for_a_day(error) {
        ErrorKind::Quota
    } else {
        kind_of(error, message, wait).unwrap_or_else(|| kind_of_status(status, wait))
    };
    Some(with_wait(Fault::new(kind, message), wait))
}

/// Maps the canonical status of an error; `None` where it has none, or another one.
fn kind_of(error: &Value, message: &str, retry_after: Option<Duration>) -> Option<ErrorKind> {
    Some(match error["status"].as_str()? {
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited { retry_after },
        "INVALID_ARGUMENT" => kind_of_invalid_argument(error, message),
        "FAILED_PRECONDITION" | "UNAUTHENTICATED" | "PERMISSION_DENIED" => ErrorKind::Auth,
        "NOT_FOUND" => ErrorKind::ModelNotFound,
        "UNAVAILABLE" => ErrorKind::Overloaded { retry_after },
        "INTERNAL" if is_about(message, &["input context is too long"]) => ErrorKind::ContextTooLong,
        "INTERNAL" | "DEADLINE_EXCEEDED" | "CANCELLED" | "UNKNOWN" => ErrorKind::Unavailable,
        _ => return None,
    })
}

/// Maps `INVALID_ARGUMENT`, which is also the status of a wrong key and of a prompt that is too long.
fn kind_of_invalid_argument(error: &Value, message: &str) -> ErrorKind {
    let is_about_key = |reason: &str| reason.starts_with("API_KEY") || reason.starts_with("ACCESS_TOKEN");
    if details(error).any(|detail| detail["reason"].as_str().is_some_and(is_about_key))
        || is_about(message, &["api key not valid", "api key expired"])
    {
        ErrorKind::Auth
    } else if is_about(message, &["token count", "input context"]) {
        ErrorKind::ContextTooLong
    } else {
        ErrorKind::InvalidRequest
    }
}

/// Returns whether an error is about a quota for a day.
fn is_for_a_day(error: &Value) -> bool {
    let violations = details(error).filter_map(|detail| detail["violations"].as_array()).flatten();
    let mut quotas = violations.filter_map(|violation| violation["quotaId"].as_str());
    quotas.any(|id| id.contains("PerDay"))
}

/// Returns the details of an error, each with its type in `@type`.
fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error["details"].as_array().into_iter().flatten()
}

/// Adds the suggested wait to the error's limits, where the adaptive limiter observes it; a used-up quota has none.
fn with_wait(mut fault: Fault, wait: Option<Duration>) -> Fault {
    if let Some(wait) = wait.filter(|_| fault.kind != ErrorKind::Quota) {
        let mut limits = LimitHints::default();
        limits.retry_after = Some(wait);
        fault.limits = Some(Box::new(limits));
    }
    fault
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
