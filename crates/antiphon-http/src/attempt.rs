//! One attempt of a request, from the queue to the head of the response, and the verdict on its failure.
//!
//! | step | limited by | on failure |
//! |---|---|---|
//! | wait for the rate limiter, then for a connection | the deadline | `Timeout` in the phase `Queue` |
//! | client with TLS for the host | nothing | `Tls`, or the error of building the client, such as `InvalidRequest` |
//! | circuit breaker | does not wait | `CircuitOpen` |
//! | send, and wait for the head | `connect_timeout`, `first_byte_timeout` and the deadline | `Timeout`, `Connect` and others |
//!
//! The breaker is asked last, so that a half-open one does not spend a trial on an attempt that still waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use antiphon_resilience::{BreakerPermit, CircuitBreaker, Cost, Deadline, RateLimiter, RatePermit, Verdict};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, field, info_span};

use crate::body::{BodyLimits, Guards};
use crate::client::{Inner, record};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase, Secrets};
use crate::hosts::{ConnectionSlot, Host};
use crate::request::{PreparedRequest, SendActivity};
use crate::response::Response;

/// The reason why an attempt did not succeed.
pub(crate) enum Failure {
    /// An error, with or without a response.
    Error(Error),
    /// A response with a status that can be retried.
    Status(Box<Response>),
}

/// The statuses after which a request is retried.
const RETRYABLE: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];

/// The maximum length in bytes of an error body that is read so that its connection can be reused.
const MAX_DRAIN: u64 = 64 << 10;
/// The maximum time for that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

impl Failure {
    /// Returns the outcome of the last attempt for the caller: a response with any status is a success of sending.
    pub(crate) fn into_result(self) -> Result<Response, Error> {
        match self {
            Self::Error(err) => Err(err),
            Self::Status(response) => Ok(*response),
        }
    }

    /// Returns the verdict for the retry policy. Without a response, the server may have acted on the request, which is then
    /// retried only if `may_be_repeated`.
    pub(crate) fn verdict(&self, may_be_repeated: bool) -> Verdict {
        match self {
            Self::Status(response) => status_verdict(response),
            Self::Error(err) => error_verdict(err.kind(), may_be_repeated),
        }
    }
}

/// Returns the verdict on a status that can be retried. A wait that the server asked for is honoured with any of them.
fn status_verdict(response: &Response) -> Verdict {
    let retry_after = response.limits().retry_after;
    match response.status() {
        429 | 503 | 529 => Verdict::Throttled { retry_after },
        _ if retry_after.is_some() => Verdict::Throttled { retry_after },
        _ => Verdict::Retry,
    }
}

/// Returns the verdict on an attempt without a response. A failure to connect is retried in any case; one after sending
/// only if `may_be_repeated`; every other one is final.
fn error_verdict(kind: ErrorKind, may_be_repeated: bool) -> Verdict {
    match kind {
        ErrorKind::Connect | ErrorKind::Exhausted | ErrorKind::Timeout { phase: RequestPhase::Connect } => {
            Verdict::Retry
        }
        ErrorKind::Timeout { phase: RequestPhase::FirstByte }
        | ErrorKind::Interrupted
        | ErrorKind::InvalidResponse
            if may_be_repeated =>
        {
            Verdict::Retry
        }
        _ => Verdict::Stop,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(err) => err.fmt(f),
            Self::Status(response) => write!(f, "{}: status {}", response.endpoint(), response.status()),
        }
    }
}

/// Sends a request once, after its wait for the rate limiter and for a connection.
pub(crate) async fn send(
    inner: &Inner,
    prepared: Box<PreparedRequest>,
    host: Arc<Host>,
    number: u32,
) -> Result<Response, Failure> {
    let PreparedRequest { request, url } = &*prepared;
    let span = info_span!(
        "http.client.attempt",
        otel.kind = "client",
        http.request.method = request.method.as_str(),
        http.request.resend_count = number - 1,
        server.address = url.host_str(),
        server.port = url.port_or_known_default(),
        http.response.status_code = field::Empty,
        network.protocol.version = field::Empty,
        error.r#type = field::Empty,
    );
    let result = send_once(inner, prepared, host).instrument(span.clone()).await;
    record(&span, result.as_ref().map(Response::status));
    let response = result.map_err(Failure::Error)?;
    if !span.is_disabled() {
        span.record("network.protocol.version", response.version().trim_start_matches("HTTP/"));
    }
    if inner.options.retry.is_some() && RETRYABLE.contains(&response.status()) {
        Err(Failure::Status(Box::new(response.drained(MAX_DRAIN, DRAIN_TIMEOUT).await)))
    } else {
        Ok(response)
    }
}

