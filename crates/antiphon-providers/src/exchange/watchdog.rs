use std::time::Duration;

use tokio::time::Instant;

use super::answer::Answer;

/// After an answer's end, so long is waited for what should follow: its count of tokens, a polite goodbye.
const LINGER: Duration = Duration::from_secs(2);

/// The time that one token may take on average: 0.25 tokens a second, half of what a large model reaches on a slow processor.
const SLOWEST_TOKEN: Duration = Duration::from_secs(4);

/// Token time-outs that an answer may take beside the time for its tokens: one to the first token, and two pauses.
const PAUSES: u32 = 3;

/// The tokens of an answer that has no limit of its own; with [`SLOWEST_TOKEN`] somewhat more than two hours.
const ASSUMED_TOKENS: u64 = 2_048;

/// A token has about four bytes (<https://help.openai.com/en/articles/4936856>); one that many tokens share is not slow.
const TOKEN_BYTES: usize = 4;

/// The silence of an answer that a caller in a hurry bears.
pub(super) const HURRIED_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than any program runs: tokio's own timers end there.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The time limits of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimits {
    /// The time to the first token and between two of them.
    pub(super) token_timeout: Duration,
    /// The time of the whole call; `None`: as [`StreamWatchdog::total`] derives it.
    pub(super) call_timeout: Option<Duration>,
    /// The most tokens of the answer, if it was asked for with a limit.
    pub(super) max_tokens: Option<u64>,
}

impl TimeLimits {
    /// The time of a call that has brought so many tokens.
    fn total(&self, tokens: u64) -> Duration {
        self.call_timeout.unwrap_or_else(|| {
            let tokens = tokens.min(self.max_tokens.unwrap_or(ASSUMED_TOKENS));
            let tokens = SLOWEST_TOKEN.saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
            self.token_timeout.saturating_mul(PAUSES).saturating_add(tokens)
        })
    }

    /// The longest time that a call can take.
    pub(super) fn longest(&self) -> Duration {
        self.total(u64::MAX)
    }
}

/// The reason why an answer is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimedOut {
    /// The next token.
    Token,
    /// The whole call, of which so much time was allowed.
    Call(Duration),
}

/// Decides when an answer takes too long: a state machine that is given the answer so far and the time.
///
/// Only output of the model counts, be it text, a refusal, reasoning or a call of a tool; an event without any (a ping, an
/// empty delta, the same count of tokens again) extends nothing. Without a `call_timeout` each token adds
/// [`SLOWEST_TOKEN`] to the time of the call, so that a token now and then does not keep it alive, and a slow engine is
/// not cut.
#[derive(Debug)]
pub(super) struct StreamWatchdog {
    limits: TimeLimits,
    sent: Instant,
    /// When the last token came; before it, when the request was sent.
    last: Instant,
    tokens: u64,
    /// Bytes of output, and tokens as the vendor counts them, when they last grew.
    bytes: usize,
    counted: u64,
    has_end: bool,
    /// Since when the caller is in a hurry.
    hurried: Option<Instant>,
}

impl StreamWatchdog {
    pub(super) fn new(limits: TimeLimits, sent: Instant) -> Self {
        Self { limits, sent, last: sent, tokens: 0, bytes: 0, counted: 0, has_end: false, hurried: None }
    }

    /// Looks at the answer after one of its events.
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

    /// Leaves out a time in which the caller did not ask for more: it is not the server's.
    pub(super) fn leave_out(&mut self, idle: Duration) {
        self.sent += idle;
        self.last += idle;
    }

    /// Gives the answer no longer silence than [`HURRIED_TIMEOUT`] from now on.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.hurried.get_or_insert(now);
    }

    /// Whether the caller is in a hurry.
    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.is_some()
    }

    /// When the answer is late, if nothing comes until then.
    pub(super) fn deadline(&self) -> Instant {
        self.token_deadline().min(self.call_deadline())
    }

    /// Whether it is late.
    pub(super) fn late(&self, now: Instant) -> Option<TimedOut> {
        if now >= self.call_deadline() {
            Some(TimedOut::Call(self.limits.total(self.tokens)))
        } else if now >= self.token_deadline() {
            Some(TimedOut::Token)
        } else {
            None
        }
    }

    fn token_deadline(&self) -> Instant {
        let token_timeout = self.limits.token_timeout;
        let timeout = if self.has_end { LINGER.min(token_timeout) } else { token_timeout };
        let deadline = self.last + timeout.min(FAR_FUTURE);
        match self.hurried {
            Some(since) => deadline.min(since.max(self.last) + HURRIED_TIMEOUT.min(timeout)),
            None => deadline,
        }
    }

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

    /// The second at which an answer is late that brings so many bytes every so many seconds, and what is late.
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
    fn a_token_now_and_then_is_late_and_a_slow_engine_is_not() {
        let call = |seconds| TimedOut::Call(Duration::from_secs(seconds));
        assert_eq!(late_at(limits(Some(1_000)), 61, 1), (60, TimedOut::Token));
        // Three pauses of 60 s, and 4 s for each of three tokens.
        assert_eq!(late_at(limits(Some(1_000)), 50, 1), (192, call(192)));
        assert_eq!(late_at(limits(None), 50, 1), (192, call(192)));
        // Half a token a second: all of them come, and the server goes on as if there were no limit.
        assert_eq!(late_at(limits(Some(1_000)), 2, 4), (4_180, call(4_180)));
        assert_eq!(late_at(limits(None), 2, 4), (8_372, call(8_372)));
        // Many tokens at a time.
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
    fn a_caller_in_a_hurry_bears_ten_seconds_of_silence() {
        let sent = Instant::now();
        let after = |seconds| sent + Duration::from_secs(seconds);
        let (mut watchdog, mut answer) = (StreamWatchdog::new(limits(None), sent), Answer::default());
        watchdog.hurry(after(40));
        assert_eq!(watchdog.deadline(), after(50), "ten seconds, and not from the last token");
        answer.text.push_str("word");
        watchdog.observe(&answer, after(49));
        assert_eq!(watchdog.deadline(), after(59), "an answer that comes is waited for");
        let mut late = StreamWatchdog::new(limits(None), sent);
        late.hurry(after(55));
        assert_eq!(late.deadline(), after(60), "no longer than without a hurry");
    }

    #[test]
    fn limits_without_end_do_not_overflow() {
        let endless = TimeLimits { token_timeout: Duration::MAX, ..limits(None) };
        assert_eq!(endless.longest(), Duration::MAX);
        assert_eq!(StreamWatchdog::new(endless, Instant::now()).late(Instant::now()), None);
    }
}
