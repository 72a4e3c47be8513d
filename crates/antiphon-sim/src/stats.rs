use std::time::Duration;

use serde::Serialize;

/// What a [`Server`](crate::Server) has seen since it began, or was reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests for an answer.
    pub requests: u64,
    /// Answers that went out whole.
    pub answered: u64,
    /// Requests refused because of a limit.
    pub throttled: u64,
    /// Errors: 500s, requests that were none of their format, wrong keys, unknown models.
    pub errors: u64,
    /// Requests that the server was too busy for.
    pub overloaded: u64,
    /// Requests that there was no money for.
    pub out_of_money: u64,
    /// Answers that the model declined to give, or that a filter stopped.
    pub declined: u64,
    /// Requests broken off.
    pub resets: u64,
    /// Answers that stopped in the middle.
    pub stalls: u64,
    /// Answers that ended in the middle, with an error or without.
    pub halves: u64,
    /// Answers that were no JSON, or a web page.
    pub garbage: u64,
    /// Answers whose client went away before their end.
    pub hung_up: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// The most requests under way at once.
    pub most_in_flight: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests that came by HTTP/2.
    pub http2: u64,
    /// Tokens of prompts, a quarter of their bytes.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Tokens of prompts that a vendor would bill: of answers that were begun, whole or not.
    pub billed_input_tokens: u64,
    /// Tokens of answers that a vendor would bill: the words that went out, whoever hung up.
    pub billed_output_tokens: u64,
    /// From the first request to the end of the last answer.
    #[serde(rename = "wall_ms", serialize_with = "millis")]
    pub wall: Duration,
    /// The part of the limits that was reached: what was let through beyond the first burst over what could have been in
    /// that time, of requests or of tokens, whichever is more. `None` without a limit.
    pub limit_reached: Option<f64>,
}

fn millis<S: serde::Serializer>(wall: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wall.as_secs_f64() * 1_000.0)
}
