//! The headers that report rate limits, in the formats of the vendors.
//!
//! | signal | with each answer | with a 429 |
//! |---|---|---|
//! | `Headers` | limit, remaining, reset | the same, and `retry-after` |
//! | `RetryAfter` | - | `retry-after` to the millisecond |
//! | `RetryAfterSeconds` | - | `retry-after` in whole seconds |
//! | `None` | - | - |
//!
//! OpenAI has durations until the bucket is full again, Anthropic has timestamps by RFC 3339. The remaining amount is
//! what the bucket holds, rounded down:
//!
//! ```text
//! x-ratelimit-limit-requests: 60                    anthropic-ratelimit-requests-limit: 60
//! x-ratelimit-remaining-requests: 59                anthropic-ratelimit-requests-remaining: 59
//! x-ratelimit-reset-requests: 1s                    anthropic-ratelimit-requests-reset: 2026-11-21T00:00:01Z
//! ```
//!
//! A limit that the scenario does not have has no headers. Vendors without such headers (`Headers::Plain`) get none.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use hyper::Response;
use hyper::header::{HeaderName, HeaderValue};

use crate::answer::AnswerBody;
use crate::bucket::Level;
use crate::limit::LimitSignal;
use crate::wire::Headers;

/// The names of a limit's headers: the limit, the amount that remains, and the reset.
type Names = [&'static str; 3];

/// Anthropic's headers, of requests and of tokens.
const ANTHROPIC: [Names; 2] = [
    [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
    [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
];

/// OpenAI's headers, of requests and of tokens, which many compatible vendors have, too.
const OPENAI: [Names; 2] = [
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
];

impl LimitSignal {
    /// Returns the wait as the client is to see it, rounded up; `None` if it is not reported.
    ///
    /// The result is always longer than the wait, so that a client that waits exactly as long is never refused for a
    /// rounding error.
    pub(crate) fn rounded(self, wait: Duration) -> Option<Duration> {
        match self {
            Self::Headers | Self::RetryAfter => Some(Duration::from_millis(
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1),
            )),
            Self::RetryAfterSeconds => Some(Duration::from_secs(wait.as_secs() + 1)),
            Self::None => None,
        }
    }
}

/// The levels of the token buckets of requests and of tokens.
#[derive(Clone, Copy)]
pub(crate) struct Levels {
    /// The bucket of requests, if they are limited.
    pub(crate) requests: Option<Level>,
    /// The bucket of tokens, if they are limited.
    pub(crate) tokens: Option<Level>,
}

impl Levels {
    /// Returns the time until the refused request would fit both buckets; zero without limits.
    pub(crate) fn longest_wait(self) -> Duration {
        [self.requests, self.tokens].into_iter().flatten().map(|level| level.wait).max().unwrap_or_default()
    }
}

/// Adds the rate limit headers in the vendor's format. `wait` is the time after which a refused request may be sent
/// again.
pub(crate) fn add_limit_headers(
    limit_signal: LimitSignal,
    headers: Headers,
    levels: Levels,
    wait: Option<Duration>,
    response: &mut Response<AnswerBody>,
) {
    if headers == Headers::Plain || limit_signal == LimitSignal::None {
        return;
    }
    if let Some(wait) = wait {
        set(response, "retry-after", seconds(wait));
    }
    if limit_signal == LimitSignal::Headers {
        add_levels(headers, levels, response);
    }
}

/// Adds the headers of both limits, as far as they exist.
fn add_levels(headers: Headers, levels: Levels, response: &mut Response<AnswerBody>) {
    let is_anthropic = headers == Headers::Anthropic;
    let names = if is_anthropic { ANTHROPIC } else { OPENAI };
    for (level, [limit, remaining, reset]) in [levels.requests, levels.tokens].into_iter().zip(names) {
        let Some(level) = level else { continue };
        set(response, limit, level.limit.to_string());
        set(response, remaining, level.remaining.to_string());
        set(response, reset, if is_anthropic { moment(level.full_in) } else { span(level.full_in) });
    }
}

/// Sets a header. A value that no header can have is left out.
fn set(response: &mut Response<AnswerBody>, name: &'static str, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Formats the time `after` from now by RFC 3339, without fractions, as Anthropic does.
fn moment(after: Duration) -> String {
    let at = (SystemTime::now() + after).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// Formats a wait in seconds: `2` or `0.037`. Parts of a millisecond are cut off.
fn seconds(wait: Duration) -> String {
    match wait.subsec_millis() {
        0 => wait.as_secs().to_string(),
        millis => format!("{}.{millis:03}", wait.as_secs()),
    }
}

/// Formats a duration as OpenAI does: `6m0s`, `1.500s`, `20ms`. A part of a millisecond counts as a whole one.
fn span(span: Duration) -> String {
    let millis = span.as_micros().div_ceil(1_000);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let mut text = String::new();
    let (minutes, millis) = (millis / 60_000, millis % 60_000);
    if minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = match millis % 1_000 {
        0 => write!(text, "{}s", millis / 1_000),
        rest => write!(text, "{}.{rest:03}s", millis / 1_000),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::{Duration, moment, seconds, span};

    #[test]
    fn waits_and_durations_have_the_vendors_formats() {
        assert_eq!(
            [0, 37, 2_000, 61_500].map(|millis| seconds(Duration::from_millis(millis))),
            ["0", "0.037", "2", "61.500"]
        );
        assert_eq!(
            [20, 1_500, 60_000, 361_000].map(|millis| span(Duration::from_millis(millis))),
            ["20ms", "1.500s", "1m0s", "6m1s"]
        );
        let moment = moment(Duration::from_secs(60));
        assert!(moment.len() == "2026-11-21T00:00:00Z".len() && moment.ends_with('Z'), "{moment}");
    }
}
