//! Decisions about a call that was not answered.

use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{self as llm, Error, ErrorKind, FinishReason, TruncationCause, Usage, Verdict};
use antiphon_store::{Bill, Settlement};
use serde_json::Value;

use super::{Action, Ask, Billed, Call, Context, Ending, JobMachine, SETTLING, Then};
use crate::accounts::CallEnd;
use crate::stop::StopCause;
use crate::timings::Phase;

/// The time until the circuit breaker's next trial, where it does not say.
const TRIAL: Duration = Duration::from_millis(250);

/// Breaks of one job's answers that each brought something new, after which they count as failures like others.
const MAX_BREAKS: u32 = 32;

/// What an answer that broke off brought.
#[derive(Debug, PartialEq)]
enum Progress {
    None,
    More,
    /// All that was asked for, with what was kept before.
    Whole(Value),
}

/// A failed call with its bill, and how often it was sent.
struct Failure {
    err: Error,
    bill: Bill,
    sent: u32,
}

impl JobMachine {
    pub(super) fn failed(&mut self, cx: Context<'_>, call: Call, err: Error, sent: u32) -> Action {
        let Call { ask, reservation } = call;
        self.calls += sent;
        if sent == 0 && cx.run.stop.is_stopped() {
            reservation.release();
            return Action::End(Ending::Left);
        }
        let (kind, held_to) = (err.kind(), reservation.held_to);
        let mut spent = err.spent();
        if sent == 0 {
            // What was never sent cannot have been billed.
            spent.possibly_billed = 0;
        }
        let end = CallEnd {
            usage: Usage::NOTHING,
            earlier: spent,
            sent,
            received_bytes: err.partial().map_or(0, |partial| partial.text.len() as u64),
            is_answer: false,
        };
        let bill = cx.run.accounts.bill(&end, reservation);
        let mut ask = ask;
        let progress = self.keep_partial(cx, &mut ask, &err);
        if let Progress::Whole(whole) = progress {
            let answer = err.partial().cloned().unwrap_or_default();
            return self.settle_whole(cx, ask, whole, Billed { answer, bill, held_to });
        }
        match kind {
            ErrorKind::Cancelled => {
                // The store's own failure was the first reason, and stays.
                cx.run.stop.stop(StopCause::Interrupted);
                self.leave(bill)
            }
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound => self.give_up(cx, err, bill),
            ErrorKind::Truncated { cause: TruncationCause::MaxTokens } => {
                let mut answer = err.partial().cloned().unwrap_or_default();
                answer.finish = FinishReason::Length;
                self.cut(cx, ask, Billed { answer, bill, held_to })
            }
            // The rest is asked for at once, unless the server asked for patience.
            _ if progress == Progress::More && !is_throttled(&err) => {
                self.notice = Some(err.to_string());
                self.ask_again(bill, ask)
            }
            // It may have been billed, so it is asked again no more often than an invalid answer.
            ErrorKind::InvalidResponse | ErrorKind::Timeout { .. } | ErrorKind::Truncated { .. }
                if kind.verdict() == Verdict::Stop && self.may_ask_again(cx, kind) =>
            {
                self.invalid_answers += 1;
                self.notice = Some(err.to_string());
                self.ask_again(bill, ask)
            }
            _ => match self.pause(cx, &err) {
                Some(pause) => self.put_back(cx, ask, Failure { err, bill, sent }, pause),
                None if self.ends_run(cx, kind) => self.give_up(cx, err, bill),
                None => {
                    let err = self.with_calls(err);
                    self.fail(cx, err, bill)
                }
            },
        }
    }

    /// Waits until other calls are settled; of a call that was sent before, the bill comes first.
    pub(super) fn over_budget(&mut self, cx: Context<'_>, call: Call, err: &Error, sent: u32) -> Action {
        let Call { ask, reservation } = call;
        if sent == 0 {
            reservation.release();
            return self.sleep(ask, SETTLING, Phase::Budget);
        }
        self.calls += sent;
        let end = CallEnd { earlier: err.spent(), sent, ..CallEnd::default() };
        let bill = cx.run.accounts.bill(&end, reservation);
        self.commit(Settlement::again(self.job.index, bill), Then::Sleep(ask, SETTLING, Phase::Budget))
    }

    /// Keeps the whole elements of an answer that broke off; the next call is for the rest.
    fn keep_partial(&mut self, cx: Context<'_>, ask: &mut Ask, err: &Error) -> Progress {
        let is_over = matches!(
            err.kind(),
            // A cut answer is kept where it is asked for anew; what the model takes back is not wanted.
            ErrorKind::Truncated { cause: TruncationCause::MaxTokens }
                | ErrorKind::ModelRefusal
                | ErrorKind::Filtered
        );
        let text = err.partial().filter(|_| !is_over).map_or("", |partial| &partial.text);
        let (new, whole) = self.keep(cx, &ask.question, text);
        if let Some(whole) = whole {
            return Progress::Whole(whole);
        }
        if new == 0 || self.breaks >= MAX_BREAKS {
            return Progress::None;
        }
        self.breaks += 1;
        self.pauses = cx.run.options.retry.pauses();
        if let Some(rest) = self.rest(cx, &ask.question) {
            ask.next = Arc::new(rest);
        }
        Progress::More
    }

