use std::time::Duration;

/// The rule by which a [`CircuitBreaker`](crate::CircuitBreaker) opens and closes again.
///
/// [`CircuitBreaker::simple`](crate::CircuitBreaker::simple) is enough for one service with few calls.
///
/// ```
/// use std::time::Duration;
/// use antiphon_resilience::{BreakerPolicy, BreakerState, CircuitBreaker, SlowCalls, BreakerWindow};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), antiphon_resilience::BreakerError<&'static str>> {
/// // Opens when, of the calls of the last minute, a quarter failed or half took two seconds or longer.
/// let policy = BreakerPolicy::default()
///     .window(BreakerWindow::Time(Duration::from_secs(60)))
///     .min_calls(4)
///     .failure_rate(0.25)
///     .slow_calls(SlowCalls::new(Duration::from_secs(2), 0.5))
///     .open_for(Duration::from_secs(10), Duration::from_secs(120));
/// let breaker = CircuitBreaker::new(policy);
/// for seconds in [0, 3, 0, 3] {
///     let call = async move {
///         tokio::time::sleep(Duration::from_secs(seconds)).await;
///         Ok::<_, &str>(())
///     };
///     breaker.call(call).await?;
/// }
/// assert_eq!(breaker.status().state, BreakerState::Open);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// Which calls count. Default: the last 20.
    pub window: BreakerWindow,
    /// With fewer results than this in the window it does not open. Default 10; more than a count window holds counts
    /// as all it holds.
    pub min_calls: u32,
    /// It opens when at least this part of the calls in the window failed, from 0 to 1; one that is in flight has not failed.
    /// Default 0.5.
    pub failure_rate: f64,
    /// Which calls are slow, and how many of them open it. Default `None`: no call is slow, and no clock is read for it.
    pub slow_calls: Option<SlowCalls>,
    /// How long it stays open at first. Default 30 s.
    pub open_for: Duration,
    /// The longest that it stays open: each trial that fails doubles the time. Default 5 min.
    pub max_open: Duration,
    /// Calls let through after that; it closes when so many succeed. Default 3.
    pub trials: u32,
    /// Trials beyond these that are let through and may fail; it opens again when one more does. Default 0.
    ///
    /// Where the time doubles and a share of all calls fails, one trial at a time keeps a service that mostly works away for
    /// minutes: with a share of one half and more, the expected time has no bound.
    pub spare_trials: u32,
    /// How long the trials may take; then it is open again. Default 60 s.
    pub max_half_open: Duration,
}

/// The calls that a [`BreakerPolicy`] looks at, to a tenth of the window: those that began last before one that ends.
///
/// Calls count by when they began. Counted by their ends, quick failures would come before the slow successes that began
/// beside them, and a small share of failures would look like an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerWindow {
    /// So many, and never fewer than are in flight.
    Count(u32),
    /// Those that began within so long.
    Time(Duration),
}

/// Calls that take too long.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SlowCalls {
    /// A call that takes this long, to its first token if it [says so](crate::BreakerPermit::answered), is slow.
    pub after: Duration,
    /// It opens when at least this part of the calls was slow, from 0 to 1.
    pub rate: f64,
}

impl SlowCalls {
    /// Opens when at least `rate` of the calls take `after` or longer.
    #[must_use]
    pub fn new(after: Duration, rate: f64) -> Self {
        Self { after, rate }
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: BreakerWindow::Count(20),
            min_calls: 10,
            failure_rate: 0.5,
            slow_calls: None,
            open_for: Duration::from_secs(30),
            max_open: Duration::from_secs(300),
            trials: 3,
            spare_trials: 0,
            max_half_open: Duration::from_secs(60),
        }
    }
}

impl BreakerPolicy {
    /// Sets which calls count.
    #[must_use]
    pub fn window(mut self, window: BreakerWindow) -> Self {
        self.window = window;
        self
    }

    /// Sets the fewest results that can open it.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Sets the part of failures that opens it.
    #[must_use]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = rate;
        self
    }

    /// Sets which calls are slow, and how many of them open it.
    #[must_use]
    pub fn slow_calls(mut self, slow: SlowCalls) -> Self {
        self.slow_calls = Some(slow);
        self
    }

    /// Sets how long it stays open: at first, and at most.
    #[must_use]
    pub fn open_for(mut self, first: Duration, max: Duration) -> Self {
        (self.open_for, self.max_open) = (first, max);
        self
    }

    /// Sets the calls that must succeed while it is half-open; 0 counts as 1.
    #[must_use]
    pub fn trials(mut self, trials: u32) -> Self {
        self.trials = trials;
        self
    }

    /// Sets the calls beyond these that are let through while it is half-open, and may fail.
    #[must_use]
    pub fn spare_trials(mut self, trials: u32) -> Self {
        self.spare_trials = trials;
        self
    }

    /// Sets how long the trials may take.
    #[must_use]
    pub fn max_half_open(mut self, duration: Duration) -> Self {
        self.max_half_open = duration;
        self
    }
}
