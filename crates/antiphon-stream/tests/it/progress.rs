//! When calls in flight make progress: while the stream is polled.

use std::cell::RefCell;
use std::time::Duration;

use antiphon_stream::{BackpressureExt, Queue};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// The end of each call, in milliseconds since the start.
type Ends = RefCell<Vec<u128>>;

/// Returns a stream of three calls of 10 ms, one after the other.
fn calls(start: Instant, ends: &Ends) -> impl Stream<Item = ()> {
    stream::iter(0..3).map_async(1, move |_| async move {
        sleep(Duration::from_millis(10)).await;
        ends.borrow_mut().push(start.elapsed().as_millis());
    })
}

/// Works for a second.
async fn work() {
    sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn calls_rest_while_the_consumer_works() {
    let (start, ends) = (Instant::now(), Ends::default());
    let mut results = std::pin::pin!(calls(start, &ends));
    while results.next().await.is_some() {
        work().await;
    }
    // The second call begins when the first result is taken, and is polled again only when its own is asked for.
    assert_eq!(ends.take(), [10, 1_010, 2_010]);
}

#[tokio::test(start_paused = true)]
async fn calls_continue_with_a_queue_between_them_and_the_consumer() {
    let (start, ends, queue) = (Instant::now(), Ends::default(), Queue::new(8));
    let produce = async {
        let mut results = std::pin::pin!(calls(start, &ends));
        while let Some(result) = results.next().await {
            queue.push(result).await.unwrap();
        }
        queue.close();
    };
    let consume = async {
        while queue.pop().await.is_some() {
            work().await;
        }
    };
    tokio::join!(produce, consume);
    assert_eq!(ends.take(), [10, 20, 30]);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the way that the documentation describes; aborted on drop")]
async fn spawned_calls_continue_and_end_with_the_stream() {
    let start = Instant::now();
    let mut results = stream::iter(0..3).map_async(1, move |_| {
        AbortOnDropHandle::new(tokio::spawn(async move {
            sleep(Duration::from_millis(10)).await;
            start.elapsed().as_millis()
        }))
    });
    let mut ends = Vec::new();
    for _ in 0..2 {
        ends.push(results.next().await.unwrap().unwrap());
        work().await;
    }
    assert_eq!(ends, [10, 20]);
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    drop(results);
    tokio::task::yield_now().await;
    assert_eq!(alive(), 0);
}
