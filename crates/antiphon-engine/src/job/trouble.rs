//! What is done about a call that gave no answer, or one of which a part is of no use.

use std::time::Duration;

use antiphon_llm::{Billed, Completion, Cut, Error, ErrorKind, FinishReason, Prompt, Usage, Verdict};
use antiphon_store::{Bill, Settlement};
use jiff::Timestamp;
use serde_json::Value;

use super::{Life, Next, Paid, first_line};
use crate::lacking::{Lacking, rest_of};
use crate::stop::Stop;
use crate::timings::Phase;

impl Life {
    /// An answer of whose list some elements are of no use: the others are kept, and as many asked for.
    pub(super) async fn part(
        &mut self,
        question: &Prompt,
        (kept, reasons): (Vec<Value>, &str),
        answer: Completion,
        bill: Bill,
    ) -> Next {
        self.refusals += 1;
        let rest = self
            .shared
            .work
            .list()
            .and_then(|list| rest_of(question, list, &kept, Lacking::Refused(reasons)));
        let Some(rest) = rest.filter(|_| self.refusals <= self.shared.attempts() + 3) else {
            let message = format!("the answer does not fit: {}", first_line(reasons));
            let err = Error::new(ErrorKind::SchemaMismatch, message);
            return Next::End(self.fail(err.with_partial(answer), bill).await);
        };
        self.shared.warn(&format_args!("some of an answer is refused: {}", first_line(reasons)));
        self.kept = kept;
        match self.settle(Settlement::again(self.job.index, bill)).await {
            Ok(()) => Next::Ask(Box::new(rest)),
            Err(ended) => Next::End(ended),
        }
    }

    pub(super) async fn went_wrong(&mut self, question: &Prompt, err: Error, paid: Paid) -> Next {
        let Paid { grant, is_bound, held_to, sent } = paid;
        let kind = err.kind();
        let mut spent = err.spent();
        if sent == 0 {
            // What was never sent cannot have been billed.
            spent.possibly_billed = 0;
        }
        let bill = self.shared.bill(Usage::NOTHING, spent, sent, (grant, is_bound));
        match kind {
            ErrorKind::Cancelled => {
                // The journal's own trouble has been told already.
                self.shared.stop(Stop::Interrupted);
                Next::End(self.leave(bill).await)
            }
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound => self.give_up(err, bill).await,
            ErrorKind::Truncated { cause: Cut::MaxTokens } => {
                let mut answer = err.partial().cloned().unwrap_or_default();
                answer.finish = FinishReason::Length;
                self.cut(question, answer, bill, held_to).await
            }
            // It may have been billed, so it is asked again no more often than an answer that does not fit.
            ErrorKind::InvalidResponse | ErrorKind::Timeout { .. } | ErrorKind::Truncated { .. }
                if err.kind().verdict() == Verdict::Stop && self.may_ask_again(kind) =>
            {
                self.misfits += 1;
                self.shared.warn(&err);
                // The next answer is asked for as a whole, unless earlier ones were partially valid.
                self.forget_cut();
                let next = self.rest_after_partial(question, "the last answer did not come");
                let next = next.unwrap_or_else(|| question.clone());
                match self.settle(Settlement::again(self.job.index, bill)).await {
                    Ok(()) => Next::Ask(Box::new(next)),
                    Err(ended) => Next::End(ended),
                }
            }
            _ => match self.pause(&err) {
                // Whoever set the deadline learns what was the matter last.
                Some(pause) if self.shared.is_late(pause) => {
                    self.shared.stop(Stop::Deadline { last: Some(self.told(err)) });
                    Next::End(self.leave(bill).await)
                }
                Some(pause) if sent == 0 => {
                    // Of what was not sent there is nothing to store.
                    self.shared.warn(&err);
                    Next::Wait(pause, phase_of(kind))
                }
                Some(pause) => {
                    self.shared.warn(&err);
                    let due = Timestamp::now().as_millisecond().saturating_add(millis(pause));
                    let settlement = Settlement::put_back(self.job.index, due, bill);
                    match self.settle(settlement).await {
                        Ok(()) => Next::Wait(pause, phase_of(kind)),
                        Err(ended) => Next::End(ended),
                    }
                }
                // Nothing was ever answered: it is not the row's fault, and the run can be gone on with.
                None if is_of_server(kind) && !self.shared.was_answered() => self.give_up(err, bill).await,
                None if self.shared.is_hopeless(kind) => self.give_up(err, bill).await,
                None => Next::End(self.fail(self.told(err), bill).await),
            },
        }
    }

