use std::time::{Duration, SystemTime};

use super::wait::{parse_millis, parse_reset, parse_retry_after};

/// The rate limits of a server, as reported by the headers of one answer; a value that the headers do not report is `None`.
///
/// [`LimitHints::read`] reads these families:
/// - `Retry-After`, `retry-after-ms` and `x-ms-retry-after-ms`;
/// - the headers of the server behind LiteLLM's proxy, which have the prefix `llm_provider-`, where the proxy has none of its own;
/// - `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` (OpenAI, Groq, Azure), with the suffix `-minute` (Cerebras);
/// - `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`;
/// - `x-ratelimit-*` and `ratelimit-*` without a unit (GitHub, OpenRouter, Hugging Face, the IETF's draft up to version 6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitHints {
    /// Time that the server asks the caller to wait before the next call; the longest, if several headers ask for one.
    pub retry_after: Option<Duration>,
    /// Limit of requests (calls).
    pub requests: Allowance,
    /// Limit of tokens, input and output together.
    pub tokens: Allowance,
    /// Limit of input tokens, for servers that limit them separately.
    pub input_tokens: Allowance,
    /// Limit of output tokens, for servers that limit them separately.
    pub output_tokens: Allowance,
}

/// The state of one rate limit at the time of an answer.
///
/// The values cover the whole account: calls of other processes with the same key are included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allowance {
    /// Maximum number of requests or tokens: the size of the burst for a token bucket, or the amount per window (usually a
    /// minute) for a fixed window.
    pub limit: Option<u64>,
    /// Number of requests or tokens that may still be used now.
    pub remaining: Option<u64>,
    /// Time until `remaining` equals `limit` again, if no further calls are made.
    pub resets_in: Option<Duration>,
}

impl Allowance {
    /// Creates an allowance from a limit, the amount that remains and the time until the limit is full again.
    #[must_use]
    pub fn new(limit: u64, remaining: u64, resets_in: Duration) -> Self {
        Self { limit: Some(limit), remaining: Some(remaining), resets_in: Some(resets_in) }
    }

    /// Returns the refill rate per second, if the server refills evenly: the missing amount divided by `resets_in`.
    ///
    /// `None` if a value is not known, nothing is missing, or `resets_in` is zero.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        let missing = self.limit?.checked_sub(self.remaining?)?;
        let seconds = self.resets_in?.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        (missing > 0 && seconds > 0.0).then(|| missing as f64 / seconds)
    }

    /// Returns this allowance, or `other` if no header reported any value of this one.
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::default() { other() } else { self }
    }
}

impl LimitHints {
    /// Reads the limits from the headers of an answer, as pairs of a lower-case name and a value.
    ///
    /// `now` is the time at which the answer arrived. Dates in headers are converted to waits relative to the answer's `Date`
    /// header if it has one, since the clocks of two machines differ, and otherwise relative to `now`. Other headers, and
    /// values that cannot be parsed, are ignored. If a header occurs twice, the first value counts, except for `Retry-After`,
    /// of which the longest wait counts.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// let answer = [("x-ratelimit-remaining-requests", "59"), ("x-ratelimit-reset-requests", "1s")];
    /// let hints = antiphon_resilience::LimitHints::read(answer, SystemTime::now());
    /// assert_eq!((hints.requests.remaining, hints.requests.resets_in), (Some(59), Some(Duration::from_secs(1))));
    /// ```
    #[must_use]
    pub fn read<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>, now: SystemTime) -> Self {
        let raw = RawHeaders::of(headers);
        if !raw.has_any {
            return Self::default();
        }
        let now = raw.date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        let allowance = |family: Family| raw.families[family as usize].allowance(now);
        Self {
            retry_after: raw.wait(now),
            requests: allowance(Family::Requests)
                .or_else(|| allowance(Family::AnthropicRequests))
                .or_else(|| allowance(Family::RequestsMinute))
                .or_else(|| allowance(Family::Plain))
                .or_else(|| allowance(Family::Draft)),
            tokens: allowance(Family::Tokens)
                .or_else(|| allowance(Family::AnthropicTokens))
                .or_else(|| allowance(Family::TokensMinute)),
            input_tokens: allowance(Family::InputTokens),
            output_tokens: allowance(Family::OutputTokens),
        }
    }

    /// Returns the wait after a call that a rate limit refused (status 429): `retry_after`, or where no header asks for a wait,
    /// the longest time until an allowance resets that is used up, or of which the headers report no rest.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// let refused = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")];
    /// let hints = antiphon_resilience::LimitHints::read(refused, SystemTime::now());
    /// assert_eq!((hints.retry_after, hints.wait_after_refusal()), (None, Some(Duration::from_secs(360))));
    /// ```
    #[must_use]
    pub fn wait_after_refusal(&self) -> Option<Duration> {
        let all = [self.requests, self.tokens, self.input_tokens, self.output_tokens];
        let used_up = all.iter().filter(|allowance| allowance.remaining.is_none_or(|rest| rest == 0));
        let resets = used_up.filter_map(|allowance| allowance.resets_in).filter(|reset| !reset.is_zero());
        self.retry_after.or_else(|| resets.max())
    }
}

