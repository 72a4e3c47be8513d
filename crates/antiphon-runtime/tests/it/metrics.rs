use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use antiphon_runtime::{Pool, Runner};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// A recorder that stores counters and counts the samples of histograms.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Kept {
    fn entry(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: String = key.labels().map(|label| format!(" {}", label.value())).collect();
        self.0.lock().unwrap().entry(format!("{}{labels}", key.name())).or_default().clone()
    }
}

struct Samples(Arc<AtomicU64>);

impl metrics::HistogramFn for Samples {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.entry(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Samples(self.entry(key))))
    }
}

#[test]
fn counters_and_durations_are_recorded() {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    metrics::with_local_recorder(&kept, || {
        runtime.block_on(async {
            let runner = Runner::new(1);
            runner.submit(async {}).await.await.unwrap();
            assert!(runner.submit(async { panic!("counted") }).await.await.is_err());
            drop(runner.submit(async {}).await);
            let pool = Pool::from_fns(1, || async { Ok::<_, Infallible>(()) }, |()| async {});
            for _ in 0..3 {
                pool.acquire().await.unwrap();
            }
        });
    });
    let counts = kept.0.lock().unwrap();
    let counts: Vec<_> =
        counts.iter().map(|(name, count)| (name.as_str(), count.load(Ordering::Relaxed))).collect();
    let expected = [
        ("antiphon.pool.acquired created", 1),
        ("antiphon.pool.acquired reused", 2),
        ("antiphon.task.cancelled", 1),
        ("antiphon.task.completed", 1),
        ("antiphon.task.duration", 2),
        ("antiphon.task.failed", 1),
        ("antiphon.task.submitted", 3),
    ];
    assert_eq!(counts, expected);
}
