//! What every backend has to do. A second one calls `suite` with its own way to open.

use std::collections::HashSet;
use std::sync::Arc;

use antiphon_store::{
    Answer, Bill, ErrorKind, Intent, Job, JobState, NewRun, Run, RunStatus, Settlement, Store,
};
use proptest::prelude::*;

use crate::file::Place;

const QUESTION: [u8; 32] = [7; 32];

fn rows(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

async fn run_of(store: &Store, jobs: usize) -> Run {
    let run = store.open_run(NewRun::new("f").request("map", "{}")).await.unwrap();
    run.enqueue(rows(jobs)).await.unwrap();
    run.seal().await.unwrap();
    run
}

fn indexes(jobs: &[Job]) -> Vec<u64> {
    jobs.iter().map(|job| job.index).collect()
}

#[tokio::test]
async fn jobs_are_claimed_once_and_in_order_also_while_more_come() {
    let place = Place::new();
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    run.enqueue(rows(3)).await.unwrap();
    assert_eq!(indexes(&run.claim(2).await.unwrap()), [0, 1]);
    run.enqueue(rows(2)).await.unwrap();
    assert_eq!(indexes(&run.claim(9).await.unwrap()), [2, 3, 4]);
    assert_eq!((run.claim(9).await.unwrap(), run.seal().await.unwrap()), (Vec::new(), 5));
    assert_eq!(run.jobs(1, 1).await.unwrap()[0].row, "{\"n\":1}");
}

#[tokio::test]
async fn what_was_settled_is_kept_and_what_was_intended_is_named() {
    let place = Place::new();
    {
        let run = run_of(&place.open().await, 4).await;
        for index in 0..3 {
            run.intend(Intent::new(index, QUESTION).reserved(Some(50))).await.unwrap();
        }
        run.settle(Settlement::accepted(0, "done", Bill::call(Some(30)).tokens(10, 5))).await.unwrap();
        let later = Settlement::put_back(1, i64::MAX, Bill::none().lost(1, Some(40)));
        run.settle(later).await.unwrap();
    }
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    let lost: Vec<_> = run.interrupted().iter().map(|call| (call.index, call.reserved)).collect();
    assert_eq!(lost, [(2, Some(50))]);
    let jobs = run.claim(9).await.unwrap();
    assert_eq!(indexes(&jobs), [1, 2, 3], "what was put back waits no longer than its owner lived");
    assert_eq!(jobs[1].attempt, 1);
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.queued, tally.settled, tally.possible), (1, 3, 30, 90));
    assert_eq!((tally.lost, tally.calls, tally.input_tokens, tally.output_tokens), (2, 1, 10, 5));
    let job = run.jobs(0, 1).await.unwrap().remove(0);
    assert_eq!((job.state, job.result.as_deref()), (JobState::Accepted, Some("done")));
}

#[tokio::test]
async fn a_job_has_one_end() {
    let place = Place::new();
    let run = run_of(&place.open().await, 2).await;
    run.settle(Settlement::accepted(0, "first", Bill::none())).await.unwrap();
    run.settle(Settlement::failed(1, "refused", "it would not", Bill::none())).await.unwrap();
    for index in 0..3 {
        let second = run.settle(Settlement::accepted(index, "second", Bill::none())).await.unwrap_err();
        let intent = run.intend(Intent::new(index, QUESTION)).await.unwrap_err();
        assert_eq!((second.kind(), intent.kind()), (ErrorKind::Conflict, ErrorKind::Conflict));
    }
    let jobs = run.jobs(0, 9).await.unwrap();
    assert_eq!(jobs[0].result.as_deref(), Some("first"));
    assert_eq!(jobs[1].error, Some(("refused".to_owned(), "it would not".to_owned())));
}

#[tokio::test]
async fn one_change_that_cannot_be_made_fails_alone() {
    let place = Place::new();
    let run = Arc::new(run_of(&place.open().await, 1_000).await);
    let mut all = tokio::task::JoinSet::new();
    for index in 0..1_100 {
        let run = run.clone();
        all.spawn(async move { (index, run.settle(Settlement::accepted(index, "x", Bill::none())).await) });
    }
    let failed: HashSet<u64> =
        all.join_all().await.into_iter().filter_map(|(n, r)| r.is_err().then_some(n)).collect();
    assert_eq!(failed, (1_000..1_100).collect());
    assert_eq!(run.tally().await.unwrap().accepted, 1_000);
}

#[tokio::test]
async fn a_run_has_one_owner_and_many_readers() {
    let place = Place::new();
    let (store, other) = (place.open().await, place.open().await);
    let run = run_of(&store, 1).await;
    let err = other.open_run(NewRun::new("f")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Busy);
    assert!(err.to_string().contains(&std::process::id().to_string()), "{err}");
    let looked = other.look_at(&run.record().id[..30]).await.unwrap();
    assert_eq!((looked.tally().await.unwrap().queued, looked.is_owned()), (1, false));
    let id = run.record().id.clone();
    drop(run);
    assert!(other.take_run(&id).await.unwrap().is_owned());
}

