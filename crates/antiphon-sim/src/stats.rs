use std::time::Duration;

use serde::Serialize;

/// The counts of a [`Server`](crate::Server) since its start or its last reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests for an answer.
    pub requests: u64,
    /// Answers that were sent completely.
    pub answered: u64,
    /// Requests that were throttled by a rate limit (429).
    pub throttled: u64,
    /// Errors: status 500, requests that do not match their format, wrong keys, unknown models.
    pub errors: u64,
    /// Requests that the server refused as overloaded.
    pub overloaded: u64,
    /// Requests that were refused because the account had no credit.
    pub out_of_money: u64,
    /// Answers that the model refused to give, or that a content filter stopped.
    pub declined: u64,
    /// Requests whose connection or HTTP/2 stream was reset.
    pub resets: u64,
    /// Answers that stalled in the middle.
    pub stalls: u64,
    /// Answers that ended in the middle, with an error or without.
    pub halves: u64,
    /// Answers that were invalid JSON, or a web page.
    pub garbage: u64,
    /// Answers whose client closed the connection before the end.
    pub hung_up: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// The maximum number of requests in flight at once.
    pub most_in_flight: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests over HTTP/2.
    pub http2: u64,
    /// Tokens of prompts: a quarter of the request's bytes.
    pub input_tokens: u64,
    /// Tokens of answers that were sent completely.
    pub output_tokens: u64,
    /// Tokens of prompts that a vendor would bill: of all answers that were begun, complete or not.
    pub billed_input_tokens: u64,
    /// Tokens of answers that a vendor would bill: the words that were sent, also if the client closed the connection.
    pub billed_output_tokens: u64,
    /// The time from the first request to the end of the last answer; serialised in milliseconds.
    #[serde(rename = "wall_ms", serialize_with = "millis")]
    pub wall: Duration,
    /// The used part of the rate limits: the throughput admitted beyond the first burst, divided by the throughput that the
    /// limits allowed in that time. The higher value of requests and tokens; `None` without a limit.
    pub limit_reached: Option<f64>,
}

fn millis<S: serde::Serializer>(wall: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wall.as_secs_f64() * 1_000.0)
}
