use std::time::Duration;

/// The policy of a [`CircuitBreaker`](crate::CircuitBreaker): when it opens, for how long, and when it closes.
///
/// For a service that is called by one caller at a time, [`CircuitBreaker::simple`](crate::CircuitBreaker::simple) is enough.
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
    /// Window of recent calls over which the shares are computed. Default: the last 20 calls.
    pub window: BreakerWindow,
    /// Minimum number of results in the window before the breaker can open, so that one early failure does not open it.
    /// Default 10; with a count window, at most the size of the window.
    pub min_calls: u32,
    /// Share of failures among the calls in the window, from 0 to 1, from which the breaker opens. Calls in flight are included
    /// and count as not failed. With 0, the first failure is enough; above 1, failures never open it. Default 0.5.
    pub failure_rate: f64,
    /// Duration from which a call is slow, and the share of slow calls from which the breaker opens. Default `None`: no call is
    /// slow, and durations are not measured.
    pub slow_calls: Option<SlowCalls>,
    /// Time for which the breaker is open before the first trial. Doubles each time the trials fail. Default 30 s.
    pub open_for: Duration,
    /// Maximum to which `open_for` doubles; at least `open_for`. Default 5 min.
    pub max_open: Duration,
    /// Number of trials that must succeed before the half-open breaker closes; 0 counts as 1. Default 3.
    pub trials: u32,
    /// Number of trials that may fail without reopening the breaker; as many are admitted in addition to `trials`. Default 0:
    /// the first failure reopens it.
    ///
    /// Set it for a service of which a share of the calls always fails. Otherwise a few failed trials, each of which doubles
    /// the open time, block a service that mostly works for minutes; if half or more of the calls fail, the expected time until
    /// the breaker closes has no bound.
    pub spare_trials: u32,
    /// Time within which the trials must end; if any is still in flight after it, the breaker opens again. Default 60 s.
    pub max_half_open: Duration,
}

/// The sliding window of a [`BreakerPolicy`]: the calls whose results are counted.
///
/// Calls are ordered by the time at which they started, not ended. If they were ordered by their ends, quick failures would
/// come before slow successes that started at the same time, and a small share of failures would look like an outage. The
/// window moves in steps of a tenth of its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerWindow {
    /// The most recent calls, this many; more while more calls than this are in flight. 0 counts as 1.
    Count(u32),
    /// The calls that started within this time. Zero counts as one nanosecond: only calls that started together are counted
    /// together.
    Time(Duration),
}

/// The rule by which slow calls open a breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SlowCalls {
    /// Duration from which a call is slow. Measured to the first token if that is
    /// [reported](crate::BreakerPermit::answered), otherwise to the end of the call.
    pub after: Duration,
    /// Share of slow calls among the calls in the window, from 0 to 1, from which the breaker opens.
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
    /// Sets the window of recent calls over which the shares are computed. Default: the last 20 calls.
    #[must_use]
    pub fn window(mut self, window: BreakerWindow) -> Self {
        self.window = window;
        self
    }

    /// Sets the minimum number of results before the breaker can open. Default 10.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Sets the share of failures, from 0 to 1, from which the breaker opens. Default 0.5.
    #[must_use]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = rate;
        self
    }

    /// Sets the duration from which a call is slow, and the share of slow calls from which the breaker opens. Default: no call
    /// is slow.
    #[must_use]
    pub fn slow_calls(mut self, slow: SlowCalls) -> Self {
        self.slow_calls = Some(slow);
        self
    }

    /// Sets the time for which the breaker is open: `first`, doubling after each failed trial up to `max`. Default 30 s and
    /// 5 min.
    #[must_use]
    pub fn open_for(mut self, first: Duration, max: Duration) -> Self {
        (self.open_for, self.max_open) = (first, max);
        self
    }

    /// Sets the maximum to which the open time doubles; it is at least `open_for`. Default 5 min.
    #[must_use]
    pub fn max_open(mut self, max: Duration) -> Self {
        self.max_open = max;
        self
    }

    /// Sets the number of trials that must succeed before the breaker closes; 0 counts as 1. Default 3.
    #[must_use]
    pub fn trials(mut self, trials: u32) -> Self {
        self.trials = trials;
        self
    }

    /// Sets the number of trials that may fail without reopening the breaker. Default 0.
    #[must_use]
    pub fn spare_trials(mut self, trials: u32) -> Self {
        self.spare_trials = trials;
        self
    }

    /// Sets the time within which the trials must end. Default 60 s.
    #[must_use]
    pub fn max_half_open(mut self, duration: Duration) -> Self {
        self.max_half_open = duration;
        self
    }
}
