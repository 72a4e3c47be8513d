//! The driver of a job: carries out the actions of its state machine.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use antiphon_llm::{CallContext, Completion, ErrorKind, Prompt, ProviderExt};
use antiphon_store::{ErrorKind as StoreErrorKind, Intent, Settled, Settlement};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::machine::{Action, Ending, Event, JobMachine, Moment, phase_after};
use super::{ClaimedJob, Ended};
use crate::accounts::Bounds;
use crate::shared::{Refusal, Sent, Shared, Sleeping};
use crate::status::Counters;
use crate::timings::{Phase, Spans};

/// A job in progress.
struct Driver {
    shared: Arc<Shared>,
    spans: Spans,
    /// The permit of the concurrency limit, kept from one call to the next.
    permit: Option<OwnedSemaphorePermit>,
    /// The job's attempts: the fencing token of its next intent and settlement.
    attempt: u32,
}

/// Drives a job to its end in this process.
///
/// Dropped, it leaves the job for a later process; a call in progress counts as possibly billed.
pub(crate) async fn drive(shared: Arc<Shared>, claimed: ClaimedJob) -> Ended {
    let ClaimedJob { job, request, since } = claimed;
    let attempt = job.attempt;
    let mut machine = JobMachine::new(job, shared.state.options.retry.pauses());
    let mut driver = Driver { shared, spans: Spans::default(), permit: None, attempt };
    driver.spans.add(Phase::Queue, since.elapsed());
    let mut event = match request {
        Err(failed) => Event::Rejected(failed),
        Ok(mut asked) => match asked.cached.take() {
            Some(answer) => Event::CacheHit(asked, answer),
            None => Event::Started(asked),
        },
    };
    loop {
        let instant = Instant::now();
        let now = Moment { instant, unix_millis: Timestamp::now().as_millisecond() };
        let action = machine.on(event, &driver.shared.state, now);
        driver.spans.add(Phase::Check, instant.elapsed());
        driver.hold_less().await;
        if let Some(notice) = machine.take_notice() {
            driver.shared.warn(&notice);
        }
        event = match action {
            Action::Reserve(bounds) => driver.reserve(bounds).await,
            Action::Call(prompt, intent) => driver.call(&prompt, intent).await,
            Action::Commit(settlement) => driver.commit(*settlement).await,
            Action::Sleep(pause, phase) => driver.sleep(pause, phase).await,
            Action::End(ending) => return driver.end(machine, ending).await,
        };
    }
}

impl Driver {
    /// Waits for a permit of the concurrency limit, then for the budget.
    async fn reserve(&mut self, bounds: Bounds) -> Event {
        let shared = self.shared.clone();
        let halted = shared.state.stop.token().cancelled();
        let granted = async {
            let began = Instant::now();
            if self.permit.is_none() {
                self.permit = shared.permits.clone().acquire_owned().await.ok();
                self.spans.add(Phase::Queue, began.elapsed());
            }
            let began = Instant::now();
            let budget = &shared.state.accounts.budget;
            let grant = budget.reserve(bounds.whole.unwrap_or(0), bounds.least, bounds.floor).await;
            self.spans.add(Phase::Budget, began.elapsed());
            grant
        };
        tokio::select! {
            granted = granted => granted.map_or(Event::Exhausted, Event::Granted),
            () = halted => Event::Halted,
        }
    }

    /// Sends a prompt. Before each attempt its intent is made durable (write-ahead).
    async fn call(&mut self, prompt: &Prompt, intent: Intent) -> Event {
        let (shared, sent) = (self.shared.clone(), Sent::begin(self.attempt));
        let (journal, count) = (shared.clone(), sent.clone());
        let options = &shared.state.options;
        let context = CallContext::default()
            .cancel(options.cancel.clone())
            .drain(shared.state.stop.token().clone())
            .hurry(options.drain.clone())
            .priority(options.limits.priority.unwrap_or_default() as u8)
            .before_send(move || {
                let (journal, intent, count) = (journal.clone(), intent.clone(), count.clone());
                async move { journal.intend(intent, &count).await }
            });
        let in_flight = &shared.state.accounts.counters.in_flight;
        Counters::add(in_flight, 1);
        let answer = shared.calls.provider().complete(prompt, &context).await;
        in_flight.fetch_sub(1, Ordering::Relaxed);
        self.attempt = sent.attempt();
        match answer {
            Ok(answer) => {
                let (waited, took) = sent.elapsed();
                self.time_answer(&answer, waited, took);
                Event::Answered(Box::new(answer), sent.times())
            }
            Err(err) => match sent.refusal() {
                Some(Refusal::Fenced) => Event::Fenced(sent.times()),
                Some(Refusal::OverBudget) => Event::OverBudget(err, sent.times()),
                None => {
                    let (waited, took) = sent.elapsed();
                    self.time_failure(err.kind(), waited, took);
                    Event::Failed(err, sent.times())
                }
            },
        }
    }