#[tokio::test]
async fn the_same_command_finds_its_run_and_fresh_begins_another() {
    let place = Place::new();
    let store = place.open().await;
    let id = |run: &Run| run.record().id.clone();
    let first = id(&run_of(&store, 1).await);
    let run = store.open_run(NewRun::new("f")).await.unwrap();
    assert_eq!((id(&run) == first, run.record().total, &*run.record().kind), (true, Some(1), "map"));
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    drop(run);
    assert_eq!(store.open_run(NewRun::new("f")).await.unwrap().record().status, RunStatus::Finished);
    let fresh = id(&store.open_run(NewRun::new("f").fresh(true)).await.unwrap());
    assert_ne!(fresh, first);
    assert_eq!(id(&store.open_run(NewRun::new("f")).await.unwrap()), fresh, "the newest one counts");
    assert_eq!(store.runs().await.unwrap().len(), 2);
    assert_eq!(store.look_at("").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.look_at("none").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn answers_are_kept_for_whoever_asks_the_same() {
    let place = Place::new();
    let store = place.open().await;
    let run = run_of(&store, 2).await;
    let answer = Answer::new("42").model(Some("m".to_owned())).tokens(Some(9), None);
    run.settle(Settlement::answered(0, Bill::call(None)).answer(QUESTION, answer.clone())).await.unwrap();
    let found = store.answers(vec![[0; 32], QUESTION]).await.unwrap();
    assert_eq!(found, [None, Some(answer)]);
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.answered, tally.cost_unknown), (1, true));
}

#[tokio::test]
async fn a_part_of_a_result_goes_with_its_job_until_it_ends() {
    let place = Place::new();
    {
        let run = run_of(&place.open().await, 2).await;
        run.settle(Settlement::again(0, Bill::call(None)).result("a part")).await.unwrap();
        run.intend(Intent::new(0, QUESTION)).await.unwrap();
    }
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    let jobs = run.claim(9).await.unwrap();
    assert_eq!((jobs[0].kept.as_deref(), jobs[1].kept.as_deref()), (Some("a part"), None));
    run.settle(Settlement::again(0, Bill::call(None))).await.unwrap();
    assert_eq!(run.jobs(0, 1).await.unwrap()[0].result, None, "it was of no use");
}

#[tokio::test]
async fn failed_jobs_are_queued_anew_with_what_they_cost() {
    let place = Place::new();
    let run = run_of(&place.open().await, 3).await;
    assert_eq!(run.claim(9).await.unwrap().len(), 3);
    run.settle(Settlement::accepted(0, "x", Bill::call(Some(1)))).await.unwrap();
    run.settle(Settlement::failed(2, "refused", "no", Bill::call(Some(2)))).await.unwrap();
    assert_eq!(run.retry_failed().await.unwrap(), 1);
    assert_eq!(indexes(&run.claim(9).await.unwrap()), [1, 2]);
    assert_eq!(run.tally().await.unwrap().settled, 3);
}

#[tokio::test]
async fn notes_are_kept_and_replaced() {
    let place = Place::new();
    let store = place.open().await;
    assert_eq!(store.recall("limits".to_owned()).await.unwrap(), None);
    for note in ["10", "20"] {
        store.remember("limits".to_owned(), note.to_owned()).await.unwrap();
    }
    assert_eq!(place.open().await.recall("limits".to_owned()).await.unwrap().as_deref(), Some("20"));
}

/// What may happen to a job.
#[derive(Debug, Clone, Copy)]
enum Step {
    Intend(u64),
    Accept(u64),
    Fail(u64),
    PutBack(u64),
    Die,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..5, 0_u64..4).prop_map(|(what, job)| match what {
        0 => Step::Intend(job),
        1 => Step::Accept(job),
        2 => Step::Fail(job),
        3 => Step::PutBack(job),
        _ => Step::Die,
    });
    prop::collection::vec(step, 0..24)
}

/// A job's state in a model of the store: whether it has ended, and whether a call is intended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Model {
    ended: Option<bool>,
    intended: bool,
    lost: u32,
}

async fn follow(steps: &[Step]) {
    let place = Place::new();
    let mut run = run_of(&place.open().await, 4).await;
    let mut model = [Model::default(); 4];
    for step in steps {
        match *step {
            Step::Die => {
                drop(run);
                run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
                let lost: Vec<u64> = run.interrupted().iter().map(|call| call.index).collect();
                let expected: Vec<u64> =
                    (0..).zip(&model).filter(|(_, job)| job.intended).map(|(n, _)| n).collect();
                assert_eq!(lost, expected);
                for job in model.iter_mut().filter(|job| job.intended) {
                    (job.intended, job.lost) = (false, job.lost + 1);
                }
            }
            Step::Intend(n) => {
                let job = &mut model[n as usize];
                let done = run.intend(Intent::new(n, QUESTION).reserved(Some(1))).await;
                assert_eq!(done.is_ok(), job.ended.is_none());
                job.intended |= done.is_ok();
            }
            Step::Accept(n) | Step::Fail(n) | Step::PutBack(n) => {
                let job = &mut model[n as usize];
                let (settlement, end) = match step {
                    Step::Accept(_) => (Settlement::accepted(n, "x", Bill::none()), Some(true)),
                    Step::Fail(_) => (Settlement::failed(n, "k", "m", Bill::none()), Some(false)),
                    _ => (Settlement::put_back(n, 0, Bill::none()), None),
                };
                let done = run.settle(settlement).await;
                assert_eq!(done.is_ok(), job.ended.is_none());
                if done.is_ok() {
                    (job.ended, job.intended) = (end, false);
                }
            }
        }
    }
    let kept = run.jobs(0, 9).await.unwrap();
    for (job, kept) in model.iter().zip(kept) {
        assert_eq!(job.ended, kept.state.is_end().then_some(kept.state == JobState::Accepted));
        assert_eq!((job.lost, u64::from(job.lost)), (kept.bill.lost, kept.bill.possible));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_result_is_lost_or_changed_whatever_happens(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(&steps));
    }
}
