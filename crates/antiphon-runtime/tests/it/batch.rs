use std::time::Duration;

use antiphon_runtime::{BatchProcessor, Progress, TaskError};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use crate::Log;

#[tokio::test(start_paused = true)]
async fn a_batch_ends_before_the_next_begins_and_keeps_to_its_limit() {
    let (start, log) = (Instant::now(), Log::default());
    let batches = BatchProcessor::new(3).max_concurrency(2);
    let results = batches.process(0..5, |n| {
        let log = log.clone();
        async move {
            log.note((n, start.elapsed().as_millis()));
            sleep(Duration::from_millis(100)).await;
            n
        }
    });
    assert_eq!(results.await, (0..5).map(Ok).collect::<Vec<_>>());
    assert_eq!(log.read(), [(0, 0), (1, 0), (2, 100), (3, 200), (4, 200)]);
}

#[tokio::test(start_paused = true)]
async fn items_begin_no_closer_than_the_least_delay() {
    let (start, log) = (Instant::now(), Log::default());
    let batches = BatchProcessor::new(3).min_delay(Duration::from_millis(100));
    let results = batches.process(0..4, |_| {
        let log = log.clone();
        async move { log.note(start.elapsed().as_millis()) }
    });
    assert_eq!(results.await.len(), 4);
    assert_eq!(log.read(), [0, 100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn what_begins_late_pushes_back_those_after_it() {
    let (start, log) = (Instant::now(), Log::default());
    let batches = BatchProcessor::new(2).max_concurrency(1).min_delay(Duration::from_millis(100));
    let results = batches.process([500, 1, 1], |millis| {
        let log = log.clone();
        async move {
            log.note(start.elapsed().as_millis());
            sleep(Duration::from_millis(millis)).await;
        }
    });
    assert_eq!(results.await.len(), 3);
    assert_eq!(log.read(), [0, 500, 600]);
    let never = BatchProcessor::new(9).min_delay(Duration::MAX);
    let never = never.process([1, 2], |_| async {});
    assert!(never.now_or_never().is_none());
}

#[tokio::test]
async fn one_failed_job_of_a_batch_loses_no_other() {
    let progress = Progress::new(Some(6));
    let batches = BatchProcessor::new(4).progress(progress.clone());
    let results = batches.process(0..6, |n| async move {
        assert!(n != 3, "no third");
        n
    });
    let broken = Err(TaskError::Panicked("no third".to_owned()));
    assert_eq!(results.await, [Ok(0), Ok(1), Ok(2), broken, Ok(4), Ok(5)]);
    assert_eq!(progress.snapshot().done, 6, "the one that panicked has ended, too");
}

#[tokio::test]
async fn nothing_gives_nothing_and_zeroes_count_as_one() {
    let batches = BatchProcessor::new(0).max_concurrency(0);
    assert!(batches.process([0; 0], |n| async move { n }).await.is_empty());
    assert_eq!(batches.process([1, 2], |n| async move { n }).await, [Ok(1), Ok(2)]);
}
