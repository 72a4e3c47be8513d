use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::endpoint::Endpoint;

/// The reason why a request failed, or why only a part of its response arrived.
///
/// The message names method and host, never a path, a query or a header's value, since those may hold secrets. There is
/// no `source`, for the same reason: reqwest's errors print the address.
///
/// | question | answer |
/// |---|---|
/// | what can the caller do? | [`kind`](Self::kind) |
/// | may the server have acted on the request? | [`phase`](Self::phase): not before `FirstByte` |
/// | when is another request worth while? | [`retry_after`](Self::retry_after) |
/// | by what can the server's log be searched? | [`request_id`](Self::request_id) |
///
/// # Examples
/// ```
/// use antiphon_http::{Client, ErrorKind, RequestPhase};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let err = Client::default().get("not an address").await.unwrap_err();
/// assert_eq!((err.kind(), err.phase()), (ErrorKind::InvalidRequest, RequestPhase::Queue));
/// assert_eq!((err.method(), err.attempts()), ("GET", 1));
/// # }
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    phase: RequestPhase,
    endpoint: Endpoint,
    attempts: u32,
    request_id: Option<String>,
    /// The server's `Retry-After`; that of a circuit breaker is in the kind.
    retry_after: Option<Duration>,
    /// The cause, without secrets; empty where the kind says all.
    reason: String,
}

/// The kind of an [`Error`], by which a caller decides how to react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The address, the method or a header is not valid.
    InvalidRequest,
    /// The connection could not be opened. Nothing was sent, so a retry is safe for every method.
    Connect,
    /// This process or this machine has no file descriptor left for a connection (`EMFILE` or `ENFILE`). The server is not at
    /// fault.
    Exhausted,
    /// The TLS handshake failed, or the server's certificate is not trusted.
    Tls,
    /// A timeout or the deadline passed. After the phase `FirstByte`, the server may have acted on the request.
    Timeout {
        /// The phase that took too long.
        phase: RequestPhase,
    },
    /// The connection broke before the response was complete. The server may have acted on the request.
    Interrupted,
    /// The body ended within an event, although the connection did not break.
    Truncated,
    /// The body, decompressed, is larger than allowed.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The response is not valid HTTP, or does not match its headers.
    InvalidResponse,
    /// The body is not JSON of the expected type.
    InvalidJson,
    /// The server responded with a status that is not a success.
    Status {
        /// The status code, such as 404.
        status: u16,
    },
    /// The circuit breaker is open and rejected the request.
    CircuitOpen {
        /// The time until the breaker admits a request, if it is known.
        retry_after: Option<Duration>,
    },
    /// The file's SHA-256 is not the expected one.
    ChecksumMismatch,
    /// A file of a download or an upload could not be read or written.
    File,
    /// The caller cancelled the transfer with its token.
    Cancelled,
}

