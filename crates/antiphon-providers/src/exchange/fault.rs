//! Errors that servers report, and errors of the connection, as kinds of [`Error`].
//!
//! Each vendor maps its own error bodies; this module has the parts in common: the meaning of bare statuses,
//! the question whether a failed call may be billed, and the cleaning of a server's text before it becomes part
//! of a message. A server's text is untrusted: it may contain the key, control characters, or megabytes of HTML
//! from a proxy.

use std::time::Duration;

use antiphon_http::{ErrorKind as HttpKind, RequestPhase as HttpPhase};
use antiphon_llm::{Billed, Error, ErrorKind, LimitHints, Redactor, TimeoutPhase, redact};

/// An error that a server reports.
///
/// A decoder and a [`ReadFault`] return it; the reader or the link turns it into an [`Error`] with place,
/// billing, limits and partial answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The kind, by which a caller decides about a retry.
    pub(crate) kind: ErrorKind,
    /// The server's own text, not yet [`cleaned`].
    pub(crate) message: String,
    /// The limits that the error itself reports, where no header does.
    pub(crate) limits: Option<Box<LimitHints>>,
    /// The status that the error itself names inside an answer with status 200.
    pub(crate) status: Option<u16>,
    /// The vendor's code, not yet [`cleaned`].
    pub(crate) code: Option<Box<str>>,
    /// The id of the request, where the body has it.
    pub(crate) request_id: Option<Box<str>>,
    /// The time until a used-up quota resets.
    pub(crate) resets_in: Option<Duration>,
    /// Whether the server reports no error, but sent what is not in its format.
    pub(crate) is_malformed: bool,
}

/// A reader of a vendor's errors, from a status, a body and the server's `retry_after`; `None` for a body
/// without an error.
pub(crate) type ReadFault = fn(u16, &serde_json::Value, Option<Duration>) -> Option<Fault>;

impl Fault {
    /// Creates an error without limits of its own; those of the response's headers then apply.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            limits: None,
            status: None,
            code: None,
            request_id: None,
            resets_in: None,
            is_malformed: false,
        }
    }

    /// Creates the error with a message, which the caller has [`cleaned`], and with what the fault itself reports beside its limits.
    pub(super) fn to_error(&self, message: String, secrets: &Redactor) -> Error {
        let clean = |text: &str| cleaned(text, secrets);
        Error::new(self.kind, message)
            .with_status(self.status)
            .with_code(self.code.as_deref().map(clean))
            .with_request_id(self.request_id.as_deref().map(clean))
            .with_resets_in(self.resets_in)
    }

    /// Creates the error of an event that cannot be decoded.
    pub(crate) fn malformed(err: &serde_json::Error) -> Self {
        let fault =
            Self::new(ErrorKind::InvalidResponse, format!("cannot decode an event of the answer: {err}"));
        Self { is_malformed: true, ..fault }
    }

    /// Reads the error in an event that is marked as having one.
    ///
    /// The HTTP status of the stream was 200, so the kind comes from the body alone. `None` if the data is no
    /// JSON or has no error.
    pub(crate) fn within(data: &str, read: ReadFault) -> Option<Self> {
        read(200, &serde_json::from_str(data).ok()?, None)
    }

    /// Returns whether a call is billed that failed before its first token: not where the server refused it before a model ran.
    ///
    /// The list has the kinds that cost nothing, so that a new kind counts as possibly billed until it is added.
    pub(super) fn billed_before_words(&self) -> Billed {
        match self.kind {
            ErrorKind::InvalidRequest
            | ErrorKind::Auth
            | ErrorKind::ModelNotFound
            | ErrorKind::Unsupported
            | ErrorKind::Quota
            | ErrorKind::RateLimited { .. }
            | ErrorKind::Overloaded { .. }
            | ErrorKind::ContextTooLong
            | ErrorKind::Exhausted => Billed::No,
            _ => Billed::Maybe,
        }
    }
}

