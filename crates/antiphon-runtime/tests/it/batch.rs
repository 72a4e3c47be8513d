use std::time::Duration;

use antiphon_runtime::{BatchProcessor, Progress, TaskError};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use crate::Log;

#[tokio::test(start_paused = true)]
async fn batch_finishes_before_the_next_starts_and_respects_the_limit() {
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
async fn items_start_at_least_min_delay_apart() {
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
async fn late_start_delays_later_items() {
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
async fn panic_of_one_item_keeps_the_other_results() {
    let progress = Progress::new(Some(6));
    let batches = BatchProcessor::new(4).progress(progress.clone());
    let results = batches.process(0..6, |n| async move {
        assert!(n != 3, "no third");
        n
    });
    let broken = Err(TaskError::Panicked("no third".to_owned()));
    assert_eq!(results.await, [Ok(0), Ok(1), Ok(2), broken, Ok(4), Ok(5)]);
    assert_eq!(progress.snapshot().done, 6, "the item that panicked is counted, too");
}

#[tokio::test]
async fn empty_input_returns_nothing_and_zeroes_count_as_one() {
    let batches = BatchProcessor::new(0).max_concurrency(0);
    assert!(batches.process([0; 0], |n| async move { n }).await.is_empty());
    assert_eq!(batches.process([1, 2], |n| async move { n }).await, [Ok(1), Ok(2)]);
}
