//! The driver of a job: carries out the actions of its state machine.
//!
//! | action | driver | events |
//! |---|---|---|
//! | reserve | waits for a permit, then for the budget | granted, exhausted, halted |
//! | call | commits the intent, sends the prompt | answered, failed, fenced, over budget |
//! | commit | stores the settlement | committed, not committed, not unique, fenced |
//! | sleep | releases the permit, waits | woke, halted |
//! | end | counts the job, sends its outcome | none |
//!
//! A stop of the run ends waits, not calls: a call that was sent is paid for, so its answer is awaited and committed,
//! unless it stalls after a drain, or `Options::cancel` aborts it. The driver also takes the time of each phase.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_llm::{CallContext, Completion, Error, ErrorKind, Prompt, ProviderExt};
use antiphon_store::{ErrorKind as StoreErrorKind, Intent, Settled, Settlement};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::machine::{Action, Ending, Event, JobMachine, Moment, phase_after};
use super::{ClaimedJob, Ended, JobFailure, JobRequest};
use crate::accounts::Bounds;
use crate::budget::{Exhausted, Grant};
use crate::engine::JobOutcome;
use crate::shared::{Refusal, Sent, Shared, Sleeping};
use crate::status::Counters;
use crate::timings::{Phase, Spans};

/// A job in progress.
struct Driver {
    shared: Arc<Shared>,
    /// The time that the job took so far, by phase.
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
    let mut driver = Driver::begin(shared, job.attempt, since);
    let mut machine = JobMachine::new(job, driver.shared.state.options.retry.pauses());
    let mut event = first_event(request);
    loop {
        event = match driver.decide(&mut machine, event).await {
            Action::Reserve(bounds) => driver.reserve(bounds).await,
            Action::Call(prompt, intent) => driver.call(&prompt, intent).await,
            Action::Commit(settlement) => driver.commit(*settlement).await,
            Action::Sleep(pause, phase) => driver.sleep(pause, phase).await,
            Action::End(ending) => return driver.end(machine, ending).await,
        };
    }
}

/// Returns the event with which a job begins.
fn first_event(request: Result<Box<JobRequest>, JobFailure>) -> Event {
    match request {
        Err(failed) => Event::Rejected(failed),
        Ok(mut asked) => match asked.cached.take() {
            Some(answer) => Event::CacheHit(asked, answer),
            None => Event::Started(asked),
        },
    }
}

/// A call in flight, which is counted until this is dropped.
struct InFlight<'c>(&'c AtomicU64);

