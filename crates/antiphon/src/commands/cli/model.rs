//! Arguments that name the provider, the model, the sampling parameters, and a cassette of recorded answers.
//!
//! Sampling parameters and fallbacks conflict with `--offline`: text statistics have none, and a flag without an effect
//! would be misleading. The help texts of `--provider` and `--base-url` list the registry, so that a new vendor is in
//! them.

use std::path::{Path, PathBuf};

use antiphon_llm::{ReasoningEffort, SamplingParams};
use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};

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

    /// Nucleus sampling: share of probability to sample from, from 0 to 1
    #[arg(long, value_name = "X", value_parser = top_p, conflicts_with = "offline")]
    top_p: Option<f64>,

    /// Number of the likeliest tokens to sample from
    #[arg(long, value_name = "N", conflicts_with = "offline")]
    top_k: Option<u64>,

    /// Least probability of a token, as a share of the likeliest one's, from 0 to 1
    #[arg(long, value_name = "X", value_parser = min_p, conflicts_with = "offline")]
    min_p: Option<f64>,

    /// Stop sequence, at which an answer ends; repeat the flag for several
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "offline")]
    stop: Vec<String>,

    /// Penalty on tokens that have occurred, from -2 to 2
    #[arg(long, value_name = "X", value_parser = penalty, allow_negative_numbers = true, conflicts_with = "offline")]
    presence_penalty: Option<f64>,

    /// Penalty on tokens by how often they have occurred, from -2 to 2
    #[arg(long, value_name = "X", value_parser = penalty, allow_negative_numbers = true, conflicts_with = "offline")]
    frequency_penalty: Option<f64>,

    /// Effort of hidden reasoning: none, minimal, low, medium, high or xhigh
    #[arg(long, value_name = "EFFORT", value_parser = efforts(), conflicts_with = "offline")]
    reasoning_effort: Option<ReasoningEffort>,

    /// Maximum number of tokens of hidden reasoning
    #[arg(long, value_name = "N", conflicts_with_all = ["offline", "reasoning_effort"])]
    reasoning_budget: Option<u64>,

    /// Service tier of the vendor, such as flex or priority
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "offline")]
    service_tier: Option<String>,
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
        (parameters.top_p, parameters.top_k, parameters.min_p) = (self.top_p, self.top_k, self.min_p);
        parameters.stop = Some(self.stop.clone()).filter(|stop| !stop.is_empty());
        parameters.presence_penalty = self.presence_penalty;
        parameters.frequency_penalty = self.frequency_penalty;
        parameters.reasoning_effort = self.reasoning_effort;
        parameters.reasoning_budget = self.reasoning_budget;
        parameters.service_tier.clone_from(&self.service_tier);
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

/// Returns the parser of an effort of reasoning, which lists all of them.
fn efforts() -> impl TypedValueParser<Value = ReasoningEffort> {
    PossibleValuesParser::new(ReasoningEffort::ALL.map(ReasoningEffort::name))
        .try_map(|name| name.parse::<ReasoningEffort>())
}

/// Parses `top_p`, by the rules of the parameter.
fn top_p(text: &str) -> Result<f64, String> {
    checked(text, |value| SamplingParams::default().top_p(value))
}

/// Parses `min_p`, by the rules of the parameter.
fn min_p(text: &str) -> Result<f64, String> {
    checked(text, |value| SamplingParams::default().min_p(value))
}

/// Parses a penalty; both have the same rules.
fn penalty(text: &str) -> Result<f64, String> {
    checked(text, |value| SamplingParams::default().presence_penalty(value))
        .map_err(|_| "expected a number from -2 to 2".to_owned())
}

/// Parses a number that the rules of its parameter allow.
fn checked(text: &str, parameters: impl FnOnce(f64) -> SamplingParams) -> Result<f64, String> {
    let value = text.parse().map_err(|_| "expected a number".to_owned())?;
    parameters(value).check().map_err(|err| err.to_string())?;
    Ok(value)
}

/// Parses a sampling temperature: finite and at least 0. The upper bound is the provider's.
fn temperature(text: &str) -> Result<f64, &'static str> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    value.ok_or("expected a number of at least 0")
}