    /// Whether one more answer may be asked for: as often as one that does not fit, and one that did not come no more often
    /// than failed calls are made again.
    fn may_ask_again(&self, kind: ErrorKind) -> bool {
        let came = kind == ErrorKind::InvalidResponse;
        self.misfits + 1 < self.shared.attempts()
            && (came || self.misfits < self.shared.options.retry.max_retries)
    }

    /// Ends the run for an error that is not the row's, which is left for later.
    async fn give_up(&mut self, err: Error, bill: Bill) -> Next {
        self.shared.stop(Stop::Provider(self.told(err)));
        Next::End(self.leave(bill).await)
    }

    /// An error with all calls that led to it.
    fn told(&self, err: Error) -> Error {
        err.with_attempts(self.calls.max(1))
    }

    /// Returns the pause before the same is asked again; `None` where that would not help, or did not.
    fn pause(&mut self, err: &Error) -> Option<Duration> {
        let verdict = match err.kind() {
            ErrorKind::CircuitOpen { retry_after } => return Some(self.while_open(err, retry_after)),
            // Nothing was done: no attempt is used up, and no other call begins before then either.
            ErrorKind::RateLimited { retry_after } if err.billed() == Billed::No => {
                let pause = self.pauses.after_unbilled(retry_after);
                self.shared.refused(pause);
                return Some(pause);
            }
            kind => kind.verdict(),
        };
        if verdict == Verdict::Stop {
            return None;
        }
        self.shared.trouble(err);
        let asked = err.limits().retry_after.or(match verdict {
            Verdict::Throttled { retry_after } => retry_after,
            _ => None,
        });
        let Some(wait) = asked else {
            let pause = self.pauses.after(verdict)?;
            // A fault among answers says nothing of how long to wait.
            return Some(if self.shared.is_well() { pause / 10 } else { pause });
        };
        if wait > self.shared.options.max_pause {
            // It is no fault of the row's: the run ends, whatever the status was.
            self.shared.refused(wait);
            return Some(wait);
        }
        self.pauses.after(Verdict::Retry).map(|pause| wait.saturating_add(pause))
    }

    /// The pause while the circuit breaker is open, or waits for its trials: rows come back spread over a short time.
    fn while_open(&self, err: &Error, retry_after: Option<Duration>) -> Duration {
        const TRIAL: Duration = Duration::from_millis(250);
        if !self.shared.was_answered() {
            let trouble = self.shared.last_trouble();
            self.shared.stop(Stop::Provider(trouble.unwrap_or_else(|| err.clone())));
        }
        let spread = TRIAL * u32::try_from(self.job.index % 256).unwrap_or(0) / 256;
        let pause = retry_after.unwrap_or(TRIAL) + spread;
        self.shared.opened(pause);
        pause
    }
}

/// What a row waits for after an error.
fn phase_of(kind: ErrorKind) -> Phase {
    match kind {
        ErrorKind::CircuitOpen { .. } => Phase::Breaker,
        ErrorKind::RateLimited { .. } => Phase::Limiter,
        _ => Phase::Retry,
    }
}

/// Whether an error says that the server cannot be asked at all, whatever it is asked.
fn is_of_server(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Connect | ErrorKind::Unavailable | ErrorKind::Overloaded { .. })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, Phase, phase_of};

    #[test]
    fn a_wait_is_named_by_its_cause() {
        let open = ErrorKind::CircuitOpen { retry_after: None };
        for (kind, phase) in [
            (open, Phase::Breaker),
            (ErrorKind::RateLimited { retry_after: None }, Phase::Limiter),
            (ErrorKind::Unavailable, Phase::Retry),
            (ErrorKind::Overloaded { retry_after: None }, Phase::Retry),
        ] {
            assert_eq!(phase_of(kind), phase, "{kind:?}");
        }
    }
}