/// The prefix of the headers that LiteLLM's proxy passes on from the server behind it
/// (<https://docs.litellm.ai/docs/proxy/response_headers>).
const BEHIND_PROXY: &str = "llm_provider-";

/// The headers about limits, not yet parsed: an answer has many headers, and few of them are about limits.
#[derive(Default)]
struct RawHeaders<'h> {
    date: Option<&'h str>,
    /// Whether any header is about limits: the date alone is not worth parsing.
    has_any: bool,
    /// All values, since a proxy may have added one.
    retry_after: Vec<&'h str>,
    retry_after_ms: Option<&'h str>,
    ms_retry_after_ms: Option<&'h str>,
    /// Headers by [`Family`].
    families: [RawAllowance<'h>; 10],
}

/// A family of three headers that describe one limit.
#[derive(Clone, Copy)]
enum Family {
    Requests,
    Tokens,
    AnthropicRequests,
    AnthropicTokens,
    InputTokens,
    OutputTokens,
    RequestsMinute,
    TokensMinute,
    Plain,
    Draft,
}

/// The values of one family's three headers.
#[derive(Default)]
struct RawAllowance<'h> {
    limit: Option<&'h str>,
    remaining: Option<&'h str>,
    reset: Option<&'h str>,
}

impl<'h> RawHeaders<'h> {
    /// Sorts the headers of an answer.
    fn of(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        let (mut raw, mut behind) = (Self::default(), Vec::new());
        for (name, value) in headers {
            match name.strip_prefix(BEHIND_PROXY) {
                Some(name) => behind.push((name, value)),
                None => raw.take(name, value),
            }
        }
        // The proxy's own headers are preferred, whatever the order is.
        behind.into_iter().for_each(|(name, value)| raw.take(name, value));
        raw
    }

    /// Returns the wait that the server asked for: the longest, if several headers ask for one.
    fn wait(&self, now: SystemTime) -> Option<Duration> {
        let millis = self.retry_after_ms.or(self.ms_retry_after_ms).and_then(parse_millis);
        longer(millis, self.retry_after.iter().filter_map(|wait| parse_retry_after(wait, now)).max())
    }

    /// Keeps a header about limits, and ignores every other one.
    fn take(&mut self, name: &str, value: &'h str) {
        let slot = match name {
            "date" => {
                self.date.get_or_insert(value);
                return;
            }
            "retry-after" => {
                self.has_any = true;
                return self.retry_after.push(value);
            }
            "retry-after-ms" => &mut self.retry_after_ms,
            "x-ms-retry-after-ms" => &mut self.ms_retry_after_ms,
            name => match self.allowance_slot(name) {
                Some(slot) => slot,
                None => return,
            },
        };
        slot.get_or_insert(value);
        self.has_any = true;
    }

    /// Returns the place of a header that describes a limit; `None` for any other header.
    fn allowance_slot(&mut self, name: &str) -> Option<&mut Option<&'h str>> {
        let (family, what) = if let Some(rest) = name.strip_prefix("x-ratelimit-") {
            x_ratelimit(rest)?
        } else if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
            anthropic_ratelimit(rest)?
        } else {
            (Family::Draft, name.strip_prefix("ratelimit-")?)
        };
        let raw = &mut self.families[family as usize];
        match what {
            "limit" => Some(&mut raw.limit),
            "remaining" => Some(&mut raw.remaining),
            "reset" => Some(&mut raw.reset),
            _ => None,
        }
    }
}

/// Splits the name of an `x-ratelimit-` header, such as `limit-requests`, into its family and `limit`, `remaining` or
/// `reset`.
fn x_ratelimit(rest: &str) -> Option<(Family, &str)> {
    match rest.split_once('-').unwrap_or((rest, "")) {
        (what, "requests") => Some((Family::Requests, what)),
        (what, "tokens") => Some((Family::Tokens, what)),
        (what, "requests-minute") => Some((Family::RequestsMinute, what)),
        (what, "tokens-minute") => Some((Family::TokensMinute, what)),
        (what, "") => Some((Family::Plain, what)),
        _ => None,
    }
}

/// Splits the name of an `anthropic-ratelimit-` header, such as `requests-limit`, where the order is the other way
/// round.
fn anthropic_ratelimit(rest: &str) -> Option<(Family, &str)> {
    match rest.rsplit_once('-')? {
        ("requests", what) => Some((Family::AnthropicRequests, what)),
        ("tokens", what) => Some((Family::AnthropicTokens, what)),
        ("input-tokens", what) => Some((Family::InputTokens, what)),
        ("output-tokens", what) => Some((Family::OutputTokens, what)),
        _ => None,
    }
}

