use std::time::Duration;

use antiphon_engine::JobDetails;
use antiphon_llm::{CallWarning, Usage};
use antiphon_store::Tally;
use serde::{Deserialize, Serialize};

/// The summary of a run's calls, failed ones included.
#[derive(Debug)]
pub(crate) struct CallSummary {
    pub(crate) calls: u32,
    pub(crate) usage: Usage,
    pub(crate) cost_usd_micros: Option<u64>,
    pub(crate) may_cost_more: bool,
    pub(crate) served_model: Option<String>,
    pub(crate) first_token: Option<Duration>,
    pub(crate) weakened: Vec<String>,
    pub(crate) warnings: Vec<CallWarning>,
}

impl CallSummary {
    pub(crate) fn nothing() -> Self {
        Self::of(&Tally::default(), &JobDetails::default())
    }

    /// Summarises all calls of a run: cost and tokens come from the store, which includes those of earlier processes.
    pub(crate) fn of(tally: &Tally, seen: &JobDetails) -> Self {
        let mut usage = seen.usage.unwrap_or_default();
        (usage.input, usage.output) = tally.tokens();
        Self {
            calls: u32::try_from(tally.calls).unwrap_or(u32::MAX),
            usage,
            cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
            may_cost_more: tally.possibly_billed > 0,
            served_model: seen.head.model.clone(),
            first_token: seen.first_token,
            weakened: seen.head.weakened.clone(),
            warnings: seen.warnings.clone(),
        }
    }

    /// Adds the expense of distilling the documents.
    pub(crate) fn with(mut self, distilled: &Expense) -> Self {
        self.calls = self.calls.saturating_add(u32::try_from(distilled.calls).unwrap_or(u32::MAX));
        self.usage.input = self.usage.input.map(|tokens| tokens + distilled.input_tokens);
        self.usage.output = self.usage.output.map(|tokens| tokens + distilled.output_tokens);
        self.cost_usd_micros =
            self.cost_usd_micros.filter(|_| !distilled.cost_unknown).map(|cost| cost + distilled.settled);
        self.may_cost_more |= distilled.lost > 0;
        self
    }
}

/// The expense of a distillation, for this run or for all runs that asked for it before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Expense {
    pub(crate) calls: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) settled: u64,
    pub(crate) possible: u64,
    pub(crate) cost_unknown: bool,
    pub(crate) lost: u64,
}

impl Expense {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self {
            calls: tally.calls,
            input_tokens: tally.input_tokens,
            output_tokens: tally.output_tokens,
            settled: tally.settled,
            possible: tally.possible,
            cost_unknown: tally.cost_unknown,
            lost: tally.possibly_billed,
        }
    }

    /// Returns the most that it may have cost, in millionths of a US dollar.
    pub(crate) fn most(&self) -> u64 {
        self.settled.saturating_add(self.possible)
    }

    /// Returns what was added since `before`.
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(before.calls),
            input_tokens: self.input_tokens.saturating_sub(before.input_tokens),
            output_tokens: self.output_tokens.saturating_sub(before.output_tokens),
            settled: self.settled.saturating_sub(before.settled),
            possible: self.possible.saturating_sub(before.possible),
            cost_unknown: self.cost_unknown && self.calls > before.calls,
            lost: self.lost.saturating_sub(before.lost),
        }
    }
}
