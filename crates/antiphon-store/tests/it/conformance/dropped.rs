//! Verbs whose future is dropped at each of its await points.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use antiphon_store::{Bill, Error, ErrorKind, Intent, NewRun, Settlement};
use tokio::task::{coop, yield_now};

use crate::place::{Place, indexes, run_of, suite};

suite! {
    a_dropped_open_leaves_no_worker_and_counts_interrupted_calls_once
    a_dropped_claim_loses_no_job
    a_dropped_intent_is_recorded_whole_or_not_at_all
    a_dropped_settlement_is_stored_once_or_not_at_all
}

/// Runs a future until it has waited at `waits` await points, and drops it at the next one; returns its output if it ends before.
async fn cut<F: Future>(future: F, waits: usize) -> Option<F::Output> {
    let full = full_budget().await;
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|context| {
        // An exhausted cooperative budget makes ready await points wait: the first one at once, and one more with each poll.
        for _ in polls.min(1)..full {
            let _ = pin!(coop::consume_budget()).poll(context);
        }
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == waits => Poll::Ready(None),
            Poll::Pending => {
                polls += 1;
                Poll::Pending
            }
        }
    })
    .await
}

/// Returns the cooperative budget of a task in one turn of the scheduler, and leaves all of it to spend.
async fn full_budget() -> usize {
    yield_now().await;
    let mut full = 0;
    while coop::has_budget_remaining() {
        coop::consume_budget().await;
        full += 1;
    }
    yield_now().await;
    full
}

async fn a_dropped_open_leaves_no_worker_and_counts_interrupted_calls_once(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    drop(run_of(&store, 1).await);
    for waits in 0.. {
        let run = other.open_run(NewRun::new("f")).await.unwrap();
        run.intend(Intent::new(0).reserved(Some(5))).await.unwrap();
        assert_eq!(run.tally().await.unwrap().intended, 1, "no earlier call changes it");
        drop(run);
        let opened = cut(store.open_run(NewRun::new("f")), waits).await;
        let is_whole = opened.is_some();
        drop(opened);
        let run = other.open_run(NewRun::new("f")).await.unwrap();
        let (tally, opened) = (run.tally().await.unwrap(), waits as u64 + 1);
        assert_eq!((tally.queued, tally.possibly_billed, tally.possible), (1, opened, 5 * opened));
        assert_eq!(store.runs().await.unwrap().len(), 1);
        if is_whole {
            assert!(waits > 0, "no await point was seen");
            break;
        }
    }
}

async fn a_dropped_claim_loses_no_job(place: Place) {
    let run = run_of(&place.open().await, 4).await;
    for waits in 0.. {
        if let Some(jobs) = cut(run.claim(2), waits).await {
            assert_eq!(
                (indexes(&jobs.unwrap()), waits > 0),
                (vec![0, 1], true),
                "jobs of a dropped claim are released"
            );
            break;
        }
    }
    assert_eq!(indexes(&run.claim(9).await.unwrap()), [2, 3]);
}

async fn a_dropped_intent_is_recorded_whole_or_not_at_all(place: Place) {
    let store = place.open().await;
    drop(run_of(&store, 1).await);
    let mut lost = 0;
    for waits in 0.. {
        let run = store.open_run(NewRun::new("f")).await.unwrap();
        let intended = cut(run.intend(Intent::new(0).reserved(Some(5))), waits).await;
        drop(run);
        let run = store.open_run(NewRun::new("f")).await.unwrap();
        lost += run.interrupted().len() as u64;
        let tally = run.tally().await.unwrap();
        assert_eq!((tally.queued, tally.possibly_billed, tally.possible), (1, lost, 5 * lost));
        let job = run.claim(9).await.unwrap().remove(0);
        assert_eq!(u64::from(job.attempt), lost);
        if intended.is_some() {
            assert_eq!((run.interrupted().len(), waits > 0), (1, true));
            break;
        }
    }
}

async fn a_dropped_settlement_is_stored_once_or_not_at_all(place: Place) {
    let run = run_of(&place.open().await, 64).await;
    for index in 0_u64.. {
        let settle = |result| run.settle(Settlement::accepted(index, result, Bill::call(Some(3))));
        let first = cut(settle("first"), index as usize).await;
        let expected = match settle("second").await.as_ref().map_err(Error::kind) {
            Ok(_) => "second",
            Err(kind) => {
                assert_eq!(kind, ErrorKind::Conflict);
                "first"
            }
        };
        let job = run.jobs(index, 1).await.unwrap().remove(0);
        assert_eq!((job.result.as_deref(), job.bill.calls, job.bill.settled), (Some(expected), 1, Some(3)));
        let tally = run.tally().await.unwrap();
        assert_eq!((tally.accepted, tally.calls), (index + 1, index + 1));
        if let Some(first) = first {
            assert_eq!((first.is_ok(), expected, index > 0), (true, "first", true));
            break;
        }
    }
}
