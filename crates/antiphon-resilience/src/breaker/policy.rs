use std::time::Duration;

/// The rule by which a [`CircuitBreaker`](crate::CircuitBreaker) opens and closes.
///
/// For one service with few calls, [`CircuitBreaker::simple`](crate::CircuitBreaker::simple) is enough.
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
    /// Window of calls that are counted. Default: the last 20.
    pub window: BreakerWindow,
    /// Minimum number of results in the window before the breaker can open. Default 10; at most the size of a count window.
    pub min_calls: u32,
    /// Share of the calls in the window, from 0 to 1, whose failure opens the breaker. A call in flight counts as one that
    /// has not failed. Default 0.5.
    pub failure_rate: f64,
    /// Time from which calls are slow, and the share of slow calls that opens the breaker. Default `None`: no call is slow,
    /// and no clock is read for it.
    pub slow_calls: Option<SlowCalls>,
    /// Time for which the breaker stays open at first. Default 30 s.
    pub open_for: Duration,
    /// Longest time for which the breaker stays open: the time doubles whenever the trials fail. Default 5 min.
    pub max_open: Duration,
    /// Number of trials that must succeed while the breaker is half-open, which closes it. Default 3.
    pub trials: u32,
    /// Number of further trials that are admitted and may fail; one more failure reopens the breaker. Default 0.
    ///
    /// Where a share of all calls fails, single trials with doubling times keep a service that mostly works away for
    /// minutes: with a share of one half or more, the expected time has no bound.
    pub spare_trials: u32,
    /// Time for which trials may be in flight; after it, the breaker opens again. Default 60 s.
    pub max_half_open: Duration,
}

/// The calls that a [`BreakerPolicy`] counts: the last ones that started before the call that ends.
///
/// Calls are ordered by their start. Ordered by their ends, quick failures would come before slow successes that started at
/// the same time, and a small share of failures would look like an outage. The window is exact to a tenth of its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerWindow {
    /// Number of calls; at least as many as are in flight are always counted.
    Count(u32),
    /// Time within which the calls started.
    Time(Duration),
}

/// The rule by which slow calls open a breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SlowCalls {
    /// Time from which a call is slow: to its first token if that is [reported](crate::BreakerPermit::answered), otherwise
    /// to its end.
    pub after: Duration,
    /// Share of slow calls, from 0 to 1, that opens the breaker.
    pub rate: f64,
}

impl SlowCalls {
    /// Creates a rule that opens the breaker when at least `rate` of the calls take `after` or longer.
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
    /// Sets the window of calls that are counted.
    #[must_use]
    pub fn window(mut self, window: BreakerWindow) -> Self {
        self.window = window;
        self
    }

    /// Sets the minimum number of results before the breaker can open.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Sets the share of failures, from 0 to 1, that opens the breaker.
    #[must_use]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = rate;
        self
    }

    /// Sets which calls are slow, and the share of them that opens the breaker.
    #[must_use]
    pub fn slow_calls(mut self, slow: SlowCalls) -> Self {
        self.slow_calls = Some(slow);
        self
    }

    /// Sets how long the breaker stays open: at first, and at most.
    #[must_use]
    pub fn open_for(mut self, first: Duration, max: Duration) -> Self {
        (self.open_for, self.max_open) = (first, max);
        self
    }

    /// Sets the number of trials that must succeed to close the breaker; 0 counts as 1.
    #[must_use]
    pub fn trials(mut self, trials: u32) -> Self {
        self.trials = trials;
        self
    }

    /// Sets the number of further trials that are admitted and may fail.
    #[must_use]
    pub fn spare_trials(mut self, trials: u32) -> Self {
        self.spare_trials = trials;
        self
    }

    /// Sets how long trials may be in flight.
    #[must_use]
    pub fn max_half_open(mut self, duration: Duration) -> Self {
        self.max_half_open = duration;
        self
    }
}
