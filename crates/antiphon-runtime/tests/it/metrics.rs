use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_runtime::{Pool, Runner, TaskError, background, describe_metrics, gather, timeout};
use futures_util::FutureExt;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// A recorder that stores counters, counts the samples of histograms, and keeps the units that were described.
#[derive(Debug, Default)]
struct Kept {
    counts: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    units: Mutex<BTreeMap<String, Unit>>,
}

impl Kept {
    fn entry(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: String =
            key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
        self.counts.lock().unwrap().entry(format!("{}{labels}", key.name())).or_default().clone()
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, description: &SharedString) {
        assert!(description.ends_with('.'), "{description}");
        self.units.lock().unwrap().insert(name.as_str().to_owned(), unit.unwrap());
    }

    /// Runs `work` on one thread with this recorder, and checks what was recorded.
    #[track_caller]
    fn check(work: impl Future<Output = ()>, expected: &[(&str, u64)]) {
        let kept = Self::default();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        metrics::with_local_recorder(&kept, || {
            describe_metrics();
            runtime.block_on(work);
            drop(runtime);
        });
        let counts = kept.counts.lock().unwrap();
        let counts: Vec<_> =
            counts.iter().map(|(name, count)| (name.as_str(), count.load(Ordering::Relaxed))).collect();
        assert_eq!(counts, expected);
        let units = kept.units.lock().unwrap();
        for (name, _) in counts {
            let name = name.split(' ').next().unwrap();
            let unit = if name.ends_with("duration") { Unit::Seconds } else { Unit::Count };
            assert_eq!(units.get(name), Some(&unit), "{name} is described");
        }
    }
}

struct Samples(Arc<AtomicU64>);

impl metrics::HistogramFn for Samples {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

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
fn tasks_and_resources_are_counted_by_outcome() {
    let work = async {
        let runner = Runner::new(1).task_timeout(Duration::from_secs(1));
        runner.submit(async {}).await.await.unwrap();
        assert!(runner.submit(async { panic!("counted") }).await.await.is_err());
        assert_eq!(runner.submit(pending::<()>()).await.await, Err(TaskError::TimedOut));
        drop(runner.submit(async {}).await);
        let pool = Pool::from_fns(1, || async { Ok::<_, Infallible>(()) }, |()| async {});
        for _ in 0..3 {
            pool.acquire().await.unwrap();
        }
    };
    let expected = [
        ("antiphon.pool.resource.acquired outcome=created", 1),
        ("antiphon.pool.resource.acquired outcome=reused", 2),
        ("antiphon.task.duration outcome=completed", 1),
        ("antiphon.task.duration outcome=failed", 1),
        ("antiphon.task.duration outcome=timed_out", 1),
        ("antiphon.task.ended outcome=cancelled", 1),
        ("antiphon.task.ended outcome=completed", 1),
        ("antiphon.task.ended outcome=failed", 1),
        ("antiphon.task.ended outcome=timed_out", 1),
        ("antiphon.task.submitted", 4),
    ];
    Kept::check(work, &expected);
}

#[test]
fn background_tasks_are_counted_by_outcome() {
    let work = async {
        background(async {}).await.unwrap();
        assert!(background(async { panic!("counted") }).await.is_err());
        assert_eq!(background(pending::<()>()).cancel().await, Err(TaskError::Cancelled));
        // Dropped with its runtime.
        background(pending::<()>()).detach();
    };
    let expected = [
        ("antiphon.background.duration outcome=cancelled", 2),
        ("antiphon.background.duration outcome=completed", 1),
        ("antiphon.background.duration outcome=failed", 1),
        ("antiphon.background.task.ended outcome=cancelled", 2),
        ("antiphon.background.task.ended outcome=completed", 1),
        ("antiphon.background.task.ended outcome=failed", 1),
        ("antiphon.background.task.started", 4),
    ];
    Kept::check(work, &expected);
}

#[test]
fn futures_of_gather_are_counted_by_outcome() {
    let work = async {
        let results = gather(2, [1, 2, 3].map(|n| async move { assert_ne!(n, 2) })).await;
        assert!(results[1].is_err());
        // Dropped with one future that has ended, and two in progress.
        assert!(gather(3, [true, false, false].map(waits_unless)).now_or_never().is_none());
    };
    let expected = [
        ("antiphon.gather.duration outcome=cancelled", 1),
        ("antiphon.gather.duration outcome=completed", 1),
        ("antiphon.gather.future.ended outcome=cancelled", 2),
        ("antiphon.gather.future.ended outcome=completed", 3),
        ("antiphon.gather.future.ended outcome=failed", 1),
    ];
    Kept::check(work, &expected);
}

async fn waits_unless(is_ready: bool) {
    if !is_ready {
        pending::<()>().await;
    }
}

#[test]
fn futures_with_a_time_limit_are_counted_by_outcome() {
    let work = async {
        let limit = Duration::from_secs(1);
        let gathered = Runner::new(1).task_timeout(limit).gather([pending::<()>()]).await;
        assert_eq!(gathered, [Err(TaskError::TimedOut)]);
        timeout(limit, ready(())).await.unwrap();
        timeout(limit, pending::<()>()).await.unwrap_err();
        assert!(timeout(limit, pending::<()>()).now_or_never().is_none());
        let panics = timeout(limit, async { panic!("counted") });
        assert!(std::panic::AssertUnwindSafe(panics).catch_unwind().await.is_err());
    };
    let expected = [
        ("antiphon.gather.duration outcome=completed", 1),
        ("antiphon.gather.future.ended outcome=completed", 1),
        ("antiphon.timeout.duration outcome=cancelled", 1),
        ("antiphon.timeout.duration outcome=completed", 1),
        ("antiphon.timeout.duration outcome=failed", 1),
        ("antiphon.timeout.duration outcome=timed_out", 2),
        ("antiphon.timeout.future.ended outcome=cancelled", 1),
        ("antiphon.timeout.future.ended outcome=completed", 1),
        ("antiphon.timeout.future.ended outcome=failed", 1),
        ("antiphon.timeout.future.ended outcome=timed_out", 2),
    ];
    Kept::check(work, &expected);
}