/// Maps a status without further information to a kind (RFC 9110, and 529 as Anthropic and others use it for "overloaded").
///
/// A vendor's reader of errors uses it where the body says nothing more specific.
///
/// | status | kind |
/// |---|---|
/// | 401, 403 | `Auth` |
/// | 402 | `Quota` |
/// | 404, 405, 501, 505 | `Unsupported`: usually a wrong base URL |
/// | 413 | `ContextTooLong` |
/// | 429 | `RateLimited` |
/// | 498, 503, 529 | `Overloaded` (498: Groq's flex tier) |
/// | 200, 408, 409, 425, other 5xx | `Unavailable` |
/// | other 2xx | `InvalidResponse` |
/// | any other | `InvalidRequest`, which is not retried |
pub(crate) fn kind_of_status(status: u16, retry_after: Option<Duration>) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Auth,
        402 => ErrorKind::Quota,
        404 | 405 | 501 | 505 => ErrorKind::Unsupported,
        413 => ErrorKind::ContextTooLong,
        429 => ErrorKind::RateLimited { retry_after },
        498 | 503 | 529 => ErrorKind::Overloaded { retry_after },
        // 200: an error without a status of its own, inside a stream. 409: a lock, as OpenAI describes it; 425: too early.
        200 | 408 | 409 | 425 | 500..=599 => ErrorKind::Unavailable,
        201..=299 => ErrorKind::InvalidResponse,
        _ => ErrorKind::InvalidRequest,
    }
}

/// Returns whether a message contains one of `things`, ignoring case.
///
/// Only the message is converted, so `things` must be in lower case. Use it where a vendor has no code for a
/// condition: texts change more often than codes.
pub(crate) fn is_about(message: &str, things: &[&str]) -> bool {
    let message = message.to_lowercase();
    things.iter().any(|thing| message.contains(thing))
}

/// Maps an error of the connection. Once the request may have left, its call counts as possibly billed.
///
/// | failure | billed |
/// |---|---|
/// | no connection, no TLS, no file descriptor, a time-out or a deadline before the connection was open | no: nothing was written |
/// | the connection broke, in the phase `Connect` | no: it ended before a byte of the request was written |
/// | the connection broke later, also one that the server may have closed while it was idle | possibly: the server may have read the request |
/// | any other, after the connection was open | possibly |
///
/// A call is a `POST` without an idempotency key, which the HTTP client repeats only where nothing of it was written. A TLS error
/// stays one, and is not retried. A wait for the response's head counts as the wait for the first token; a later one, as the wait
/// for the next token. Its text has the server's request id, and is therefore [`cleaned`].
pub(crate) fn of_http(err: &antiphon_http::Error, secrets: &Redactor) -> Error {
    let (kind, billed) = match err.kind() {
        HttpKind::InvalidRequest => (ErrorKind::InvalidRequest, Billed::No),
        HttpKind::Exhausted => (ErrorKind::Exhausted, Billed::No),
        HttpKind::Connect => (ErrorKind::Connect, Billed::No),
        HttpKind::Tls => (ErrorKind::Tls, billed_after(err.phase())),
        HttpKind::DeadlineExceeded => {
            (ErrorKind::Timeout { phase: TimeoutPhase::Total }, billed_after(err.phase()))
        }
        HttpKind::Timeout { phase: HttpPhase::Connect | HttpPhase::Tls | HttpPhase::Queue } => {
            (ErrorKind::Timeout { phase: TimeoutPhase::Connect }, Billed::No)
        }
        HttpKind::Timeout { phase: HttpPhase::Send | HttpPhase::FirstByte } => {
            (ErrorKind::Timeout { phase: TimeoutPhase::FirstToken }, Billed::Maybe)
        }
        HttpKind::Timeout { .. } => (ErrorKind::Timeout { phase: TimeoutPhase::NextToken }, Billed::Maybe),
        HttpKind::Interrupted => (ErrorKind::Unavailable, billed_after(err.phase())),
        HttpKind::InvalidResponse | HttpKind::TooLarge { .. } => (ErrorKind::InvalidResponse, Billed::Maybe),
        // After any other failure the server may have processed the request.
        _ => (ErrorKind::Unavailable, Billed::Maybe),
    };
    Error::new(kind, cleaned(&err.to_string(), secrets)).with_billed(billed)
}

/// Returns the billing of a call that failed in a phase: possibly billed once a part of the request may have left.
fn billed_after(phase: HttpPhase) -> Billed {
    match phase {
        HttpPhase::Queue | HttpPhase::Connect | HttpPhase::Tls => Billed::No,
        _ => Billed::Maybe,
    }
}

/// The maximum length of a server's text in an error, in characters.
const MAX_LENGTH: usize = 300;

