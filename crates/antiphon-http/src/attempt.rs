//! One attempt of a request, from the queue to the head of the response, and the verdict on its failure.
//!
//! | step | limited by | on failure |
//! |---|---|---|
//! | wait for the rate limiter, then for a connection | the deadline | `DeadlineExceeded` in the phase `Queue` |
//! | client with TLS for the host | nothing | `Tls`, or the error of building the client, such as `InvalidRequest` |
//! | circuit breaker | does not wait | `CircuitOpen` |
//! | send, and wait for the head | `connect_timeout`, `first_byte_timeout` and the deadline | `Timeout`, `DeadlineExceeded`, `Connect` and others |
//!
//! An idempotent request on a connection that the server had closed while it was idle is sent once more within the attempt, as is
//! any request of which nothing was written (`reused.rs`).
//!
//! The breaker is asked last, so that a half-open one does not spend a trial on an attempt that still waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use antiphon_resilience::{BreakerPermit, CircuitBreaker, Cost, Deadline, RateLimiter, RatePermit, Verdict};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, debug, field, info_span};

use crate::body::{BodyLimits, Guards};
use crate::client::{Inner, record};
use crate::connecting::Connecting;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase};
use crate::hosts::{ConnectionSlot, Host};
use crate::invalid::InvalidRequest;
use crate::request::{PreparedRequest, Request, SendActivity};
use crate::response::Response;
use crate::reused::was_closed_while_idle;

/// The reason why an attempt did not succeed.
pub(crate) enum Failure {
    /// An error, with or without a response.
    Error(Error),
    /// A response with a status that can be retried.
    Status(Box<Response>),
}

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
            // The connection ended before a byte of the request was written.
            Self::Error(err)
                if err.phase() == RequestPhase::Connect && err.kind() == ErrorKind::Interrupted =>
            {
                Verdict::Retry
            }
            Self::Error(err) => error_verdict(err.kind(), may_be_repeated),
        }
    }
}

/// Returns the verdict on a status that can be retried. A wait that the server asked for is honoured with any of them.
fn status_verdict(response: &Response) -> Verdict {
    let limits = response.limits();
    let retry_after = if response.status() == 429 { limits.wait_after_refusal() } else { limits.retry_after };
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
        ErrorKind::Timeout { phase: RequestPhase::Send | RequestPhase::FirstByte }
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
    prepared: &PreparedRequest,
    host: Arc<Host>,
    number: u32,
) -> Result<Response, Failure> {
    let PreparedRequest { request, url } = prepared;
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
    if inner.options.retry.as_ref().is_some_and(|retry| retry.retries(&response)) {
        Err(Failure::Status(Box::new(response.drained().await)))
    } else {
        Ok(response)
    }
}

/// Sends a request once: the waits in the queue, the circuit breaker, and the request itself, in this order.
///
/// The response holds the connection slot and the rate limiter's permit until its body has been read. The result is
/// reported to the breaker as soon as the head has arrived: the rest of a body shows little about the health of a
/// server.
async fn send_once(inner: &Inner, prepared: &PreparedRequest, host: Arc<Host>) -> Result<Response, Error> {
    let (options, deadline) = (&inner.options, prepared.request.deadline);
    let endpoint = Endpoint::new(prepared.request.method.clone(), host.name.clone());
    let Some((rate, mut slot)) =
        before_deadline(deadline, acquire_slot(options.rate_limiter.as_ref(), host)).await
    else {
        return Err(Error::deadline(RequestPhase::Queue, endpoint));
    };
    let client = inner.transport.client(options, &slot, &endpoint).await?;
    let guard = breaker_permit(options.breaker.as_ref(), &endpoint)?;
    let sending = Sending {
        client: &client,
        prepared,
        timeout: prepared.request.first_byte_timeout.unwrap_or(options.first_byte_timeout),
        endpoint: &endpoint,
    };
    let answer = sending.head(slot.host()).await;
    report(guard, answer.as_ref().map(|(answer, _)| answer.status().as_u16()), &prepared.request);
    let (answer, sent) = answer?;
    slot.observe(&answer);
    let limits = BodyLimits { idle: options.idle_timeout, max_body: options.max_body, deadline };
    Ok(Response::new(answer, Guards::new(slot, rate), endpoint, limits).sent_at(sent))
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

/// A request that is ready to be sent: it has a connection's slot and all permits.
struct Sending<'a> {
    client: &'a reqwest::Client,
    prepared: &'a PreparedRequest,
    timeout: Duration,
    endpoint: &'a Endpoint,
}

/// The failure of sending a request and waiting for the head.
enum HeadFailure {
    /// The server had closed the connection while it was idle, and the request may be sent once more.
    ClosedWhileIdle(Error),
    /// Any other failure.
    Other(Error),
}

