//! The state machine that decides when an answer takes too long. It does no I/O and reads no clock.
//!
//! A fixed time-out for a whole call fails both ways: it cuts off a slow local model that writes steadily, and
//! it waits for minutes on a server that sends only keep-alives. The limits here follow the model's output
//! instead:
//!
//! - the token limit: the token time-out after the last output, or 2 s after the finish reason for what should
//!   follow;
//! - the call limit: `3 × token_timeout + 4 s × tokens`, with `tokens` received so far, up to `max_tokens` or
//!   2,048;
//! - in a hurry: 10 s after the last output or after the beginning of the hurry, but never later than the token
//!   limit.
//!
//! A configured call time-out replaces the second.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::Answer;

/// The time to wait, after an answer's finish reason, for what should follow: its token counts, the end of the stream.
const LINGER: Duration = Duration::from_secs(2);

/// The average time that one token may take: 0.25 tokens a second, half of what a large model reaches on a slow processor.
const SLOWEST_TOKEN: Duration = Duration::from_secs(4);

/// The token time-outs that an answer may take beside the time for its tokens: one to the first token, and two pauses.
const PAUSES: u32 = 3;

/// The tokens assumed for an answer without `max_tokens`; with [`SLOWEST_TOKEN`] somewhat more than two hours.
const ASSUMED_TOKENS: u64 = 2_048;

/// The bytes of a token, about four (<https://help.openai.com/en/articles/4936856>), by which an event with many tokens counts
/// as many.
const TOKEN_BYTES: usize = 4;

/// The maximum pause between tokens for a caller in a hurry.
pub(super) const HURRIED_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time-out, more than any program runs: tokio's own timers end there.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The time limits of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimits {
    /// The maximum time to the first token and between two of them.
    pub(super) token_timeout: Duration,
    /// The maximum time of the whole call; `None`: as [`TimeLimits::total`] derives it.
    pub(super) call_timeout: Option<Duration>,
    /// The maximum number of tokens of the answer, if the prompt sets one.
    pub(super) max_tokens: Option<u64>,
}

impl TimeLimits {
    /// Returns the time limit of a call that has received `tokens` tokens.
    ///
    /// Saturates instead of overflowing, so that an infinite token time-out is an infinite limit.
    fn total(&self, tokens: u64) -> Duration {
        self.call_timeout.unwrap_or_else(|| {
            let tokens = tokens.min(self.max_tokens.unwrap_or(ASSUMED_TOKENS));
            let tokens = SLOWEST_TOKEN.saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
            self.token_timeout.saturating_mul(PAUSES).saturating_add(tokens)
        })
    }

    /// Returns the longest time that a call can take.
    ///
    /// A body that is read as a whole has this limit, since its tokens cannot be counted before its end.
    pub(super) fn longest(&self) -> Duration {
        self.total(u64::MAX)
    }
}

/// The reason why an answer is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimedOut {
    /// The next token is late.
    Token,
    /// The whole call is late; with the time that it was allowed.
    Call(Duration),
}

/// A state machine that decides when an answer takes too long, from the partial answer and the time.
///
/// Only output of the model counts: text, a refusal, reasoning or a tool call; an event without any (a ping, an empty delta,
/// an unchanged token count) extends no deadline. Without a `call_timeout` each token adds [`SLOWEST_TOKEN`] to the time
/// limit of the call, so that an occasional token does not keep it alive, and a slow engine is not cut off.
#[derive(Debug)]
pub(super) struct StreamWatchdog {
    /// The configured limits.
    limits: TimeLimits,
    /// The time at which the request was sent, moved on by the times that the caller did not poll.
    sent: Instant,
    /// The time at which the last token was received; before the first, the time at which the request was sent.
    last: Instant,
    /// The tokens received so far: by the vendor's counts, or one for every four bytes, and at least one for
    /// each growth.
    tokens: u64,
    /// The bytes of output, and the tokens as the vendor counts them, at their highest.
    bytes: usize,
    counted: u64,
    /// Whether a finish reason has arrived; only the first one extends the deadline.
    has_end: bool,
    /// The time since which the caller is in a hurry.
    hurried: Option<Instant>,
}

impl StreamWatchdog {
    /// Creates the state at the time at which the request was sent.
    pub(super) fn new(limits: TimeLimits, sent: Instant) -> Self {
        Self { limits, sent, last: sent, tokens: 0, bytes: 0, counted: 0, has_end: false, hurried: None }
    }

    /// Observes the answer after one of its events.
    ///
    /// Any growth counts as a token, even of one byte. Counts that shrink, or a repeated finish reason, extend
    /// nothing.
    pub(super) fn observe(&mut self, answer: &Answer, now: Instant) {
        let bytes = answer.text.len() + answer.refusal.len() + answer.hidden_bytes;
        let counted = answer.usage.output.unwrap_or(0);
        let ends = answer.finish.is_some() && !self.has_end;
        if bytes > self.bytes {
            self.tokens += ((bytes - self.bytes) / TOKEN_BYTES).max(1) as u64;
        }
        if counted > self.counted {
            self.tokens = self.tokens.max(counted);
        }
        if bytes > self.bytes || counted > self.counted || ends {
            self.last = now;
        }
        self.bytes = self.bytes.max(bytes);
        self.counted = self.counted.max(counted);
        self.has_end |= ends;
    }

    /// Excludes a time in which the caller did not poll the stream: the server did not cause it.
    ///
    /// The times of the request and of the last output move by `idle`.
    pub(super) fn leave_out(&mut self, idle: Duration) {
        self.sent += idle;
        self.last += idle;
    }

