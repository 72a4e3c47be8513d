//! The reasons why a request is not valid and is never sent.

use std::fmt;

use http::HeaderName;
use url::ParseError;

/// A reason why a request is not valid. The message has nothing that the caller passed: two arguments in the wrong order may put a
/// key anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidRequest {
    /// An address that cannot be parsed.
    Address(ParseError),
    /// An address whose scheme is not `http` or `https`, or that has no host.
    Scheme,
    /// An address that was taken out of the request to be sent.
    Taken,
    /// A name that is not an HTTP method.
    Method,
    /// A name that is not a header's.
    HeaderName,
    /// A header's value with characters that it cannot have.
    HeaderValue(HeaderName),
    /// A key with such characters.
    Key,
    /// A value whose implementation of `Serialize` failed.
    Json,
    /// A stream that was sent already.
    Sent,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ParseError::RelativeUrlWithoutBase) | Self::Taken => {
                f.write_str("the address is not valid: it does not begin with http:// or https://")
            }
            Self::Address(err) => write!(f, "the address is not valid: {err}"),
            Self::Scheme => f.write_str("the address is not valid: its scheme is not http or https"),
            Self::Method => f.write_str("the method is not a token, such as PATCH"),
            Self::HeaderName => f.write_str("invalid header: its name has characters that a name cannot have"),
            Self::HeaderValue(name) => {
                write!(f, "invalid header {name}: its value has characters that a header cannot have")
            }
            Self::Key => f.write_str("invalid key: it has characters that a header cannot have"),
            Self::Json => f.write_str(
                "cannot write the body as JSON: its Serialize implementation failed. Call serde_json::to_vec to read why",
            ),
            Self::Sent => f.write_str("the body is a stream that was sent already: it cannot be sent again"),
        }
    }
}

impl std::error::Error for InvalidRequest {}