impl RawAllowance<'_> {
    /// Parses the three headers. A date is relative to `now`; a value that cannot be parsed is `None`.
    fn allowance(&self, now: SystemTime) -> Allowance {
        Allowance {
            limit: self.limit.and_then(count),
            remaining: self.remaining.and_then(count),
            resets_in: self.reset.and_then(|value| parse_reset(value, now)),
        }
    }
}

/// Returns the longer of two waits; whole seconds that are the milliseconds rounded up do not count as longer.
fn longer(millis: Option<Duration>, seconds: Option<Duration>) -> Option<Duration> {
    match (millis, seconds) {
        (Some(millis), Some(seconds)) if seconds < millis + Duration::from_secs(1) => Some(millis),
        (millis, seconds) => millis.max(seconds),
    }
}

/// Parses a count; the IETF's drafts append parameters after a comma or semicolon.
fn count(value: &str) -> Option<u64> {
    value.split([',', ';']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Duration, LimitHints, SystemTime};

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: LimitHints) {
        let read = LimitHints::read(headers.iter().copied(), SystemTime::UNIX_EPOCH);
        assert_eq!(read, expected, "{headers:?}");
    }

    fn requests(limit: u64, remaining: u64, millis: u64) -> LimitHints {
        let requests = Allowance::new(limit, remaining, Duration::from_millis(millis));
        LimitHints { requests, ..LimitHints::default() }
    }

    #[test]
    fn every_family_is_read() {
        let openai = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        let tokens = Allowance::new(150_000, 149_984, Duration::from_secs(360));
        check(&openai, LimitHints { tokens, ..requests(60, 59, 1_000) });
        let anthropic = [
            ("date", "Sun, 06 Nov 1994 08:49:30 GMT"),
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "1994-11-06T08:49:31Z"),
        ];
        check(&anthropic, requests(50, 49, 1_000));
        let plain =
            [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "7"), ("ratelimit-reset", "30")];
        check(&plain, requests(100, 7, 30_000));
        check(&[], LimitHints::default());
    }

    #[test]
    fn milliseconds_take_precedence_and_dates_are_relative_to_the_date_header() {
        let wait =
            |millis| LimitHints { retry_after: Some(Duration::from_millis(millis)), ..LimitHints::default() };
        check(&[("retry-after", "1"), ("retry-after-ms", "137")], wait(137));
        check(&[("retry-after", "2"), ("retry-after-ms", "soon")], wait(2_000));
        check(&[("retry-after", "60"), ("retry-after-ms", "137")], wait(60_000));
        check(&[("retry-after", "3"), ("retry-after", "inf"), ("retry-after", "120")], wait(120_000));
        check(&[("llm_provider-retry-after", "9")], wait(9_000));
        check(
            &[("retry-after", "Wed, 01 Jan 1969 00:00:00 GMT"), ("llm_provider-retry-after-ms", "250")],
            wait(250),
        );
        let dates =
            [("date", "Sun, 06 Nov 1994 08:49:30 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
        check(&dates, wait(7_000));
    }

    #[test]
    fn a_refusal_without_a_wait_is_over_when_what_is_used_up_resets() {
        let wait = |headers: &[(&str, &str)]| {
            LimitHints::read(headers.iter().copied(), SystemTime::UNIX_EPOCH).wait_after_refusal()
        };
        for (value, seconds) in [("1s", 1.0), ("6m0s", 360.0), ("8h12m", 29_520.0), ("120ms", 0.12)] {
            let expected = Some(Duration::from_secs_f64(seconds));
            assert_eq!(wait(&[("x-ratelimit-reset-requests", value)]), expected);
            let tokens = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", value)];
            assert_eq!(wait(&tokens), expected);
            let rest = [("x-ratelimit-remaining-tokens", "7"), ("x-ratelimit-reset-tokens", value)];
            assert_eq!(wait(&rest), None, "tokens are left");
            assert_eq!(wait(&[tokens[0], tokens[1], ("retry-after", "2")]), Some(Duration::from_secs(2)));
        }
        let anthropic = [
            ("date", "Sun, 06 Nov 1994 08:49:30 GMT"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:49:51Z"),
        ];
        assert_eq!(wait(&anthropic), Some(Duration::from_secs(21)));
    }

    #[test]
    fn a_rate_is_the_missing_amount_divided_by_the_reset_time() {
        assert_eq!(Allowance::new(60, 59, Duration::from_secs(1)).rate(), Some(1.0));
        assert_eq!(Allowance::new(60, 60, Duration::ZERO).rate(), None);
        assert_eq!(Allowance::new(10, 60, Duration::from_secs(1)).rate(), None);
    }
}
