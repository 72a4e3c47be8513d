//! Whole jobs on the paused clock, through an engine with a store in memory and a scripted provider: exact times,
//! permits, stops and other workers.

use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{Completion, Error, ErrorKind, Stack, Timing};
use antiphon_store::{Bill, Intent, JobState, NewRun, Run, Settlement, Store};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::batch::BatchOutcome;
use crate::engine::{Engine, Journal, Options};
use crate::fixtures::{Numbers, Scripted, answer, error, options};
use crate::stop::StopCause;
use crate::timings::Phase;

const THREE: &str = r#"{"items": [1, 2, 3]}"#;
const SECOND: Duration = Duration::from_secs(1);

/// The results of the calls; each call takes a second.
type Script = Vec<Result<Completion, Error>>;

/// Returns a 429 with a `Retry-After` of two seconds.
fn throttled() -> Error {
    error(ErrorKind::RateLimited { retry_after: Some(2 * SECOND) })
}

/// Returns an answer whose first byte came after 200 ms and its first token after 300 ms.
fn timed() -> Completion {
    let timing = Timing::new(Some(Duration::from_millis(300)), SECOND);
    answer(THREE).timing(timing.first_byte(Some(Duration::from_millis(200))))
}

/// Creates a sealed run of these rows, as a worker.
async fn run_of(store: &Store, rows: &[&str]) -> Arc<Run> {
    let run = store.open_run(NewRun::new("a run")).await.unwrap();
    run.enqueue(rows.iter().map(ToString::to_string).collect()).await.unwrap();
    run.seal().await.unwrap();
    Arc::new(run)
}

