//! Several workers on one run, of which some die or are slow.

use std::time::{Duration, UNIX_EPOCH};

use antiphon_store::{
    Bill, ErrorKind, Intent, JobState, LimitDemand, NewRun, Run, RunStatus, Settled, Settlement, Store,
};

use crate::place::{Place, indexes, rows, run_of, suite};

suite! {
    workers_share_no_job
    a_silent_worker_is_dead_after_its_lease_and_its_jobs_are_taken_over
    a_worker_that_beats_is_never_taken_over
    the_jobs_of_a_worker_that_leaves_are_free_at_once
    a_worker_that_has_just_left_is_known_to_other_handles
    a_claim_waits_until_a_job_is_due
    a_released_job_is_claimed_by_another
    a_late_result_is_kept_if_it_is_the_first
    a_late_result_of_an_ended_job_is_kept_beside_the_first
    a_result_that_overtakes_a_call_makes_that_late
    a_late_failure_is_fenced_and_billed_once
    an_intent_of_a_job_that_was_taken_over_is_fenced
    a_settlement_that_is_sent_twice_counts_once
    a_worker_that_was_given_up_works_on
    several_workers_enqueue_one_input
    the_calls_of_all_workers_together_stay_within_a_limit
    a_unique_value_belongs_to_one_job
    a_worker_that_holds_its_job_again_is_billed_once
    a_late_result_takes_the_place_of_a_failure
    a_call_that_is_sent_again_has_its_reservation_already
    the_job_of_a_worker_that_was_given_up_is_taken_over_again
    the_workers_of_all_runs_share_a_limit
    the_part_of_a_worker_that_died_is_free_after_its_lease
    a_worker_that_stops_late_leaves_a_finished_run_finished
}

const LEASE: Duration = Duration::from_millis(300);

async fn worker(store: &Store) -> Run {
    store.clone().lease(LEASE).open_run(NewRun::new("f")).await.unwrap()
}

/// Sends heartbeats of a worker until it sees that all others, which are silent, are dead.
async fn outlive(run: &Run) -> Vec<u64> {
    let mut interrupted = Vec::new();
    // A stalled machine takes longer: a worker that was silent itself declares no other dead.
    for _ in 0..1_000 {
        tokio::time::sleep(LEASE / 10).await;
        let beat = run.heartbeat().await.unwrap();
        interrupted.extend(beat.interrupted.iter().map(|call| call.index));
        if beat.others == 0 {
            return interrupted;
        }
    }
    panic!("the others are not dead yet");
}

/// Two workers: the first made an attempt at job 0 with a reservation of 7, and was then silent until its lease had ended.
async fn slow_and_quick(place: &Place) -> (Run, Run, u32) {
    let store = place.open().await;
    drop(run_of(&store, 2).await);
    let slow = worker(&store).await;
    let job = slow.claim(1).await.unwrap().remove(0);
    let attempt = slow.intend(Intent::new(0).attempt(job.attempt).reserved(Some(7))).await.unwrap();
    let quick = worker(&place.open().await).await;
    assert_eq!(outlive(&quick).await, [0]);
    let tally = quick.tally().await.unwrap();
    assert_eq!((tally.possibly_billed, tally.possible, tally.held, tally.queued), (1, 7, 7, 2));
    (slow, quick, attempt)
}

/// Claims the next job and records an intent for it with a reservation of 9.
async fn begin(run: &Run) -> u32 {
    let job = run.claim(1).await.unwrap().remove(0);
    run.intend(Intent::new(job.index).attempt(job.attempt).reserved(Some(9))).await.unwrap()
}

async fn workers_share_no_job(place: Place) {
    let first = run_of(&place.open().await, 5).await;
    let second = worker(&place.open().await).await;
    assert_eq!(indexes(&first.claim(2).await.unwrap()), [0, 1]);
    assert_eq!(indexes(&second.claim(2).await.unwrap()), [2, 3]);
    assert_eq!(indexes(&first.claim(9).await.unwrap()), [4]);
    assert_eq!(second.claim(9).await.unwrap(), []);
    let fenced = second.intend(Intent::new(0)).await.unwrap_err();
    let failure = second.settle(Settlement::failed(1, "k", "m", Bill::none())).await.unwrap_err();
    assert_eq!((fenced.kind(), failure.kind()), (ErrorKind::Fenced, ErrorKind::Fenced));
    assert_eq!((second.heartbeat().await.unwrap().others, first.heartbeat().await.unwrap().others), (1, 1));
}

