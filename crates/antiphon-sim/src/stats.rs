//! The statistics of a server: plain counters, and the mapping from a fate to its counter.
//!
//! A fault is counted when it is drawn, which is before its effect: a stalled answer is in `stalls` as soon as its
//! request is admitted. Ends are counted when they happen. The counters of faults thus do not add up with those of ends
//! while requests are in flight.

use std::time::Duration;

use serde::Serialize;

use crate::faults::Fate;

/// The statistics of a [`Server`](crate::Server) since its start or its last reset: counts of requests, answers, faults
/// and tokens. `GET /_sim/stats` returns them as JSON.
///
/// The fields are in three groups:
///
/// - Requests. Each is in [`requests`](Self::requests), and once it has ended, in at least one of
///   [`answered`](Self::answered), [`throttled`](Self::throttled), [`errors`](Self::errors),
///   [`hung_up`](Self::hung_up) and the fields of faults. It can be in two: a stalled answer is in
///   [`stalls`](Self::stalls), and in [`hung_up`](Self::hung_up) once the client gives up.
/// - Tokens. The input of all admitted requests, the output of complete answers, and what a vendor would bill.
/// - Time. [`wall`](Self::wall), and the throughput in relation to the limits.
///
/// A snapshot is consistent: all counters are read under one lock.
///
/// ```json
/// {
///   "requests": 67, "answered": 61, "throttled": 0, "errors": 0, "overloaded": 0, "out_of_money": 0, "declined": 0,
///   "resets": 0, "stalls": 0, "halves": 6, "garbage": 0, "hung_up": 0, "in_flight": 0, "most_in_flight": 8,
///   "connections": 8, "http2": 0, "input_tokens": 5360, "output_tokens": 976, "billed_input_tokens": 5360,
///   "billed_output_tokens": 1024, "wall_ms": 13200.5, "limit_reached": 0.98
/// }
/// ```
///
/// # Examples
/// ```
/// use antiphon_sim::{Scenario, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::start(Scenario::default(), 0).await?;
/// // After the calls of a client, an upper bound for its concurrency:
/// assert!(server.stats().most_in_flight <= 8);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests with a prompt. Requests for model lists and for the statistics are not counted.
    pub requests: u64,
    /// Answers that were sent completely.
    pub answered: u64,
    /// Requests that a rate limit refused (status 429). The fault `money` is not one of them, even where its status is
    /// 429.
    pub throttled: u64,
    /// Errors: the fault `error`, requests that do not match their format, wrong keys, unknown models, and requests
    /// that are larger than the burst of the token limit.
    pub errors: u64,
    /// Requests that the fault `overloaded` refused (status 503 or 529).
    pub overloaded: u64,
    /// Requests that the fault `money` refused, since the account had no credit.
    pub out_of_money: u64,
    /// Answers that were model refusals or that a content filter stopped. They are complete answers, too.
    pub declined: u64,
    /// Requests whose connection or HTTP/2 stream was reset.
    pub resets: u64,
    /// Answers that stalled in the middle (the faults `stall` and `empty`). An answer that is not streamed counts here
    /// for `empty`, too, although it is complete.
    pub stalls: u64,
    /// Answers that ended in the middle (the faults `half` and `breaks`). The status 500 of `breaks` for an answer that
    /// is not streamed counts here, too.
    pub halves: u64,
    /// Answers that were invalid JSON or a web page (the faults `garbage` and `wrong_type`).
    pub garbage: u64,
    /// Answers during which the client closed the connection, or reset the HTTP/2 stream, also while it waited for the
    /// first byte.
    pub hung_up: u64,
    /// Requests in flight: admitted and not yet ended. Refused and hopeless requests are never in flight.
    pub in_flight: u64,
    /// The maximum of `in_flight`: the concurrency that the client reached.
    pub most_in_flight: u64,
    /// Connections that were opened, also those without a request. Few connections for many requests show that a client
    /// uses keep-alive or HTTP/2 streams.
    pub connections: u64,
    /// Requests over HTTP/2.
    pub http2: u64,
    /// Tokens of the prompts of admitted requests, counted as a quarter of the bytes of the request.
    pub input_tokens: u64,
    /// Tokens of answers that were sent completely.
    pub output_tokens: u64,
    /// Tokens of prompts that a vendor would bill: those of complete answers, and of all others of which at least one
    /// word was sent.
    pub billed_input_tokens: u64,
    /// Tokens of answers that a vendor would bill: all words that were sent, even if the answer was truncated or the
    /// client closed the connection.
    pub billed_output_tokens: u64,
    /// The time from the first request to the end of the last one; refusals by a rate limit do not extend it.
    /// Serialised as `wall_ms`, in milliseconds.
    #[serde(rename = "wall_ms", serialize_with = "millis")]
    pub wall: Duration,
    /// The utilisation of the rate limits: the throughput that was admitted after the first burst, divided by the
    /// throughput that the limits allowed during `wall`. The higher of the values for requests and for tokens; `None`
    /// without a limit.
    ///
    /// 1 is a client that uses a limit completely. The value is negative while the first burst is not used up, and can
    /// be above 1 while requests are in flight, which are admitted but not yet part of `wall`.
    pub limit_reached: Option<f64>,
}

/// Serialises a duration as milliseconds, with fractions.
fn millis<S: serde::Serializer>(wall: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wall.as_secs_f64() * 1_000.0)
}

/// Returns the counter of requests with this fate; `None` for those that are answered without a defect of their own.
///
/// `Slow` and `Trickle` have no counter: their answers are complete, and count as answered. Nor has `Endless`: its clients hang up.
pub(crate) fn count_of(stats: &mut Stats, fate: Fate) -> Option<&mut u64> {
    match fate {
        Fate::Answer | Fate::Slow | Fate::Trickle | Fate::Endless => None,
        Fate::WrongType => Some(&mut stats.garbage),
        Fate::Error => Some(&mut stats.errors),
        Fate::Overloaded => Some(&mut stats.overloaded),
        Fate::Money => Some(&mut stats.out_of_money),
        Fate::Refusal | Fate::Filter => Some(&mut stats.declined),
        Fate::Breaks => Some(&mut stats.halves),
        Fate::Reset => Some(&mut stats.resets),
        Fate::Stall | Fate::Empty => Some(&mut stats.stalls),
        Fate::Half => Some(&mut stats.halves),
        Fate::Garbage => Some(&mut stats.garbage),
    }
}
