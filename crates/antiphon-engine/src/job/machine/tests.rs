mod broken;
mod ends;
mod huge;
mod paths;
mod said;

use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{Billed, Completion, Error, ErrorKind, FinishReason, Prompt, TruncationCause};
use antiphon_store::{Answer, Job, JobState, Store};
use tokio::time::Instant;

use super::{Action, Ending, Event, JobMachine, Moment};
use crate::engine::Options;
use crate::fixtures::{all_errors, answer, error, options, prompt, run_state};
use crate::job::{JobFailure, JobRequest};
use crate::run_state::RunState;
use crate::status::Counters;
use crate::stop::StopCause;
use crate::timings::Phase;

const THREE: &str = r#"{"items": [1, 2, 3]}"#;

fn now() -> Moment {
    Moment { instant: Instant::now(), unix_millis: 1_000 }
}

fn job() -> Job {
    Job::new(4, "row")
}

fn asked() -> Box<JobRequest> {
    Box::new(JobRequest { prompt: Arc::new(prompt("row")), key: [1; 32], cached: None, shares: false })
}

/// A machine and its run, driven without a clock or I/O.
struct Rig {
    run: RunState,
    machine: JobMachine,
}

impl Rig {
    /// Creates a machine in its first state, and a run with these options.
    fn new(options: Options) -> Self {
        let pauses = options.retry.pauses();
        Self { run: run_state(options), machine: JobMachine::new(job(), pauses) }
    }

    fn on(&mut self, event: Event) -> Action {
        self.machine.on(event, &self.run, now())
    }

    /// Reserves the bounds of `action` from the run's own budget.
    fn grant(&mut self, action: &Action) -> Action {
        let Action::Reserve(bounds) = action else { panic!("no reservation: {action:?}") };
        let budget = &self.run.accounts.budget;
        let granted = budget.try_reserve(bounds.whole.unwrap_or(0), bounds.least, bounds.floor);
        match granted {
            Some(Ok(grant)) => self.on(Event::Granted(grant)),
            _ => self.on(Event::Exhausted),
        }
    }

    /// Starts the job, and ends its first call.
    fn first_call(&mut self, result: Result<Completion, Error>) -> Action {
        let action = self.on(Event::Started(asked()));
        let action = self.grant(&action);
        assert!(matches!(action, Action::Call(..)), "{action:?}");
        self.end_call(result)
    }

    /// Ends the call in progress, which was sent once.
    fn end_call(&mut self, result: Result<Completion, Error>) -> Action {
        self.on(match result {
            Ok(answer) => Event::Answered(Box::new(answer), 1),
            Err(err) => Event::Failed(err, 1),
        })
    }

    /// Creates a machine in the named state.
    fn in_state(name: &str) -> Self {
        let mut rig = Self::new(options());
        match name {
            "new" => {}
            "reserving" => drop(rig.on(Event::Started(asked()))),
            "calling" => {
                let action = rig.on(Event::Started(asked()));
                rig.grant(&action);
            }
            "committing" => drop(rig.first_call(Ok(answer(THREE)))),
            "sleeping" => {
                rig.run.health.answered();
                rig.first_call(Err(error(ErrorKind::Unavailable)));
                rig.on(Event::Committed);
            }
            "ended" => drop(rig.on(Event::Halted)),
            other => panic!("no state {other}"),
        }
        rig
    }
}

fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Reserve(_) => "reserve",
        Action::Call(..) => "call",
        Action::Commit(_) => "commit",
        Action::Sleep(..) => "sleep",
        Action::End(Ending::Accepted(_)) => "accepted",
        Action::End(Ending::Unsaved(_)) => "unsaved",
        Action::End(Ending::Failed(_)) => "failed",
        Action::End(Ending::Left) => "left",
    }
}

fn event_of(name: &str, run: &RunState) -> Event {
    match name {
        "started" => Event::Started(asked()),
        "cache hit" => Event::CacheHit(asked(), Answer::new(THREE)),
        "rejected" => Event::Rejected(JobFailure::bad_row("no row".to_owned())),
        "granted" => Event::Granted(run.accounts.budget.try_reserve(9, 9, 9).unwrap().unwrap()),
        "exhausted" => Event::Exhausted,
        "answered" => Event::Answered(Box::new(answer(THREE)), 1),
        "failed" => Event::Failed(error(ErrorKind::ModelRefusal), 1),
        "committed" => Event::Committed,
        "not committed" => Event::NotCommitted(store_error()),
        "fenced" => Event::Fenced(0),
        "not unique" => Event::NotUnique(0),
        "over budget" => Event::OverBudget(error(ErrorKind::Cancelled), 0),
        "woke" => Event::Woke,
        "halted" => Event::Halted,
        other => panic!("no event {other}"),
    }
}

