use std::time::Duration;

use antiphon_resilience::LimitHints;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::body::{Body, BodyChunks, BodyLimits, Guards};
use crate::decoded::{BodyLines, Events};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase, Secrets, excerpt};

/// The head of an answer, and its body on the way. Dropping it hangs up.
#[derive(Debug)]
pub struct Response {
    status: u16,
    version: http::Version,
    headers: HeaderMap,
    body: Body,
    attempts: u32,
    sent: Instant,
    /// For what is quoted of an error's body.
    secrets: Secrets,
    url: Option<Box<Url>>,
}

/// The names under which servers tell their name for a request.
const REQUEST_IDS: [&str; 4] = ["x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id"];

impl Response {
    pub(crate) fn new(
        inner: reqwest::Response,
        guards: Guards,
        endpoint: Endpoint,
        limits: BodyLimits,
    ) -> Self {
        let url = (!inner.status().is_success()).then(|| Box::new(inner.url().clone()));
        let (head, body) = http::Response::<reqwest::Body>::from(inner).into_parts();
        let body = Body::new(body, guards, endpoint, limits);
        let (status, version, headers) = (head.status.as_u16(), head.version, head.headers);
        Self {
            status,
            version,
            headers,
            body,
            attempts: 1,
            sent: Instant::now(),
            secrets: Secrets::default(),
            url,
        }
    }

    pub(crate) fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    pub(crate) fn sent_at(mut self, sent: Instant) -> Self {
        self.sent = sent;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The same answer, its body read and its connection free, if that is short and does not take long.
    pub(crate) async fn drained(mut self, max_bytes: u64, max_time: Duration) -> Self {
        if self.body.size_hint().is_none_or(|size| size > max_bytes) {
            return self;
        }
        let mut read = BytesMut::new();
        let reading = async {
            while let Some(chunk) = self.body.chunk().await? {
                read.extend_from_slice(&chunk);
            }
            Ok(())
        };
        let ended = timeout(max_time, reading).await;
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(err)) => Some(err),
            // What came is told to be a part: the connection is worth more than the rest of an error.
            Err(_) => {
                Some(Error::new(ErrorKind::Truncated, RequestPhase::NextByte, self.body.endpoint.clone(), ""))
            }
        };
        self.body.replace(read.freeze(), failure);
        self
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header's value, if it is there and plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The HTTP version spoken, such as `HTTP/2.0`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match self.version {
            http::Version::HTTP_10 => "HTTP/1.0",
            http::Version::HTTP_11 => "HTTP/1.1",
            http::Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP",
        }
    }

    /// Method and host of the request, for messages.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.body.endpoint.to_string()
    }

    #[cfg(feature = "transfer")]
    pub(crate) fn origin(&self) -> &Endpoint {
        &self.body.endpoint
    }

    /// How often the request was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The time since the request was sent: without its wait for a turn and for a place among the connections.
    #[must_use]
    pub fn since_sent(&self) -> Duration {
        self.sent.elapsed()
    }

    /// The server's name for the request, if it gave one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        REQUEST_IDS.iter().find_map(|name| self.header(name))
    }

    /// What the headers say about the server's limits.
    #[must_use]
    pub fn limits(&self) -> LimitHints {
        let plain =
            self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        LimitHints::read(plain, std::time::SystemTime::now())
    }

    /// The length of the body in bytes, if the server tells.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint()
    }

    /// The same answer, if its status is a success.
    ///
    /// # Errors
    /// `Status`, with the beginning of the body: at most 200 bytes, on one line.
    ///
    /// # Cancel safety
    /// Hangs up.
    pub async fn error_for_status(mut self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let mut read = Vec::new();
        let reading = async {
            while read.len() < 1_000
                && let Ok(Some(chunk)) = self.body.chunk().await
            {
                read.extend_from_slice(&chunk[..chunk.len().min(1_000)]);
            }
        };
        let _ = timeout(Duration::from_secs(1), reading).await;
        let kind = ErrorKind::Status { status: self.status };
        let reason = match self.status {
            300..400 => "it sends elsewhere, which is not followed".to_owned(),
            _ => excerpt(&read, &self.secrets, self.url.as_deref()),
        };
        Err(self.error(kind, reason))
    }

    /// The next piece of the body, unpacked; `None` at its end.
    ///
    /// # Errors
    /// `Timeout` when it comes to a halt, or `Interrupted` when the connection breaks before the end.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing: the piece is there for the next call.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let attempts = self.attempts;
        self.body.chunk().await.map_err(|err| err.with_attempts(attempts))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Response::chunk`], and `TooLarge`.
    ///
    /// # Cancel safety
    /// Hangs up; what was read is lost.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        let (attempts, id) = (self.attempts, self.request_id().map(str::to_owned));
        self.body.collect().await.map_err(|err| err.with_attempts(attempts).with_request_id(id))
    }

    /// The whole body as text, invalid UTF-8 replaced by U+FFFD.
    ///
    /// # Errors
    /// As [`Response::bytes`].
    ///
    /// # Cancel safety
    /// Hangs up; what was read is lost.
    pub async fn text(self) -> Result<String, Error> {
        let body = Vec::from(self.bytes().await?);
        Ok(String::from_utf8(body).unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned()))
    }

    /// The whole body as a value.
    ///
    /// # Errors
    /// As [`Response::bytes`], and `InvalidJson`.
    ///
    /// # Cancel safety
    /// Hangs up; what was read is lost.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (attempts, endpoint) = (self.attempts, self.body.endpoint.clone());
        let body = self.bytes().await?;
        serde_json::from_slice(&body).map_err(|err| {
            Error::new(ErrorKind::InvalidJson, RequestPhase::NextByte, endpoint, err.to_string())
                .with_attempts(attempts)
        })
    }

    /// The body piece by piece.
    pub fn chunks(self) -> BodyChunks {
        BodyChunks::new(self.body)
    }

    /// The body as server-sent events.
    pub fn events(self) -> Events {
        Events::new(self.body)
    }

    /// The body line by line, as newline-delimited JSON has it.
    pub fn lines(self) -> BodyLines {
        BodyLines::new(self.body)
    }

    fn error(&self, kind: ErrorKind, reason: String) -> Error {
        let id = self.request_id().map(str::to_owned);
        let error = Error::new(kind, RequestPhase::NextByte, self.body.endpoint.clone(), reason);
        error.with_attempts(self.attempts).with_request_id(id).with_retry_after(self.limits().retry_after)
    }
}