async fn a_silent_worker_is_dead_after_its_lease_and_its_jobs_are_taken_over(place: Place) {
    let (_slow, quick, _) = slow_and_quick(&place).await;
    assert_eq!(indexes(&quick.claim(9).await.unwrap()), [0, 1]);
}

async fn a_worker_that_beats_is_never_taken_over(place: Place) {
    let store = place.open().await;
    drop(run_of(&store, 1).await);
    let (first, second) = (worker(&store).await, worker(&place.open().await).await);
    first.claim(1).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(LEASE / 10).await;
        assert_eq!(
            (first.heartbeat().await.unwrap().others, second.heartbeat().await.unwrap().others),
            (1, 1)
        );
    }
    assert_eq!(second.claim(1).await.unwrap(), []);
}

async fn the_jobs_of_a_worker_that_leaves_are_free_at_once(place: Place) {
    let store = place.open().await;
    let (first, second) = (run_of(&store, 3).await, store.open_run(NewRun::new("f")).await.unwrap());
    first.claim(2).await.unwrap();
    first.intend(Intent::new(0).reserved(Some(4))).await.unwrap();
    drop(first);
    let beat = second.heartbeat().await.unwrap();
    assert_eq!(beat.others, 0);
    assert_eq!(indexes(&second.claim(9).await.unwrap()), [0, 1, 2]);
    let tally = second.tally().await.unwrap();
    assert_eq!((tally.possibly_billed, tally.possible), (1, 4), "its call may have been billed");
}

async fn a_worker_that_has_just_left_is_known_to_other_handles(place: Place) {
    for lost in 1..20 {
        let run = run_of(&place.open().await, 1).await;
        run.intend(Intent::new(0)).await.unwrap();
        drop(run);
        let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
        assert_eq!((run.interrupted().len(), run.tally().await.unwrap().possibly_billed), (1, lost));
    }
}

async fn a_claim_waits_until_a_job_is_due(place: Place) {
    let run = run_of(&place.open().await, 2).await;
    run.claim(2).await.unwrap();
    let now = || UNIX_EPOCH.elapsed().unwrap();
    let due = now() + LEASE;
    run.settle(Settlement::put_back(0, due.as_millis() as i64, Bill::none())).await.unwrap();
    run.settle(Settlement::put_back(1, i64::MAX, Bill::none())).await.unwrap();
    assert_eq!(run.next_due().await.unwrap(), None, "a worker has them");
    run.release(vec![0, 1]).await.unwrap();
    assert_eq!(run.next_due().await.unwrap(), Some(due.as_millis() as i64));
    let mut jobs = Vec::new();
    while jobs.is_empty() {
        tokio::time::sleep(LEASE / 20).await;
        jobs = run.claim(9).await.unwrap();
    }
    assert!(indexes(&jobs) == [0] && now().as_millis() >= due.as_millis(), "{jobs:?}");
    assert_eq!(run.jobs(0, 1).await.unwrap()[0].state, JobState::Queued);
}

async fn a_released_job_is_claimed_by_another(place: Place) {
    let first = run_of(&place.open().await, 3).await;
    let second = worker(&place.open().await).await;
    first.claim(3).await.unwrap();
    first.intend(Intent::new(2)).await.unwrap();
    first.release(vec![1, 2]).await.unwrap();
    second.release(vec![0]).await.unwrap();
    assert_eq!(indexes(&second.claim(9).await.unwrap()), [1], "a call is in progress for the other one");
}

async fn a_late_result_is_kept_if_it_is_the_first(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    let settlement = Settlement::accepted(0, "late", Bill::call(Some(5))).attempt(attempt);
    for _ in 0..2 {
        assert_eq!(slow.settle(settlement.clone()).await.unwrap(), Settled::Stored);
    }
    let tally = quick.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.calls, tally.settled), (1, 1, 5));
    assert_eq!(
        (tally.possibly_billed, tally.possible, tally.held),
        (0, 0, 0),
        "the bill replaces the held amount"
    );
    assert_eq!(quick.jobs(0, 1).await.unwrap()[0].result.as_deref(), Some("late"));
    assert_eq!((quick.possibly_billed(9).await.unwrap(), quick.late(0, 9).await.unwrap()), (vec![], vec![]));
    assert_eq!(indexes(&quick.claim(9).await.unwrap()), [1]);
}