/// Returns an error of a store.
fn store_error() -> antiphon_store::Error {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { Store::in_memory().read_run("none").await.unwrap_err() })
}

/// A table of every event in every state. "defect" stops the run, and leaves the job.
#[test]
fn each_event_in_each_state() {
    const STATES: [&str; 6] = ["new", "reserving", "calling", "committing", "sleeping", "ended"];
    const D: &str = "defect";
    let table = [
        ("started", ["reserve", D, D, D, D, D]),
        ("cache hit", ["commit", D, D, D, D, D]),
        ("rejected", ["commit", D, D, D, D, D]),
        ("granted", [D, "call", D, D, D, D]),
        ("exhausted", [D, "left", D, D, D, D]),
        ("answered", [D, D, "commit", D, D, D]),
        ("failed", [D, D, "commit", D, D, D]),
        ("committed", [D, D, D, "accepted", D, D]),
        ("not committed", [D, D, D, "unsaved", D, D]),
        ("fenced", [D, D, "left", "left", D, D]),
        ("not unique", [D, D, D, D, D, D]),
        ("over budget", [D, D, "sleep", D, D, D]),
        ("woke", [D, D, D, D, "reserve", D]),
        ("halted", ["left", "left", D, D, "left", D]),
    ];
    for (event, expected) in table {
        for (state, expected) in STATES.into_iter().zip(expected) {
            let mut rig = Rig::in_state(state);
            let event_value = event_of(event, &rig.run);
            let action = rig.on(event_value);
            let is_defect = matches!(rig.run.stop.reason(), Some(StopCause::Internal(_)));
            let found = if is_defect { D } else { name_of(&action) };
            assert_eq!(found, expected, "{event} while {state}");
            assert!(!is_defect || name_of(&action) == "left", "{event} while {state}");
        }
    }
}

/// A table of the action after each kind of error, from a provider that has answered before and from one that never has.
#[test]
fn each_kind_of_error() {
    let after = |kind: ErrorKind, was_well: bool| {
        let mut rig = Rig::new(options());
        if was_well {
            rig.run.health.answered();
        }
        let action = rig.first_call(Err(error(kind)));
        let Action::Commit(settlement) = &action else { panic!("{kind:?}: {action:?}") };
        let (state, next) = (settlement.state, rig.on(Event::Committed));
        (state, name_of(&next), rig.run.stop.reason().is_some())
    };
    for kind in all_errors() {
        let expected = match kind {
            ErrorKind::Cancelled | ErrorKind::Auth | ErrorKind::ModelNotFound | ErrorKind::Quota => {
                (JobState::Queued, "left", true)
            }
            ErrorKind::RateLimited { .. }
            | ErrorKind::Overloaded { .. }
            | ErrorKind::CircuitOpen { .. }
            | ErrorKind::Connect
            | ErrorKind::Exhausted
            | ErrorKind::Unavailable
            | ErrorKind::Timeout { phase: antiphon_llm::TimeoutPhase::FirstToken }
            | ErrorKind::Truncated { cause: TruncationCause::Disconnected } => {
                (JobState::PutBack, "sleep", false)
            }
            ErrorKind::InvalidResponse | ErrorKind::Timeout { .. } => (JobState::Queued, "reserve", false),
            _ => (JobState::Failed, "failed", false),
        };
        assert_eq!(after(kind, true), expected, "{kind:?}");
        let (state, next, stops) = after(kind, false);
        let expected = match kind {
            // The run has stopped, so a later process does not wait.
            ErrorKind::CircuitOpen { .. } => (JobState::Queued, "left", true),
            _ => expected,
        };
        assert_eq!((state, next, stops), expected, "{kind:?}, never answered");
    }
}

