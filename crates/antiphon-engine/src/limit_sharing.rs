//! The division of a provider's rate limits among the workers of one store.
//!
//! A rate limit belongs to the account, not to the process. Without an agreement, each process would find the whole
//! limit by itself, and together they would exceed it and be throttled. So each worker regularly reports the calls per
//! second that it could make, and the rate that its adaptive limiter has measured; the store answers with the part that
//! the worker may use.

use antiphon_llm::{AdaptiveLimiter, LimitPart};
use antiphon_store::{LimitDemand, Run};

/// A worker's part of a provider's rate limits, which all workers of one store divide among themselves.
#[derive(Debug)]
pub(crate) struct LimitSharing {
    /// The name of the limits in the store: workers with the same scope share them.
    scope: String,
    /// The limiter of the model in this process, which measures the rate.
    limiter: AdaptiveLimiter,
    /// The handle through which the limiter is held to this worker's part.
    part: LimitPart,
}

/// The smallest part whose measurement counts: with a smaller one, a process only measures what the others leave.
const MEASURES: f64 = 0.05;

impl LimitSharing {
    /// Creates a worker's part of the limits that `scope` names, which `limiter` enforces.
    pub(crate) fn new(scope: String, limiter: AdaptiveLimiter) -> Self {
        let part = limiter.share();
        Self { scope, limiter, part }
    }

    /// Requests a part for a worker that could make `demand` calls per second, and enforces it from now on.
    ///
    /// The measured rate is reported only together with the part under which it was measured, so that the store can
    /// extrapolate the whole limit. Errors of the store change nothing.
    ///
    /// # Cancel safety
    /// A dropped call leaves the part as it was; the store may have recorded the demand.
    pub(crate) async fn renew(&self, run: &Run, demand: f64) {
        let view = self.limiter.snapshot();
        let mut demand = LimitDemand::new(&self.scope, demand);
        if let Some(rate) = view.requests_per_second.filter(|_| view.part >= MEASURES) {
            demand = demand.measured(rate, view.part);
        }
        // A store that cannot be used is reported by the job that needs it, and the part stays as it was.
        if let Ok(share) = run.share_limit(demand).await {
            self.part.set(share.part, share.rate);
        }
    }
}