async fn a_late_result_of_an_ended_job_is_kept_beside_the_first(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    let second = begin(&quick).await;
    quick.settle(Settlement::accepted(0, "first", Bill::call(Some(6))).attempt(second)).await.unwrap();
    let late = Settlement::accepted(0, "late", Bill::call(Some(5))).attempt(attempt);
    for _ in 0..2 {
        assert_eq!(slow.settle(late.clone()).await.unwrap(), Settled::Late);
    }
    let tally = quick.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.calls, tally.settled, tally.possible), (1, 2, 11, 0));
    assert_eq!(quick.jobs(0, 1).await.unwrap()[0].result.as_deref(), Some("first"));
    let late = quick.late(0, 9).await.unwrap();
    assert_eq!((late[0].index, late[0].attempt, &*late[0].result, late.len()), (0, attempt, "late", 1));
}

async fn a_result_that_overtakes_a_call_makes_that_late(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    let second = begin(&quick).await;
    slow.settle(Settlement::accepted(0, "slow", Bill::call(Some(5))).attempt(attempt)).await.unwrap();
    let tally = quick.tally().await.unwrap();
    assert_eq!(
        (tally.accepted, tally.possibly_billed, tally.possible),
        (1, 1, 9),
        "the other call is in progress"
    );
    quick.settle(Settlement::accepted(0, "quick", Bill::call(Some(6))).attempt(second)).await.unwrap();
    let tally = quick.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.settled, tally.possibly_billed, tally.possible), (1, 11, 0, 0));
    assert_eq!(quick.jobs(0, 1).await.unwrap()[0].result.as_deref(), Some("slow"));
    assert_eq!(quick.late(0, 9).await.unwrap().len(), 1);
}

async fn a_late_failure_is_fenced_and_billed_once(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    begin(&quick).await;
    for settlement in [
        Settlement::failed(0, "k", "m", Bill::call(Some(5))),
        Settlement::again(0, Bill::call(Some(5))),
        Settlement::put_back(0, 0, Bill::call(Some(5))),
    ] {
        let err = slow.settle(settlement.attempt(attempt)).await.unwrap_err();
        assert_eq!(
            (err.kind(), err.to_string()),
            (ErrorKind::Fenced, "job 0 is held by another worker".to_owned())
        );
        let tally = quick.tally().await.unwrap();
        assert_eq!((tally.intended, tally.calls, tally.settled, tally.possible), (1, 1, 5, 0));
    }
}

