//! The state machine of a job, and the data that it exchanges with its driver.
//!
//! This file has the states, events and actions, and what all paths share: to start, to reserve, to send, to commit.
//! The decisions after a call are in `answers` and `failures`.
//!
//! | after | the machine |
//! |---|---|
//! | a valid answer | accepts it |
//! | an answer that was cut | keeps its whole elements, and requests the rest |
//! | a partially valid answer | keeps the valid elements, and requests replacements |
//! | an invalid answer | makes a schema retry, while attempts are left |
//! | a failure that a retry may fix | commits the bill, and pauses |
//! | a failure of the provider as a whole | stops the run, and leaves the job |
//! | any other failure | fails the job, or settles for kept elements |

mod answers;
mod failures;
#[cfg(test)]
mod tests;

pub(crate) use failures::phase_after;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{Completion, Error, Prompt};
use antiphon_resilience::Pauses;
use antiphon_store::{Answer, Bill, Intent, Job, Settlement};
use serde_json::Value;
use tokio::time::Instant;

use super::{JobFailure, JobRequest};
use crate::accounts::{Bounds, Reservation};
use crate::budget::Grant;
use crate::engine::{JobDetails, JobOutcome};
use crate::missing_elements::{MissingElements, prompt_for_rest};
use crate::reading::read;
use crate::run_state::RunState;
use crate::status::Counters;
use crate::stop::StopCause;
use crate::timings::Phase;
use crate::work::{Accepted, Unique};

/// The state machine of one job: takes an event, and returns the next action.
///
/// It does no I/O and reads no clock. A driver carries out the actions, one at a time, and reports the end of each as an event:
///
/// ```text
/// started, cache hit, rejected ─► reserve ─► call ─► commit ─┬► reserve (a schema retry, the rest of a cut answer)
///                                    ▲                       ├► sleep ─► reserve
///                                    └───────────────────────┘► end
/// ```
///
/// The state of a call contains the reservation that pays for it. So the answer or the failure of that call settles it, and it
/// counts as spent if the machine is dropped in between.
#[derive(Debug)]
pub(crate) struct JobMachine {
    job: Job,
    state: State,
    /// The pauses of the retry policy. Progress of an answer renews them.
    pauses: Pauses,
    /// The minimum number of tokens of the next answer, after one was cut since the budget lowered its limit.
    least_tokens: Option<u64>,
    /// The number of answers that used up an attempt: invalid ones, those that were cut at the recipe's own limit, and
    /// failures that were possibly billed.
    invalid_answers: u32,
    /// The number of those that were cut at the recipe's own limit.
    cut_answers: u32,
    /// The number of partially valid answers.
    partial_answers: u32,
    /// The number of answers that broke off after new elements.
    breaks: u32,
    /// The number of times that calls were sent for the job in this process.
    calls: u32,
    /// The kept elements of answers that were cut or partially valid.
    kept: Vec<Value>,
    /// The details of the answers, for the outcome.
    seen: JobDetails,
    /// The warning about the last event, until the driver takes it.
    notice: Option<String>,
    /// The answer whose result is being committed, if the result has parts that no other row may have.
    contested: Option<Box<Contested>>,
}

/// An event: the end of an action, or the start of the job.
#[derive(Debug)]
pub(crate) enum Event {
    /// The job begins.
    Started(Box<JobRequest>),
    /// The job begins, and an earlier answer to the same prompt is cached.
    CacheHit(Box<JobRequest>, Answer),
    /// The job begins, and no prompt can be made from its row.
    Rejected(JobFailure),
    /// The budget has granted a call.
    Granted(Grant),
    /// The budget has too little left for a call.
    Exhausted,
    /// A call was answered, after it was sent this many times.
    Answered(Box<Completion>, u32),
    /// A call failed, after it was sent this many times.
    Failed(Error, u32),
    /// A settlement is durable.
    Committed,
    /// A settlement could not be stored.
    NotCommitted(antiphon_store::Error),
    /// Another worker has taken over the job. The call was sent this many times before and was not sent again, or its settlement
    /// is stored beside the job.
    Fenced(u32),
    /// A result was not stored, since another row has the unique part of it with this index.
    NotUnique(usize),
    /// Other processes may have spent the rest of the budget. The call was sent this many times before, with the spending in the
    /// error, and was not sent again.
    OverBudget(Error, u32),
    /// A pause has ended.
    Woke,
    /// The run was stopped during a wait.
    Halted,
}

