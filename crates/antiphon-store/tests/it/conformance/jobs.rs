//! The life of jobs.

use std::collections::HashSet;
use std::sync::Arc;

use antiphon_store::{Bill, ErrorKind, Intent, JobState, NewRun, Settlement};

use crate::place::{Place, indexes, rows, run_of, suite};

suite! {
    jobs_are_read_in_pages
    jobs_are_claimed_once_and_in_order_also_while_more_come
    claims_at_the_same_time_share_no_job
    settlements_are_kept_and_interrupted_calls_are_named
    a_job_has_one_end
    one_change_that_cannot_be_made_fails_alone
    a_partial_result_stays_with_its_job_until_it_ends
    failed_jobs_are_queued_again_and_keep_their_cost
}

async fn jobs_are_claimed_once_and_in_order_also_while_more_come(place: Place) {
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    run.enqueue(rows(3)).await.unwrap();
    assert_eq!(indexes(&run.claim(2).await.unwrap()), [0, 1]);
    run.enqueue(rows(2)).await.unwrap();
    assert_eq!(indexes(&run.claim(9).await.unwrap()), [2, 3, 4]);
    assert_eq!((run.claim(9).await.unwrap(), run.seal().await.unwrap()), (Vec::new(), 5));
    assert_eq!(run.jobs(1, 1).await.unwrap()[0].row, "{\"n\":1}");
}

async fn jobs_are_read_in_pages(place: Place) {
    let run = run_of(&place.open().await, 1_100).await;
    let (mut from, mut pages) = (0, Vec::new());
    while let Some(last) = run.jobs(from, 500).await.unwrap().last() {
        pages.push((from, last.index));
        from = last.index + 1;
    }
    assert_eq!(pages, [(0, 499), (500, 999), (1_000, 1_099)]);
    for index in [3, 700] {
        run.settle(Settlement::failed(index, "k", "m", Bill::none().possibly_billed(1, None))).await.unwrap();
    }
    let mut failed = run.failed();
    let page: Vec<u64> = failed.next().await.unwrap().iter().map(|job| job.index).collect();
    assert_eq!((page, failed.next().await.unwrap().len()), (vec![3, 700], 0));
    assert_eq!(
        (run.possibly_billed(1).await.unwrap(), run.possibly_billed(9).await.unwrap()),
        (vec![3], vec![3, 700])
    );
}

async fn claims_at_the_same_time_share_no_job(place: Place) {
    let run = Arc::new(run_of(&place.open().await, 40).await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let run = run.clone();
        all.spawn(async move { run.claim(5).await.unwrap() });
    }
    let mut claimed = indexes(&all.join_all().await.concat());
    claimed.sort_unstable();
    assert_eq!(claimed, (0..40).collect::<Vec<_>>());
}

async fn settlements_are_kept_and_interrupted_calls_are_named(place: Place) {
    {
        let run = run_of(&place.open().await, 4).await;
        for index in 0..3 {
            run.intend(Intent::new(index).reserved(Some(50))).await.unwrap();
        }
        run.settle(Settlement::accepted(0, "done", Bill::call(Some(30)).tokens(10, 5))).await.unwrap();
        let bill = Bill::none().possibly_billed(1, Some(40)).held(25).unreported(1);
        run.settle(Settlement::put_back(1, 0, bill)).await.unwrap();
        run.settle(Settlement::put_back(3, i64::MAX, Bill::none())).await.unwrap();
    }
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    let lost: Vec<_> = run.interrupted().iter().map(|call| (call.index, call.reserved)).collect();
    assert_eq!(lost, [(2, Some(50))]);
    let jobs = run.claim(9).await.unwrap();
    assert_eq!(indexes(&jobs), [1, 2], "a job that was put back waits until it is due");
    assert_eq!(jobs[1].attempt, 1);
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.queued, tally.settled, tally.possible), (1, 3, 30, 90));
    assert_eq!((tally.possibly_billed, tally.calls, tally.input_tokens, tally.output_tokens), (2, 1, 10, 5));
    assert_eq!((tally.held, tally.unreported), (75, 1), "the full reservation of a call in progress is held");
    let job = run.jobs(0, 1).await.unwrap().remove(0);
    assert_eq!((job.state, job.result.as_deref()), (JobState::Accepted, Some("done")));
}

async fn a_job_has_one_end(place: Place) {
    let run = run_of(&place.open().await, 2).await;
    run.settle(Settlement::accepted(0, "first", Bill::none())).await.unwrap();
    run.settle(Settlement::failed(1, "refused", "it would not", Bill::none())).await.unwrap();
    for index in 0..3 {
        let second = run.settle(Settlement::accepted(index, "second", Bill::none())).await.unwrap_err();
        let intent = run.intend(Intent::new(index)).await.unwrap_err();
        assert_eq!((second.kind(), intent.kind()), (ErrorKind::Conflict, ErrorKind::Conflict));
    }
    let jobs = run.jobs(0, 9).await.unwrap();
    assert_eq!(jobs[0].result.as_deref(), Some("first"));
    assert_eq!(jobs[1].error, Some(("refused".to_owned(), "it would not".to_owned())));
}

async fn one_change_that_cannot_be_made_fails_alone(place: Place) {
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

async fn a_partial_result_stays_with_its_job_until_it_ends(place: Place) {
    {
        let run = run_of(&place.open().await, 2).await;
        run.settle(Settlement::again(0, Bill::call(None)).result("a part")).await.unwrap();
        run.intend(Intent::new(0)).await.unwrap();
    }
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    let jobs = run.claim(9).await.unwrap();
    assert_eq!((jobs[0].kept.as_deref(), jobs[1].kept.as_deref()), (Some("a part"), None));
    run.settle(Settlement::again(0, Bill::call(None))).await.unwrap();
    assert_eq!(run.jobs(0, 1).await.unwrap()[0].result, None, "the partial result was dropped");
}

async fn failed_jobs_are_queued_again_and_keep_their_cost(place: Place) {
    let run = run_of(&place.open().await, 3).await;
    assert_eq!(run.claim(9).await.unwrap().len(), 3);
    run.settle(Settlement::accepted(0, "x", Bill::call(Some(1)))).await.unwrap();
    run.settle(Settlement::failed(2, "refused", "no", Bill::call(Some(2)))).await.unwrap();
    assert_eq!(run.retry_failed().await.unwrap(), 1);
    assert_eq!(indexes(&run.claim(9).await.unwrap()), [2], "the other job is claimed");
    run.release(vec![0, 1]).await.unwrap();
    assert_eq!(indexes(&run.claim(9).await.unwrap()), [1]);
    assert_eq!(run.tally().await.unwrap().settled, 3);
}