impl Sending<'_> {
    /// Sends the request and returns the response's head, with the time at which the request was sent. A request on a
    /// connection that was closed while it was idle is sent once more.
    async fn head(&self, host: &Host) -> Result<(reqwest::Response, Instant), Error> {
        match self.head_once(host).await {
            Err(HeadFailure::ClosedWhileIdle(err)) if self.prepared.request.can_be_repeated() => {
                debug!("{err}: it was closed while it was idle. Sending the request on another one");
                self.head_once(host).await
            }
            answer => answer,
        }
        .map_err(HeadFailure::into_error)
    }

    /// Sends the request once.
    async fn head_once(&self, host: &Host) -> Result<(reqwest::Response, Instant), HeadFailure> {
        let request = &self.prepared.request;
        let activity = request.body.activity();
        let sending = self.client.request(request.method.clone(), self.prepared.url.clone());
        let sending = sending.headers(request.headers.clone());
        let Some(sending) = request.body.clone().add_to(sending) else {
            return Err(HeadFailure::Other(Error::invalid_request(
                &InvalidRequest::Sent,
                self.endpoint.clone(),
            )));
        };
        if request.deadline.remaining(Instant::now().into_std()).is_some_and(|left| left.is_zero()) {
            // A request on an open connection would be written before the deadline is observed.
            return Err(HeadFailure::Other(Error::deadline(RequestPhase::Queue, self.endpoint.clone())));
        }
        let (sent, connecting) = (Instant::now(), Connecting::default());
        tokio::select! {
            biased;
            answer = connecting.watch(sending.send()) => match answer {
                Ok(answer) => Ok((answer, sent)),
                Err(err) => Err(self.failure(err, host, sent)),
            },
            late = first_byte_timeout(self.timeout, activity, request.deadline) => {
                Err(HeadFailure::Other(self.timed_out(late, &connecting)))
            }
        }
    }

    /// Converts an error of reqwest.
    fn failure(&self, err: reqwest::Error, host: &Host, sent: Instant) -> HeadFailure {
        let was_idle =
            was_closed_while_idle(&err, &host.answered, sent, self.prepared.request.may_be_repeated());
        let err = Error::of_reqwest(err, self.endpoint.clone(), self.phase());
        if was_idle { HeadFailure::ClosedWhileIdle(err) } else { HeadFailure::Other(err) }
    }

    /// Creates the error of a head that did not arrive in time.
    fn timed_out(&self, late: Late, connecting: &Connecting) -> Error {
        let phase = if connecting.is_connecting() { RequestPhase::Connect } else { self.phase() };
        match late {
            Late::FirstByte => Error::timeout(phase, self.endpoint.clone()),
            Late::Deadline => Error::deadline(phase, self.endpoint.clone()),
        }
    }

    /// Returns the phase of a request that has its connection: `Send` until the last piece of a body that is sent in pieces was
    /// taken.
    fn phase(&self) -> RequestPhase {
        let is_sending = self.prepared.request.body.activity().is_some_and(|activity| !activity.is_done());
        if is_sending { RequestPhase::Send } else { RequestPhase::FirstByte }
    }
}

impl HeadFailure {
    fn into_error(self) -> Error {
        match self {
            Self::ClosedWhileIdle(err) | Self::Other(err) => err,
        }
    }
}

/// The limit that a head exceeded.
enum Late {
    /// The timeout for the first byte.
    FirstByte,
    /// The deadline of the whole request.
    Deadline,
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
async fn first_byte_timeout(timeout: Duration, activity: Option<SendActivity>, deadline: Deadline) -> Late {
    let started_at = Instant::now();
    let deadline = deadline.instant().map(Instant::from_std);
    loop {
        let last = activity.as_ref().map_or(started_at, |activity| activity.last().max(started_at));
        let idle_at = last.checked_add(timeout);
        let next = idle_at.into_iter().chain(deadline).min();
        match next {
            Some(at) if at <= Instant::now() => {
                return if deadline == next { Late::Deadline } else { Late::FirstByte };
            }
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Reports the result to the circuit breaker. The client's own timeout counts against the server as any other timeout does; the
/// caller's deadline does not.
fn report(guard: Option<BreakerPermit>, answer: Result<u16, &Error>, request: &Request) {
    let Some(guard) = guard else { return };
    match answer {
        Ok(500 | 502 | 503 | 504) => guard.failure(),
        Ok(408 | 429 | 529) => {}
        Ok(_) => guard.success(),
        Err(err) if is_neutral(err, request) => {}
        Err(_) => guard.failure(),
    }
}

/// Returns whether the fault is in the request, on this machine, or in the caller's patience. A deadline that passed in the
/// queue shows nothing about the server.
fn is_neutral(err: &Error, request: &Request) -> bool {
    match err.kind() {
        ErrorKind::InvalidRequest | ErrorKind::File | ErrorKind::Exhausted => true,
        ErrorKind::DeadlineExceeded => !request.has_client_timeout || err.phase() == RequestPhase::Queue,
        _ => false,
    }
}