/// Returns a server's text on one line, shortened to 300 characters, and without keys: some servers echo the request.
///
/// Line breaks and runs of spaces become one space, and control characters are removed, so that a message
/// cannot forge lines in a log. An empty text becomes "no further details".
pub(crate) fn cleaned(text: &str, secrets: &Redactor) -> String {
    // Names of models and of answers are such words; every answer has some.
    let is_word = |c: char| !c.is_whitespace() && !c.is_control();
    if (1..=MAX_LENGTH).contains(&text.len()) && text.chars().all(is_word) {
        return redact(&secrets.redact(text), &[]);
    }
    let text = redacted_beginning(text, secrets);
    let visible = text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect());
    let line = visible.collect::<Vec<String>>().join(" ");
    // Spaces or control characters may have been within a key.
    let line = redact(&secrets.redacted(line), &[]);
    match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no further details".to_owned(),
        None => line,
    }
}

/// Returns the beginning of a text without secrets. A body may have megabytes, and only its beginning is shown.
///
/// The cut is made after eight times the maximum length. What is held back at the cut may begin a secret, and any remainder of a
/// word before it may be a key.
fn redacted_beginning(text: &str, secrets: &Redactor) -> String {
    let Some((end, _)) = text.char_indices().nth(8 * MAX_LENGTH) else {
        return redact(&secrets.redact(text), &[]);
    };
    let mut text = redact(&secrets.stream().push(&text[..end]), &[]);
    let is_of_keys = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.truncate(text.trim_end_matches(is_of_keys).len());
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_http::{Client, ErrorKind as HttpKind};
    use antiphon_llm::{Billed, ErrorKind, Redactor, TimeoutPhase, TruncationCause, Verdict};

    use super::{Fault, cleaned, kind_of_status, of_http};

    #[tokio::test]
    async fn a_tls_error_stays_one_and_is_not_retried() {
        let client = Client::builder().add_root_certificate("nonsense").build();
        let err = client.get("https://localhost:1/").await.unwrap_err();
        assert_eq!(err.kind(), HttpKind::Tls);
        let err = of_http(&err, &Redactor::default());
        assert_eq!((err.kind(), err.billed(), err.verdict()), (ErrorKind::Tls, Billed::No, Verdict::Stop));
    }

    #[tokio::test]
    async fn a_total_timeout_is_not_that_of_a_phase() {
        let err = Client::builder().timeout(Duration::ZERO).build().get("http://localhost:1/").await;
        let err = of_http(&err.unwrap_err(), &Redactor::default());
        assert_eq!(err.kind(), ErrorKind::Timeout { phase: TimeoutPhase::Total });
        assert_eq!(err.verdict(), Verdict::Stop);
    }

    #[track_caller]
    fn check_billed(kind: ErrorKind, before_words: Billed) {
        assert_eq!(Fault::new(kind, "no").billed_before_words(), before_words);
    }

    #[test]
    fn the_statuses_that_are_retried() {
        let is_retried = |status| kind_of_status(status, None).verdict() != Verdict::Stop;
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 529, 530, 599] {
            assert!(is_retried(status), "{status}");
        }
        for status in [204, 300, 400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 431, 451, 501, 505] {
            assert!(!is_retried(status), "{status}");
        }
    }

    #[test]
    fn only_refusals_before_the_model_runs_cost_nothing() {
        for status in [400, 401, 402, 404, 413, 429, 503] {
            check_billed(kind_of_status(status, None), Billed::No);
        }
        check_billed(kind_of_status(500, None), Billed::Maybe);
        check_billed(ErrorKind::Filtered, Billed::Maybe);
        for kind in [
            ErrorKind::ModelRefusal,
            ErrorKind::InvalidResponse,
            ErrorKind::Truncated { cause: TruncationCause::Disconnected },
            ErrorKind::Timeout { phase: TimeoutPhase::FirstToken },
            ErrorKind::SchemaMismatch,
        ] {
            check_billed(kind, Billed::Maybe);
        }
    }

    #[test]
    fn keys_are_redacted_from_server_messages() {
        let (key, none) = (Redactor::new(["topsecret"], []), Redactor::default());
        let text = cleaned("no: topsecret\u{7} and\n sk-abcdef123456", &key);
        assert_eq!(text, "no: [key] and [key]");
        assert_eq!(cleaned("no: tops\u{7}ecret, top\u{7f}%73ecret", &key), "no: [key], [key]");
        assert_eq!(cleaned(" \n", &none), "no further details");
        assert!(cleaned(&"é".repeat(999), &none).chars().count() == 301);
        assert!(cleaned(&"[1,2],".repeat(9_999), &none).starts_with("[1,2],"), "without a single space");
        for before in 2_380..2_420 {
            let text = format!("{}top/secret", " ".repeat(before)) + &" ".repeat(9_999);
            let text = cleaned(&text, &Redactor::new(["top/secret"], []));
            assert!(!text.contains("top"), "{before}: {text}");
        }
    }
}
