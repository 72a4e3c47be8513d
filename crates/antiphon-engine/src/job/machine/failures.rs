//! Decisions after a call that failed.
//!
//! | error | decision |
//! |---|---|
//! | cancelled | the run was interrupted: the job is left |
//! | rejected key, used-up quota, unknown model | the run stops: every other job would fail, too |
//! | a rate limit after which the server rules out a retry (`x-should-retry: false`) | the run stops |
//! | any other error after which the server rules out a retry | the job fails |
//! | any error after which the server asks for one (`x-should-retry: true`) | a retry, as after a server error; then as above |
//! | rate limit (429) without a bill | all jobs pause; no retry is used up |
//! | circuit breaker open | all jobs pause until its trial; before the first answer of the run, it stops |
//! | any other error after new elements | the rest is requested without a pause |
//! | invalid response, an end that is not natural, timeout after the first token or of the whole call | the prompt is sent again, as often as after an invalid answer |
//! | server error, overload, connection | a retry after a pause with jitter, as the retry policy allows |
//! | refusal, filter, prompt too long | the job fails |
//!
//! Failures that no retry can fix end the run, rather than each job by itself, if no call was ever answered: then the
//! cause is the configuration, and not a row.

use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{self as llm, Error, ErrorKind, FinishReason, TruncationCause, Usage, Verdict};
use antiphon_store::{Bill, Settlement};
use serde_json::Value;

use super::{Action, Ask, Billed, Call, Context, Ending, JobMachine, SETTLING, Then};
use crate::accounts::{CallEnd, Reservation};
use crate::stop::StopCause;
use crate::timings::Phase;

/// The time until the circuit breaker's next trial, where the error does not contain it.
const TRIAL: Duration = Duration::from_millis(250);

/// The maximum number of a job's answers that may break off after new elements; further ones count as other failures do.
const MAX_BREAKS: u32 = 32;

/// The progress that an answer made before it broke off.
#[derive(Debug, PartialEq)]
enum Progress {
    /// No new elements.
    None,
    /// New elements.
    More,
    /// All missing elements: the whole value, with the elements that were kept before.
    Whole(Value),
}

/// A failed call with its bill.
struct Failure {
    err: Error,
    bill: Bill,
    /// The number of times that the call was sent.
    sent: u32,
    /// The maximum number of tokens of the answer, if the budget lowered it.
    held_to: Option<u64>,
    /// Whether new elements arrived before the failure.
    has_progress: bool,
}

impl JobMachine {
    /// Bills a failed call, and keeps its partial answer. If nothing is missing from that, it is accepted or rejected
    /// as a whole answer is; otherwise [`decide`](Self::decide) chooses the next action.
    pub(super) fn failed(&mut self, cx: Context<'_>, call: Call, err: Error, sent: u32) -> Action {
        let Call { mut ask, reservation } = call;
        self.calls += sent;
        if sent == 0 && cx.run.stop.is_stopped() {
            reservation.release();
            return Action::End(Ending::Left);
        }
        let held_to = reservation.held_to;
        let is_joined = !self.kept.is_empty();
        err.partial().into_iter().for_each(|partial| self.seen.see_end(partial, is_joined));
        let bill = bill_of_failure(cx, &err, sent, reservation);
        let progress = self.keep_partial(cx, &mut ask, &err);
        if let Progress::Whole(whole) = progress {
            let answer = err.partial().cloned().unwrap_or_default();
            return self.settle_whole(cx, ask, whole, Billed { answer, bill, held_to });
        }
        let has_progress = progress == Progress::More;
        self.decide(cx, ask, Failure { err, bill, sent, held_to, has_progress })
    }

