use std::error::Error as StdError;
use std::fmt;

/// Why there is no answer, or only a part of one.
///
/// It names method and host, never a path, a query or a header's value: those may hold secrets.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    place: String,
    reason: String,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The address or a header is not acceptable.
    InvalidRequest,
    /// No connection came about.
    Connect,
    /// The connection could not be encrypted, or the server's certificate not be trusted.
    Tls,
    /// It took too long.
    Timeout {
        /// What was waited for.
        phase: Phase,
    },
    /// The connection broke before the answer was whole.
    Interrupted,
    /// The body, unpacked, is larger than allowed.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// What came back is no HTTP, or not what its headers say.
    InvalidResponse,
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The connection.
    Connect,
    /// The answer's head.
    FirstByte,
    /// The next piece of the body.
    NextByte,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, place: place.into(), reason: reason.into() }))
    }

    /// An error of reqwest's, which would print the whole address.
    pub(crate) fn of_reqwest(err: reqwest::Error, place: &str, had_head: bool) -> Self {
        let err = err.without_url();
        let reason = root_cause(&err);
        let kind = match () {
            () if err.is_builder() => ErrorKind::InvalidRequest,
            () if err.is_timeout() && err.is_connect() => ErrorKind::Timeout { phase: Phase::Connect },
            () if err.is_connect() && is_tls(&err) => ErrorKind::Tls,
            () if err.is_connect() => ErrorKind::Connect,
            () if err.is_decode() && !is_io(&err) => ErrorKind::InvalidResponse,
            () if is_parse(&err) && !had_head => ErrorKind::InvalidResponse,
            () => ErrorKind::Interrupted,
        };
        Self::new(kind, place, reason)
    }

    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, place, reason } = &*self.0;
        match kind {
            ErrorKind::InvalidRequest => write!(f, "{place}: {reason}"),
            ErrorKind::Connect => write!(f, "{place}: no connection: {reason}"),
            ErrorKind::Tls => write!(f, "{place}: no secure connection: {reason}"),
            ErrorKind::Timeout { phase: Phase::Connect } => write!(f, "{place}: no connection in time"),
            ErrorKind::Timeout { phase: Phase::FirstByte } => write!(f, "{place}: no answer in time"),
            ErrorKind::Timeout { phase: Phase::NextByte } => write!(f, "{place}: the answer came to a halt"),
            ErrorKind::Interrupted => write!(f, "{place}: the connection broke: {reason}"),
            ErrorKind::TooLarge { limit } => write!(f, "{place}: the answer is larger than {limit} bytes"),
            ErrorKind::InvalidResponse => write!(f, "{place}: the answer is not valid HTTP: {reason}"),
        }
    }
}

impl StdError for Error {}

fn causes<'a>(err: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(err), |err| (**err).source())
}

fn root_cause(err: &reqwest::Error) -> String {
    let mut text = causes(err).last().map(ToString::to_string).unwrap_or_default();
    // The system's number says nothing that its text does not.
    if let Some(at) = text.find(" (os error ") {
        text.truncate(at);
    }
    text
}

fn is_tls(err: &reqwest::Error) -> bool {
    causes(err).any(|cause| {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>())
    })
}

fn is_io(err: &reqwest::Error) -> bool {
    causes(err).any(|cause| cause.is::<std::io::Error>())
}

/// Whether bytes came that are no HTTP; hyper does not let its error be named, but its text is fixed.
fn is_parse(err: &reqwest::Error) -> bool {
    causes(err).any(|cause| cause.to_string().starts_with("invalid HTTP"))
}
