//! Used-up quotas with short waits, limits of a minute, and bodies behind a byte order mark, in every format.

use std::time::Duration;

use antiphon_llm::{CallContext, Error, ErrorKind, Output, ProviderExt, RetryPolicy, Retrying};
use antiphon_tests::conformance::{FORMATS, Target};
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use super::ask;
use super::shapes::{self, Said, calls_before, natural};

/// Returns the body of a rate limit in the shape of a format, with this message.
fn limit(format: &str, message: &str) -> Value {
    match format {
        "anthropic" => {
            json!({ "type": "error", "error": { "type": "rate_limit_error", "message": message } })
        }
        "gemini" => json!({ "error": { "code": 429, "message": message, "status": "RESOURCE_EXHAUSTED" } }),
        "ollama" | "ollama-generate" => json!({ "error": message }),
        _ => {
            json!({ "error": { "message": message, "type": "tokens", "param": null, "code": "rate_limit_exceeded" } })
        }
    }
}

/// Makes a call that is refused with a wait of one second in a header, and may be retried; returns its error and its calls.
async fn refused(format: &str, message: &str) -> (Error, usize) {
    let body = limit(format, message).to_string();
    let reply = Reply::with_headers(429, "content-type: application/json\r\nretry-after: 1\r\n", &body);
    let server = Server::start(shapes::script(format, reply));
    let target = Target::new(format, &server.url(""), "m");
    let policy = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO).max_retries(1);
    let provider = Retrying::new(target.provider(), policy);
    let err = provider.complete(&target.prompt(), &CallContext::default()).await.unwrap_err();
    (err, server.requests().len() - calls_before(format))
}

#[tokio::test]
async fn a_used_up_day_ends_the_call_whatever_wait_the_server_suggests() {
    for format in FORMATS {
        for message in [
            "Daily limit exceeded",
            "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
            "Rate limit reached for m on tokens per day (TPD): Limit 100000, Used 99712, Requested 1217.",
            "Requests per day limit exceeded - too many requests sent.",
            "You have reached your daily limit of 50 requests, upgrade to continue.",
            "This request would exceed your organization's daily rate limit of 1,000,000 input tokens",
            "Monthly token quota exceeded",
        ] {
            let (err, calls) = refused(format, message).await;
            assert_eq!((err.kind(), calls), (ErrorKind::Quota, 1), "{format}, {message}: {err}");
            assert!(err.to_string().contains("quota is used up"), "{format}: {err}");
            // Google's wait is that of a minute, whatever the quota is.
            let reset = Some(Duration::from_secs(1)).filter(|_| format != "gemini");
            assert_eq!(err.resets_in(), reset, "{format}, {message}: {err}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_a_minute_is_waited_for_whatever_it_says_about_days() {
    for format in FORMATS.into_iter().filter(|format| calls_before(format) == 0) {
        for message in [
            "Rate limit exceeded. Upgrade to get 10000 requests per day.",
            "Rate limit exceeded: 20 requests per minute on your daily plan",
        ] {
            let (err, calls) = refused(format, message).await;
            let limited = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(1)) };
            assert_eq!((err.kind(), calls), (limited, 2), "{format}, {message}: {err}");
        }
    }
}

#[tokio::test]
async fn a_reset_in_another_header_is_that_of_the_quota() {
    let body = limit("chat", "Daily limit exceeded").to_string();
    let headers = "content-type: application/json\r\nretry-after: 5\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 8h12m\r\n";
    let err = ask("chat", Reply::with_headers(429, headers, &body), &Output::Text).await.unwrap_err();
    assert_eq!(err.resets_in(), Some(Duration::from_secs(29_520)), "{err}");
    assert!(err.to_string().contains("the daily quota is used up and resets in 8 h 12 min"), "{err}");
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored() {
    let types =
        ["application/json", "text/event-stream", "application/x-ndjson", "text/plain; charset=utf-8"];
    for format in FORMATS {
        for kind in types {
            let body = shapes::whole(format, &Said::text("Blue.").ends(natural(format)));
            for text in [format!("\u{feff}{body}"), format!("\r\n\u{feff}\n {body}")] {
                let done = ask(format, Reply::new(200, kind, &text), &Output::Text).await;
                let done = done.unwrap_or_else(|err| panic!("{format}, {kind}: {err}"));
                assert_eq!(done.text, "Blue.", "{format}, {kind}");
            }
            let error = format!("\u{feff}{}", limit(format, "slow down"));
            let err = ask(format, Reply::new(429, kind, &error), &Output::Text).await.unwrap_err();
            assert!(matches!(err.kind(), ErrorKind::RateLimited { .. }), "{format}, {kind}: {err}");
        }
    }
}