/// Sends a request once: the waits in the queue, the circuit breaker, and the request itself, in this order.
///
/// The response holds the connection slot and the rate limiter's permit until its body has been read. The result is
/// reported to the breaker as soon as the head has arrived: the rest of a body shows little about the health of a
/// server.
async fn send_once(
    inner: &Inner,
    prepared: Box<PreparedRequest>,
    host: Arc<Host>,
) -> Result<Response, Error> {
    let (options, deadline) = (&inner.options, prepared.request.deadline);
    let endpoint = Endpoint::new(prepared.request.method.clone(), host.name.clone());
    let Some((rate, slot)) =
        before_deadline(deadline, acquire_slot(options.rate_limiter.as_ref(), host)).await
    else {
        return Err(Error::timeout(RequestPhase::Queue, endpoint));
    };
    let client = inner.transport.client(options, &slot, &endpoint).await?;
    let guard = breaker_permit(options.breaker.as_ref(), &endpoint)?;
    let timeout = prepared.request.first_byte_timeout.unwrap_or(options.first_byte_timeout);
    let is_out_of_time = !deadline.allows(timeout, Instant::now().into_std());
    let secrets = Secrets::of(&prepared.request.headers);
    let sent = Instant::now();
    let answer = receive_head(&client, prepared, timeout, &endpoint).await;
    report(guard, answer.as_ref().map(|answer| answer.status().as_u16()), is_out_of_time);
    let answer = answer?;
    slot.observe_version(answer.version());
    let limits = BodyLimits { idle: options.idle_timeout, max_body: options.max_body, deadline };
    let response = Response::new(answer, Guards::new(slot, rate), endpoint, limits);
    Ok(response.with_secrets(secrets).sent_at(sent))
}

/// Asks the circuit breaker, if there is one.
fn breaker_permit(
    breaker: Option<&CircuitBreaker>,
    endpoint: &Endpoint,
) -> Result<Option<BreakerPermit>, Error> {
    breaker.map(CircuitBreaker::permit).transpose().map_err(|rejected| {
        let kind = ErrorKind::CircuitOpen { retry_after: rejected.retry_after };
        Error::new(kind, RequestPhase::Queue, endpoint.clone(), rejected.to_string())
    })
}

/// Sends the request and returns the response's head.
async fn receive_head(
    client: &reqwest::Client,
    prepared: Box<PreparedRequest>,
    timeout: Duration,
    endpoint: &Endpoint,
) -> Result<reqwest::Response, Error> {
    let PreparedRequest { request, url } = *prepared;
    let (deadline, activity) = (request.deadline, request.body.activity());
    let sending = client.request(request.method, url).headers(request.headers);
    let Some(sending) = request.body.add_to(sending) else {
        let reason = "the body is a stream that was sent already: it cannot be sent again";
        return Err(Error::new(ErrorKind::InvalidRequest, RequestPhase::Queue, endpoint.clone(), reason));
    };
    tokio::select! {
        biased;
        answer = sending.send() => answer.map_err(|err| Error::of_reqwest(err, endpoint.clone(), RequestPhase::FirstByte)),
        () = first_byte_timeout(timeout, activity, deadline) => Err(Error::timeout(RequestPhase::FirstByte, endpoint.clone())),
    }
}

/// Waits for the rate limiter, then for a free connection.
async fn acquire_slot(
    limiter: Option<&RateLimiter>,
    host: Arc<Host>,
) -> (Option<RatePermit>, ConnectionSlot) {
    let rate = match limiter {
        Some(limiter) => Some(limiter.acquire(Cost::request()).await),
        None => None,
    };
    (rate, host.slot().await)
}

/// Runs `work` until it ends or the deadline passes; `None` in the latter case. Without a deadline no timer is created.
async fn before_deadline<T>(deadline: Deadline, work: impl Future<Output = T>) -> Option<T> {
    if deadline.instant().is_none() {
        return Some(work.await);
    }
    tokio::select! {
        biased;
        done = work => Some(done),
        () = deadline.passed() => None,
    }
}

/// Waits until `timeout` has passed since the last activity, or until the deadline. Each piece of the body that is sent counts
/// as activity, since a server usually responds after it has the body.
async fn first_byte_timeout(timeout: Duration, activity: Option<SendActivity>, deadline: Deadline) {
    let started_at = Instant::now();
    let deadline = deadline.instant().map(Instant::from_std);
    loop {
        let last = activity.as_ref().map_or(started_at, |activity| activity.last().max(started_at));
        match last.checked_add(timeout).into_iter().chain(deadline).min() {
            Some(at) if at <= Instant::now() => return,
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Reports the result to the circuit breaker. A timeout because of the caller's deadline does not count against the server.
fn report(guard: Option<BreakerPermit>, answer: Result<u16, &Error>, was_out_of_time: bool) {
    let Some(guard) = guard else { return };
    match answer {
        Ok(500 | 502 | 503 | 504) => guard.failure(),
        Ok(408 | 429 | 529) => {}
        Ok(_) => guard.success(),
        // The fault is in the request or on this machine.
        Err(err)
            if matches!(err.kind(), ErrorKind::InvalidRequest | ErrorKind::File | ErrorKind::Exhausted) => {}
        Err(err) if was_out_of_time && matches!(err.kind(), ErrorKind::Timeout { .. }) => {}
        Err(_) => guard.failure(),
    }
}
