use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::invalid::InvalidRequest;
use crate::reused::is_unwritten;
use crate::tls::TlsSetupError;

/// The reason why a request failed, or why only a part of its response arrived.
///
/// Message and `Debug` name method, host and status, never a path, a query, a user, a body or a header's value other than
/// the server's request id, since those may hold secrets. There is no `source`, for the same reason: reqwest's errors print
/// the address.
///
/// | question | answer |
/// |---|---|
/// | what can the caller do? | [`kind`](Self::kind) |
/// | how far did the request get? | [`phase`](Self::phase) |
/// | may the server have acted on the request? | [`phase`](Self::phase): not before `Send`, and on a whole request not before `FirstByte` |
/// | what did the server respond? | [`status`](Self::status) |
/// | which request of a batch was it? | [`index`](Self::index) |
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
    /// The status of the response, if its head arrived.
    status: Option<u16>,
    /// The position in a batch, from 0.
    index: Option<usize>,
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
    /// The TLS handshake failed, or the server's certificate is not accepted: unknown, expired or of another name. Another
    /// request would fail as well, so it is never retried.
    Tls,
    /// A timeout of one phase passed: to the connection ([`connect_timeout`](crate::ClientBuilder::connect_timeout)), to the
    /// first byte ([`first_byte_timeout`](crate::ClientBuilder::first_byte_timeout)) or between two pieces of the body
    /// ([`idle_timeout`](crate::ClientBuilder::idle_timeout)). A first-byte timeout that passes before the connection is open has
    /// the phase `Connect`, too: nothing was sent. From the phase `FirstByte` on, the server may have acted on the request.
    Timeout {
        /// The phase that took too long.
        phase: RequestPhase,
    },
    /// The total time of the request is used up: its [`deadline`](crate::Request::deadline), or the client's
    /// [`timeout`](crate::ClientBuilder::timeout). The error's [`phase`](Error::phase) is the one in which that happened. A
    /// retry is not in time.
    DeadlineExceeded,
    /// The connection broke before the response was complete. The server may have acted on the request, except in the phase
    /// `Connect`, in which nothing of it was written.
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
    /// Opening the connection, up to the first byte of the request. Its timeout covers the TLS handshake, too.
    Connect,
    /// Setting up TLS: reading the trusted certificates, and the handshake.
    Tls,
    /// Sending a body that is streamed or read from a file. The server does not have the whole request.
    Send,
    /// From sending the request to the end of the response's head; also that of a response whose status is the error.
    FirstByte,
    /// Waiting for the next piece of the body, and reading it.
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
            status: None,
            index: None,
            attempts: 1,
            request_id: None,
            retry_after: None,
            reason: reason.into(),
        }))
    }

    /// Creates the error of a request that is not valid.
    pub(crate) fn invalid_request(reason: &InvalidRequest, endpoint: Endpoint) -> Self {
        Self::new(ErrorKind::InvalidRequest, RequestPhase::Queue, endpoint, reason.to_string())
    }

    /// Creates the error of a TLS configuration that cannot be set up.
    pub(crate) fn tls_setup(reason: &TlsSetupError, endpoint: Endpoint) -> Self {
        Self::new(ErrorKind::Tls, RequestPhase::Tls, endpoint, reason.to_string())
    }

    /// Creates the error of a timeout in `phase`.
    pub(crate) fn timeout(phase: RequestPhase, endpoint: Endpoint) -> Self {
        Self::new(ErrorKind::Timeout { phase }, phase, endpoint, "")
    }

    /// Creates the error of a deadline that passed in `phase`.
    pub(crate) fn deadline(phase: RequestPhase, endpoint: Endpoint) -> Self {
        Self::new(ErrorKind::DeadlineExceeded, phase, endpoint, "")
    }

    /// Creates the error of a body that is not JSON of the expected type.
    pub(crate) fn invalid_json(err: &serde_json::Error, endpoint: Endpoint) -> Self {
        Self::new(ErrorKind::InvalidJson, RequestPhase::NextByte, endpoint, json_reason(err))
    }

    /// Converts an error of reqwest, without the address that reqwest would print.
    pub(crate) fn of_reqwest(err: reqwest::Error, endpoint: Endpoint, phase: RequestPhase) -> Self {
        let err = err.without_url();
        if let Some(failed) = causes(&err).find_map(|cause| cause.downcast_ref::<BodyError>()) {
            return Self::new(failed.kind, RequestPhase::Send, endpoint, &failed.reason);
        }
        let (kind, phase) = classify(&err, phase);
        Self::new(kind, phase, endpoint, root_cause(&err))
    }

    /// Sets the number of attempts.
    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Sets the status of the response.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the position in a batch.
    #[cfg(feature = "transfer")]
    pub(crate) fn with_index(mut self, index: usize) -> Self {
        self.0.index = Some(index);
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

    /// Returns the status of the response, if its head arrived; also a success, if the body failed after it.
    ///
    /// A status that is itself the failure is in the kind, too: [`ErrorKind::Status`].
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the position of the request in its [`batch`](crate::Client::batch) or [`fetch`](crate::fetch), from 0; `None`
    /// for a single request.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        self.0.index
    }

    /// Returns the number of attempts, from 1. An attempt that failed before anything was sent counts, too; a request that was
    /// sent once more because the server had closed an idle connection counts once.
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
        let Inner { kind, phase, endpoint, reason, attempts, request_id, .. } = &*self.0;
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
            ErrorKind::Timeout { phase: RequestPhase::Tls } => write!(f, "no TLS connection in time"),
            ErrorKind::Timeout { phase: RequestPhase::Send } => write!(f, "the request was not sent in time"),
            ErrorKind::DeadlineExceeded => write!(f, "{}", deadline_message(*phase)),
            ErrorKind::Interrupted => write!(f, "the connection broke: {reason}"),
            ErrorKind::Truncated => write!(f, "the answer is incomplete: its body ended early"),
            ErrorKind::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            ErrorKind::InvalidResponse => write!(f, "the answer is not valid HTTP: {reason}"),
            ErrorKind::InvalidJson => write!(f, "the answer is not the expected JSON: {reason}"),
            ErrorKind::Status { status: status @ 300..400 } => {
                write!(f, "status {status}: the redirect was not followed")
            }
            ErrorKind::Status { status } => write!(f, "status {status}{}", status_name(*status)),
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