/// Runs the rows with a script, on the paused clock. Returns the outcomes, the time that it took, and the run.
async fn run(rows: &[&str], script: Script, options: Options) -> (BatchOutcome, Duration, Arc<Run>) {
    let store = Store::in_memory();
    let run = run_of(&store, rows).await;
    let calls = Stack::new(Scripted::new(SECOND, script)).calls();
    let began = Instant::now();
    let batched =
        Engine::run_all(calls, Journal::new(store, run.clone()), Arc::new(Numbers), options, |_| {}).await;
    (batched.unwrap(), began.elapsed(), run)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_releases_its_permit() {
    let mut options = options();
    options.limits.max_concurrency = Some(1);
    let pause = options.retry.pauses().after_unbilled(Some(2 * SECOND));
    let script = vec![Err(throttled()), Ok(answer(THREE)), Ok(answer(THREE))];
    let (batched, took, _) = run(&["a", "b"], script, options).await;
    assert!(batched.stop.is_none() && batched.outcomes.iter().all(|outcome| outcome.result.is_ok()));
    // The pause is for all jobs; then come the calls of the second and the first row.
    assert_eq!(took.as_secs(), (SECOND + pause + 2 * SECOND).as_secs(), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_job_is_added_to_its_phases() {
    let options = options();
    let pause = options.retry.pauses().after_unbilled(Some(2 * SECOND));
    let (store, script) = (Store::in_memory(), vec![Err(throttled()), Ok(timed())]);
    let run = run_of(&store, &["a"]).await;
    let calls = Stack::new(Scripted::new(SECOND, script)).calls();
    let (ended, mut outcomes) = mpsc::channel(4);
    let engine =
        Engine::new(calls, Journal::new(store, run), Arc::new(Numbers), options, ended).await.unwrap();
    assert!(engine.work(None).await.is_none() && outcomes.recv().await.is_some());
    let millis = |wanted: Phase| Some(engine.time_spent().phases[wanted as usize].as_millis());
    for (phase, expected) in [
        (Phase::Queue, 0),
        (Phase::Retry, 0),
        (Phase::FirstByte, 200),
        (Phase::FirstToken, 100),
        (Phase::Stream, 700),
        (Phase::Breaker, 0),
    ] {
        assert_eq!(millis(phase), Some(expected), "{phase:?}");
    }
    // The throttled call, and the pause after it.
    let (waited, expected) = (millis(Phase::Limiter).unwrap(), 1_000 + pause.as_millis());
    assert!((expected..=expected + 1).contains(&waited), "{waited} ms for {pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_pause_at_once_and_leaves_the_job() {
    let options = options();
    let drain = options.drain.clone();
    let stopping = async {
        tokio::time::sleep(SECOND + SECOND / 2).await;
        drain.cancel();
    };
    let ((batched, took, run), ()) = tokio::join!(run(&["a"], vec![Err(throttled())], options), stopping);
    assert!(matches!(batched.stop, Some(StopCause::Interrupted)), "{:?}", batched.stop);
    assert_eq!((took, batched.outcomes.len()), (SECOND + SECOND / 2, 0));
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.calls, tally.possibly_billed, tally.settled), (1, 0, 0), "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_progress_when_the_process_dies_is_possibly_billed() {
    let (store, options) = (Store::in_memory(), options());
    let run = run_of(&store, &["a"]).await;
    let calls = Stack::new(Scripted::new(SECOND, vec![])).calls();
    let work =
        Engine::run_all(calls, Journal::new(store.clone(), run.clone()), Arc::new(Numbers), options, |_| {});
    assert!(tokio::time::timeout(5 * SECOND, work).await.is_err(), "the script has no answer");
    assert_eq!(run.tally().await.unwrap().intended, 1, "the intent was committed before the call");
    // The call's task is aborted, and dropped when it is polled next.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    drop(run);
    let run = store.open_run(NewRun::new("a run")).await.unwrap();
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.intended, tally.possibly_billed), (0, 1));
    assert!(tally.possible > 0, "the call's bound is held");
}

#[tokio::test(start_paused = true)]
async fn equal_prompts_are_one_call() {
    let mut options = options();
    options.cache = true;
    let (batched, took, run) = run(&["a", "a", "a"], vec![Ok(answer(THREE))], options).await;
    assert_eq!((batched.outcomes.len(), took), (3, SECOND));
    assert!(batched.outcomes.iter().all(|outcome| outcome.result.is_ok()));
    assert_eq!(run.tally().await.unwrap().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn equal_prompts_fail_together() {
    let mut options = options();
    options.cache = true;
    let script = vec![Ok(answer(THREE)), Err(error(ErrorKind::ModelRefusal))];
    let (batched, _, run) = run(&["a", "b", "b"], script, options).await;
    let failed = batched.outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    assert_eq!((batched.outcomes.len(), failed, run.tally().await.unwrap().calls), (3, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_row_without_a_prompt_fails_without_a_call() {
    let (batched, took, run) = run(&["bad"], vec![], options()).await;
    assert_eq!((took, batched.outcomes.len()), (Duration::ZERO, 1));
    let failed = batched.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!((failed.kind.as_str(), failed.message.as_str()), ("bad_row", "a bad row"));
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.calls, tally.failed), (0, 1));
    assert_eq!(run.jobs(0, 9).await.unwrap()[0].state, JobState::Failed);
}

#[tokio::test(start_paused = true)]
async fn no_two_rows_have_the_same_unique_part() {
    let seven = || Ok(answer(r#"{"items": [7, 2, 3]}"#));
    let (batched, _, run) = run(&["a", "b"], vec![seven(), seven(), Ok(answer(THREE))], options()).await;
    assert!(batched.stop.is_none(), "{batched:?}");
    let mut results: Vec<_> = batched.outcomes.into_iter().map(|outcome| outcome.result.unwrap()).collect();
    results.sort_unstable();
    assert_eq!(results, [r#"{"items":[1,2,3]}"#, r#"{"items":[7,2,3]}"#]);
    assert_eq!(run.tally().await.unwrap().calls, 3);
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_the_jobs_of_another_worker() {
    let store = Store::in_memory();
    let first = run_of(&store, &["a"]).await;
    let second = Arc::new(store.open_run(NewRun::new("a run")).await.unwrap());
    let job = first.claim(1).await.unwrap().remove(0);
    let attempt = first.intend(Intent::new(0).attempt(job.attempt).reserved(Some(9))).await.unwrap();
    let calls = Stack::new(Scripted::new(SECOND, [])).calls();
    let work = Engine::run_all(
        calls,
        Journal::new(store.clone(), second.clone()),
        Arc::new(Numbers),
        options(),
        |_| {},
    );
    let settle = async {
        tokio::time::sleep(3 * SECOND).await;
        assert_eq!(second.tally().await.unwrap().intended, 1, "the run waits for the other worker");
        let done = Settlement::accepted(0, THREE, Bill::call(Some(50))).attempt(attempt);
        first.settle(done).await.unwrap();
    };
    let (batched, ()) = tokio::join!(work, settle);
    let batched = batched.unwrap();
    assert!(
        batched.stop.is_none() && batched.outcomes.is_empty(),
        "the outcome belongs to the other worker: {batched:?}"
    );
    assert_eq!((second.tally().await.unwrap().accepted, second.tally().await.unwrap().calls), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_no_longer_in_flight() {
    let store = Store::in_memory();
    let run = run_of(&store, &["a", "b"]).await;
    let calls = Stack::new(Scripted::new(SECOND, [])).calls();
    let (ended, _outcomes) = mpsc::channel(4);
    let engine =
        Engine::new(calls, Journal::new(store, run), Arc::new(Numbers), options(), ended).await.unwrap();
    let mut most = 0;
    {
        let work = engine.work(None);
        tokio::pin!(work);
        for _ in 0..20 {
            let ended = tokio::time::timeout(SECOND, &mut work).await;
            assert!(ended.is_err());
            most = most.max(engine.status().in_flight);
        }
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!((most, engine.status().in_flight), (2, 0));
}
