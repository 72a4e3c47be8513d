use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::now;

/// A progress counter that computes the throughput and the time left, for any number of watchers.
///
/// Clones share the same counter. Watchers [subscribe](Self::subscribe) to changes and receive only the latest [`Snapshot`]: a
/// slow watcher misses older ones and does not slow down the work.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let progress = antiphon_runtime::Progress::new(Some(8));
/// let mut watcher = progress.subscribe();
/// let worker = tokio::spawn(async move {
///     for _ in 0..8 {
///         progress.advance(1);
///         tokio::task::yield_now().await;
///     }
/// });
/// let mut newest = None;
/// while let Some(snapshot) = watcher.changed().await {
///     newest = snapshot.percent();
/// }
/// assert_eq!(newest, Some(100.0), "the worker dropped the last handle");
/// # worker.await.unwrap();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    meter: Mutex<Meter>,
    newest: watch::Sender<Snapshot>,
}

/// The state of a [`Progress`] at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Number of units of work done so far.
    pub done: u64,
    /// The total number of units; `None` while unknown.
    pub total: Option<u64>,
    /// Time since the counter was created.
    pub elapsed: Duration,
    /// Throughput in units per second over the last ten seconds; `None` if nothing was done in that time.
    pub rate: Option<f64>,
    /// Estimated time left (ETA) at that rate; `None` while the total or the rate is unknown.
    pub eta: Option<Duration>,
}

impl Snapshot {
    /// Returns the percentage done; `None` while the total is unknown.
    ///
    /// 100 for a total of 0, and more than 100 if more units than the total were done.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        let total = self.total?;
        Some(if total == 0 { 100.0 } else { self.done as f64 * 100.0 / total as f64 })
    }
}