    /// Decides after a failed call, by the kind of its error: to retry, to request the rest, to fail the job, or to
    /// stop the run.
    fn decide(&mut self, cx: Context<'_>, ask: Ask, failure: Failure) -> Action {
        let (kind, bill) = (failure.err.kind(), failure.bill);
        match kind {
            ErrorKind::Cancelled => {
                // If the store failed, that was the first reason, and is kept.
                cx.run.stop.stop(StopCause::Interrupted);
                self.leave(bill)
            }
            _ if is_of_account(kind) && failure.err.verdict() == Verdict::Stop => {
                self.give_up(cx, failure.err, bill)
            }
            ErrorKind::Truncated { cause: TruncationCause::MaxTokens } => {
                let mut answer = failure.err.partial().cloned().unwrap_or_default();
                answer.finish = FinishReason::Length;
                self.cut(cx, ask, Billed { answer, bill, held_to: failure.held_to })
            }
            // The rest is requested without a pause, unless the server asked for one.
            _ if failure.has_progress && !is_throttled(&failure.err) => {
                self.notice = Some(failure.err.to_string());
                self.ask_again(bill, ask)
            }
            // The call was possibly billed, so it is retried no more often than an invalid answer.
            ErrorKind::InvalidResponse | ErrorKind::Timeout { .. } | ErrorKind::Truncated { .. }
                if kind.verdict() == Verdict::Stop
                    && failure.err.should_retry().is_none()
                    && self.may_ask_again(cx, kind) =>
            {
                self.invalid_answers += 1;
                self.notice = Some(failure.err.to_string());
                self.ask_again(bill, ask)
            }
            _ => match self.pause(cx, &failure.err) {
                Some(pause) => self.put_back(cx, ask, failure, pause),
                None if self.ends_run(cx, &failure.err) => self.give_up(cx, failure.err, bill),
                None => {
                    let err = self.with_calls(failure.err);
                    self.fail(cx, err, bill)
                }
            },
        }
    }

    /// Waits until other calls are settled, also those of other processes, and then reserves again. If the call was
    /// sent before, its bill is committed first.
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

    /// Keeps the whole elements of a partial answer; the next call is then for the rest. New elements renew the
    /// retries, up to [`MAX_BREAKS`] times: a server that always breaks off is making progress as long as it sends
    /// something.
    fn keep_partial(&mut self, cx: Context<'_>, ask: &mut Ask, err: &Error) -> Progress {
        let partial = err.partial().filter(|_| may_keep_partial(err.kind()));
        let text = partial.map_or("", |partial| &partial.text);
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

    /// Puts the job back: waits before the same prompt is sent again. The due time is stored, so that another process
    /// waits as long if this one ends before it. A pause past the deadline stops the run.
    fn put_back(&mut self, cx: Context<'_>, ask: Ask, failure: Failure, pause: Duration) -> Action {
        let Failure { err, bill, sent, .. } = failure;
        if cx.run.stop.is_late(pause, cx.now.instant) {
            // The stop reports the last error to the caller.
            cx.run.stop.stop(StopCause::Deadline { last: Some(self.with_calls(err)) });
            return self.leave(bill);
        }
        self.notice = Some(err.to_string());
        if cx.run.stop.is_stopped() {
            // A later process does not have to wait for the end of this pause.
            return self.leave(bill);
        }
        let phase = phase_after(err.kind());
        if sent == 0 {
            // A call that was not sent has nothing to store.
            return self.sleep(ask, pause, phase);
        }
        let due = cx.now.unix_millis.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.commit(Settlement::put_back(self.job.index, due, bill), Then::Sleep(ask, pause, phase))
    }

    /// Returns whether one more answer may be requested: as often as after an invalid one; and, if no answer came, no more often
    /// than failed calls are retried.
    fn may_ask_again(&self, cx: Context<'_>, kind: ErrorKind) -> bool {
        let came = matches!(
            kind,
            ErrorKind::InvalidResponse | ErrorKind::Truncated { cause: TruncationCause::Stopped }
        );
        self.invalid_answers + 1 < cx.run.attempts()
            && (came || self.invalid_answers < cx.run.options.retry.max_retries)
    }

    /// Stops the run for an error that is not about the row, and leaves the job for a later process.
    fn give_up(&mut self, cx: Context<'_>, err: Error, bill: Bill) -> Action {
        cx.run.stop.stop(StopCause::Provider(self.with_calls(err)));
        self.leave(bill)
    }

    /// Returns whether an error that is not retried is about the provider, so that every other job would fail with it, too.
    fn ends_run(&self, cx: Context<'_>, err: &Error) -> bool {
        let (Context { run, .. }, kind) = (cx, err.kind());
        let is_limit_for_good =
            matches!(kind, ErrorKind::RateLimited { .. }) && err.verdict() == Verdict::Stop;
        if is_of_account(kind) || is_limit_for_good {
            return true;
        }
        let is_of_server = matches!(
            kind,
            ErrorKind::Connect
                | ErrorKind::Tls
                | ErrorKind::Exhausted
                | ErrorKind::Unavailable
                | ErrorKind::Overloaded { .. }
        );
        (is_of_server && !run.health.has_answered())
            || run.health.failed_for_good(kind, run.accounts.all_jobs())
    }

    /// Sets the number of all calls that led to an error.
    fn with_calls(&self, err: Error) -> Error {
        err.with_attempts(self.calls.max(1))
    }

    /// Returns the pause before the same prompt is sent again; `None` where a retry cannot help, or the retries are used up.
    fn pause(&mut self, cx: Context<'_>, err: &Error) -> Option<Duration> {
        match err.kind() {
            ErrorKind::CircuitOpen { retry_after } => Some(self.while_open(cx, err, retry_after)),
            // The call was not processed: no attempt is used up, and no other call begins before the end of the pause.
            ErrorKind::RateLimited { retry_after }
                if err.billed() == llm::Billed::No && err.verdict() != Verdict::Stop =>
            {
                let pause = self.pauses.after_unbilled(retry_after);
                stop_if(cx, cx.run.health.throttled(pause, cx.now.instant));
                Some(pause)
            }
            // This is not the provider's error: the machine is out of file descriptors for a while.
            ErrorKind::Exhausted if cx.run.health.has_answered() => Some(self.pauses.after_unbilled(None)),
            _ => self.pause_by_verdict(cx, err, err.verdict()),
        }
    }

    /// Returns the pause after a failure that counts against the provider and uses up a retry; `None` where a retry
    /// cannot help, or none is left.
    fn pause_by_verdict(&mut self, cx: Context<'_>, err: &Error, verdict: Verdict) -> Option<Duration> {
        if verdict == Verdict::Stop {
            return None;
        }
        cx.run.health.failed(err);
        let asked = err.limits().retry_after.or(match verdict {
            Verdict::Throttled { retry_after } => retry_after,
            _ => None,
        });
        if let Some(wait) = asked {
            return self.pause_as_asked(cx, wait);
        }
        let pause = self.pauses.after(verdict)?;
        // While most calls are answered, a single failure does not call for a long pause.
        Some(if cx.run.health.is_well() { pause / 10 } else { pause })
    }

    /// Returns the pause of one job for as long as the server asked, with jitter on top. A wait of more than
    /// `max_pause` stops the run.
    fn pause_as_asked(&mut self, cx: Context<'_>, wait: Duration) -> Option<Duration> {
        if wait > cx.run.options.max_pause {
            // The row is not the cause: the run stops, whatever the status was.
            stop_if(cx, cx.run.health.throttled(wait, cx.now.instant));
            return Some(wait);
        }
        let pause = wait.saturating_add(self.pauses.after(Verdict::Retry)?);
        cx.run.health.asked_to_wait(pause, cx.now.instant);
        Some(pause)
    }

    /// Returns the pause while the circuit breaker is open, or waits for its trials. Jobs return spread over a short time
    /// (jitter).
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

/// Returns whether an error of this kind is about the account or the configuration, so that every other job would fail with it.
fn is_of_account(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound)
}

/// Returns whether the whole elements of a partial answer may be kept after an error of this kind. An answer that was
/// cut at the token limit is kept by `cut`; a refused or filtered one is dropped.
fn may_keep_partial(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Truncated { cause: TruncationCause::MaxTokens }
            | ErrorKind::ModelRefusal
            | ErrorKind::Filtered
    )
}

