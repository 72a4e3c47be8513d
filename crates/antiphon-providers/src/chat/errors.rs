use std::time::Duration;

use antiphon_http::{ErrorKind as HttpKind, Phase as HttpPhase, Response, SecretString};
use antiphon_llm::{Billed, Error, ErrorKind, Phase};
use secrecy::ExposeSecret;
use serde_json::Value;

/// Codes and types for money that is used up: no later call succeeds. Some come with status 429, as rate limits do.
const MONEY: [&str; 6] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
];
/// OpenAI's code; llama.cpp's type.
const TOO_LONG: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];

/// What a server says of an error, in any of the shapes that are about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    message: String,
    labels: Vec<String>,
    /// llama.cpp and vLLM repeat the status as a number; inside a stream it is the only one there is.
    status: Option<u16>,
}

impl Said {
    /// `{"error": {"message", "type", "code"}}`, `{"error": "…"}` (LM Studio), `{"object": "error", "message"}` (vLLM),
    /// `{"detail": …}`; `None` for what is no error.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let error = match body.get("error").filter(|error| !error.is_null()) {
            Some(Value::String(message)) => {
                return Some(Self { message: message.clone(), ..Self::default() });
            }
            Some(error) => error,
            None if body["object"] == "error" => body,
            None => {
                let detail = body.get("detail")?;
                let message = text(detail).unwrap_or_else(|| detail.to_string());
                return Some(Self { message, ..Self::default() });
            }
        };
        Some(Self::plain(error))
    }

    /// What is known to be an error: its message, code and type.
    pub(super) fn plain(error: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let message = error.get("message").and_then(text).unwrap_or_else(|| error.to_string());
        let labels = ["code", "type"].iter().filter_map(|key| error.get(key).and_then(text));
        let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        Self { message, labels: labels.collect(), status }
    }

    fn is_one_of(&self, known: &[&str]) -> bool {
        self.labels.iter().any(|label| known.contains(&label.as_str()))
    }

    fn kind(&self, status: u16, retry_after: Option<Duration>) -> ErrorKind {
        let message = self.message.to_lowercase();
        let too_long =
            message.contains("maximum context length") || message.contains("context size has been exceeded");
        // Under a status that tells nothing, the error's own number tells more.
        let status = self.status.filter(|_| status == 200).unwrap_or(status);
        match status {
            _ if self.is_one_of(&MONEY) => ErrorKind::Quota,
            _ if self.is_one_of(&TOO_LONG) || too_long => ErrorKind::ContextTooLong,
            _ if self.is_one_of(&["model_not_found"]) => ErrorKind::ModelNotFound,
            _ if self.is_one_of(&["content_filter"]) => ErrorKind::Filtered,
            401 | 403 => ErrorKind::Auth,
            402 => ErrorKind::Quota,
            404 if message.contains("model") => ErrorKind::ModelNotFound,
            404 | 405 => ErrorKind::Unsupported,
            429 => ErrorKind::RateLimited { retry_after },
            503 | 529 => ErrorKind::Overloaded { retry_after },
            408 | 500..=599 => ErrorKind::Unavailable,
            // An error without a status of its own, inside a stream.
            200 if self.is_one_of(&["rate_limit_exceeded", "rate_limit_error"]) => {
                ErrorKind::RateLimited { retry_after }
            }
            200 if self.is_one_of(&["invalid_request_error"]) => ErrorKind::InvalidRequest,
            200 if self.is_one_of(&["authentication_error"]) => ErrorKind::Auth,
            200 => ErrorKind::Unavailable,
            _ => ErrorKind::InvalidRequest,
        }
    }
}

/// The error of an answer that is no success.
pub(super) async fn of_response(response: Response, key: Option<&SecretString>) -> Error {
    let (status, place) = (response.status(), response.place());
    let request_id = response.header("x-request-id").map(str::to_owned);
    let retry_after = response.limits().retry_after;
    let moved_to = response.header("location").is_some() && (300..400).contains(&status);
    let body = response.text().await.unwrap_or_default();
    let said = serde_json::from_str(&body).ok().and_then(|body| Said::read(&body));
    let error = match said {
        Some(said) => {
            let kind = said.kind(status, retry_after);
            Error::new(kind, format!("{place}: {status}: {}", cleaned(&said.message, key)))
        }
        None if moved_to => {
            let message = format!(
                "{place}: {status}: it sends elsewhere, and a key must not follow; correct the base URL"
            );
            Error::new(ErrorKind::InvalidRequest, message)
        }
        None => {
            let kind = Said::default().kind(status, retry_after);
            Error::new(kind, format!("{place}: {status}: {}", cleaned(&body, key)))
        }
    };
    // A server that failed may have been at work; one that refused was not.
    let billed = if error.kind() == ErrorKind::Unavailable { Billed::Maybe } else { Billed::No };
    error.with_billed(billed).with_request_id(request_id)
}