/// The phase of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestPhase {
    /// Before sending: the validation of the request, and the waits for the rate limiter and for a free connection.
    Queue,
    /// Opening the connection.
    Connect,
    /// From sending the request to the response's head.
    FirstByte,
    /// Waiting for the next piece of the body.
    NextByte,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        phase: RequestPhase,
        endpoint: Endpoint,
        reason: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            phase,
            endpoint,
            attempts: 1,
            request_id: None,
            retry_after: None,
            reason: reason.into(),
        }))
    }

    /// Creates the error of a timeout in `phase`.
    pub(crate) fn timeout(phase: RequestPhase, endpoint: Endpoint) -> Self {
        Self::new(ErrorKind::Timeout { phase }, phase, endpoint, "")
    }

    /// Converts an error of reqwest, without the address that reqwest would print.
    pub(crate) fn of_reqwest(err: reqwest::Error, endpoint: Endpoint, phase: RequestPhase) -> Self {
        let err = err.without_url();
        if let Some(failed) = causes(&err).find_map(|cause| cause.downcast_ref::<BodyError>()) {
            return Self::new(failed.kind, RequestPhase::FirstByte, endpoint, &failed.reason);
        }
        let (kind, phase) = classify(&err, phase);
        Self::new(kind, phase, endpoint, root_cause(&err))
    }

    /// Sets the number of attempts.
    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Sets the wait that the server asked for.
    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Sets the server's request id.
    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the phase in which the request failed.
    #[must_use]
    pub fn phase(&self) -> RequestPhase {
        self.0.phase
    }

    /// Returns the request's method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.0.endpoint.method()
    }

    /// Returns the host, with its port if that is not the scheme's default; empty if the address has no host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.endpoint.host()
    }

    /// Returns the status, if the server responded with one that is not a success.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.0.kind {
            ErrorKind::Status { status } => Some(status),
            _ => None,
        }
    }

    /// Returns the number of attempts, from 1. An attempt that failed before anything was sent counts, too.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the time to wait before the next request: the server's `Retry-After`, or the time until the circuit breaker
    /// admits a request.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.kind {
            ErrorKind::CircuitOpen { retry_after } => retry_after,
            _ => self.0.retry_after,
        }
    }

    /// Returns the server's request id, if the response had one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, endpoint, reason, attempts, request_id, .. } = &*self.0;
        write!(f, "{endpoint}: ")?;
        match kind {
            ErrorKind::InvalidRequest | ErrorKind::CircuitOpen { .. } => write!(f, "{reason}"),
            ErrorKind::Connect => write!(f, "no connection: {reason}"),
            ErrorKind::Exhausted => write!(
                f,
                "no connection: {reason} on this machine. Raise the limit of file descriptors (RLIMIT_NOFILE) with \
                 ulimit -n"
            ),
            ErrorKind::Tls => write!(f, "no TLS connection: {reason}"),
            ErrorKind::Timeout { phase: RequestPhase::Queue } => {
                write!(f, "no free connection or rate limit permit in time")
            }
            ErrorKind::Timeout { phase: RequestPhase::Connect } => write!(f, "no connection in time"),
            ErrorKind::Timeout { phase: RequestPhase::FirstByte } => write!(f, "no answer in time"),
            ErrorKind::Timeout { phase: RequestPhase::NextByte } => {
                write!(f, "the answer stalled: no more data in time")
            }
            ErrorKind::Interrupted => write!(f, "the connection broke: {reason}"),
            ErrorKind::Truncated => write!(f, "the answer is incomplete: its body ended early"),
            ErrorKind::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            ErrorKind::InvalidResponse => write!(f, "the answer is not valid HTTP: {reason}"),
            ErrorKind::InvalidJson => write!(f, "the answer is not the expected JSON: {reason}"),
            ErrorKind::Status { status } if reason.is_empty() => write!(f, "status {status}"),
            ErrorKind::Status { status } => write!(f, "status {status}: {reason}"),
            ErrorKind::ChecksumMismatch => write!(f, "checksum mismatch: {reason}"),
            ErrorKind::File => write!(f, "{reason}"),
            ErrorKind::Cancelled => write!(f, "cancelled"),
        }?;
        if let Some(id) = request_id {
            write!(f, " (request {id})")?;
        }
        match attempts {
            0 | 1 => Ok(()),
            attempts => write!(f, " ({attempts} attempts)"),
        }
    }
}

impl StdError for Error {}

/// Returns the kind of a reqwest error, and the phase: `phase`, unless the error shows an earlier one. The order
/// matters, since reqwest's predicates overlap: a failed handshake, for one, is a connect error.
fn classify(err: &reqwest::Error, phase: RequestPhase) -> (ErrorKind, RequestPhase) {
    match () {
        () if is_exhausted(err) => (ErrorKind::Exhausted, RequestPhase::Connect),
        () if err.is_builder() => (ErrorKind::InvalidRequest, RequestPhase::Queue),
        () if err.is_timeout() && err.is_connect() => {
            (ErrorKind::Timeout { phase: RequestPhase::Connect }, RequestPhase::Connect)
        }
        () if err.is_timeout() => (ErrorKind::Timeout { phase }, phase),
        () if err.is_connect() && is_tls(err) => (ErrorKind::Tls, RequestPhase::Connect),
        () if err.is_connect() => (ErrorKind::Connect, RequestPhase::Connect),
        () if is_corrupt(err) => (ErrorKind::InvalidResponse, phase),
        () if is_parse(err) && phase == RequestPhase::FirstByte => (ErrorKind::InvalidResponse, phase),
        () => (ErrorKind::Interrupted, phase),
    }
}

/// Returns an error and the errors behind it, the outermost first.
fn causes<'a>(err: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(err), |err| (**err).source())
}

/// Returns the text of the innermost cause, which names the system's or the peer's reason.
fn root_cause(err: &reqwest::Error) -> String {
    let mut text = causes(err).last().map(ToString::to_string).unwrap_or_default();
    // The system's error number adds nothing to its text.
    if let Some(at) = text.find(" (os error ") {
        text.truncate(at);
    }
    text
}

