//! Throughput of reads, lines and walks. `cargo xtask bench` has the comparison with other crates.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark, which prepares its files with std"
)]

use std::path::PathBuf;

use antiphon_fs::{Reader, WalkOptions, read_many, temp_dir, walk};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use tokio::runtime::Runtime;

fn files(c: &mut Criterion) {
    let (runtime, folder) = (Runtime::new().unwrap(), temp_dir().unwrap());
    let paths: Vec<PathBuf> = (0..2000).map(|n| folder.path().join(n.to_string())).collect();
    paths.iter().for_each(|path| std::fs::write(path, [b'x'; 4096]).unwrap());
    let mut group = c.benchmark_group("fs");
    group.throughput(Throughput::Elements(2000));
    group.bench_function("read_many", |b| {
        b.to_async(&runtime)
            .iter(async || read_many(paths.clone(), Default::default(), Default::default()).count().await);
    });
    group.bench_function("walk", |b| {
        b.to_async(&runtime)
            .iter(async || walk(folder.path(), WalkOptions::default(), Default::default()).count().await);
    });
    let text = folder.path().join("text");
    std::fs::write(&text, "a line of some fifty bytes, as they are in real life\n".repeat(200_000)).unwrap();
    group.throughput(Throughput::Elements(200_000));
    group.bench_function("lines", |b| {
        b.to_async(&runtime).iter(async || Reader::open(&text).await.unwrap().lines().count().await);
    });
    group.finish();
}

criterion_group!(benches, files);
criterion_main!(benches);