/// An action for the driver.
#[derive(Debug)]
pub(crate) enum Action {
    /// Reserve money for a call: `Granted`, `Exhausted` or `Halted` follows.
    Reserve(Bounds),
    /// Send a prompt, and commit the intent each time before it is sent: `Answered`, `Failed`, `Fenced` or
    /// `OverBudget` follows.
    Call(Arc<Prompt>, Intent),
    /// Commit a settlement: `Committed`, `NotCommitted`, `NotUnique` or `Fenced` follows.
    Commit(Box<Settlement>),
    /// Wait, and add the time to a phase: `Woke` or `Halted` follows.
    Sleep(Duration, Phase),
    /// End the job in this process.
    End(Ending),
}

/// The end of a job in this process.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// The job has a durable result.
    Accepted(String),
    /// The job has a result that was paid for and could not be stored.
    Unsaved(String),
    /// The job has failed for good.
    Failed(JobFailure),
    /// The job is left for a later process.
    Left,
}

/// The time of an event, by the monotonic clock and the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    /// Milliseconds since 1970 (UTC).
    pub(crate) unix_millis: i64,
}

/// The context of a decision, beside the job.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    /// The state that all jobs of the run share.
    run: &'a RunState,
    /// The time of the event.
    now: Moment,
}

/// A row's own prompt, and the prompt that is sent next: the same, one for the rest of an answer, or that of a schema retry.
#[derive(Debug, Clone)]
struct Ask {
    /// The row's own prompt, against which every answer is checked.
    question: Arc<Prompt>,
    /// The cache key of the row's own prompt.
    key: [u8; 32],
    /// The prompt that is sent next.
    next: Arc<Prompt>,
}

/// A call in progress, and its reservation.
#[derive(Debug)]
struct Call {
    ask: Ask,
    /// The reservation that pays for the call.
    reservation: Reservation,
}

/// An answer whose result is being committed, with the parts of it that no other row may have.
#[derive(Debug)]
struct Contested {
    /// The unique parts, in the order of the settlement: the store reports one of them by its index.
    unique: Vec<Unique>,
    /// The prompts, for a retry where another row has one of the parts.
    ask: Ask,
    /// `None` for a cached answer.
    billed: Option<Billed>,
}

/// An answer with its bill.
#[derive(Debug, Clone)]
struct Billed {
    answer: Completion,
    bill: Bill,
    /// The maximum number of tokens, where the budget lowered it.
    held_to: Option<u64>,
}

/// The state of a job: the action whose end is awaited, with what is needed to continue after it.
#[derive(Debug)]
enum State {
    /// No event came yet.
    New,
    /// The budget is asked for money.
    Reserving(Ask, Bounds),
    /// A call is in progress.
    Calling(Call),
    /// A settlement is being stored.
    Committing(Then),
    /// The job pauses before the next call.
    Sleeping(Ask),
    /// The job has ended in this process. Also the state while an event is handled: a handler that sets no other one
    /// ends the job.
    Ended,
}

/// The continuation after a settlement is durable.
#[derive(Debug)]
enum Then {
    /// The job ends.
    End(Ending),
    /// The next call is reserved.
    Ask(Ask),
    /// The job pauses, and the time is added to a phase.
    Sleep(Ask, Duration, Phase),
}

/// The time for calls of other processes to settle, before the budget is tried again.
const SETTLING: Duration = Duration::from_millis(50);

impl JobMachine {
    /// Creates the machine of a claimed job, for which no event came yet.
    pub(crate) fn new(job: Job, pauses: Pauses) -> Self {
        Self {
            job,
            state: State::New,
            pauses,
            least_tokens: None,
            invalid_answers: 0,
            cut_answers: 0,
            partial_answers: 0,
            breaks: 0,
            calls: 0,
            kept: Vec::new(),
            seen: JobDetails::default(),
            notice: None,
            contested: None,
        }
    }

