use std::pin::pin;
use std::task::{Context, Poll, Waker};

use antiphon_stream::{Closed, PushError, Queue};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use crate::run;

#[tokio::test]
async fn a_closed_queue_is_drained_and_then_ends_its_consumers() {
    let queue = Queue::new(4);
    queue.push(1).await.unwrap();
    queue.push(2).await.unwrap();
    let mut waiting = {
        let empty = Queue::<u8>::new(1);
        let mut waiting = Box::pin({
            let empty = empty.clone();
            async move { empty.pop().await }
        });
        assert!((&mut waiting).now_or_never().is_none());
        empty.close();
        waiting
    };
    assert_eq!((&mut waiting).now_or_never(), Some(None), "a waiting consumer sees the end");
    queue.close();
    assert_eq!(queue.push(3).await.map_err(|Closed(item)| item), Err(3));
    assert_eq!((queue.pop().await, queue.try_pop(), queue.pop().await), (Some(1), Some(2), None));
    assert_eq!(queue.stream().next().await, None);
}

#[tokio::test]
async fn a_full_queue_makes_producers_wait_in_order() {
    let queue = Queue::new(1);
    queue.try_push(0).unwrap();
    assert!(matches!(queue.try_push(9), Err(PushError::Full(9))));
    let (mut first, mut second) = (Box::pin(queue.push(1)), Box::pin(queue.push(2)));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(queue.pop().await, Some(0));
    assert!((&mut second).now_or_never().is_none(), "the first producer goes first");
    first.await.unwrap();
    assert_eq!(queue.pop().await, Some(1));
    second.await.unwrap();
    assert_eq!((queue.len(), queue.capacity()), (1, 1));
    queue.close();
    assert!(matches!(queue.try_push(9), Err(PushError::Closed(9))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_producers_and_consumers_lose_and_duplicate_nothing() {
    let queue = Queue::new(3);
    let mut tasks = tokio::task::JoinSet::new();
    for producer in 0..4_u32 {
        let queue = queue.clone();
        tasks.spawn(async move {
            for n in 0..2_000 {
                queue.push(producer * 2_000 + n).await.unwrap();
            }
        });
    }
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let stream = queue.stream();
        consumers.spawn(stream.collect::<Vec<_>>());
    }
    tasks.join_all().await;
    queue.close();
    let mut all: Vec<u32> = consumers.join_all().await.concat();
    all.sort_unstable();
    assert_eq!(all, (0..8_000).collect::<Vec<_>>());
}

/// One step of a caller that uses a queue.
#[derive(Debug, Clone)]
enum Step {
    /// A push that is dropped after this many polls.
    Push(usize),
    Pop(usize),
    TryPush,
    TryPop,
    Next(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..3).prop_map(Step::Push),
        4 => (0_usize..3).prop_map(Step::Pop),
        2 => Just(Step::TryPush),
        2 => Just(Step::TryPop),
        2 => (0_usize..3).prop_map(Step::Next),
        1 => Just(Step::Close),
    ]
}

/// Polls a future up to `times` times, and drops it if it is still pending.
fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
    }
    None
}

proptest! {
    /// Wherever calls are dropped, each pushed item is popped exactly once and in order, and no capacity is lost.
    #[test]
    fn a_queue_is_a_bounded_fifo_wherever_calls_are_dropped(steps in prop::collection::vec(step(), 0..60), capacity in 1_usize..4) {
        run(async {
            let queue = Queue::new(capacity);
            let (mut model, mut is_closed) = (std::collections::VecDeque::new(), false);
            for (n, step) in steps.into_iter().enumerate() {
                let room = model.len() < capacity && !is_closed;
                match step {
                    Step::Push(polls) => {
                        let expected = if is_closed { Some(false) } else { room.then_some(true) };
                        let pushed = poll_times(polls, queue.push(n)).map(|result| result.is_ok());
                        assert_eq!(pushed, expected.filter(|_| polls > 0));
                        if pushed == Some(true) { model.push_back(n) }
                    }
                    Step::TryPush => {
                        assert_eq!(queue.try_push(n).is_ok(), room);
                        if room { model.push_back(n) }
                    }
                    Step::Pop(0) | Step::Next(0) => {
                        assert!(poll_times(0, queue.pop()).is_none());
                    }
                    Step::Pop(polls) => {
                        let expected = model.pop_front().map(Some).or(is_closed.then_some(None));
                        assert_eq!(poll_times(polls, queue.pop()), expected);
                    }
                    Step::Next(polls) => {
                        let expected = model.pop_front().map(Some).or(is_closed.then_some(None));
                        assert_eq!(poll_times(polls, queue.stream().next()), expected);
                    }
                    Step::TryPop => assert_eq!(queue.try_pop(), model.pop_front()),
                    Step::Close => {
                        queue.close();
                        is_closed = true;
                    }
                }
                assert_eq!((queue.len(), queue.is_closed()), (model.len(), is_closed));
            }
        });
    }
}