/// Returns whether the system had no file descriptor left, for this process (`EMFILE`) or at all (`ENFILE`).
/// [`std::io::ErrorKind`] has no kind for either.
fn is_exhausted(err: &(dyn StdError + 'static)) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let io = causes(err).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    cfg!(unix) && io.filter_map(std::io::Error::raw_os_error).any(|code| matches!(code, ENFILE | EMFILE))
}

/// Returns whether rustls is among the causes, also where it is wrapped in I/O errors.
fn is_tls(err: &reqwest::Error) -> bool {
    causes(err).any(|cause| {
        // `io::Error::source` skips the error that it wraps, and one `io::Error` may wrap another.
        let io =
            std::iter::successors(cause.downcast_ref::<std::io::Error>(), |io| io.get_ref()?.downcast_ref());
        cause.is::<rustls::Error>()
            || io.filter_map(std::io::Error::get_ref).any(|inner| inner.is::<rustls::Error>())
    })
}

/// Returns whether a body does not match its headers, such as broken gzip or chunks.
fn is_corrupt(err: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let mut io = causes(err).filter_map(|cause| cause.downcast_ref::<std::io::Error>()).peekable();
    (err.is_decode() && io.peek().is_none()) || io.any(|io| matches!(io.kind(), InvalidData | InvalidInput))
}

/// An error while a request's body was produced.
#[derive(Debug)]
pub(crate) struct BodyError {
    /// `File` for a file, `InvalidRequest` for a stream of the caller.
    pub(crate) kind: ErrorKind,
    /// The message.
    pub(crate) reason: String,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl StdError for BodyError {}

/// Returns whether the bytes received are not HTTP. hyper does not export its error type, but its messages are fixed.
fn is_parse(err: &reqwest::Error) -> bool {
    causes(err).any(|cause| {
        let text = cause.to_string();
        text.starts_with("invalid HTTP") || text == "message head is too large"
    })
}

/// The values that are removed from a quoted response, since a server may repeat what it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Vec<HeaderValue>);

/// The minimum length in bytes of a secret; shorter words would match everywhere.
const MIN_SECRET: usize = 4;

impl Secrets {
    /// Collects the values of the headers that the caller set.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(headers.values().filter(|value| value.is_sensitive()).cloned().collect())
    }

    /// Removes the secrets from `text`, and also the parts of the address other than its host.
    fn redact(&self, text: &mut String, url: Option<&Url>) {
        let headers = self.0.iter().filter_map(|value| value.to_str().ok());
        let words =
            headers.flat_map(|value| [Some(value), value.split_once(' ').map(|(_, key)| key)]).flatten();
        let mut secrets: Vec<String> = words.map(str::to_owned).collect();
        if let Some(url) = url {
            secrets.extend([url.path(), url.query().unwrap_or_default(), url.username()].map(str::to_owned));
            secrets.extend(url.password().map(str::to_owned));
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        // The longest first, since a query contains its values.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets.iter().filter(|secret| secret.len() >= MIN_SECRET) {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), "[…]");
            }
        }
    }
}

/// Returns the beginning of an error's body: at most 200 bytes on one line, without control characters and without the
/// request's secrets.
pub(crate) fn excerpt(body: &[u8], secrets: &Secrets, url: Option<&Url>) -> String {
    const MAX_LENGTH: usize = 200;
    let mut text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_LENGTH)]).into_owned();
    secrets.redact(&mut text, url);
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.len() > MAX_LENGTH {
        line.truncate(line.floor_char_boundary(MAX_LENGTH));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use url::Url;

    use super::Secrets;

    #[track_caller]
    fn check(body: &[u8], expected: &str) {
        assert_eq!(super::excerpt(body, &Secrets::default(), None), expected);
    }

    #[cfg(unix)]
    #[test]
    fn exhausted_descriptors_are_recognised_by_error_number() {
        let is_exhausted = |code| super::is_exhausted(&std::io::Error::from_raw_os_error(code));
        assert_eq!([23, 24, 111].map(is_exhausted), [true, true, false]);
    }

    #[test]
    fn an_excerpt_is_one_short_clean_line() {
        check(b"{\n  \"error\":\t\"no\x1b[31m\"\r\n}", "{ \"error\": \"no [31m\" }");
        check("é".repeat(500).as_bytes(), &format!("{}…", "é".repeat(100)));
        check(&[0xff, b'a'], "\u{fffd}a");
    }

    #[test]
    fn an_excerpt_does_not_repeat_the_requests_secrets() {
        let mut key = HeaderValue::from_static("Bearer sk-topsecret");
        key.set_sensitive(true);
        let secrets = Secrets::of(&HeaderMap::from_iter([(http::header::AUTHORIZATION, key)]));
        let url = Url::parse("https://me:topsecret@h/bot/topsecret?token=topsecret%21&a=1").unwrap();
        let body = "no /bot/topsecret?token=topsecret%21&a=1 for me:topsecret with Bearer sk-topsecret, sk-topsecret, topsecret!";
        let said = super::excerpt(body.as_bytes(), &secrets, Some(&url));
        assert!(!said.contains("topsecret") && said.starts_with("no […]"), "{said}");
    }
}
