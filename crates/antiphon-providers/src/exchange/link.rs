//! The link to one server: it sends requests, reads lists and errors, and hands streamed answers to the reader.
//!
//! A request is sent once, with two exceptions, which are no attempts and cost nothing: this machine has no file
//! descriptor left; or the server had closed the connection while it was idle, before a byte of the request was written
//! (the HTTP client sends such a request once more). Each method takes the context of its call, whose deadline and
//! cancellation end it. These clocks bound a request, too, each with its own error:
//!
//! | limit | default | ends with |
//! |---|---|---|
//! | to an open connection | 5 s | `Timeout`, `Connect` |
//! | to the head of the response | the shorter of token and call time-out | `Timeout`, `FirstToken` |
//! | between two pieces of the body | the token time-out plus 5 s | `Timeout`, `NextToken` |
//! | of a list (models, slots) | 5 s to its head | `Timeout`, `FirstToken` |
//!
//! The limits on tokens and on the whole call are the watchdog's.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use antiphon_http::{Client, ErrorKind as HttpKind, Request, Response};
use antiphon_llm::{
    AnswerLimits, Billed, CallContext, CancellationToken, Error, ErrorKind, Head, Prompt, Redactor, Scope,
    Streaming, TimeoutPhase,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::answer::{Decode, is_answer};
use super::context_window::SentPrompts;
use super::endpoint::Endpoint;
use super::exhaustion::retry_exhausted;
use super::fault::of_http;
use super::framing::{Framing, Pieces, without_mark};
use super::reader::{Facts, Reader, cancelled, closed, stalled};
use super::repaired::repaired;
use super::schema_watch::SentSchema;
use super::watchdog::{HURRIED_TIMEOUT, TimeLimits};
use crate::limits::MAX_LIST;

/// The time limit for the head of a list: no model has to run for it.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A server, and the connection pool to it.
///
/// A clone shares the connection pool and its limit; [`with`](Self::with) does not.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Read-only after the construction: the pool and the scope are derived from it.
    pub(crate) endpoint: Endpoint,
    /// The connection pool, without retries, rate limits or a circuit breaker.
    client: Client,
    /// The scope, computed once because every call needs it.
    scope: Scope,
    /// The remover of the request's secrets: everything that the server sends passes through it.
    pub(crate) redactor: Redactor,
    /// The prompts that were sent, for the check of the server's counts.
    sent: SentPrompts,
    /// The first path that was posted to, and its request without a body: nearly all requests of a link are to one path, whose
    /// address is parsed once.
    first_post: OnceLock<(String, Request)>,
}

/// The facts of a request that the reader of its answer needs.
pub(crate) struct CallRequest<'p> {
    /// The prompt of the call.
    pub(crate) prompt: &'p Prompt,
    /// The schema as it was sent, as [`ModeFallback::sent`](super::ModeFallback::sent) returns it.
    pub(crate) schema: SentSchema,
    /// The time at which the call began, before the request was built. Times in the answer count from it.
    pub(crate) began: Instant,
    /// The options of the call, of which the reader observes `hurry` and `cancel`; the deadline is the request's.
    pub(crate) context: &'p CallContext,
}

