use std::fmt;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::request::Request;

/// A response whose body has been read into memory; the success result of [`Client::batch`].
#[derive(Clone)]
#[non_exhaustive]
pub struct BufferedResponse {
    /// The status code, which is a success.
    pub status: u16,
    /// The body, decompressed.
    pub body: Bytes,
    /// The number of attempts.
    pub attempts: u32,
    /// The server's request id, if the response had one.
    pub request_id: Option<String>,
    /// The position of the request in the batch, from 0.
    pub index: usize,
    endpoint: Endpoint,
}

impl fmt::Debug for BufferedResponse {
    /// Writes method, host, status and the body's length. The body may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedResponse")
            .field("index", &self.index)
            .field("endpoint", &format_args!("{}", self.endpoint))
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl BufferedResponse {
    /// Returns the body as a value, parsed from JSON.
    ///
    /// # Errors
    /// `InvalidJson`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|err| {
            let err = Error::invalid_json(&err, self.endpoint.clone()).with_status(self.status);
            let err = err.with_attempts(self.attempts).with_request_id(self.request_id.clone());
            err.with_index(self.index)
        })
    }

    /// Returns the body as text, with invalid UTF-8 replaced by U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Sends many requests concurrently and reads their bodies into memory.
    ///
    /// At most `max_concurrency` requests are in flight at once; 0 counts as 1. Returns one result per request, in the order of
    /// the requests. A status that is not a success is an error of that request alone, and [`Error::index`] has the request's
    /// position. Use [`send`](Client::send) for bodies
    /// that do not fit in memory, and [`fetch`](crate::fetch) for files.
    ///
    /// The iterator is read only as fast as requests are sent, so it can create them lazily.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connections of the requests in flight; servers may have acted on them.
    ///
    /// # Examples
    /// ```no_run
    /// use antiphon_http::{Client, Request};
    /// # async fn example() {
    /// let pages = (1..=100).map(|page| Request::get(&format!("https://example.org/rows?page={page}")));
    /// for result in Client::default().batch(pages, 10).await {
    ///     match result {
    ///         Ok(response) => println!("{} bytes", response.body.len()),
    ///         Err(err) => println!("{err}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn batch<I>(&self, requests: I, max_concurrency: usize) -> Vec<Result<BufferedResponse, Error>>
    where
        I: IntoIterator<Item = Request>,
        I::IntoIter: Send,
    {
        let numbered = requests.into_iter().enumerate();
        let answers =
            stream::iter(numbered).map(async |(index, request)| (index, self.answer(index, request).await));
        let mut answers: Vec<_> = answers.buffer_unordered(max_concurrency.max(1)).collect().await;
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(index, answer)| answer.map_err(|err| err.with_index(index))).collect()
    }

    /// Sends one request and reads its body.
    async fn answer(&self, index: usize, request: Request) -> Result<BufferedResponse, Error> {
        // The body of an error is read, too, so that its connection can be reused.
        let response = self.send(request).await?.drained_error().await.error_for_status()?;
        let (status, attempts) = (response.status(), response.attempts());
        let (request_id, endpoint) = (response.request_id().map(str::to_owned), response.origin().clone());
        let body = response.bytes().await?;
        Ok(BufferedResponse { status, body, attempts, request_id, index, endpoint })
    }
}