#[test]
fn a_valid_answer_is_committed_with_its_bill() {
    let mut rig = Rig::new(options());
    let action = rig.first_call(Ok(answer(THREE)));
    let Action::Commit(settlement) = action else { panic!("{action:?}") };
    assert_eq!(settlement.state, JobState::Accepted);
    assert_eq!(
        (settlement.bill.calls, settlement.bill.settled, settlement.bill.possibly_billed),
        (1, Some(50), 0)
    );
    assert!(
        matches!(rig.on(Event::Committed), Action::End(Ending::Accepted(result)) if result == r#"{"items":[1,2,3]}"#)
    );
    let outcome = rig.machine.outcome(Ok(String::new()));
    assert_eq!((outcome.index, outcome.row.as_str()), (4, "row"));
    assert_eq!(outcome.seen.usage.and_then(|usage| usage.output), Some(30));
}

#[test]
fn a_result_that_is_not_unique_is_retried() {
    let seven = r#"{"items": [7, 2, 3]}"#;
    let mut rig = Rig::new(options());
    let Action::Commit(settlement) = rig.first_call(Ok(answer(seven))) else { panic!("no result") };
    assert_eq!((settlement.state, settlement.unique.len()), (JobState::Accepted, 1));
    let Action::Commit(settlement) = rig.on(Event::NotUnique(0)) else { panic!("no bill") };
    assert_eq!((settlement.state, settlement.bill.calls, settlement.unique.len()), (JobState::Queued, 1, 0));
    let prompt = next_prompt(&mut rig);
    assert!(format!("{prompt:?}").contains("another one has 7 already"), "{prompt:?}");
    let action = rig.end_call(Ok(answer(THREE)));
    assert!(matches!(&action, Action::Commit(settlement) if settlement.unique.is_empty()), "{action:?}");
    let mut rig = Rig::new(options());
    rig.on(Event::CacheHit(asked(), Answer::new(seven)));
    assert!(
        matches!(rig.on(Event::NotUnique(0)), Action::Reserve(_)),
        "a cached answer does not count as an attempt"
    );
    assert_eq!(Counters::get(&rig.run.accounts.counters.cached), 0);
}

#[test]
fn a_call_that_was_sent_before_the_budget_ran_out_is_billed() {
    let mut rig = Rig::in_state("calling");
    let action = rig.on(Event::OverBudget(error(ErrorKind::Cancelled), 2));
    let Action::Commit(settlement) = &action else { panic!("no bill: {action:?}") };
    assert_eq!((settlement.state, settlement.bill.calls), (JobState::Queued, 2));
    assert!(matches!(rig.on(Event::Committed), Action::Sleep(_, Phase::Budget)));
    assert_eq!(rig.run.accounts.budget.reserved(), 0);
}

#[test]
fn only_whole_answers_are_cached() {
    let mut options = options();
    options.cache = true;
    let cached = |answer: Completion| {
        let mut rig = Rig::new(options.clone());
        match rig.first_call(Ok(answer)) {
            Action::Commit(settlement) => settlement.answer.is_some(),
            action => panic!("{action:?}"),
        }
    };
    assert!(cached(answer(THREE)));
    let mut other = answer(THREE);
    other.head.other_model = true;
    assert!(!cached(other), "another model answered");
    assert!(!cached(answer(r#"{"items": [1, 2, -3]}"#)), "the answer is partially valid");
}

/// Commits, reserves, and returns the prompt of the next call.
fn next_prompt(rig: &mut Rig) -> Arc<Prompt> {
    let action = match rig.on(Event::Committed) {
        Action::Sleep(..) => rig.on(Event::Woke),
        action => action,
    };
    match rig.grant(&action) {
        Action::Call(prompt, _) => prompt,
        action => panic!("no call: {action:?}"),
    }
}

/// Returns the result, or the kept elements, that a settlement stores.
fn kept_in(action: &Action) -> Option<&str> {
    let Action::Commit(settlement) = action else { panic!("no settlement: {action:?}") };
    settlement.result.as_deref()
}

#[test]
fn only_the_rest_of_a_cut_answer_is_requested() {
    let mut rig = Rig::new(options());
    let action = rig.first_call(Ok(answer(r#"{"items": [1, 2, "#).finish(FinishReason::Length)));
    assert_eq!(kept_in(&action), Some("[1,2]"), "the elements are stored with the bill");
    let prompt = next_prompt(&mut rig);
    assert_eq!(prompt.messages.len(), 3);
    let action = rig.end_call(Ok(answer(r#"{"items": [3]}"#)));
    assert_eq!(kept_in(&action), Some(r#"{"items":[1,2,3]}"#));
}

#[test]
fn valid_elements_are_kept_and_the_others_requested_again() {
    let mut rig = Rig::new(options());
    rig.first_call(Ok(answer(r#"{"items": [1, -2, 3]}"#)));
    assert!(rig.machine.take_notice().is_some_and(|notice| notice.contains("-2 is negative")));
    assert_eq!(rig.machine.take_notice(), None);
    next_prompt(&mut rig);
    let action = rig.end_call(Ok(answer(r#"{"items": [2]}"#)));
    assert_eq!(kept_in(&action), Some(r#"{"items":[1,3,2]}"#));
}

#[test]
fn a_job_resumes_behind_the_elements_that_an_earlier_process_kept() {
    let mut rig = Rig::new(options());
    rig.machine.job.kept = Some("[1, 2]".to_owned());
    let action = rig.on(Event::Started(asked()));
    let Action::Call(prompt, _) = rig.grant(&action) else { panic!("no call") };
    assert_eq!(prompt.messages.len(), 3, "the question, the kept elements, and the request for the rest");
    let action = rig.end_call(Ok(answer(r#"{"items": [3]}"#)));
    assert_eq!(kept_in(&action), Some(r#"{"items":[1,2,3]}"#));
}

#[test]
fn an_invalid_answer_is_retried_until_the_attempts_are_used_up() {
    let mut rig = Rig::new(options());
    let action = rig.first_call(Ok(answer("no JSON")));
    assert!(matches!(&action, Action::Commit(settlement) if settlement.state == JobState::Queued));
    next_prompt(&mut rig);
    let action = rig.end_call(Ok(answer("no JSON")));
    assert!(matches!(&action, Action::Commit(settlement) if settlement.state == JobState::Failed));
    assert!(
        matches!(rig.on(Event::Committed), Action::End(Ending::Failed(failed)) if failed.kind == "schema_mismatch")
    );
}

#[test]
fn an_invalid_cached_answer_is_no_hit() {
    let mut rig = Rig::new(options());
    let action = rig.on(Event::CacheHit(asked(), Answer::new("no JSON")));
    assert_eq!(name_of(&action), "reserve");
    assert_eq!(Counters::get(&rig.run.accounts.counters.cached), 0);
}

#[test]
fn an_answer_that_the_budget_cut_gets_twice_as_many_tokens() {
    let mut options = options();
    // The prompt's bound and 300 tokens of an answer, of 1,000.
    let bound = run_state(options.clone()).accounts.bounds(&prompt("row"), None).whole.unwrap();
    options.limits.max_cost = Some(bound - 700);
    let mut rig = Rig::new(options);
    let action = rig.on(Event::Started(asked()));
    let Action::Call(sent, intent) = rig.grant(&action) else { panic!("no call") };
    let tokens = sent.parameters.max_tokens.unwrap();
    assert!((290..=300).contains(&tokens), "{tokens}");
    assert_eq!(intent.reserved, Some(bound - 700));
    rig.end_call(Ok(answer(r#"{"items": [1, "#).finish(FinishReason::Length)));
    assert_eq!(rig.machine.least_tokens, Some(tokens * 2));
    let action = rig.on(Event::Committed);
    assert!(matches!(rig.grant(&action), Action::End(Ending::Left)), "less is left than the call needs");
    assert!(matches!(rig.run.stop.reason(), Some(StopCause::Budget { .. })));
}

#[test]
fn a_call_that_was_never_sent_costs_nothing() {
    let mut rig = Rig::new(options());
    rig.run.health.answered();
    let action = rig.on(Event::Started(asked()));
    rig.grant(&action);
    let action = rig
        .on(Event::Failed(error(ErrorKind::CircuitOpen { retry_after: None }).with_billed(Billed::Maybe), 0));
    assert!(matches!(action, Action::Sleep(_, Phase::Breaker)), "{action:?}");
    assert_eq!((rig.run.accounts.budget.spent(), rig.run.accounts.budget.reserved()), (0, 0));
}

#[test]
fn a_halted_call_that_was_never_sent_leaves_no_trace() {
    let mut rig = Rig::new(options());
    let action = rig.on(Event::Started(asked()));
    rig.grant(&action);
    rig.run.stop.stop(StopCause::Interrupted);
    let action = rig.on(Event::Failed(error(ErrorKind::Cancelled), 0));
    assert!(matches!(action, Action::End(Ending::Left)));
    assert_eq!((rig.run.accounts.budget.spent(), rig.run.accounts.budget.reserved()), (0, 0));
}

#[test]
fn a_pause_is_named_by_its_cause() {
    for (kind, phase) in [
        (ErrorKind::CircuitOpen { retry_after: None }, Phase::Breaker),
        (ErrorKind::RateLimited { retry_after: None }, Phase::Limiter),
        (ErrorKind::Unavailable, Phase::Retry),
        (ErrorKind::Overloaded { retry_after: None }, Phase::Retry),
    ] {
        let mut rig = Rig::new(options());
        rig.run.health.answered();
        rig.first_call(Err(error(kind)));
        let action = rig.on(Event::Committed);
        assert!(matches!(action, Action::Sleep(_, found) if found == phase), "{kind:?}: {action:?}");
    }
}

#[test]
fn a_wait_past_the_deadline_leaves_the_job_with_the_last_error() {
    let mut options = options();
    options.limits.deadline = Some(Duration::from_secs(1));
    let mut rig = Rig::new(options);
    rig.run.health.answered();
    let kind = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(2)) };
    assert_eq!(name_of(&rig.first_call(Err(error(kind)))), "commit");
    assert!(matches!(rig.on(Event::Committed), Action::End(Ending::Left)));
    assert!(matches!(rig.run.stop.reason(), Some(StopCause::Deadline { last: Some(_) })));
}