impl<'c> InFlight<'c> {
    /// Counts a call.
    fn begin(count: &'c AtomicU64) -> Self {
        Counters::add(count, 1);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Driver {
    /// Creates the driver of a job that was claimed at `since`, and adds the time since then to the queue.
    fn begin(shared: Arc<Shared>, attempt: u32, since: Instant) -> Self {
        let mut spans = Spans::default();
        spans.add(Phase::Queue, since.elapsed());
        Self { shared, spans, permit: None, attempt }
    }

    /// Passes an event to the machine, and returns the action that it decides on. The time of the decision, in which
    /// answers are parsed and checked, is added to the checks.
    async fn decide(&mut self, machine: &mut JobMachine, event: Event) -> Action {
        let instant = Instant::now();
        let now = Moment { instant, unix_millis: Timestamp::now().as_millisecond() };
        let action = machine.on(event, &self.shared.state, now);
        self.spans.add(Phase::Check, instant.elapsed());
        self.hold_less().await;
        if let Some(notice) = machine.take_notice() {
            self.shared.warn(&notice);
        }
        action
    }

    /// Waits for a permit of the concurrency limit, then for the budget. The permit comes first, so that the money of a
    /// job that cannot begin is not withheld from those that can.
    async fn reserve(&mut self, bounds: Bounds) -> Event {
        let shared = self.shared.clone();
        tokio::select! {
            granted = self.grant(bounds) => granted.map_or(Event::Exhausted, Event::Granted),
            () = shared.state.stop.token().cancelled() => Event::Halted,
        }
    }

    /// Waits for a permit, unless the job still has that of an earlier call, and then for a grant of the budget.
    async fn grant(&mut self, bounds: Bounds) -> Result<Grant, Exhausted> {
        let began = Instant::now();
        if self.permit.is_none() {
            self.permit = self.shared.permits.clone().acquire_owned().await.ok();
            self.spans.add(Phase::Queue, began.elapsed());
        }
        let began = Instant::now();
        let budget = &self.shared.state.accounts.budget;
        let grant = budget.reserve(bounds.whole.unwrap_or(0), bounds.least, bounds.floor).await;
        self.spans.add(Phase::Budget, began.elapsed());
        grant
    }

    /// Sends a prompt. Before each attempt its intent is made durable (write-ahead), and the job's attempt is advanced,
    /// which fences the settlement that follows.
    async fn call(&mut self, prompt: &Prompt, intent: Intent) -> Event {
        let (shared, sent) = (self.shared.clone(), Sent::begin(self.attempt));
        let context = self.context(intent, &sent);
        let in_flight = InFlight::begin(&shared.state.accounts.counters.in_flight);
        let answer = shared.calls.provider().complete(prompt, &context).await;
        drop(in_flight);
        self.attempt = sent.attempt();
        match answer {
            Ok(answer) => {
                let (waited, took) = sent.elapsed();
                self.time_answer(&answer, waited, took);
                Event::Answered(Box::new(answer), sent.times())
            }
            Err(err) => self.failed(err, &sent),
        }
    }

    /// Returns the context of a call, whose before-send hook stores the intent each time the call is sent.
    fn context(&self, intent: Intent, sent: &Arc<Sent>) -> CallContext {
        let (journal, count) = (self.shared.clone(), sent.clone());
        let options = &self.shared.state.options;
        CallContext::default()
            .cancel(options.cancel.clone())
            .drain(self.shared.state.stop.token().clone())
            .hurry(options.drain.clone())
            .priority(options.limits.priority.unwrap_or_default() as u8)
            .before_send(move || {
                let (journal, intent, count) = (journal.clone(), intent.clone(), count.clone());
                async move { journal.intend(intent, &count).await }
            })
    }

    /// Returns the event of a call that failed, or whose intent the store rejected, so that it was not sent again.
    fn failed(&mut self, err: Error, sent: &Sent) -> Event {
        match sent.refusal() {
            Some(Refusal::Fenced) => Event::Fenced(sent.times()),
            Some(Refusal::OverBudget) => Event::OverBudget(err, sent.times()),
            None => {
                let (waited, took) = sent.elapsed();
                self.time_failure(err.kind(), waited, took);
                Event::Failed(err, sent.times())
            }
        }
    }

    /// Adds the time of a failed call to its phases: the wait before it was sent, and the time after. Calls that timed
    /// out are counted separately as well, since they hint at a provider that is stalled.
    fn time_failure(&mut self, kind: ErrorKind, waited: Duration, took: Duration) {
        let phase = phase_after(kind);
        self.spans.add(if phase == Phase::Breaker { phase } else { Phase::Limiter }, waited);
        self.spans.add(phase, took);
        if matches!(kind, ErrorKind::Timeout { .. }) {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            Counters::add(&self.shared.state.accounts.counters.stalled, micros);
        }
    }

    /// Adds the time of an answered call to its phases. A provider that reports no times of its own has the whole call
    /// as first byte.
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

    /// Commits a settlement, fenced by the job's attempt. Nothing is awaited here but the store: also after a stop, a
    /// call that was paid for is settled.
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

    /// Waits without a permit of the concurrency limit, so that another job can send its call in the meantime. A stop
    /// ends the wait.
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

    /// Counts the job, and sends its outcome to the caller. A result that could not be stored is kept in memory
    /// instead, and a job that is left has no outcome.
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
        self.report(machine.outcome(result)).await;
        ended
    }

    /// Sends an outcome to the caller. While the channel is full this waits (backpressure), unless the run is
    /// cancelled.
    async fn report(&self, outcome: JobOutcome) {
        tokio::select! {
            biased;
            // The receiver may have been dropped; the outcome is in the store.
            _ = self.shared.ended.send(outcome) => {}
            () = self.shared.state.options.cancel.cancelled() => {}
        }
    }
}
