//! Overhead of the adaptors, without the work that they run. `cargo xtask bench` compares them with other crates.
#![expect(clippy::expect_used, reason = "a benchmark")]

use std::future::ready;

use antiphon_stream::{BackpressureExt, Queue, merge};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{StreamExt as _, stream};
use tokio::runtime::{Builder, Runtime};

const ITEMS: u32 = 10_000;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn adaptors(c: &mut Criterion) {
    let runtime = runtime();
    let items = || stream::iter(0..ITEMS);
    let mut group = c.benchmark_group("stream");
    group.throughput(Throughput::Elements(ITEMS.into()));
    group.bench_function("map_async", |b| {
        b.to_async(&runtime).iter(async || items().map_async(64, ready).count().await);
    });
    group.bench_function("map_async_unordered", |b| {
        b.to_async(&runtime).iter(async || items().map_async_unordered(64, ready).count().await);
    });
    group.bench_function("filter_async", |b| {
        b.to_async(&runtime).iter(async || items().filter_async(64, |n| ready(n % 2 == 0)).count().await);
    });
    group.bench_function("batch", |b| {
        b.to_async(&runtime).iter(async || items().batch(100).count().await);
    });
    group.bench_function("window", |b| {
        b.to_async(&runtime).iter(async || items().window(16, 1).count().await);
    });
    group.bench_function("merge of 64", |b| {
        let sources = || (0..64).map(|_| stream::repeat(1_u8));
        b.to_async(&runtime).iter(async || merge(sources()).take(ITEMS as usize).count().await);
    });
    group.bench_function("queue", |b| {
        b.to_async(&runtime).iter(async || {
            let queue = Queue::new(64);
            let produce = async {
                for n in 0..ITEMS {
                    queue.push(n).await.expect("open");
                }
                queue.close();
            };
            tokio::join!(produce, queue.stream().count())
        });
    });
    group.finish();
}

criterion_group!(benches, adaptors);
criterion_main!(benches);
