use std::sync::Arc;

use antiphon_llm::Deadline;
use antiphon_store::Tally;

use crate::accounts::Accounts;
use crate::engine::Options;
use crate::health::ProviderHealth;
use crate::stop_signal::StopSignal;
use crate::work::Work;

/// The state of a run on which its jobs base their decisions: it does no I/O and reads no clock.
#[derive(Debug)]
pub(crate) struct RunState {
    pub(crate) work: Arc<dyn Work>,
    pub(crate) options: Options,
    pub(crate) accounts: Accounts,
    pub(crate) health: ProviderHealth,
    pub(crate) stop: StopSignal,
}

impl RunState {
    /// Creates the state of a run that continues after `tally`.
    pub(crate) fn new(work: Arc<dyn Work>, options: Options, tally: &Tally) -> Self {
        let deadline = options.limits.deadline.map_or(Deadline::none(), Deadline::after);
        Self {
            work,
            accounts: Accounts::new(&options, tally),
            health: ProviderHealth::new(options.max_pause),
            stop: StopSignal::new(deadline),
            options,
        }
    }

    /// Returns the maximum number of attempts per row: answers, the first one and those of schema retries.
    pub(crate) fn attempts(&self) -> u32 {
        self.options.limits.attempts.unwrap_or(2).max(1)
    }
}
