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
pub(super) fn fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    let body = body.get(0).unwrap_or(body);
    let error = body.get("error").filter(|error| !error.is_null())?;
    let message = error["message"].as_str().or(error.as_str()).unwrap_or("no further details");
    let details = || error["details"].as_array().into_iter().flatten();
    let wait = parse_retry_info(&body.to_string()).or(retry_after);
    let status = match error["code"].as_u64().and_then(|code| u16::try_from(code).ok()) {
        Some(code) if status == 200 => code,
        _ => status,
    };
    let for_a_day = details().any(|detail| {
        let violations = detail["violations"].as_array().into_iter().flatten();
        violations.filter_map(|violation| violation["quotaId"].as_str()).any(|id| id.contains("PerDay"))
    });
    let has_no_key = details().any(|detail| {
        detail["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("API_KEY") || reason.starts_with("ACCESS_TOKEN"))
    });
    let kind = match error["status"].as_str().unwrap_or_default() {
        _ if status == 402 || is_about(message, &QUOTA_CODES) || for_a_day => ErrorKind::Quota,
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited { retry_after: wait },
        "INVALID_ARGUMENT" if has_no_key || is_about(message, &["api key not valid", "api key expired"]) => {
            ErrorKind::Auth
        }
        "INVALID_ARGUMENT" if is_about(message, &["token count", "input context"]) => {
            ErrorKind::ContextTooLong
        }
        "INVALID_ARGUMENT" => ErrorKind::InvalidRequest,
        "FAILED_PRECONDITION" => ErrorKind::Auth,
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => ErrorKind::Auth,
        "NOT_FOUND" => ErrorKind::ModelNotFound,
        "UNAVAILABLE" => ErrorKind::Overloaded { retry_after: wait },
        "INTERNAL" if is_about(message, &["input context is too long"]) => ErrorKind::ContextTooLong,
        "INTERNAL" | "DEADLINE_EXCEEDED" | "CANCELLED" | "UNKNOWN" => ErrorKind::Unavailable,
        _ => kind_of_status(status, wait),
    };
    let mut fault = Fault::new(kind, message);
    // The adaptive limiter observes the wait in these limits.
    if let Some(wait) = wait.filter(|_| kind != ErrorKind::Quota) {
        let mut limits = LimitHints::default();
        limits.retry_after = Some(wait);
        fault.limits = Some(Box::new(limits));
    }
    Some(fault)
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
