use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use antiphon_stream::{BackpressureExt, merge};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::runtime::Builder;
use tokio_stream::StreamMap;

use crate::harness::{Measured, Row, wall};

const ITEMS: u64 = 2_000_000;
const LIMIT: usize = 64;
const SIZE: usize = 16;

pub(super) fn rows() -> Vec<Measured> {
    let row = |row, baseline, target| Row { suite: "stream", row, baseline, ops: ITEMS, target };
    let items = || stream::iter(0..ITEMS);
    let shared: Arc<str> = "a word".into();
    let words = || {
        stream::iter((0..ITEMS).map({
            let shared = shared.clone();
            move |_| shared.clone()
        }))
    };
    vec![
        row("ordered concurrent map, ready, 64", "futures buffered", 1.1)
            .measure(|| drain(items().map_async(LIMIT, ready)), || drain(items().map(ready).buffered(LIMIT))),
        row("batch 100", "futures chunks", 1.2)
            .measure(|| drain(items().batch(100)), || drain(items().chunks(100))),
        row("window 16 step 1, Copy items", "VecDeque cloned to a Vec", 0.7)
            .measure(|| drain(items().window(SIZE, 1)), || drain(their_window(items()))),
        row("window 16 step 1, Clone items", "VecDeque cloned to a Vec", 1.1)
            .measure(|| drain(words().window(SIZE, 1)), || drain(their_window(words()))),
        row("merge of 64 ready", "tokio StreamMap", 1.5).measure(
            || drain(merge(all_ready()).take(ITEMS as usize)),
            || drain(their_merge().take(ITEMS as usize)),
        ),
        row("merge of 1,024 with one ready", "futures select_all", 1.2).measure(
            || drain(merge(one_ready()).take(ITEMS as usize)),
            || drain(stream::select_all(one_ready()).take(ITEMS as usize)),
        ),
    ]
}

fn drain<S: Stream>(stream: S) -> Duration {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    wall(|| {
        runtime.block_on(async {
            let mut stream = std::pin::pin!(stream);
            let mut count = 0_u64;
            while let Some(item) = stream.next().await {
                std::hint::black_box(&item);
                count += 1;
            }
            assert!(count > 0);
        });
    })
}

/// Returns the windows as one would write them by hand: a `Vec` of clones for each item.
fn their_window<S: Stream<Item: Clone> + Unpin>(mut source: S) -> impl Stream<Item = Vec<S::Item>> {
    let mut window = VecDeque::with_capacity(SIZE);
    stream::poll_fn(move |cx| {
        loop {
            match std::task::ready!(source.poll_next_unpin(cx)) {
                None => return std::task::Poll::Ready(None),
                Some(item) => window.push_back(item),
            }
            if window.len() == SIZE {
                let copy = window.iter().cloned().collect::<Vec<_>>();
                window.pop_front();
                return std::task::Poll::Ready(Some(copy));
            }
        }
    })
}

fn all_ready() -> Vec<stream::Repeat<u64>> {
    (0..64).map(stream::repeat).collect()
}

fn their_merge() -> impl Stream<Item = u64> {
    all_ready().into_iter().enumerate().collect::<StreamMap<usize, _>>().map(|(_, item)| item)
}

fn one_ready() -> Vec<BoxStream<'static, u64>> {
    let idle = (1..1024).map(|_| stream::pending().boxed());
    idle.chain([stream::iter(0..ITEMS).boxed()]).collect()
}