/// An error that the server reports inside an answer that began well.
pub(super) fn of_event(said: &Said, place: &str, key: Option<&SecretString>) -> Error {
    let message = format!("{place}: the answer broke off with an error: {}", cleaned(&said.message, key));
    Error::new(said.kind(200, None), message).with_billed(Billed::Maybe)
}

/// An error of the connection. Once the request is on its way, nobody knows how far the server got.
pub(super) fn of_http(err: &antiphon_http::Error) -> Error {
    let (kind, billed) = match err.kind() {
        HttpKind::InvalidRequest => (ErrorKind::InvalidRequest, Billed::No),
        HttpKind::Connect | HttpKind::Tls => (ErrorKind::Connect, Billed::No),
        HttpKind::Timeout { phase: HttpPhase::Connect } => {
            (ErrorKind::Timeout { phase: Phase::Connect }, Billed::No)
        }
        HttpKind::Timeout { phase: HttpPhase::FirstByte } => {
            (ErrorKind::Timeout { phase: Phase::FirstToken }, Billed::Maybe)
        }
        HttpKind::Timeout { .. } => (ErrorKind::Timeout { phase: Phase::NextToken }, Billed::Maybe),
        HttpKind::InvalidResponse | HttpKind::TooLarge { .. } => (ErrorKind::InvalidResponse, Billed::Maybe),
        _ => (ErrorKind::Unavailable, Billed::Maybe),
    };
    Error::new(kind, err.to_string()).with_billed(billed)
}

/// A server's words on one line, shortened, and without keys: some servers repeat what they were sent.
pub(super) fn cleaned(text: &str, key: Option<&SecretString>) -> String {
    const MOST: usize = 300;
    let text = match key.map(|key| key.expose_secret()).filter(|key| !key.is_empty()) {
        Some(key) => text.replace(key, "[key]"),
        None => text.to_owned(),
    };
    let key_at = |word: &str| {
        let starts =
            |at: &usize| !word[..*at].ends_with(|c: char| c.is_alphanumeric()) && word.len() > at + 6;
        word.match_indices("sk-").map(|(at, _)| at).find(starts)
    };
    let visible = text.split_whitespace().map(|word| match key_at(word) {
        Some(at) => format!("{}[key]", &word[..at]),
        None => word.chars().filter(|c| !c.is_control()).collect(),
    });
    let line = visible.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no further word".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use antiphon_http::SecretString;
    use antiphon_llm::ErrorKind;
    use serde_json::{Value, json};

    use super::{Said, cleaned};

    #[track_caller]
    fn check(status: u16, body: Value, expected: ErrorKind) {
        assert_eq!(Said::read(&body).unwrap().kind(status, None), expected, "{body}");
    }

    #[test]
    fn servers_say_the_same_in_many_ways() {
        let error = |message: &str, label: &str| json!({ "error": { "message": message, "type": label, "code": null } });
        check(401, error("Incorrect API key", "invalid_request_error"), ErrorKind::Auth);
        check(429, error("You exceeded your current quota", "insufficient_quota"), ErrorKind::Quota);
        check(429, error("Slow down", "tokens"), ErrorKind::RateLimited { retry_after: None });
        check(404, error("The model `x` does not exist", "invalid_request_error"), ErrorKind::ModelNotFound);
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
        assert_eq!(Said::read(&json!({ "choices": [], "error": null })), None);
    }

    #[test]
    fn keys_are_cut_out_of_what_servers_say() {
        let key = SecretString::from("topsecret");
        assert_eq!(cleaned("disk-quota-exceeded", None), "disk-quota-exceeded");
        let text = cleaned("no: topsecret\u{7} and\n sk-abcdef123", Some(&key));
        assert_eq!(text, "no: [key] and [key]");
        assert_eq!(cleaned(" \n", None), "no further word");
        assert!(cleaned(&"é".repeat(999), None).chars().count() == 301);
    }
}