impl Link {
    /// Creates a link and its connection pool. No connection is opened before the first request.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        // The reader's own watchdog, which distinguishes tokens from comments, has to fire first.
        let later = endpoint.token_timeout.saturating_add(Duration::from_secs(5));
        let first_byte = endpoint.token_timeout.min(endpoint.call_timeout.unwrap_or(Duration::MAX));
        let client = Client::builder().first_byte_timeout(first_byte).idle_timeout(later);
        let client = client.max_connections(endpoint.max_connections).build();
        let (scope, redactor) = (endpoint.scope(), endpoint.redactor());
        Self { endpoint, client, scope, redactor, sent: SentPrompts::default(), first_post: OnceLock::new() }
    }

    /// Returns a link to the server with a changed endpoint, and with a new connection pool.
    ///
    /// The calls of the old pool and of the new one have separate limits on connections.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Endpoint)) -> Self {
        let mut endpoint = self.endpoint.clone();
        change(&mut endpoint);
        Self::new(endpoint)
    }

    /// Returns the scope of the calls on this link; `variant` is that of the provider, such as a route, if it has several.
    pub(crate) fn scope(&self, variant: Option<&str>) -> Scope {
        let scope = self.scope.clone();
        match (variant, self.endpoint.additions.identity(variant)) {
            (None, _) => scope,
            (Some(_), Some(additions)) => scope.variant_digest(&additions),
            (Some(variant), None) => scope.variant(variant),
        }
    }

    /// Posts JSON to a path below the base URL and returns a response that is an answer. While the machine has no file
    /// descriptor left, it retries for up to the token time-out.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection. The server may have begun to work on the request, and may
    /// bill it.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        context: &CallContext,
    ) -> Result<Response, Error> {
        let first = self.send(self.request(path).json(body), context).await;
        match first {
            Err(err) if err.kind() == ErrorKind::Exhausted => {
                let again = || self.send(self.request(path).json(body), context);
                let again = retry_exhausted(again, err, self.endpoint.token_timeout);
                Box::pin(context.run(again)).await
            }
            first => first,
        }
    }

    /// Returns a request to a path below the base URL, without a body.
    fn request(&self, path: &str) -> Request {
        let post = || Request::post(&self.endpoint.url(path));
        let (known, request) = self.first_post.get_or_init(|| (path.to_owned(), post()));
        if known == path { request.clone() } else { post() }
    }

    /// Sends a request once, with the key and the fixed headers, and returns a response that is an answer.
    ///
    /// The deadline is the HTTP client's, too: its error knows whether anything was sent, and it bounds the body.
    ///
    /// # Errors
    /// The server's error for a status that is none of an answer, a redirect included; an error of the connection if no head
    /// arrived; `Cancelled` or `Timeout` with the call.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn send(&self, request: Request, context: &CallContext) -> Result<Response, Error> {
        let request = self.endpoint.prepare(request).deadline(context.deadline);
        // Boxed, so that the layers around it do not multiply its size.
        let sending =
            Box::pin(async { self.client.send(request).await.map_err(|err| of_http(&err, &self.redactor)) });
        let sent = context.run(sending).await?;
        if is_answer(sent.status(), sent.header("content-range").is_some()) {
            return Ok(sent);
        }
        // Boxed, so that the futures of successful calls stay small.
        Err(Box::pin(self.status_error(sent, context)).await)
    }

    /// Runs the work before an answer's head, until [`HURRIED_TIMEOUT`] after the caller is in a hurry.
    ///
    /// A call that has not begun to answer by then is given up. Work that is ready is preferred to the end of
    /// the wait.
    ///
    /// # Errors
    /// The error of the work; `Cancelled`, possibly billed, after the wait.
    ///
    /// # Cancel safety
    /// Dropping the future drops the work.
    pub(crate) async fn until_hurried<T>(
        &self,
        context: &CallContext,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            () = hurried(&context.hurry) => Err(stalled(&self.endpoint.base_url)),
        }
    }

    /// Fetches JSON from a path below the base URL; returns the HTTP version, too.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`json`](Self::json).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub(crate) async fn get(
        &self,
        path: &str,
        context: &CallContext,
    ) -> Result<(Value, &'static str), Error> {
        let url = self.endpoint.url(path);
        let response = self.send(Request::get(&url).first_byte_timeout(LIST_TIMEOUT), context).await?;
        let version = response.version();
        Ok((self.json(response, context).await?, version))
    }

    /// Reads a body of at most [`MAX_LIST`] bytes as JSON, without the secrets of the request; an error in it, as some servers
    /// send under status 200, is returned as such.
    ///
    /// # Errors
    /// An error of the connection, the error in the body, or `InvalidResponse`, possibly billed, for a body
    /// that is not JSON; `Cancelled` or `Timeout` with the call.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn json(&self, response: Response, context: &CallContext) -> Result<Value, Error> {
        self.json_within(MAX_LIST, response, context).await
    }

    /// Reads a body of at most `max` bytes as JSON, as [`json`](Self::json) does.
    ///
    /// # Errors
    /// Those of [`json`](Self::json); `InvalidResponse` for a larger body.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn json_within(
        &self,
        max: usize,
        response: Response,
        context: &CallContext,
    ) -> Result<Value, Error> {
        let mut value = self.own_json(max, response, context).await?;
        self.redactor.redact_value(&mut value);
        Ok(value)
    }

    /// Reads a body as [`json_within`](Self::json_within) does, with the secrets that are in it: for what the server itself gets back.
    ///
    /// # Errors
    /// Those of [`json_within`](Self::json_within).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn own_json(
        &self,
        max: usize,
        response: Response,
        context: &CallContext,
    ) -> Result<Value, Error> {
        let response = response.limited_to(max);
        let (place, kind) = (response.endpoint(), response.header("content-type").unwrap_or("").to_owned());
        let request_id = response.request_id().map(|id| self.cleaned(id));
        let with_id = |err: Error| {
            let id = err.request_id().map(str::to_owned);
            err.with_request_id(request_id.clone().or(id))
        };
        let body = context
            .guard(Box::pin(response.text()))
            .await?
            .map_err(|err| with_id(of_http(&err, &self.redactor)))?;
        let Ok(value) = serde_json::from_str::<Value>(without_mark(&body)) else {
            return Err(with_id(self.malformed(&place, &kind, &body)));
        };
        match (self.endpoint.faults)(200, &value, None) {
            Some(fault) => {
                let message = format!("{place}: {}", self.cleaned(&fault.message));
                let err = fault.to_error(message, &self.redactor);
                let status = err.status().or(Some(200));
                Err(with_id(err.with_status(status)))
            }
            None => Ok(value),
        }
    }

    /// Returns the streaming answer to a prompt, once its first tokens have been received.
    ///
    /// The content type decides: with the decoder's framing, or without a type, the body is streamed; with any
    /// other it is read as a whole, since some servers ignore `"stream": true`.
    ///
    /// # Errors
    /// Any error before the first delta. Later ones are items of the stream.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the model may have begun to answer, so the call is possibly
    /// billed.
    pub(crate) async fn streaming<D: Decode>(
        &self,
        response: Response,
        decode: D,
        asked: CallRequest<'_>,
    ) -> Result<Streaming, Error> {
        let facts = self.facts(&response, asked);
        let response = response.limited_to(facts.answer_limits.piece);
        let kind = response.header("content-type").unwrap_or_default().to_owned();
        if !D::FRAMING.is_of(&kind) {
            return Box::pin(self.read_whole(response, &kind, decode, facts)).await;
        }
        let pieces = match D::FRAMING {
            Framing::Events => Pieces::Events(response.events()),
            Framing::Lines => Pieces::Lines(response.lines()),
        };
        Reader::new(pieces, decode, facts).begin().await
    }

    /// Collects the facts of a call that the reader of its answer needs, from the request and the response's head.
    fn facts(&self, response: &Response, mut asked: CallRequest<'_>) -> Facts {
        let first_byte = asked.began.elapsed();
        let request_id = response.request_id().map(|id| self.cleaned(id));
        Facts {
            place: response.endpoint(),
            content_type: response.header("content-type").unwrap_or_default().to_owned(),
            faults: self.endpoint.faults,
            redactor: self.redactor.clone(),
            output: asked.prompt.output.clone(),
            model: asked.prompt.model.clone(),
            head: Head::new(request_id, None)
                .limits(response.limits())
                .weakened(std::mem::take(&mut asked.schema.weakened))
                .warned(asked.schema.warning.take()),
            schema: asked.schema,
            sent_prompt: self.sent.record(asked.prompt),
            limits: self.time_limits(asked.prompt),
            answer_limits: AnswerLimits::of(asked.prompt),
            hurry: asked.context.hurry.clone(),
            cancel: asked.context.cancel.clone(),
            began: asked.began,
            sent: Instant::now() - response.since_sent(),
            first_byte,
            http_version: response.version(),
        }
    }

    /// Returns the time limits of a call with this prompt.
    fn time_limits(&self, prompt: &Prompt) -> TimeLimits {
        TimeLimits {
            token_timeout: self.endpoint.token_timeout,
            call_timeout: self.endpoint.call_timeout,
            max_tokens: prompt.parameters.max_tokens,
        }
    }

    /// Reads the answer of a server that does not stream or does not declare the content type, or an error under status 200.
    ///
    /// Three bodies are accepted: one JSON object that the decoder understands, JSON with an error, and a body
    /// in the decoder's framing under a wrong content type.
    async fn read_whole<D: Decode>(
        &self,
        response: Response,
        kind: &str,
        decode: D,
        facts: Facts,
    ) -> Result<Streaming, Error> {
        let read = before_deadline(&facts, response.beginning()).await.map_err(|err| facts.add_to(err))?;
        let (body, too_large) = match read {
            Ok((body, None)) => (body, None),
            Ok((body, Some(err))) if matches!(err.kind(), HttpKind::TooLarge { .. }) => {
                (closed(&body).unwrap_or(body), Some(err))
            }
            Ok((_, Some(err))) | Err(err) => return Err(facts.add_to(of_http(&err, &self.redactor))),
        };
        let body = without_mark(&body);
        let parsed = serde_json::from_str::<Value>(body).ok();
        // The decoder repairs the body itself.
        let parsed = parsed.or_else(|| serde_json::from_str(&repaired(body)?.data).ok());
        let Some(value) = parsed else {
            if let Some(err) = too_large.filter(|_| !D::FRAMING.begins(body)) {
                return Err(facts.add_to(of_http(&err, &self.redactor)));
            }
            if !D::FRAMING.begins(body) {
                return Err(facts.add_to(self.malformed(&facts.place, kind, body)));
            }
            return Reader::new(Pieces::of_body(D::FRAMING, body), decode, facts).begin().await;
        };
        let mut reader = Reader::new(Pieces::Ready(VecDeque::new()), decode, facts);
        self.decode_whole(&mut reader, &value, body)?;
        if let Some(err) = too_large {
            let why = reader.blame(&err.to_string());
            reader.cut(why);
        }
        reader.begin().await
    }

    /// Decodes an answer that is one JSON value; `value` is `body` parsed.
    ///
    /// # Errors
    /// The error in the body; `InvalidResponse` for JSON that has neither text, refusal nor finish reason.
    fn decode_whole<D: Decode>(
        &self,
        reader: &mut Reader<D>,
        value: &Value,
        body: &str,
    ) -> Result<(), Error> {
        if let Some(fault) = (self.endpoint.faults)(200, value, None) {
            let err = reader.of_fault(&fault);
            reader.take_beside_error(value.clone());
            return Err(reader.with_facts(err));
        }
        // Gemini streams a list of pieces.
        if value.is_object() || (D::FRAMING == Framing::Lines && value.is_array()) {
            if let Err(fault) = reader.take("", body) {
                let err = reader.of_fault(&fault);
                return Err(reader.with_facts(err));
            }
            if reader.has_something() {
                return Ok(());
            }
        }
        let err = self.malformed(&reader.facts.place, "other JSON", body);
        Err(reader.with_facts(err))
    }
}

/// Waits for a body that is read as a whole, within the time limit of its call: a body that trickles in would otherwise never
/// time out.
///
/// # Errors
/// `Timeout` in the phase `Call`, or `Cancelled` if the call is cancelled, or if the answer stalls while the caller is in a hurry;
/// all are possibly billed.
async fn before_deadline<T>(facts: &Facts, work: impl Future<Output = T>) -> Result<T, Error> {
    let longest = facts.limits.longest();
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = sleep(longest.saturating_sub(facts.sent.elapsed())) => {
            let message = format!("{}: the answer did not end within {} s", facts.place, longest.as_secs_f32());
            Err(Error::new(ErrorKind::Timeout { phase: TimeoutPhase::Call }, message).with_billed(Billed::Maybe))
        }
        () = facts.cancel.cancelled() => Err(cancelled(&facts.place)),
        () = hurried(&facts.hurry) => Err(stalled(&facts.place)),
    }
}

/// Waits until the caller is in a hurry and [`HURRIED_TIMEOUT`] has passed since.
///
/// Never resolves for a token that is never cancelled.
async fn hurried(hurry: &CancellationToken) {
    hurry.cancelled().await;
    sleep(HURRIED_TIMEOUT).await;
}

#[cfg(test)]
mod tests;