    /// Adds the time of a failed call to its phases: the wait before it was sent, and the time after.
    fn time_failure(&mut self, kind: ErrorKind, waited: Duration, took: Duration) {
        let phase = phase_after(kind);
        self.spans.add(if phase == Phase::Breaker { phase } else { Phase::Limiter }, waited);
        self.spans.add(phase, took);
        if matches!(kind, ErrorKind::Timeout { .. }) {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            Counters::add(&self.shared.state.accounts.counters.stalled, micros);
        }
    }

    /// Adds the time of an answered call to its phases.
    fn time_answer(&mut self, answer: &Completion, waited: Duration, took: Duration) {
        let timing = &answer.timing;
        let first_byte = timing.first_byte.unwrap_or(timing.total);
        let first_token = timing.first_token.unwrap_or(timing.total).max(first_byte);
        self.spans.add(Phase::Limiter, timing.queue);
        self.spans.add(Phase::FirstByte, first_byte);
        self.spans.add(Phase::FirstToken, first_token - first_byte);
        self.spans.add(Phase::Stream, timing.total.saturating_sub(first_token));
        // Apart from the limiter and the provider, a call waits only for its intent.
        self.spans.add(Phase::Commit, (waited + took).saturating_sub(timing.queue + timing.total));
    }

    /// Releases in the store, and then in the budget, the amount that no longer has to be held for calls without a bill.
    async fn hold_less(&self) {
        let accounts = &self.shared.state.accounts;
        let less = accounts.take_less();
        if less > 0 && self.shared.run.release_held(less).await.is_ok() {
            accounts.budget.give_back(less);
        }
    }

    /// Commits a settlement, fenced by the job's attempt.
    async fn commit(&mut self, settlement: Settlement) -> Event {
        let began = Instant::now();
        let settlement = settlement.attempt(self.attempt).timings(self.spans.micros());
        let committed = self.shared.run.settle(settlement).await;
        self.spans.add(Phase::Commit, began.elapsed());
        match committed {
            Ok(Settled::Stored) => Event::Committed,
            // The job has, or gets, the result of another worker.
            Ok(_) => Event::Fenced(0),
            Err(err) => match err.kind() {
                StoreErrorKind::Fenced => Event::Fenced(0),
                StoreErrorKind::NotUnique { at } => Event::NotUnique(at),
                _ => Event::NotCommitted(err),
            },
        }
    }

    /// Waits without a permit of the concurrency limit.
    async fn sleep(&mut self, pause: Duration, phase: Phase) -> Event {
        self.permit = None;
        let _sleeping = Sleeping::new(&self.shared);
        let began = Instant::now();
        tokio::select! {
            () = sleep(pause) => {}
            () = self.shared.state.stop.token().cancelled() => return Event::Halted,
        }
        self.spans.add(phase, began.elapsed());
        Event::Woke
    }

    /// Counts the job, and sends its outcome to the caller.
    async fn end(self, mut machine: JobMachine, ending: Ending) -> Ended {
        let shared = &self.shared;
        let counters = &shared.state.accounts.counters;
        let (count, result, ended) = match ending {
            Ending::Left => return Ended::Left,
            Ending::Unsaved(result) => {
                shared.keep_unsaved(machine.outcome(Ok(result)));
                return Ended::Left;
            }
            Ending::Accepted(result) => (&counters.accepted, Ok(result), Ended::Accepted),
            Ending::Failed(failed) => (&counters.failed, Err(failed.clone()), Ended::Failed(failed)),
        };
        Counters::add(count, 1);
        Counters::add(&counters.asked, u64::from(machine.has_called()));
        counters.totals.add(&self.spans);
        tokio::select! {
            biased;
            // The receiver may have been dropped; the outcome is in the store.
            _ = shared.ended.send(machine.outcome(result)) => {}
            () = shared.state.options.cancel.cancelled() => {}
        }
        ended
    }
}