    /// Waits before the same is asked again.
    fn put_back(&mut self, cx: Context<'_>, ask: Ask, failure: Failure, pause: Duration) -> Action {
        let Failure { err, bill, sent } = failure;
        if cx.run.stop.is_late(pause, cx.now.instant) {
            // The caller who set the deadline learns what failed last.
            cx.run.stop.stop(StopCause::Deadline { last: Some(self.with_calls(err)) });
            return self.leave(bill);
        }
        self.notice = Some(err.to_string());
        if cx.run.stop.is_stopped() {
            // A later process need not wait for what this one would have waited for.
            return self.leave(bill);
        }
        let phase = phase_after(err.kind());
        if sent == 0 {
            // There is nothing to store of what was not sent.
            return self.sleep(ask, pause, phase);
        }
        let due = cx.now.unix_millis.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.commit(Settlement::put_back(self.job.index, due, bill), Then::Sleep(ask, pause, phase))
    }

    /// Whether one more answer may be asked for: as often as after an invalid one, and after one that did not come no more
    /// often than failed calls are retried.
    fn may_ask_again(&self, cx: Context<'_>, kind: ErrorKind) -> bool {
        let came = kind == ErrorKind::InvalidResponse;
        self.invalid_answers + 1 < cx.run.attempts()
            && (came || self.invalid_answers < cx.run.options.retry.max_retries)
    }

    /// Stops the run for an error that is not the row's, which is left for a later process.
    fn give_up(&mut self, cx: Context<'_>, err: Error, bill: Bill) -> Action {
        cx.run.stop.stop(StopCause::Provider(self.with_calls(err)));
        self.leave(bill)
    }

    /// Decides whether an error that is not retried is about the provider, and would meet every other job, too.
    fn ends_run(&self, cx: Context<'_>, kind: ErrorKind) -> bool {
        let Context { run, .. } = cx;
        let is_of_server = matches!(
            kind,
            ErrorKind::Connect | ErrorKind::Exhausted | ErrorKind::Unavailable | ErrorKind::Overloaded { .. }
        );
        (is_of_server && !run.health.has_answered())
            || run.health.failed_for_good(kind, run.accounts.all_jobs())
    }

    /// An error with all calls that led to it.
    fn with_calls(&self, err: Error) -> Error {
        err.with_attempts(self.calls.max(1))
    }

    /// Returns the pause before the same is asked again; `None` where that would not help, or did not.
    fn pause(&mut self, cx: Context<'_>, err: &Error) -> Option<Duration> {
        let verdict = match err.kind() {
            ErrorKind::CircuitOpen { retry_after } => return Some(self.while_open(cx, err, retry_after)),
            // Nothing was done: no attempt is used up, and no other call begins before then either.
            ErrorKind::RateLimited { retry_after } if err.billed() == llm::Billed::No => {
                let pause = self.pauses.after_unbilled(retry_after);
                stop_if(cx, cx.run.health.throttled(pause, cx.now.instant));
                return Some(pause);
            }
            // The provider has no part in it: the machine has no file descriptors left for a while.
            ErrorKind::Exhausted if cx.run.health.has_answered() => {
                return Some(self.pauses.after_unbilled(None));
            }
            kind => kind.verdict(),
        };
        if verdict == Verdict::Stop {
            return None;
        }
        cx.run.health.failed(err);
        let asked = err.limits().retry_after.or(match verdict {
            Verdict::Throttled { retry_after } => retry_after,
            _ => None,
        });
        let Some(wait) = asked else {
            let pause = self.pauses.after(verdict)?;
            // A fault among answers says nothing of how long to wait.
            return Some(if cx.run.health.is_well() { pause / 10 } else { pause });
        };
        if wait > cx.run.options.max_pause {
            // It is no fault of the row's: the run stops, whatever the status was.
            stop_if(cx, cx.run.health.throttled(wait, cx.now.instant));
            return Some(wait);
        }
        let pause = wait.saturating_add(self.pauses.after(Verdict::Retry)?);
        cx.run.health.asked_to_wait(pause, cx.now.instant);
        Some(pause)
    }

    /// The pause while the circuit breaker is open, or waits for its trials: jobs come back spread over a short time.
    fn while_open(&self, cx: Context<'_>, err: &Error, retry_after: Option<Duration>) -> Duration {
        let Context { run, now } = cx;
        if !run.health.has_answered() {
            let cause = run.health.last_error();
            run.stop.stop(StopCause::Provider(cause.unwrap_or_else(|| err.clone())));
        }
        let spread = TRIAL * u32::try_from(self.job.index % 256).unwrap_or(0) / 256;
        let pause = retry_after.unwrap_or(TRIAL) + spread;
        stop_if(cx, run.health.opened(pause, now.instant));
        pause
    }
}

/// Whether the server asked for patience.
fn is_throttled(err: &Error) -> bool {
    let is_busy = matches!(err.kind(), ErrorKind::RateLimited { .. } | ErrorKind::Overloaded { .. });
    is_busy || err.limits().retry_after.is_some()
}

fn stop_if(cx: Context<'_>, reason: Option<StopCause>) {
    if let Some(reason) = reason {
        cx.run.stop.stop(reason);
    }
}

/// The phase that a call which failed counts for, and the pause after it.
pub(crate) fn phase_after(kind: ErrorKind) -> Phase {
    match kind {
        ErrorKind::CircuitOpen { .. } => Phase::Breaker,
        ErrorKind::RateLimited { .. } => Phase::Limiter,
        _ => Phase::Retry,
    }
}
