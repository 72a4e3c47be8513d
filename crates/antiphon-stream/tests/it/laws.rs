use std::cell::Cell;
use std::time::Duration;

use antiphon_stream::{BackpressureExt, Stages};
use futures_util::{Stream, StreamExt as _, stream};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::run;

/// Items with a pause before each and a working time, in milliseconds.
fn items() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0_u64..4, 0_u64..9), 0..40)
}

fn paced(items: Vec<(u64, u64)>) -> impl Stream<Item = (usize, u64)> {
    stream::iter(items.into_iter().enumerate()).then(|(index, (pause, work))| async move {
        if pause > 0 {
            sleep(Duration::from_millis(pause)).await;
        }
        (index, work)
    })
}

/// Counts the calls in flight, and their peak.
#[derive(Default)]
struct Gauge {
    now: Cell<usize>,
    peak: Cell<usize>,
}

impl Gauge {
    async fn work<T>(&self, millis: u64, result: T) -> T {
        self.now.set(self.now.get() + 1);
        self.peak.set(self.peak.get().max(self.now.get()));
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
        self.now.set(self.now.get() - 1);
        result
    }
}

proptest! {
    #[test]
    fn map_async_is_map_within_its_limit(items in items(), limit in 0_usize..6) {
        let (gauge, count) = (Gauge::default(), items.len());
        let mapped: Vec<usize> = run(paced(items).map_async(limit, |(index, work)| gauge.work(work, index)).collect());
        prop_assert_eq!(mapped, (0..count).collect::<Vec<_>>());
        prop_assert!(gauge.peak.get() <= limit.max(1));
    }

    #[test]
    fn map_async_unordered_loses_and_duplicates_nothing(items in items(), limit in 0_usize..6) {
        let (gauge, count) = (Gauge::default(), items.len());
        let calls = paced(items).map_async_unordered(limit, |(index, work)| gauge.work(work, index));
        let mut mapped: Vec<usize> = run(calls.collect());
        mapped.sort_unstable();
        prop_assert_eq!(mapped, (0..count).collect::<Vec<_>>());
        prop_assert!(gauge.peak.get() <= limit.max(1));
    }

    #[test]
    fn filter_async_is_filter_within_its_limit(items in items(), limit in 0_usize..6) {
        let gauge = Gauge::default();
        let expected: Vec<_> = items.iter().map(|(_, work)| *work).enumerate().filter(|(_, work)| work % 2 == 0).collect();
        let kept: Vec<_> = run(paced(items).filter_async(limit, |(_, work)| gauge.work(*work, work % 2 == 0)).collect());
        prop_assert_eq!(kept, expected);
        prop_assert!(gauge.peak.get() <= limit.max(1));
    }

    #[test]
    fn batch_is_chunks(items in items(), size in 0_usize..9) {
        let expected: Vec<Vec<usize>> =
            (0..items.len()).collect::<Vec<_>>().chunks(size.max(1)).map(<[_]>::to_vec).collect();
        let batches = paced(items).map(|(index, _)| index).batch(size);
        let batches: Vec<_> = run(batches.collect());
        prop_assert_eq!(batches, expected);
    }

    #[test]
    fn batch_within_loses_nothing_and_keeps_order_and_size(items in items(), size in 1_usize..9, time in 0_u64..9) {
        let count = items.len();
        let batches = paced(items).map(|(index, _)| index).batch_within(size, Duration::from_millis(time));
        let batches: Vec<_> = run(batches.collect());
        prop_assert!(batches.iter().all(|batch| (1..=size).contains(&batch.len())));
        prop_assert_eq!(batches.concat(), (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn window_yields_each_complete_window_at_its_step(count in 0_usize..300, size in 1_usize..90, step in 1_usize..120) {
        let all: Vec<usize> = (0..count).collect();
        let expected: Vec<_> =
            (0..count).step_by(step).filter_map(|from| all.get(from..from + size)).map(<[_]>::to_vec).collect();
        let windows: Vec<_> = run(stream::iter(all).window(size, step).collect());
        prop_assert_eq!(windows, expected);
    }

    #[test]
    fn composed_stages_run_in_order(items in prop::collection::vec(0_u32..100, 0..40), size in 1_usize..5) {
        let double = Stages::new().map(3, |n: u32| async move { n * 2 });
        let large = Stages::new().filter(2, |n: &u32| std::future::ready(*n > 50)).batch(size);
        let expected: Vec<u32> = items.iter().map(|n| n * 2).filter(|n| *n > 50).collect();
        let expected: Vec<_> = expected.chunks(size).map(<[_]>::to_vec).collect();
        let both = double.compose(large);
        for _ in 0..2 {
            let batches: Vec<_> = run(both.run(stream::iter(items.clone())).collect());
            prop_assert_eq!(&batches, &expected);
        }
    }
}

#[test]
fn size_hints_are_correct() {
    let items = || stream::iter(0..10);
    assert_eq!(items().batch(3).size_hint(), (4, Some(4)));
    assert_eq!(items().batch_within(3, Duration::ZERO).size_hint(), (4, Some(10)));
    assert_eq!(items().map_async(3, std::future::ready).size_hint(), (10, Some(10)));
    assert_eq!(items().filter_async(3, |_| std::future::ready(true)).size_hint(), (0, Some(10)));
    assert_eq!(Stages::<u8, u8>::new().run(stream::iter([1])).size_hint(), (1, Some(1)));
}

#[tokio::test]
async fn the_example_of_the_readme_runs() {
    let numbers = stream::iter(1..=5).map_async(4, |n| async move { n * 2 });
    let large = numbers.filter_async(4, |n| std::future::ready(*n > 5));
    assert_eq!(large.collect::<Vec<_>>().await, [6, 8, 10]);
}

#[tokio::test]
async fn a_step_larger_than_the_window_skips_items() {
    let windows: Vec<_> = stream::iter(1..=7).window(2, 3).collect().await;
    assert_eq!(windows, [[1, 2], [4, 5]]);
}

#[tokio::test]
async fn errors_are_passed_on_as_items_and_do_not_end_the_stream() {
    let parsed = stream::iter(["1", "x", "3"]).map_async(2, |word| async move { word.parse::<u8>() });
    let parsed: Vec<_> = parsed.map(|number| number.ok()).collect().await;
    assert_eq!(parsed, [Some(1), None, Some(3)]);
}
