//! The errors of OpenAI and of the servers that imitate it.
//!
//! The format has three labels for one error (`type`, `code`, and the status), and servers fill them
//! differently: OpenAI reports a used-up quota as a rate limit with status 429, llama.cpp has the status as its
//! code, and routers pass on the errors of the hosts behind them. They are read as those of all formats are: see
//! `exchange::error_body`, which lists the shapes.

/// Reads an error in any of the shapes in use; `None` for any other body.
pub(crate) use crate::exchange::read_fault as fault;

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