    /// Takes an event, and returns the next action. An event that does not fit the state is a defect: it stops the run, and
    /// leaves the job for a later process.
    pub(crate) fn on(&mut self, event: Event, run: &RunState, now: Moment) -> Action {
        let cx = Context { run, now };
        match (mem::replace(&mut self.state, State::Ended), event) {
            (State::New, Event::Started(asked)) => self.start(cx, *asked),
            (State::New, Event::CacheHit(asked, answer)) => self.start_cached(cx, *asked, answer),
            (State::New, Event::Rejected(failed)) => self.fail(cx, failed, Bill::none()),
            (State::Reserving(ask, bounds), Event::Granted(grant)) => self.call(cx, ask, &bounds, grant),
            (State::Reserving(_, bounds), Event::Exhausted) => {
                run.stop.stop(run.accounts.exhausted(bounds.floor));
                Action::End(Ending::Left)
            }
            (State::Calling(call), Event::Answered(answer, sent)) => self.answered(cx, call, *answer, sent),
            (State::Calling(call), Event::Failed(err, sent)) => self.failed(cx, call, err, sent),
            (State::Committing(then), Event::Committed) => self.proceed(cx, then),
            (State::Committing(then), Event::NotCommitted(err)) => {
                run.stop.stop(StopCause::Store(err));
                match then {
                    Then::End(Ending::Accepted(result)) => Action::End(Ending::Unsaved(result)),
                    _ => Action::End(Ending::Left),
                }
            }
            (State::Calling(call), Event::Fenced(sent)) => {
                if sent == 0 {
                    call.reservation.release();
                }
                Action::End(Ending::Left)
            }
            (State::Committing(_), Event::Fenced(_)) => Action::End(Ending::Left),
            (State::Committing(then), Event::NotUnique(at)) => match self.contested.take() {
                Some(contested) => self.not_unique(cx, *contested, at),
                None => self.defect(cx, &format!("part {at} of a result is not unique before {then:?}")),
            },
            (State::Calling(call), Event::OverBudget(err, sent)) => self.over_budget(cx, call, &err, sent),
            (State::Sleeping(ask), Event::Woke) => self.ask(cx, ask),
            (State::New | State::Reserving(..) | State::Sleeping(_), Event::Halted) => {
                Action::End(Ending::Left)
            }
            (state, event) => self.defect(cx, &format!("a job got {event:?} while {state:?}")),
        }
    }

    /// Stops the run, and leaves the job for a later process.
    fn defect(&mut self, cx: Context<'_>, what: &str) -> Action {
        self.state = State::Ended;
        cx.run.stop.stop(StopCause::Internal(format!("a defect of this program: {what}")));
        Action::End(Ending::Left)
    }

    /// Takes the warning about the last event, if any.
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Returns whether a call was sent.
    pub(crate) fn has_called(&self) -> bool {
        self.calls > 0
    }

    /// Takes the outcome of the job for its caller.
    pub(crate) fn outcome(&mut self, result: Result<String, JobFailure>) -> JobOutcome {
        let (row, seen) = (mem::take(&mut self.job.row), mem::take(&mut self.seen));
        JobOutcome { index: self.job.index, row, result, seen, is_stored: true }
    }

    /// Starts with the row's prompt, or with one for the rest of an answer of which an earlier process kept elements.
    fn start(&mut self, cx: Context<'_>, asked: JobRequest) -> Action {
        let JobRequest { prompt, key, .. } = asked;
        let next = self.resume(cx, &prompt).map_or_else(|| prompt.clone(), Arc::new);
        self.ask(cx, Ask { question: prompt, key, next })
    }

    /// Returns the prompt for the rest of an answer of which an earlier process kept a part.
    fn resume(&mut self, cx: Context<'_>, question: &Prompt) -> Option<Prompt> {
        let kept: Vec<Value> = serde_json::from_str(&self.job.kept.take()?).ok()?;
        let rest = prompt_for_rest(question, cx.run.work.list()?, &kept, MissingElements::Truncated)?;
        self.kept = kept;
        Some(rest)
    }

    /// Starts with a cached answer, which is used only if it is valid: the checks of the recipe may be newer than the
    /// answer.
    fn start_cached(&mut self, cx: Context<'_>, asked: JobRequest, answer: Answer) -> Action {
        let mut cached = Completion::new(answer.text);
        cached.attempts = 0;
        let value = read(cx.run.work.schema(), &asked.prompt, &cached);
        let valid = value.and_then(|value| self.check(cx, &asked.prompt, value));
        match valid {
            Ok(accepted) => {
                Counters::add(&cx.run.accounts.counters.cached, 1);
                let ask = Ask { question: asked.prompt.clone(), key: asked.key, next: asked.prompt };
                self.contest(cx, &accepted, &ask, || None);
                self.accept(accepted, Bill::none(), None)
            }
            Err(_) => self.start(cx, asked),
        }
    }

