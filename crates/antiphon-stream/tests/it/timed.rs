use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use antiphon_stream::{BackpressureExt, Queue};
use futures_util::future::pending;
use futures_util::{FutureExt, Stream, StreamExt as _, stream};
use tokio::time::{Instant, sleep};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Collects each item with the millisecond at which it was yielded.
async fn timed<S: Stream>(source: S) -> Vec<(S::Item, u128)> {
    let start = Instant::now();
    source.map(|item| (item, start.elapsed().as_millis())).collect().await
}

async fn nap(millis: u64) -> u64 {
    sleep(MS(millis)).await;
    millis
}

#[tokio::test(start_paused = true)]
async fn ordered_waits_for_a_slow_call_and_unordered_does_not() {
    let naps = [30, 10, 10, 10];
    let ordered = timed(stream::iter(naps).map_async(2, nap)).await;
    assert_eq!(ordered, [(30, 30), (10, 30), (10, 40), (10, 40)]);
    let unordered = timed(stream::iter(naps).map_async_unordered(2, nap)).await;
    assert_eq!(unordered, [(10, 10), (10, 20), (30, 30), (10, 30)]);
}

#[tokio::test(start_paused = true)]
async fn stages_overlap() {
    let start = Instant::now();
    let worked = stream::iter([10; 40]).map_async(4, nap).map_async(4, nap).collect::<Vec<_>>().await;
    assert_eq!((worked.len(), start.elapsed()), (40, MS(110)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_yielded_when_it_is_full_or_its_time_has_passed() {
    let source = stream::iter([0, 0, 0, 40, 70, 70, 0]).then(|pause| async move {
        if pause > 0 {
            nap(pause).await;
        }
    });
    let sizes = timed(source.batch_within(3, MS(50)).map(|batch| batch.len())).await;
    assert_eq!(sizes, [(3, 0), (1, 90), (1, 160), (2, 180)]);
}

#[tokio::test]
async fn a_source_that_is_always_ready_does_not_stop_the_clock() {
    let mut batches = Box::pin(stream::repeat(1).batch_within(usize::MAX, Duration::from_millis(1)));
    assert!(batches.next().await.is_some_and(|batch| !batch.is_empty()));
}

#[tokio::test]
async fn a_window_buffers_little_more_than_its_items() {
    let item = Rc::new(());
    let mut windows = Box::pin(stream::iter(0..1000).map(|_| item.clone()).window(2, 1));
    while let Some(window) = windows.next().await {
        assert!(Rc::strong_count(&item) <= 1 + window.len() + 4, "{}", Rc::strong_count(&item));
    }
}

#[tokio::test]
async fn a_time_that_overflows_the_clock_is_no_deadline() {
    let batches = stream::iter(1..=3).batch_within(2, Duration::MAX).collect::<Vec<_>>().await;
    assert_eq!(batches, [vec![1, 2], vec![3]]);
}

#[tokio::test]
async fn a_huge_size_reserves_no_memory() {
    assert_eq!(stream::iter(1..=3).batch(usize::MAX).collect::<Vec<_>>().await, [[1, 2, 3]]);
    assert!(stream::iter(1..=3).window(usize::MAX / 2, usize::MAX).collect::<Vec<_>>().await.is_empty());
}

#[tokio::test]
async fn no_more_items_are_taken_than_the_limit_and_dropping_drops_calls_in_flight() {
    let (taken, alive) = (Cell::new(0), Rc::new(()));
    let source = stream::iter(0..100).inspect(|_| taken.set(taken.get() + 1));
    let mut calls = Box::pin(source.map_async(3, |_| {
        let alive = alive.clone();
        async move {
            let _alive = alive;
            pending::<()>().await;
        }
    }));
    assert!(calls.next().now_or_never().is_none());
    assert_eq!((taken.get(), Rc::strong_count(&alive)), (3, 4));
    drop(calls);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_wakes_itself_starves_no_other() {
    let busy = |spins: bool| {
        poll_fn(move |cx| {
            cx.waker().wake_by_ref();
            if spins { Poll::Pending } else { Poll::Ready(()) }
        })
    };
    let mut calls = Box::pin(stream::iter([true, false]).map_async_unordered(2, busy));
    assert_eq!(calls.next().await, Some(()));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_slows_a_fast_producer() {
    let queue = Queue::new(2);
    let start = Instant::now();
    let produce = async {
        for n in 0..5 {
            queue.push(n).await.unwrap();
        }
        queue.close();
        start.elapsed()
    };
    let consume = queue.stream().then(|n| async move { nap(10).await + n }).collect::<Vec<_>>();
    let (produced, consumed) = tokio::join!(produce, consume);
    assert_eq!(consumed, [10, 11, 12, 13, 14]);
    assert_eq!(produced, MS(20), "the last two items are in the queue, and one is in progress");
}
