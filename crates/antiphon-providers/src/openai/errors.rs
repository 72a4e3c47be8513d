//! Errors of the Responses API, in three places:
//!
//! ```text
//! status 4xx/5xx           {"error": {"message": …, "type": …, "code": …}}
//! event: error             {"type": "error", "code": …, "message": …, "param": null, "sequence_number": 2}
//! event: response.failed   {"type": "response.failed", "response": {"error": {"code": …, "message": …}}}
//! ```

/// Reads an error: in an error response, `{"error": {…}}`; in a stream, the same in an `error` event, where the documentation
/// has its fields at the top level, or in the response of a `response.failed` event. In each case the codes are those of chat
/// completions (<https://developers.openai.com/api/docs/guides/error-codes>).
/// `None` for a body without an error in any of them.
pub(super) use crate::exchange::read_fault as fault;

#[cfg(test)]
mod tests {
    use antiphon_llm::ErrorKind;
    use serde_json::json;

    use super::fault;

    #[test]
    fn an_error_is_found_in_every_place() {
        let kind = |body| fault(200, &body, None).map(|fault| fault.kind);
        let code = |code: &str| json!({ "code": code, "message": "m" });
        let nested = json!({ "type": "error", "error": code("insufficient_quota"), "sequence_number": 2 });
        assert_eq!(kind(nested), Some(ErrorKind::Quota));
        let flat = json!({ "type": "error", "code": "context_length_exceeded", "message": "m" });
        assert_eq!(kind(flat), Some(ErrorKind::ContextTooLong));
        let failed =
            json!({ "type": "response.failed", "response": { "error": code("rate_limit_exceeded") } });
        assert_eq!(kind(failed), Some(ErrorKind::RateLimited { retry_after: None }));
        assert_eq!(kind(json!({ "object": "response", "error": null })), None);
    }
}
