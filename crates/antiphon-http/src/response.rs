use std::fmt;
use std::time::Duration;

use antiphon_resilience::LimitHints;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::body::{Body, BodyChunks, BodyLimits, Guards};
use crate::decoded::{BodyLines, Events};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase};

/// A response: its head, and its body, which may still be arriving. Dropping the response before its body has been read closes
/// the connection.
///
/// | to read the body | use | size limit |
/// |---|---|---|
/// | as a whole | [`bytes`](Self::bytes), [`text`](Self::text), [`json`](Self::json) | `max_body` |
/// | in pieces | [`chunk`](Self::chunk), [`chunks`](Self::chunks) | none |
/// | as server-sent events | [`events`](Self::events) | `max_body` for each event |
/// | as lines (NDJSON) | [`lines`](Self::lines) | `max_body` for each line |
///
/// The limit is [`max_body`](crate::ClientBuilder::max_body), in bytes after decompression; [`limited_to`](Self::limited_to)
/// sets another one for this response. Until the body has been
/// read, the request takes part in the limits on connections and in the rate limiter's concurrency limit: read or drop
/// it soon.
///
/// # Examples
/// ```no_run
/// use antiphon_http::{Client, Error};
/// # async fn example() -> Result<(), Error> {
/// let mut response = Client::default().get("https://example.org/large.bin").await?;
/// let mut bytes = 0;
/// while let Some(chunk) = response.chunk().await? {
///     bytes += chunk.len();
/// }
/// # Ok(())
/// # }
/// ```
pub struct Response {
    status: u16,
    version: http::Version,
    headers: HeaderMap,
    body: Body,
    attempts: u32,
    /// The time at which the last attempt was sent.
    sent: Instant,
}

/// The maximum length in bytes of an error body that is read so that its connection can be reused.
const MAX_DRAIN: u64 = 64 << 10;
/// The maximum time for that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The headers in which servers send their request id.
const REQUEST_IDS: [&str; 4] = ["x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id"];

impl Response {
    pub(crate) fn new(
        inner: reqwest::Response,
        guards: Guards,
        endpoint: Endpoint,
        limits: BodyLimits,
    ) -> Self {
        let (head, body) = http::Response::<reqwest::Body>::from(inner).into_parts();
        let (status, version, headers) = (head.status.as_u16(), head.version, head.headers);
        let body = Body::new(body, status, guards, endpoint, limits);
        Self { status, version, headers, body, attempts: 1, sent: Instant::now() }
    }