/// Returns the message of a deadline that passed in a phase.
fn deadline_message(phase: RequestPhase) -> &'static str {
    match phase {
        RequestPhase::Queue => "the deadline passed before a connection or a rate limit permit was free",
        RequestPhase::Connect | RequestPhase::Tls => "the deadline passed before the connection was open",
        RequestPhase::Send => "the deadline passed before the request was sent",
        RequestPhase::FirstByte => "the deadline passed before the answer began",
        RequestPhase::NextByte => "the deadline passed before the answer was complete",
    }
}

/// Returns a status's name in RFC 9110 and its successors, in parentheses; empty for a status without one. The text that the
/// server sent is not used, since it may repeat the request.
fn status_name(status: u16) -> String {
    let name = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    name.map_or_else(String::new, |name| format!(" ({name})"))
}

/// Returns the reason why a body is not JSON of the expected type, without the body's values: serde's messages quote them,
/// except for those on syntax and on fields, which are named by the type.
fn json_reason(err: &serde_json::Error) -> String {
    let text = err.to_string();
    if !err.is_data() || text.starts_with("missing field ") || text.starts_with("duplicate field ") {
        return text;
    }
    format!("a value of another type at line {} column {}", err.line(), err.column())
}

/// Returns the kind of a reqwest error, and the phase: `phase`, unless the error shows an earlier one. The order matters, since
/// reqwest's predicates overlap: a failed handshake is a connect error.
fn classify(err: &reqwest::Error, phase: RequestPhase) -> (ErrorKind, RequestPhase) {
    match () {
        () if is_exhausted(err) => (ErrorKind::Exhausted, RequestPhase::Connect),
        () if err.is_builder() => (ErrorKind::InvalidRequest, RequestPhase::Queue),
        () if err.is_timeout() && err.is_connect() => {
            (ErrorKind::Timeout { phase: RequestPhase::Connect }, RequestPhase::Connect)
        }
        () if err.is_timeout() => (ErrorKind::Timeout { phase }, phase),
        () if err.is_connect() && is_tls(err) => (ErrorKind::Tls, RequestPhase::Tls),
        // With TLS 1.3 the server may refuse the client's certificate only after the handshake.
        () if is_refused_by_tls(err) && phase != RequestPhase::NextByte => (ErrorKind::Tls, phase),
        () if err.is_connect() => (ErrorKind::Connect, RequestPhase::Connect),
        () if is_corrupt(err) => (ErrorKind::InvalidResponse, phase),
        () if is_unwritten(err) => (ErrorKind::Interrupted, RequestPhase::Connect),
        () if is_parse(err) && phase == RequestPhase::FirstByte => (ErrorKind::InvalidResponse, phase),
        () => (ErrorKind::Interrupted, phase),
    }
}

