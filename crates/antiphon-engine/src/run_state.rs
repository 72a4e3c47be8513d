//! The state of a run that decisions are based on, apart from the services that carry them out.
//!
//! The state machine of a job takes a reference to it, together with an event and the time. So each decision can be
//! tested with plain data, without a provider, a store or a clock.

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
    /// The recipe.
    pub(crate) work: Arc<dyn Work>,
    /// The options of the run.
    pub(crate) options: Options,
    /// The budget, the counters and the learned usage.
    pub(crate) accounts: Accounts,
    /// The pauses that the provider asked for or that its failures caused.
    pub(crate) health: ProviderHealth,
    /// The stop signal, with the deadline of the run.
    pub(crate) stop: StopSignal,
}

impl RunState {
    /// Creates the state of a run that continues after `tally`. The time of a deadline begins here.
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

    /// Returns the maximum number of attempts per row: answers, the first one and those of schema retries. Default: 2;
    /// 0 counts as 1.
    pub(crate) fn attempts(&self) -> u32 {
        self.options.limits.attempts.unwrap_or(2).max(1)
    }
}