    pub(crate) fn sent_at(mut self, sent: Instant) -> Self {
        self.sent = sent;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Returns the response with its body read and its connection released, if the body is known to be at most 64 KiB long.
    /// Bytes that arrive after 1 s are lost: the body then ends with `Truncated`.
    pub(crate) async fn drained(mut self) -> Self {
        if self.body.size_hint().is_none_or(|size| size > MAX_DRAIN) {
            return self;
        }
        let mut read = BytesMut::new();
        let reading = async {
            while let Some(chunk) = self.body.chunk().await? {
                read.extend_from_slice(&chunk);
            }
            Ok(())
        };
        let ended = timeout(DRAIN_TIMEOUT, reading).await;
        // The body is marked as truncated: the connection is worth more than the rest of an error.
        let failure = ended.unwrap_or_else(|_| Err(self.truncated())).err();
        self.body.replace(read.freeze(), failure);
        self
    }

    /// Returns the response; one that is not a success with its body read, as [`drained`](Self::drained) does.
    #[cfg(feature = "transfer")]
    pub(crate) async fn drained_error(self) -> Self {
        if (200..300).contains(&self.status) { self } else { self.drained().await }
    }

    /// Sets the maximum size in bytes, after decompression, of the body if it is read as a whole, and of each of its events and
    /// lines; it replaces [`max_body`](crate::ClientBuilder::max_body).
    #[must_use]
    pub fn limited_to(mut self, max_body: usize) -> Self {
        self.body.limits.max_body = max_body;
        self
    }

    /// Returns the status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns a header's value, if the header exists and is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the HTTP version, such as `HTTP/2.0`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match self.version {
            http::Version::HTTP_10 => "HTTP/1.0",
            http::Version::HTTP_11 => "HTTP/1.1",
            http::Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP",
        }
    }

    /// Returns the method and host of the request, such as `GET example.org`, for messages and logs.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.body.endpoint.to_string()
    }

    #[cfg(feature = "transfer")]
    pub(crate) fn origin(&self) -> &Endpoint {
        &self.body.endpoint
    }

    /// Returns the number of attempts that the client made, from 1.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the time since the last attempt was sent. The attempt's waits for the rate limiter and for a connection are not
    /// included.
    #[must_use]
    pub fn since_sent(&self) -> Duration {
        self.sent.elapsed()
    }

    /// Returns the server's request id, if the response has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        REQUEST_IDS.iter().find_map(|name| self.header(name))
    }

    /// Returns the rate limits and the wait (`Retry-After`) that the headers report.
    #[must_use]
    pub fn limits(&self) -> LimitHints {
        let plain =
            self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        LimitHints::read(plain, std::time::SystemTime::now())
    }

    /// Returns whether the server wants the request to be retried, where it says so in `x-should-retry`, as OpenAI and Anthropic do
    /// (<https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py>).
    #[must_use]
    pub fn should_retry(&self) -> Option<bool> {
        let said = self.header("x-should-retry")?.trim();
        let is = |word: &str| said.eq_ignore_ascii_case(word);
        if is("true") {
            Some(true)
        } else if is("false") {
            Some(false)
        } else {
            None
        }
    }

    /// Returns the length of the body in bytes, if the server reported it and the body is not compressed.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint()
    }

    /// Returns the response if its status is a success (200 to 299), as in reqwest.
    ///
    /// The body is not read. To read the body of an error, use
    /// [`error_for_status_ref`](Self::error_for_status_ref), and the response after it.
    ///
    /// # Errors
    /// `Status` for any other status, also for a redirect that was not followed; with attempts, request id and `Retry-After`. Its
    /// phase is `FirstByte`: the head has arrived, and the body was not read.
    ///
    /// # Examples
    /// ```no_run
    /// use antiphon_http::{Client, Error};
    /// # async fn example() -> Result<(), Error> {
    /// let text = Client::default().get("https://example.org/").await?.error_for_status()?.text().await?;
    /// # drop(text);
    /// # Ok(())
    /// # }
    /// ```
    pub fn error_for_status(self) -> Result<Self, Error> {
        match self.status_error() {
            Some(err) => Err(err),
            None => Ok(self),
        }
    }

    /// Returns a reference to the response if its status is a success (200 to 299), as in reqwest.
    ///
    /// # Errors
    /// As [`error_for_status`](Self::error_for_status); the response remains, with its body.
    ///
    /// # Examples
    /// ```no_run
    /// use antiphon_http::{Client, Error};
    /// # async fn example() -> Result<(), Error> {
    /// let response = Client::default().get("https://example.org/").await?;
    /// if let Err(err) = response.error_for_status_ref() {
    ///     eprintln!("{err}: {}", response.text().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn error_for_status_ref(&self) -> Result<&Self, Error> {
        match self.status_error() {
            Some(err) => Err(err),
            None => Ok(self),
        }
    }

    /// Creates the error of the status, unless it is a success.
    fn status_error(&self) -> Option<Error> {
        let failed = || {
            let kind = ErrorKind::Status { status: self.status };
            let err = Error::new(kind, RequestPhase::FirstByte, self.body.endpoint.clone(), "");
            self.with_facts(err.with_status(self.status)).with_retry_after(self.limits().retry_after)
        };
        (!(200..300).contains(&self.status)).then(failed)
    }

    /// Adds to an error what is known of the response: attempts and request id.
    fn with_facts(&self, err: Error) -> Error {
        err.with_attempts(self.attempts).with_request_id(self.request_id().map(str::to_owned))
    }

    /// Returns the next piece of the body, decompressed; `None` at its end.
    ///
    /// # Errors
    /// `Timeout` when no data arrives in time, or `Interrupted` when the connection breaks before the end.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing: the next call returns the piece.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.body.chunk().await {
            Ok(chunk) => Ok(chunk),
            Err(err) => Err(self.with_facts(err)),
        }
    }

    /// Returns the whole body.
    ///
    /// # Errors
    /// As [`Response::chunk`], and `TooLarge` beyond [`max_body`](crate::ClientBuilder::max_body).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the part of the body that was read is lost.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        let (attempts, id) = (self.attempts, self.request_id().map(str::to_owned));
        self.body.collect().await.map_err(|err| err.with_attempts(attempts).with_request_id(id))
    }

    /// Returns the whole body as text, with invalid UTF-8 replaced by U+FFFD.
    ///
    /// # Errors
    /// As [`Response::bytes`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the part of the body that was read is lost.
    pub async fn text(self) -> Result<String, Error> {
        let body = Vec::from(self.bytes().await?);
        Ok(String::from_utf8(body).unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned()))
    }

    /// Returns the body as text, with invalid UTF-8 replaced by U+FFFD, up to the limit on its size; and the error that ended it
    /// early, if one did: `TooLarge` for a body beyond the limit, whose beginning is kept.
    ///
    /// # Errors
    /// As [`Response::chunk`], if nothing of the body has arrived.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the part of the body that was read is lost.
    pub async fn beginning(self) -> Result<(String, Option<Error>), Error> {
        let (attempts, id) = (self.attempts, self.request_id().map(str::to_owned));
        let with_facts = |err: Error| err.with_attempts(attempts).with_request_id(id.clone());
        let (bytes, err) = self.body.collect_beginning().await;
        match err.map(with_facts) {
            Some(err) if bytes.is_empty() => Err(err),
            err => {
                let text = String::from_utf8(bytes.into());
                Ok((text.unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned()), err))
            }
        }
    }

    /// Returns the whole body as a value, parsed from JSON.
    ///
    /// # Errors
    /// As [`Response::bytes`], and `InvalidJson`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the part of the body that was read is lost.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (endpoint, status, attempts) = (self.body.endpoint.clone(), self.status, self.attempts);
        let id = self.request_id().map(str::to_owned);
        serde_json::from_slice(&self.bytes().await?).map_err(|err| {
            let err = Error::invalid_json(&err, endpoint).with_status(status);
            err.with_attempts(attempts).with_request_id(id)
        })
    }

    /// Returns the body as a stream of its pieces. The total size is not limited.
    pub fn chunks(self) -> BodyChunks {
        BodyChunks::new(self.body)
    }

    /// Returns the body as a stream of server-sent events, each of at most [`max_body`](crate::ClientBuilder::max_body) bytes.
    pub fn events(self) -> Events {
        Events::new(self.body)
    }

    /// Returns the body as a stream of lines, for newline-delimited JSON (NDJSON). Each line has at most
    /// [`max_body`](crate::ClientBuilder::max_body) bytes.
    pub fn lines(self) -> BodyLines {
        BodyLines::new(self.body)
    }

    /// Creates the error for a body that was not received as a whole.
    fn truncated(&self) -> Error {
        self.body.error(ErrorKind::Truncated)
    }
}

impl fmt::Debug for Response {
    /// Writes method, host, status and version. Headers and body may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("endpoint", &format_args!("{}", self.body.endpoint))
            .field("status", &self.status)
            .field("version", &self.version)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
