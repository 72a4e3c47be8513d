//! Used-up credit, quotas of a day or a month, and waits.

use antiphon_llm::ErrorKind::{self, Quota};

use super::{check_wait, read};

const DAY: &str = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";

#[test]
fn quotas_of_a_day_or_a_month_are_found_wherever_they_are() {
    let google = format!(
        r#"{{"error":{{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaMetric":"m","quotaId":"{DAY}"}}]}},{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"45s"}}]}}}}"#
    );
    let info = format!(
        r#"{{"error":{{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","metadata":{{"quota_limit":"{DAY}"}}}}]}}}}"#
    );
    let as_text = serde_json::json!({ "error": { "message": format!("litellm.RateLimitError: VertexAIException - {google}"), "code": "429" } });
    let as_bytes = serde_json::json!({ "error": { "message": format!("GeminiException - b'{}'", google.replace(",\"", ",\\n\"")), "code": 500 } });
    let nested = serde_json::json!({ "error": info });
    let raw = serde_json::json!({ "error": { "code": 429, "message": "Provider returned error", "metadata": { "raw": google, "provider_name": "Google" } } });
    let listed = format!("[{google}]");
    for body in [
        &google,
        &info,
        &listed,
        &as_text.to_string(),
        &as_bytes.to_string(),
        &nested.to_string(),
        &raw.to_string(),
    ] {
        for status in [429, 200] {
            let fault = read(status, body);
            assert_eq!(fault.kind, Quota, "{status} {body}");
            let expected = "the daily quota is used up and resets at midnight Pacific time: ";
            assert!(fault.message.starts_with(expected), "{}", fault.message);
            assert_eq!((fault.resets_in, fault.limits), (None, None), "Google's wait is that of a minute");
        }
        let minute = body.replace("PerDay", "PerMinute");
        assert!(matches!(read(429, &minute).kind, ErrorKind::RateLimited { .. }), "{minute}");
    }
}

#[test]
fn the_reset_of_a_quota_is_in_the_message() {
    let fault = read(
        429,
        r#"{"error":{"message":"Limit on requests per day (RPD) reached. Please try again in 8h12m.","code":"rate_limit_exceeded"}}"#,
    );
    assert!(
        fault.message.starts_with("the daily quota is used up and resets in 8 h 12 min: "),
        "{}",
        fault.message
    );
    check_wait(
        429,
        r#"{"error":{"message":"on requests per day (RPD). Please try again in 8h12m."}}"#,
        29_520.0,
    );
    check_wait(
        403,
        r#"{"statusCode":403,"message":"Out of call volume quota. Quota will be replenished in 12:34:56."}"#,
        45_296.0,
    );
}

#[test]
fn waits_are_read_wherever_they_are() {
    let google = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.07s"}]}}"#;
    check_wait(429, google, 34.07);
    check_wait(429, &serde_json::json!({ "error": { "message": google, "code": "429" } }).to_string(), 34.07);
    check_wait(429, &format!("[{google}]"), 34.07);
    check_wait(429, r#"{"error":{"message":"Please try again in 6m59.56s"}}"#, 419.56);
    check_wait(429, r#"{"error":{"message":"slow","retry_after":12}}"#, 12.0);
    check_wait(429, r#"{"error":{"message":"slow","metadata":{"retry_after_seconds":3}}}"#, 3.0);
    check_wait(503, r#"{"error":"Model m is currently loading","estimated_time":20.0}"#, 20.0);
    check_wait(
        200,
        r#"{"error":{"code":"rate_limit_exceeded","message":"slow","headers":{"retry-after":"7"}}}"#,
        7.0,
    );
    check_wait(
        429,
        r#"{"error":{"message":"slow","headers":{"x-ratelimit-remaining-tokens":"0","x-ratelimit-reset-tokens":"120ms"}}}"#,
        0.12,
    );
    check_wait(429, "Too many requests: retry after 3 seconds", 3.0);
}