async fn an_intent_of_a_job_that_was_taken_over_is_fenced(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    let intend = || slow.intend(Intent::new(0).attempt(attempt));
    quick.claim(1).await.unwrap();
    assert_eq!(intend().await.unwrap_err().kind(), ErrorKind::Fenced);
    quick.intend(Intent::new(0)).await.unwrap();
    quick.release(vec![0]).await.unwrap();
    drop(quick);
    // No worker holds the job any more, but another attempt was made.
    let third = worker(&place.open().await).await;
    outlive(&third).await;
    assert_eq!(intend().await.unwrap_err().kind(), ErrorKind::Fenced);
    third.settle(Settlement::accepted(0, "x", Bill::none())).await.unwrap();
    assert_eq!(intend().await.unwrap_err().kind(), ErrorKind::Fenced, "the job has ended meanwhile");
    assert_eq!(slow.intend(Intent::new(0)).await.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn a_settlement_that_is_sent_twice_counts_once(place: Place) {
    let run = run_of(&place.open().await, 1).await;
    let first = begin(&run).await;
    let again = Settlement::again(0, Bill::call(Some(3))).attempt(first);
    for _ in 0..2 {
        run.settle(again.clone()).await.unwrap();
        assert_eq!(run.tally().await.unwrap().settled, 3);
    }
    let second = run.intend(Intent::new(0).attempt(first)).await.unwrap();
    run.settle(again).await.unwrap();
    assert_eq!(run.tally().await.unwrap().intended, 1, "an old settlement changes nothing");
    for _ in 0..2 {
        run.settle(Settlement::accepted(0, "x", Bill::call(Some(4))).attempt(second)).await.unwrap();
        assert_eq!((run.tally().await.unwrap().settled, run.tally().await.unwrap().accepted), (7, 1));
    }
}

async fn a_worker_that_was_given_up_works_on(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    assert_eq!(indexes(&slow.claim(9).await.unwrap()), [1], "a task works on the other job already");
    assert_eq!(slow.intend(Intent::new(0).attempt(attempt)).await.unwrap(), attempt + 1);
    assert_eq!(quick.heartbeat().await.unwrap().others, 1);
    assert_eq!(quick.claim(9).await.unwrap(), []);
}

async fn several_workers_enqueue_one_input(place: Place) {
    let first = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    let second = worker(&place.open().await).await;
    let all = rows(6);
    assert_eq!(first.enqueue_from(0, all[..2].to_vec()).await.unwrap(), 2);
    assert_eq!(second.enqueue_from(0, all[..4].to_vec()).await.unwrap(), 4);
    assert_eq!(first.enqueue_from(2, all[2..4].to_vec()).await.unwrap(), 4);
    assert_eq!(first.enqueue_from(5, all[5..].to_vec()).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(first.enqueue_from(4, all[4..].to_vec()).await.unwrap(), 6);
    let kept: Vec<String> = first.jobs(0, 9).await.unwrap().into_iter().map(|job| job.row).collect();
    assert_eq!(kept, all);
}

async fn the_calls_of_all_workers_together_stay_within_a_limit(place: Place) {
    let first = run_of(&place.open().await, 4).await;
    let second = worker(&place.open().await).await;
    let intent = |index: u64, reserved: u64| Intent::new(index).reserved(Some(reserved)).max_cost(Some(100));
    first.intend(intent(0, 60)).await.unwrap();
    let refused = second.intend(intent(1, 50)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OverBudget, "{refused}");
    assert_eq!(second.tally().await.unwrap().intended, 1, "nothing was recorded");
    second.intend(intent(1, 40)).await.unwrap();
    assert_eq!(first.tally().await.unwrap().committed(), 100);
    // The first call cost 20; the cost of the second is unknown, and 30 is held for it.
    first.settle(Settlement::accepted(0, "x", Bill::call(Some(20)))).await.unwrap();
    second.settle(Settlement::again(1, Bill::none().possibly_billed(1, Some(40)).held(30))).await.unwrap();
    assert_eq!(first.tally().await.unwrap().committed(), 50);
    assert_eq!(first.intend(intent(2, 51)).await.unwrap_err().kind(), ErrorKind::OverBudget);
    first.release_held(10).await.unwrap();
    first.intend(intent(2, 51)).await.unwrap();
    let tally = second.tally().await.unwrap();
    assert_eq!((tally.settled, tally.held, tally.possible, tally.reserved), (20, 20, 40, 51));
}

async fn a_unique_value_belongs_to_one_job(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    let result = |index: u64, digests: Vec<[u8; 16]>| {
        Settlement::accepted(index, "x", Bill::call(Some(3))).unique(digests)
    };
    assert_eq!(indexes(&quick.claim(9).await.unwrap()), [0, 1]);
    let newest = quick.intend(Intent::new(1)).await.unwrap();
    quick.settle(result(1, vec![[1; 16], [2; 16]]).attempt(newest)).await.unwrap();
    quick.settle(result(1, vec![[1; 16], [2; 16]]).attempt(newest)).await.unwrap();
    let err = quick.settle(result(0, vec![[3; 16], [2; 16]])).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotUnique { at: 1 }, "{err}");
    assert_eq!(quick.tally().await.unwrap().calls, 1, "nothing was stored");
    // A late result that is not unique does not become the job's result, but is kept.
    slow.settle(result(0, vec![[2; 16]]).attempt(attempt)).await.unwrap();
    assert_eq!((quick.late(0, 9).await.unwrap().len(), quick.tally().await.unwrap().accepted), (1, 1));
    quick.settle(result(0, vec![[3; 16]])).await.unwrap();
    let tally = quick.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.calls, tally.settled), (2, 3, 9));
}

async fn a_worker_that_holds_its_job_again_is_billed_once(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    assert_eq!(indexes(&slow.claim(9).await.unwrap()), [1], "its task works on the other job");
    slow.settle(Settlement::accepted(0, "x", Bill::call(Some(5))).attempt(attempt)).await.unwrap();
    let tally = quick.tally().await.unwrap();
    assert_eq!(
        (tally.accepted, tally.settled, tally.possibly_billed, tally.possible, tally.held),
        (1, 5, 0, 0, 0)
    );
}

async fn a_late_result_takes_the_place_of_a_failure(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    let second = begin(&quick).await;
    quick.settle(Settlement::failed(0, "refused", "no", Bill::call(Some(2))).attempt(second)).await.unwrap();
    let late = Settlement::accepted(0, "late", Bill::call(Some(5))).attempt(attempt);
    assert_eq!(slow.settle(late).await.unwrap(), Settled::Stored);
    let tally = quick.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.failed, tally.settled, tally.possible), (1, 0, 7, 0));
    let job = quick.jobs(0, 1).await.unwrap().remove(0);
    assert_eq!((job.result.as_deref(), job.error), (Some("late"), None));
}