impl Progress {
    /// Creates a counter at zero. `total` is the number of units of work; `None` if it is not known yet.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        let meter = Meter::new(total, now());
        let newest = watch::Sender::new(Snapshot { total, ..Snapshot::default() });
        Self { shared: Arc::new(Shared { meter: Mutex::new(meter), newest }) }
    }

    /// Adds `pieces` to the number of units done, and notifies the watchers.
    pub fn advance(&self, pieces: u64) {
        self.update(|meter, now| meter.advance(pieces, now));
    }

    /// Sets the total number of units, and notifies the watchers. Use it if the total becomes known, or changes, later.
    pub fn set_total(&self, total: u64) {
        self.update(|meter, _| meter.total = Some(total));
    }

    /// Returns the current state, with the elapsed time and the rate as of now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.meter().snapshot(now())
    }

    /// Creates a watcher of the changes after this call.
    ///
    /// Of several changes between two calls of [`changed`](Subscription::changed), the watcher receives only the latest.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription { newest: self.shared.newest.subscribe() }
    }

    fn update(&self, change: impl FnOnce(&mut Meter, Instant)) {
        let now = now();
        // Watchers are woken after the meter's lock is released, so that one that reads immediately does not deadlock.
        self.shared.newest.send_modify(|newest| {
            let mut meter = self.meter();
            change(&mut meter, now);
            *newest = meter.snapshot(now);
        });
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.shared.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watcher of a [`Progress`].
#[derive(Debug, Clone)]
pub struct Subscription {
    newest: watch::Receiver<Snapshot>,
}

impl Subscription {
    /// Waits for the next change and returns the state after it; `None` once the last [`Progress`] handle is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change: the next call returns it.
    pub async fn changed(&mut self) -> Option<Snapshot> {
        self.newest.changed().await.ok()?;
        Some(*self.newest.borrow_and_update())
    }
}

/// The count and its rate, without a clock: every method takes the time.
#[derive(Debug)]
struct Meter {
    total: Option<u64>,
    done: u64,
    started: Instant,
    samples: VecDeque<(Instant, u64)>,
}

const WINDOW: Duration = Duration::from_secs(10);
const MAX_SAMPLES: u32 = 64;

impl Meter {
    fn new(total: Option<u64>, now: Instant) -> Self {
        Self { total, done: 0, started: now, samples: VecDeque::from([(now, 0)]) }
    }

    fn advance(&mut self, pieces: u64, now: Instant) {
        self.done += pieces;
        let spacing = WINDOW / MAX_SAMPLES;
        if self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= spacing) {
            self.samples.push_back((now, self.done));
        }
        // The newest sample outside the window is kept: it is the base of the rate.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        // The count at the start of the window: nothing was done between that sample and the window.
        let base = self.samples.iter().rev().find(|(at, _)| age(at) >= WINDOW).or(self.samples.front());
        let rate = base.and_then(|(at, done)| {
            let (pieces, time) = (self.done - done, age(at).min(WINDOW).as_secs_f64());
            (pieces > 0 && time > 0.0).then(|| pieces as f64 / time)
        });
        let remaining = self.total.map(|total| total.saturating_sub(self.done));
        let eta = remaining
            .zip(rate)
            .and_then(|(remaining, rate)| Duration::try_from_secs_f64(remaining as f64 / rate).ok());
        Snapshot { done: self.done, total: self.total, elapsed: now.duration_since(self.started), rate, eta }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Meter, Progress, Snapshot, now};

    #[test]
    fn rate_covers_the_last_ten_seconds() {
        let start = now();
        let mut meter = Meter::new(Some(1000), start);
        for second in 1..=20 {
            let pieces = if second <= 10 { 1 } else { 10 };
            meter.advance(pieces, start + Duration::from_secs(second));
        }
        let seen = meter.snapshot(start + Duration::from_secs(20));
        assert_eq!((seen.done, seen.rate), (110, Some(10.0)));
        assert_eq!(seen.eta, Some(Duration::from_secs(89)));
    }

    #[test]
    fn sample_count_is_bounded() {
        let start = now();
        let mut meter = Meter::new(None, start);
        for step in 1..=100_000 {
            meter.advance(1, start + Duration::from_millis(step));
        }
        assert!(meter.samples.len() < 80, "{}", meter.samples.len());
        let seen = meter.snapshot(start + Duration::from_secs(100));
        assert!((seen.rate.unwrap() - 1000.0).abs() < 20.0, "{seen:?}");
        assert_eq!(seen.eta, None);
    }

    #[test]
    fn pause_leaves_the_window_after_ten_seconds() {
        let start = now();
        let mut meter = Meter::new(Some(1000), start);
        meter.advance(10, start + Duration::from_secs(1));
        let hour = Duration::from_secs(3600);
        assert_eq!(meter.snapshot(start + hour).rate, None, "nothing was done in the last ten seconds");
        meter.advance(50, start + hour);
        assert_eq!(meter.snapshot(start + hour).rate, Some(5.0));
    }

    #[test]
    fn percent_of_zero_and_unknown_totals() {
        let percent = |done, total| Snapshot { done, total, ..Snapshot::default() }.percent();
        assert_eq!(percent(1, Some(8)), Some(12.5));
        assert_eq!(percent(0, Some(0)), Some(100.0));
        assert_eq!(percent(3, None), None);
    }

    #[test]
    fn no_rate_and_no_eta_before_the_first_unit() {
        let seen = Meter::new(Some(3), now()).snapshot(now() + Duration::from_secs(1));
        assert_eq!((seen.rate, seen.eta), (None, None));
    }

    #[tokio::test]
    async fn subscription_sees_the_latest_change_and_then_the_end() {
        let progress = Progress::new(None);
        let mut watcher = progress.subscribe();
        progress.set_total(2);
        progress.advance(1);
        let seen = watcher.changed().await.unwrap();
        assert_eq!((seen.done, seen.total), (1, Some(2)));
        drop(progress);
        assert!(watcher.changed().await.is_none());
    }
}
