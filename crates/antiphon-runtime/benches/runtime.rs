//! Overhead of the runner and the pool per task. `cargo xtask bench` has the comparison with other crates.
#![expect(clippy::expect_used, reason = "a benchmark")]

use std::convert::Infallible;

use antiphon_runtime::{Pool, Priority, Runner, gather};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};

const TASKS: u32 = 10_000;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime")
}

fn tasks(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("tasks");
    group.throughput(Throughput::Elements(TASKS.into()));
    group.bench_function("map", |b| {
        b.to_async(&runtime).iter(async || Runner::new(64).map(0..TASKS, |n| async move { n }).await);
    });
    group.bench_function("mixed priorities", |b| {
        b.to_async(&runtime).iter(async || {
            let runner = Runner::new(64);
            for n in 0..TASKS as usize {
                runner.submit_at(Priority::ALL[n % 5], async {}).await.detach();
            }
            runner.shutdown(antiphon_runtime::Shutdown::Drain).await;
        });
    });
    group.bench_function("gather", |b| {
        b.to_async(&runtime).iter(async || gather(64, (0..TASKS).map(std::future::ready)).await);
    });
    group.finish();
}

fn pool(c: &mut Criterion) {
    let runtime = runtime();
    let pool = Pool::from_fns(8, || async { Ok::<_, Infallible>(0_u64) }, |_| async {});
    c.bench_function("pool/acquire and release", |b| {
        b.to_async(&runtime).iter(async || *pool.acquire().await.expect("never fails") += 1);
    });
}

criterion_group!(benches, tasks, pool);
criterion_main!(benches);