    /// Reserves money for the next call, unless the run has stopped. This is the only way to a call, so none is
    /// reserved after the deadline.
    fn ask(&mut self, cx: Context<'_>, ask: Ask) -> Action {
        let Context { run, now } = cx;
        if run.stop.is_late(Duration::ZERO, now.instant) {
            run.stop.stop(StopCause::Deadline { last: None });
        }
        if run.stop.is_stopped() {
            return Action::End(Ending::Left);
        }
        let bounds = run.accounts.bounds(&ask.next, self.least_tokens);
        self.state = State::Reserving(ask, bounds);
        Action::Reserve(bounds)
    }

    /// Sends the next prompt, with `max_tokens` lowered to what the grant pays for.
    fn call(&mut self, cx: Context<'_>, ask: Ask, bounds: &Bounds, grant: Grant) -> Action {
        let (reservation, max_tokens) = bounds.reserve(grant);
        let mut prompt = ask.next.clone();
        if cx.run.accounts.budget.is_limited() && max_tokens != prompt.parameters.max_tokens {
            Arc::make_mut(&mut prompt).parameters.max_tokens = max_tokens;
        }
        let intent = Intent::new(self.job.index).reserved(reservation.amount());
        self.state = State::Calling(Call { ask, reservation });
        Action::Call(prompt, intent)
    }

    /// Continues after a settlement is durable.
    fn proceed(&mut self, cx: Context<'_>, then: Then) -> Action {
        match then {
            Then::End(ending) => Action::End(ending),
            Then::Ask(ask) => self.ask(cx, ask),
            Then::Sleep(ask, pause, phase) => self.sleep(ask, pause, phase),
        }
    }

    /// Pauses before the next call.
    fn sleep(&mut self, ask: Ask, pause: Duration, phase: Phase) -> Action {
        self.state = State::Sleeping(ask);
        Action::Sleep(pause, phase)
    }

    /// Commits a settlement, with the kept elements of an answer that is not whole yet.
    fn commit(&mut self, mut settlement: Settlement, then: Then) -> Action {
        if !settlement.state.is_end() && !self.kept.is_empty() {
            settlement = settlement.result(Value::Array(self.kept.clone()).to_string());
        }
        self.state = State::Committing(then);
        Action::Commit(Box::new(settlement))
    }

    /// Commits the bill of a call, and sends the next prompt. The job stays with this worker, without a pause.
    fn ask_again(&mut self, bill: Bill, ask: Ask) -> Action {
        self.commit(Settlement::again(self.job.index, bill), Then::Ask(ask))
    }

    /// Commits a result, and with it an answer for the cache.
    fn accept(&mut self, accepted: Accepted, bill: Bill, cached: Option<([u8; 32], Answer)>) -> Action {
        let result = accepted.value.to_string();
        self.seen.notes.extend(accepted.notes);
        let mut settlement = Settlement::accepted(self.job.index, result.clone(), bill);
        if let Some(contested) = &self.contested {
            settlement = settlement.unique(contested.unique.iter().map(Unique::digest).collect());
        }
        if let Some((key, answer)) = cached {
            settlement = settlement.answer(key, answer);
        }
        self.commit(settlement, Then::End(Ending::Accepted(result)))
    }

    /// Commits a failure, or the result of partially valid answers, where the recipe settles for one. With the failure,
    /// the text of the last answer is stored, which was paid for and helps to correct the recipe.
    fn fail(&mut self, cx: Context<'_>, failed: impl Into<JobFailure>, bill: Bill) -> Action {
        let kept = if self.partial_answers > 0 { cx.run.work.settle_for(&self.kept) } else { None };
        if let Some(value) = kept {
            return self.accept(Accepted::new(value), bill, None);
        }
        let failed = failed.into();
        let mut settlement = Settlement::failed(self.job.index, &failed.kind, &failed.message, bill);
        let partial = failed.cause.as_ref().and_then(Error::partial);
        if let Some(partial) = partial.filter(|partial| !partial.text.is_empty()) {
            settlement = settlement.result(&partial.text);
        }
        self.commit(settlement, Then::End(Ending::Failed(failed)))
    }

    /// Commits the bill of a call, and leaves the job for a later process.
    fn leave(&mut self, bill: Bill) -> Action {
        self.commit(Settlement::again(self.job.index, bill), Then::End(Ending::Left))
    }
}

/// Returns the first line of a text, for a warning or an error message that has to stay short.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