    /// Limits pauses between tokens to [`HURRIED_TIMEOUT`] from now on.
    ///
    /// A second call changes nothing.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.hurried.get_or_insert(now);
    }

    /// Returns whether the caller is in a hurry.
    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.is_some()
    }

    /// Returns the time at which the answer is late unless a token is received before it.
    pub(super) fn deadline(&self) -> Instant {
        self.token_deadline().min(self.call_deadline())
    }

    /// Returns the reason why the answer is late, if it is.
    ///
    /// The limit of the call is checked first, so that its error is reported where both are reached.
    pub(super) fn late(&self, now: Instant) -> Option<TimedOut> {
        if now >= self.call_deadline() {
            Some(TimedOut::Call(self.limits.total(self.tokens)))
        } else if now >= self.token_deadline() {
            Some(TimedOut::Token)
        } else {
            None
        }
    }

    /// Returns the time by which the next output has to arrive.
    fn token_deadline(&self) -> Instant {
        let token_timeout = self.limits.token_timeout;
        let timeout = if self.has_end { LINGER.min(token_timeout) } else { token_timeout };
        let deadline = self.last + timeout.min(FAR_FUTURE);
        match self.hurried {
            Some(since) => deadline.min(since.max(self.last) + HURRIED_TIMEOUT.min(timeout)),
            None => deadline,
        }
    }

    /// Returns the time by which the whole answer has to arrive, with the tokens that it has so far.
    fn call_deadline(&self) -> Instant {
        self.sent + self.limits.total(self.tokens).min(FAR_FUTURE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::{FinishReason, Usage};
    use tokio::time::Instant;

    use super::{Answer, StreamWatchdog, TimeLimits, TimedOut};

    fn limits(max_tokens: Option<u64>) -> TimeLimits {
        TimeLimits { token_timeout: Duration::from_secs(60), call_timeout: None, max_tokens }
    }

    /// Returns the second at which an answer is late that has `bytes` more bytes every `every` seconds, and the reason.
    fn late_at(limits: TimeLimits, every: u64, bytes: usize) -> (u64, TimedOut) {
        let sent = Instant::now();
        let (mut watchdog, mut answer) = (StreamWatchdog::new(limits, sent), Answer::default());
        for second in 1.. {
            let now = sent + Duration::from_secs(second);
            if second % every == 0 {
                answer.hidden_bytes += bytes;
                watchdog.observe(&answer, now);
            }
            if let Some(late) = watchdog.late(now) {
                return (second, late);
            }
        }
        unreachable!("there is always a next second")
    }

    #[test]
    fn an_occasional_token_is_late_and_a_slow_engine_is_not() {
        let call = |seconds| TimedOut::Call(Duration::from_secs(seconds));
        assert_eq!(late_at(limits(Some(1_000)), 61, 1), (60, TimedOut::Token));
        // Three pauses of 60 s, and 4 s for each of three tokens.
        assert_eq!(late_at(limits(Some(1_000)), 50, 1), (192, call(192)));
        assert_eq!(late_at(limits(None), 50, 1), (192, call(192)));
        // Half a token a second: all of them are received, and the server continues as if there were no limit.
        assert_eq!(late_at(limits(Some(1_000)), 2, 4), (4_180, call(4_180)));
        assert_eq!(late_at(limits(None), 2, 4), (8_372, call(8_372)));
        // An event with many tokens.
        assert_eq!(late_at(limits(Some(1_000)), 50, 100), (4_180, call(4_180)));
        let bound = TimeLimits { call_timeout: Some(Duration::from_secs(70)), ..limits(Some(1_000)) };
        assert_eq!(late_at(bound, 1, 4), (70, call(70)));
        assert_eq!(late_at(bound, 9, 0), (60, TimedOut::Token));
    }

    #[test]
    fn growing_counts_are_tokens_and_an_end_is_not_extended() {
        let sent = Instant::now();
        let after = |seconds| sent + Duration::from_secs(seconds);
        let (mut watchdog, mut answer) = (StreamWatchdog::new(limits(None), sent), Answer::default());
        for (second, count, deadline) in [(10, 0, 60), (20, 5, 80), (30, 5, 80), (40, 6, 100)] {
            answer.usage = Usage::new(Some(1), Some(count));
            watchdog.observe(&answer, after(second));
            assert_eq!(watchdog.deadline(), after(deadline), "{count} after {second} s");
        }
        answer.finish = Some(FinishReason::Stop);
        for second in [50, 51] {
            watchdog.observe(&answer, after(second));
            assert_eq!(watchdog.deadline(), after(52));
        }
        watchdog.leave_out(Duration::from_secs(9));
        assert_eq!(watchdog.deadline(), after(61));
    }

    #[test]
    fn a_caller_in_a_hurry_accepts_pauses_of_ten_seconds() {
        let sent = Instant::now();
        let after = |seconds| sent + Duration::from_secs(seconds);
        let (mut watchdog, mut answer) = (StreamWatchdog::new(limits(None), sent), Answer::default());
        watchdog.hurry(after(40));
        assert_eq!(watchdog.deadline(), after(50), "ten seconds from the hurry, not from the last token");
        answer.text.push_str("word");
        watchdog.observe(&answer, after(49));
        assert_eq!(watchdog.deadline(), after(59), "a token extends the deadline");
        let mut late = StreamWatchdog::new(limits(None), sent);
        late.hurry(after(55));
        assert_eq!(late.deadline(), after(60), "no later than without a hurry");
    }

    #[test]
    fn infinite_limits_do_not_overflow() {
        let endless = TimeLimits { token_timeout: Duration::MAX, ..limits(None) };
        assert_eq!(endless.longest(), Duration::MAX);
        assert_eq!(StreamWatchdog::new(endless, Instant::now()).late(Instant::now()), None);
    }
}