async fn a_call_that_is_sent_again_has_its_reservation_already(place: Place) {
    let run = run_of(&place.open().await, 2).await;
    let intent = |index: u64| Intent::new(index).reserved(Some(60)).max_cost(Some(100));
    run.intend(intent(0)).await.unwrap();
    run.intend(intent(0)).await.unwrap();
    assert_eq!(run.intend(intent(1)).await.unwrap_err().kind(), ErrorKind::OverBudget);
    assert_eq!(run.tally().await.unwrap().reserved, 60);
}

async fn the_job_of_a_worker_that_was_given_up_is_taken_over_again(place: Place) {
    let (slow, quick, attempt) = slow_and_quick(&place).await;
    // The slow worker wakes up, is no longer registered, and begins a call before anything else.
    slow.intend(Intent::new(0).attempt(attempt).reserved(Some(8))).await.unwrap();
    assert_eq!(quick.heartbeat().await.unwrap().others, 1, "the slow worker is registered again");
    drop(slow);
    assert_eq!(outlive(&quick).await, [0]);
    assert_eq!(quick.tally().await.unwrap().possible, 15);
}

/// Returns the part of a limit that a worker receives for a demand.
async fn part(run: &Run, demand: f64) -> f64 {
    run.share_limit(LimitDemand::new("vendor model", demand)).await.unwrap().part
}

async fn the_workers_of_all_runs_share_a_limit(place: Place) {
    let first = run_of(&place.open().await, 1).await;
    let second = place.open().await.open_run(NewRun::new("another")).await.unwrap();
    let measured = LimitDemand::new("vendor model", 30.0).measured(60.0, 1.0);
    assert_eq!(first.share_limit(measured).await.unwrap().part, 1.0);
    let joined = second.share_limit(LimitDemand::new("vendor model", 10.0)).await.unwrap();
    assert_eq!((joined.part, joined.rate), (0.0, Some(60.0)), "the first worker has all until it asks again");
    assert_eq!((part(&first, 30.0).await, part(&second, 10.0).await), (0.75, 0.25));
    let demand = |demand, rate, part| LimitDemand::new("vendor model", demand).measured(rate, part);
    first.share_limit(demand(30.0, 40.0, 0.75)).await.unwrap();
    let rate = second.share_limit(demand(10.0, 10.0, 0.25)).await.unwrap().rate;
    assert_eq!(rate, Some(50.0), "as both measured it together");
    let other = second.share_limit(LimitDemand::new("vendor another", 10.0)).await.unwrap();
    assert_eq!((other.part, other.rate), (1.0, None));
    assert_eq!(part(&first, 30.0).await, 1.0, "the second worker uses another limit now");
    drop(first);
    // Another handle sees it a moment later.
    for _ in 0..1_000 {
        if part(&second, 1.0).await == 1.0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the part of a worker that left is not free");
}

async fn the_part_of_a_worker_that_died_is_free_after_its_lease(place: Place) {
    let store = place.open().await;
    drop(run_of(&store, 1).await);
    let silent = worker(&store).await;
    assert_eq!(part(&silent, 1.0).await, 1.0);
    let lives = place.open().await.lease(LEASE).open_run(NewRun::new("another")).await.unwrap();
    let mut parts = Vec::new();
    while parts.last() != Some(&1.0) && parts.len() < 1_000 {
        parts.push(part(&lives, 1.0).await);
        tokio::time::sleep(LEASE / 10).await;
    }
    assert!(parts[0] == 0.0 && parts.len() > 5 && parts.last() == Some(&1.0), "{parts:?}");
}

async fn a_worker_that_stops_late_leaves_a_finished_run_finished(place: Place) {
    let (first, second) = (run_of(&place.open().await, 1).await, worker(&place.open().await).await);
    first.settle(Settlement::accepted(0, "r", Bill::none())).await.unwrap();
    first.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    drop(first);
    assert!(!second.finish(RunStatus::Stopped, "late".to_owned()).await.unwrap());
    let run = place.open().await.read_run("latest").await.unwrap();
    assert_eq!((run.record().status, run.record().report.as_deref()), (RunStatus::Finished, Some("{}")));
}
