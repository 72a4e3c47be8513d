//! `Debug` and `Display` output shows the state and never an item, which may be confidential.

use std::error::Error;
use std::fmt::Debug;
use std::future::ready;

use antiphon_stream::{BackpressureExt, Closed, PushError, Queue, Stages, merge};
use futures_util::{Stream, StreamExt as _, stream};

const SECRET: &str = "a confidential text";

#[track_caller]
fn check(what: impl Debug, expected: &str) {
    let printed = format!("{what:?}");
    assert!(printed.contains(expected), "{printed}");
    assert!(!printed.contains(SECRET), "{printed}");
}

#[tokio::test]
async fn adaptors_show_their_limits() {
    let items = || stream::repeat(1);
    check(items().map_async(3, ready), "limit: 3");
    check(items().map_async_unordered(4, ready), "MapAsyncUnordered");
    check(items().filter_async(5, |_| ready(true)), "InFlight { len: 0");
    check(merge([items(), items()]), "Merge { streams: 2");
    let stages = Stages::<u8, u8>::default().window(2, 1).map(1, ready);
    check(&stages, "Stages");
    let run = stages.clone().run(stream::iter(1..=3));
    check(&run, "Staged");
    assert_eq!(run.collect::<Vec<_>>().await, [[1, 2], [2, 3]]);
    assert_eq!(stream::iter(0..9).map_async_unordered(2, ready).size_hint(), (9, Some(9)));
}

#[tokio::test]
async fn a_queue_shows_its_length_and_its_errors_show_the_cause() {
    let queue = Queue::new(1);
    queue.push(SECRET).await.unwrap();
    check(&queue, "Queue { len: 1, capacity: 1, is_closed: false }");
    check(queue.stream(), "QueueStream { len: 1");
    assert!(!queue.is_empty());
    let full = queue.try_push(SECRET).unwrap_err();
    check(full, "Full(..)");
    let text = |err: &dyn Error| err.to_string();
    assert_eq!(text(&full), "the queue is full");
    queue.close();
    let closed = queue.try_push(SECRET).unwrap_err();
    check(closed, "Closed(..)");
    assert_eq!((text(&closed), closed), ("the queue was closed".to_owned(), PushError::Closed(SECRET)));
    let closed = queue.push(SECRET).await.unwrap_err();
    check(closed, "Closed(..)");
    assert_eq!((text(&closed), closed), ("the queue was closed".to_owned(), Closed(SECRET)));
}
