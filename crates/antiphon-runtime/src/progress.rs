use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::now;

/// A count of the work that is done, with its rate and the time left, for those who watch it.
///
/// Cloning gives another handle to the same count. Watchers get the newest [`Snapshot`] and may miss older ones, so a
/// slow watcher never slows the work.
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
/// assert_eq!(newest, Some(100.0), "the last handle is gone with the worker");
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
    /// Pieces done so far.
    pub done: u64,
    /// Pieces in all, when known.
    pub total: Option<u64>,
    /// Time since the progress was made.
    pub elapsed: Duration,
    /// Pieces a second over the last ten seconds; `None` before anything was done.
    pub rate: Option<f64>,
    /// Time left at that rate; `None` while total or rate are unknown.
    pub eta: Option<Duration>,
}

impl Snapshot {
    /// Returns the part that is done, 0 to 100; all of nothing is 100, and `None` while the total is unknown.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        let total = self.total?;
        Some(if total == 0 { 100.0 } else { self.done as f64 * 100.0 / total as f64 })
    }
}

impl Progress {
    /// Nothing done yet of `total` pieces, or of an unknown number.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        let meter = Meter::new(total, now());
        let newest = watch::Sender::new(Snapshot { total, ..Snapshot::default() });
        Self { shared: Arc::new(Shared { meter: Mutex::new(meter), newest }) }
    }

    /// Counts `pieces` more as done.
    pub fn advance(&self, pieces: u64) {
        self.update(|meter, now| meter.advance(pieces, now));
    }

    /// Sets how many pieces there are in all, once that is known.
    pub fn set_total(&self, total: u64) {
        self.update(|meter, _| meter.total = Some(total));
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.meter().snapshot(now())
    }

    /// A watcher of its own, which sees every change from now on or the newest of several.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription { newest: self.shared.newest.subscribe() }
    }

    fn update(&self, change: impl FnOnce(&mut Meter, Instant)) {
        let now = now();
        // Watchers are woken after the meter's lock is free again: one that looks at once must not wait for itself.
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
    /// Waits for the next change; `None` once the work's last [`Progress`] handle is gone.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing: the change is there for the next call.
    pub async fn changed(&mut self) -> Option<Snapshot> {
        self.newest.changed().await.ok()?;
        Some(*self.newest.borrow_and_update())
    }
}

/// Counting and rate without a clock of its own.
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
        // The newest sample outside the window stays: it is where the window begins.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        // The count when the window began: nothing was done between that sample and the window.
        let base = self.samples.iter().rev().find(|(at, _)| age(at) >= WINDOW).or(self.samples.front());
        let rate = base.and_then(|(at, done)| {
            let (pieces, time) = (self.done - done, age(at).min(WINDOW).as_secs_f64());
            (pieces > 0 && time > 0.0).then(|| pieces as f64 / time)
        });
        let exited = self.total.map(|total| total.saturating_sub(self.done));
        let eta = exited
            .zip(rate)
            .and_then(|(exited, rate)| Duration::try_from_secs_f64(exited as f64 / rate).ok());
        Snapshot { done: self.done, total: self.total, elapsed: now.duration_since(self.started), rate, eta }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Meter, Progress, Snapshot, now};

    #[test]
    fn rate_is_that_of_the_last_ten_seconds() {
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
    fn many_small_steps_keep_few_samples() {
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
    fn a_pause_is_forgotten_after_ten_seconds() {
        let start = now();
        let mut meter = Meter::new(Some(1000), start);
        meter.advance(10, start + Duration::from_secs(1));
        let hour = Duration::from_secs(3600);
        assert_eq!(meter.snapshot(start + hour).rate, None, "nothing was done in the last ten seconds");
        meter.advance(50, start + hour);
        assert_eq!(meter.snapshot(start + hour).rate, Some(5.0));
    }

    #[test]
    fn percent_knows_an_empty_total_and_an_unknown_one() {
        let percent = |done, total| Snapshot { done, total, ..Snapshot::default() }.percent();
        assert_eq!(percent(1, Some(8)), Some(12.5));
        assert_eq!(percent(0, Some(0)), Some(100.0));
        assert_eq!(percent(3, None), None);
    }

    #[test]
    fn nothing_done_has_no_rate_and_no_eta() {
        let seen = Meter::new(Some(3), now()).snapshot(now() + Duration::from_secs(1));
        assert_eq!((seen.rate, seen.eta), (None, None));
    }

    #[tokio::test]
    async fn watchers_see_the_newest_and_then_the_end() {
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
