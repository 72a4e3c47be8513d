use std::cell::Cell;
use std::task::Poll;
use std::time::Duration;

use antiphon_stream::merge;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::run;

proptest! {
    #[test]
    fn every_source_is_yielded_whole_and_in_order(pauses in prop::collection::vec(prop::collection::vec(0_u64..5, 0..9), 0..6)) {
        let sources = pauses.iter().cloned().enumerate().map(|(source, pauses)| {
            stream::iter(pauses.into_iter().enumerate())
                .then(move |(item, pause)| async move {
                    if pause > 0 {
                        sleep(Duration::from_millis(pause)).await;
                    }
                    (source, item)
                })
                .boxed()
        });
        let mut merged: Vec<_> = run(merge(sources).collect());
        merged.sort_by_key(|(source, _)| *source);
        let expected: Vec<_> =
            pauses.iter().enumerate().flat_map(|(source, items)| (0..items.len()).map(move |item| (source, item))).collect();
        prop_assert_eq!(merged, expected);
    }

    #[test]
    fn no_source_gets_two_turns_before_each_had_one(sources in 1_usize..20, turns in 1_usize..20) {
        let merged = merge((0..sources).map(stream::repeat));
        let order: Vec<usize> = run(merged.take(sources * turns).collect());
        for round in order.chunks(sources) {
            let mut round = round.to_vec();
            round.sort_unstable();
            prop_assert_eq!(round, (0..sources).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_merged_stream_survives_the_error_of_one_source() {
    type Source = BoxStream<'static, Result<u8, &'static str>>;
    let failing: Source = stream::iter([Ok(1), Err("broken")]).boxed();
    let fine: Source = stream::iter([Ok(10), Ok(20), Ok(30)]).boxed();
    let merged: Vec<_> = merge([failing, fine]).collect().await;
    assert_eq!(merged, [Ok(1), Ok(10), Err("broken"), Ok(20), Ok(30)]);
}

#[tokio::test]
async fn idle_sources_are_not_polled_again() {
    let polls = Cell::new(0);
    let idle = || {
        stream::poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<Option<u32>>::Pending
        })
        .boxed_local()
    };
    let sources = (0..1000).map(|_| idle()).chain([stream::iter(0..500).boxed_local()]);
    let mut merged = merge(sources);
    for n in 0..500 {
        assert_eq!(merged.next().await, Some(n));
    }
    assert!(merged.next().now_or_never().is_none());
    assert_eq!(polls.get(), 1000);
}

#[tokio::test]
async fn a_stream_that_wakes_itself_does_not_block_the_thread() {
    let mut polls = 0;
    let busy = stream::poll_fn(move |cx| {
        cx.waker().wake_by_ref();
        polls += 1;
        if polls < 100 { Poll::Pending } else { Poll::Ready(Some(polls)) }
    });
    let mut merged = merge([busy]);
    assert!(merged.next().now_or_never().is_none());
    assert_eq!(merged.next().await, Some(100));
}

#[tokio::test]
async fn a_ready_stream_that_wakes_itself_gets_one_turn_at_a_time() {
    let eager = stream::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(Some(1))
    });
    let order: Vec<_> = merge([eager.boxed(), stream::repeat(2).boxed()]).take(2000).collect().await;
    assert_eq!(order.iter().filter(|n| **n == 2).count(), 1000);
}

#[tokio::test]
async fn merging_no_streams_is_an_empty_stream() {
    assert_eq!(merge(Vec::<stream::Empty<u8>>::new()).collect::<Vec<_>>().await, []);
}