/// Returns an error and the errors behind it, the outermost first.
pub(crate) fn causes<'a>(
    err: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(err), |err| (**err).source())
}

/// Returns the text of the innermost cause, which names the system's or the peer's reason.
fn root_cause(err: &reqwest::Error) -> String {
    let mut text = causes(err).last().map(ToString::to_string).unwrap_or_default();
    // The system's error number adds nothing to its text.
    text.truncate(text.find(" (os error ").unwrap_or(text.len()));
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

/// Returns whether rustls is among the causes.
fn is_tls(err: &reqwest::Error) -> bool {
    tls_errors(err).next().is_some()
}

/// Returns whether the server refused this client's certificate, or its lack of one.
fn is_refused_by_tls(err: &reqwest::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let of_certificate = [Alert::CertificateRequired, Alert::BadCertificate, Alert::UnsupportedCertificate];
    let of_trust =
        [Alert::CertificateRevoked, Alert::CertificateExpired, Alert::CertificateUnknown, Alert::UnknownCA];
    tls_errors(err).any(|err| match err {
        rustls::Error::AlertReceived(alert) => {
            of_certificate.contains(alert) || of_trust.contains(alert) || *alert == Alert::AccessDenied
        }
        _ => false,
    })
}

/// Returns the errors of rustls among the causes, also where they are wrapped in I/O errors.
fn tls_errors(err: &reqwest::Error) -> impl Iterator<Item = &rustls::Error> {
    causes(err).flat_map(|cause| {
        // `io::Error::source` skips the error that it wraps, and one `io::Error` may wrap another.
        let io =
            std::iter::successors(cause.downcast_ref::<std::io::Error>(), |io| io.get_ref()?.downcast_ref());
        let wrapped = io.filter_map(|io| io.get_ref()?.downcast_ref());
        cause.downcast_ref().into_iter().chain(wrapped)
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

/// Returns whether the bytes received are not HTTP.
fn is_parse(err: &reqwest::Error) -> bool {
    causes(err).filter_map(|cause| cause.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Row {
        #[serde(rename = "name")]
        _name: u32,
    }

    #[cfg(unix)]
    #[test]
    fn exhausted_descriptors_are_recognised_by_error_number() {
        let is_exhausted = |code| super::is_exhausted(&std::io::Error::from_raw_os_error(code));
        assert_eq!([23, 24, 111].map(is_exhausted), [true, true, false]);
    }

    #[test]
    fn a_reason_for_invalid_json_names_the_place_and_no_value() {
        for (body, expected) in [
            (r#"{"name": "topsecret"}"#, "a value of another type at line 1 column 20"),
            (r#""topsecret""#, "a value of another type at line 1 column 11"),
            (r#"{"topsecret": 1}"#, "missing field `name` at line 1 column 16"),
            (r#"{"name": 1, "name": 2}"#, "duplicate field `name` at line 1 column 18"),
            ("<topsecret>", "expected value at line 1 column 1"),
        ] {
            assert_eq!(super::json_reason(&serde_json::from_str::<Row>(body).unwrap_err()), expected);
        }
    }

    #[test]
    fn a_status_has_its_standard_name() {
        assert_eq!(
            (super::status_name(404), super::status_name(529)),
            (" (Not Found)".to_owned(), String::new())
        );
    }
}
