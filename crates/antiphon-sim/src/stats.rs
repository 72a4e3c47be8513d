use std::time::Duration;

use crate::scenario::Fate;
use serde::Serialize;

/// The statistics of a [`Server`](crate::Server) since its start or its last reset: counts of requests, answers, faults and
/// tokens. `GET /_sim/stats` returns them as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests with a prompt. Requests for model lists and for the statistics are not counted.
    pub requests: u64,
    /// Answers that were sent completely.
    pub answered: u64,
    /// Requests that a rate limit refused (status 429).
    pub throttled: u64,
    /// Errors: the fault `error`, requests that do not match their format, wrong keys, unknown models, and requests that are
    /// larger than the burst of the token limit.
    pub errors: u64,
    /// Requests that the fault `overloaded` refused (status 503 or 529).
    pub overloaded: u64,
    /// Requests that the fault `money` refused, since the account had no credit.
    pub out_of_money: u64,
    /// Answers that were model refusals or that a content filter stopped.
    pub declined: u64,
    /// Requests whose connection or HTTP/2 stream was reset.
    pub resets: u64,
    /// Answers that stalled in the middle (the faults `stall` and `empty`).
    pub stalls: u64,
    /// Answers that ended in the middle (the faults `half` and `breaks`). The status 500 of `breaks` for an answer that is not
    /// streamed counts here, too.
    pub halves: u64,
    /// Answers that were invalid JSON or a web page (the faults `garbage` and `wrong_type`).
    pub garbage: u64,
    /// Answers during which the client closed the connection.
    pub hung_up: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// The maximum number of requests in flight at once.
    pub most_in_flight: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests over HTTP/2.
    pub http2: u64,
    /// Tokens of the prompts of admitted requests, counted as a quarter of the bytes of the request.
    pub input_tokens: u64,
    /// Tokens of answers that were sent completely.
    pub output_tokens: u64,
    /// Tokens of prompts that a vendor would bill: those of all answers of which at least one word was sent.
    pub billed_input_tokens: u64,
    /// Tokens of answers that a vendor would bill: all words that were sent, even if the answer was truncated or the client
    /// closed the connection.
    pub billed_output_tokens: u64,
    /// The time from the first request to the end of the last answer. Serialised as `wall_ms`, in milliseconds.
    #[serde(rename = "wall_ms", serialize_with = "millis")]
    pub wall: Duration,
    /// The utilisation of the rate limits: the throughput that was admitted after the first burst, divided by the throughput
    /// that the limits allowed during `wall`. The higher of the values for requests and for tokens; `None` without a limit.
    pub limit_reached: Option<f64>,
}

fn millis<S: serde::Serializer>(wall: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wall.as_secs_f64() * 1_000.0)
}

/// Returns the counter of requests with this fate; `None` for those that are answered.
pub(crate) fn count_of(stats: &mut Stats, fate: Fate) -> Option<&mut u64> {
    match fate {
        Fate::Answer | Fate::Slow | Fate::Trickle => None,
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
