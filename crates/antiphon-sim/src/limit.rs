//! The rate limits of a scenario, and the signals by which the server reports them.
//!
//! A limit is enforced by a token bucket (`bucket`). A [`LimitSignal`] is about the report only: the same limit can be
//! announced in the vendor's headers, as some vendors do, or show itself only by refusals, as others do. An adaptive
//! client has to work with each of them.

/// A rate limit, enforced by a token bucket that is full at the start.
///
/// The bucket refills continuously at [`per_second`](Self::per_second), up to [`burst`](Self::burst). A request is
/// admitted if the bucket holds its cost, which is then taken; otherwise the request gets status 429 and takes nothing.
/// After the first burst, a client is thus admitted at `per_second` on average at most.
///
/// The cost of a request is 1 in [`Scenario::requests`](crate::Scenario::requests), and its tokens in
/// [`Scenario::tokens`](crate::Scenario::tokens).
///
/// # Examples
/// ```
/// use antiphon_sim::{Limit, Scenario};
///
/// // Vendors state limits per minute, and allow one minute's amount as a burst.
/// let scenario = Scenario::default()
///     .requests(Limit::per_second(600.0 / 60.0, 600))
///     .tokens(Limit::per_second(90_000.0 / 60.0, 90_000));
/// assert_eq!(scenario.tokens.map(|limit| limit.per_second), Some(1_500.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// The refill rate, in requests or tokens per second.
    pub per_second: f64,
    /// The capacity of the token bucket: the most that is admitted at once. A request that costs more can never
    /// succeed: in the token limit, it gets the vendor's error for prompts that are too long.
    pub burst: u32,
}

impl Limit {
    /// Creates a limit with a refill rate of `rate` per second and a capacity of `burst`; a burst of 0 counts as 1.
    #[must_use]
    pub const fn per_second(rate: f64, burst: u32) -> Self {
        Self { per_second: rate, burst: if burst == 0 { 1 } else { burst } }
    }
}

/// The signal by which a server reports its rate limits to clients.
///
/// Ollama, llama.cpp and Gemini send no rate limit headers in any case, as their vendors do. Gemini reports the wait in
/// the body of a 429 (`RetryInfo`), unless the signal is [`None`](Self::None).
///
/// A client that retries before a reported wait has passed is counted in
/// [`ClientVerdict::too_early`](crate::ClientVerdict::too_early). Where no wait is reported, no retry is too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitSignal {
    /// `x-ratelimit-*` (or the vendor's own headers) with each answer, and `Retry-After` with a 429.
    Headers,
    /// `Retry-After` with a 429, to the millisecond, such as `0.037`. RFC 9110 (section 10.2.3) has whole seconds only,
    /// so that this also tests the client's parser.
    RetryAfter,
    /// `Retry-After` with a 429, in whole seconds, rounded up: never less than the wait.
    RetryAfterSeconds,
    /// Nothing but the status 429.
    None,
}
