//! Arguments that name the provider, the model, the sampling parameters, and a cassette of recorded answers.
//!
//! Sampling parameters and fallbacks conflict with `--offline`: text statistics have none, and a flag without an effect
//! would be misleading. The help texts of `--provider` and `--base-url` list the registry, so that a new vendor is in
//! them.

use std::path::{Path, PathBuf};

use antiphon_llm::SamplingParams;
use clap::Args;

use super::help;
use crate::runtime::{Cassette, Flags};

/// The sampling parameters of calls.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(in crate::commands) struct SamplingArgs {
    /// Sampling temperature, at least 0; some models reject any value
    #[arg(long, value_name = "X", value_parser = temperature, conflicts_with = "offline")]
    pub(in crate::commands) temperature: Option<f64>,

    /// Maximum number of tokens per answer, hidden reasoning included
    #[arg(long, value_name = "N", conflicts_with = "offline")]
    pub(in crate::commands) max_tokens: Option<u64>,

    /// Sampling seed, for repeatable answers
    #[arg(long, value_name = "N", conflicts_with = "offline")]
    pub(in crate::commands) seed: Option<u64>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(in crate::commands) struct ProviderArgs {
    #[arg(short, long, value_name = "NAME", help = help::provider())]
    provider: Option<String>,

    /// Model to call [default: the provider's]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,

    #[arg(long, value_name = "URL", help = help::base_url())]
    base_url: Option<String>,

    /// Fallback model to call when the provider cannot answer; repeat the flag for several, which are tried in order. The
    /// budget and the reported cost then use the highest price of all [default: the recipe's, or antiphon.toml's]
    #[arg(long, value_name = "PROVIDER/MODEL", conflicts_with = "offline")]
    fallback_model: Vec<String>,

    /// Use no network and no model: drafts by text statistics
    #[arg(long, conflicts_with_all = ["provider", "base_url", "model"])]
    offline: bool,
}

/// The cassette that answers are recorded to, or replayed from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(in crate::commands) struct CassetteArgs {
    /// Record each answer to files in DIR, for --replay
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    record: Option<PathBuf>,

    /// Replay the answers that --record wrote to DIR, without network and key; the reported cost is 0, whatever the recorded
    /// run cost
    #[arg(long, value_name = "DIR", conflicts_with = "offline")]
    replay: Option<PathBuf>,
}

impl CassetteArgs {
    /// Returns the folder that answers are recorded to.
    pub(super) fn recorded_to(&self) -> Option<&Path> {
        self.record.as_deref()
    }

    /// Returns the folder and its use. A run that makes no call records none.
    pub(super) fn cassette(&self, makes_calls: bool) -> Option<Cassette> {
        let record = self.record.clone().filter(|_| makes_calls).map(Cassette::Record);
        self.replay.clone().map(Cassette::Replay).or(record)
    }
}

impl SamplingArgs {
    /// Returns the sampling parameters; one that no flag names is left to the recipe or the provider.
    pub(in crate::commands) fn parameters(&self) -> SamplingParams {
        let mut parameters = SamplingParams::default();
        (parameters.temperature, parameters.max_tokens, parameters.seed) =
            (self.temperature, self.max_tokens, self.seed);
        parameters
    }
}

impl ProviderArgs {
    /// Returns the provider's name, its address and the model, as a request has them.
    pub(in crate::commands) fn named(&self) -> (Option<String>, Option<String>, Option<String>) {
        let offline = self.offline.then(|| "offline".to_owned());
        (offline.or_else(|| self.provider.clone()), self.base_url.clone(), self.model.clone())
    }

    /// Returns the fallback models; `None` if no flag names one.
    pub(in crate::commands) fn fallbacks(&self) -> Option<Vec<String>> {
        Some(self.fallback_model.clone()).filter(|named| !named.is_empty())
    }

    /// Whether the flag `--offline` is set. `--provider offline` is another way to the same drafts, and not recognised
    /// here.
    pub(in crate::commands) fn is_offline(&self) -> bool {
        self.offline
    }

    /// Returns the flags from which the settings are resolved.
    pub(super) fn flags(&self, max_concurrency: Option<usize>, out: Option<PathBuf>) -> Flags {
        let mut flags = Flags::default().fallback(self.fallbacks()).max_concurrency(max_concurrency).out(out);
        (flags.provider, flags.model) = (self.provider.clone(), self.model.clone());
        (flags.base_url, flags.offline) = (self.base_url.clone(), self.offline);
        flags
    }
}

/// Parses a sampling temperature: finite and at least 0. The upper bound is the provider's.
fn temperature(text: &str) -> Result<f64, &'static str> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    value.ok_or("expected a number of at least 0")
}
