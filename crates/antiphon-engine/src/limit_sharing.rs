use antiphon_llm::{AdaptiveLimiter, LimitPart};
use antiphon_store::{LimitDemand, Run};

/// A worker's part of a provider's limits, on which all workers of the store agree.
#[derive(Debug)]
pub(crate) struct LimitSharing {
    scope: String,
    limiter: AdaptiveLimiter,
    part: LimitPart,
}

/// A smaller part than this measures the whole limit badly.
const MEASURES: f64 = 0.05;

impl LimitSharing {
    /// Creates a part of the limits with this name, which this limiter keeps to.
    pub(crate) fn new(scope: String, limiter: AdaptiveLimiter) -> Self {
        let part = limiter.share();
        Self { scope, limiter, part }
    }

    /// Asks for the part of a worker that could make so many calls per second, and keeps to it from now on.
    pub(crate) async fn renew(&self, run: &Run, demand: f64) {
        let view = self.limiter.snapshot();
        let measured = view.requests_per_second.filter(|_| view.part >= MEASURES);
        let rate = measured.map(|rate| rate / view.part);
        // A store that cannot be used is reported by the job that needs it, and the part stays as it was.
        if let Ok(share) = run.share_limit(LimitDemand::new(&self.scope, demand).rate(rate)).await {
            self.part.set(share.part, share.rate);
        }
    }
}