/// Returns whether the server throttled the call, or asked for a pause.
fn is_throttled(err: &Error) -> bool {
    let is_busy = matches!(err.kind(), ErrorKind::RateLimited { .. } | ErrorKind::Overloaded { .. });
    is_busy || err.limits().retry_after.is_some()
}

/// Stops the run if there is a reason.
fn stop_if(cx: Context<'_>, reason: Option<StopCause>) {
    if let Some(reason) = reason {
        cx.run.stop.stop(reason);
    }
}

/// Returns the phase to which a failed call, and the pause after it, are added.
pub(crate) fn phase_after(kind: ErrorKind) -> Phase {
    match kind {
        ErrorKind::CircuitOpen { .. } => Phase::Breaker,
        ErrorKind::RateLimited { .. } => Phase::Limiter,
        _ => Phase::Retry,
    }
}

/// Bills a call that failed, by what it may have used: the tokens that its error reports, or the text that arrived.
fn bill_of_failure(cx: Context<'_>, err: &Error, sent: u32, reservation: Reservation) -> Bill {
    let mut spent = err.spent();
    if sent == 0 {
        // A call that was never sent cannot have been billed.
        spent.possibly_billed = 0;
    }
    let end = CallEnd {
        usage: Usage::NOTHING,
        earlier: spent,
        sent,
        received_bytes: err.partial().map_or(0, |partial| partial.text.len() as u64),
        is_answer: false,
    };
    cx.run.accounts.bill(&end, reservation)
}
