//! The usage that a run learns from its answers.
//!
//! Tokens and times are kept as histograms of fixed size, so memory use does not grow with the run. They serve three
//! purposes: a reservation under a budget covers the usual length of an answer instead of the longest possible one; the
//! cost of a call that broke off is estimated; and the quantiles are stored, so that the next run of the recipe begins
//! with them. Tokens of a prompt are kept per 1,000 bytes, since the number of bytes is known before the call and the
//! number of tokens is not.

use antiphon_llm::{Completion, Usage};
use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// Statistics of the tokens and times of the calls of a run.
#[derive(Debug)]
pub(super) struct UsageStats {
    /// The usage in earlier runs.
    earlier: Option<UsageQuantiles>,
    /// Tokens of an answer.
    outputs: Histogram,
    /// Tokens of a prompt per 1,000 bytes.
    inputs: Histogram,
    /// Tokens of an answer per 1,000 bytes.
    answer_density: Histogram,
    /// The time of a call in microseconds.
    micros: Histogram,
}

/// The usual tokens and times of calls of one recipe with one model: each range is the 5th and the 95th percentile.
///
/// [`Engine::usual`](crate::Engine::usual) returns them at the end of a run, and
/// [`Engine::remember`](crate::Engine::remember) passes them to the next. They are serde data, so that a caller can
/// store them in between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageQuantiles {
    /// The number of calls that this is based on.
    pub calls: u64,
    /// Tokens of an answer.
    pub output_tokens: (u64, u64),
    /// Tokens of a prompt per 1,000 bytes.
    pub input_tokens_per_kilobyte: (u64, u64),
    /// The time of a call, in microseconds.
    pub micros: (u64, u64),
    /// The means, for sums over many calls; `None` for statistics that an earlier version stored.
    #[serde(default)]
    pub mean: Option<UsageMeans>,
}

/// The means of a recipe's calls, each with its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageMeans {
    /// Tokens of an answer.
    pub output_tokens: (f64, f64),
    /// Tokens of a prompt per 1,000 bytes.
    pub input_tokens_per_kilobyte: (f64, f64),
    /// Calls per row, schema retries included; at least 1.
    pub calls_per_row: f64,
}

/// The expected tokens of a call that broke off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Tokens of the prompt.
    pub(super) input: u64,
    /// Tokens of the answer, the part that arrived included.
    pub(super) output: f64,
    /// The variance of `output`.
    pub(super) variance: f64,
}

/// The number of answers after which their statistics are used.
const ENOUGH: u64 = 20;
/// The quantile of the tokens of answers that a reservation covers.
const MOST: f64 = 0.99;

impl UsageStats {
    /// Creates statistics without any call.
    pub(super) fn new() -> Self {
        Self {
            earlier: None,
            outputs: Histogram::new(),
            inputs: Histogram::new(),
            answer_density: Histogram::new(),
            micros: Histogram::new(),
        }
    }

    /// Returns the mean time of a call in seconds; `None` while none was answered.
    pub(super) fn seconds_of_a_call(&self) -> Option<f64> {
        let (micros, _) = self.micros.mean();
        (micros > 0.0).then_some(micros / 1e6)
    }

    /// Sets the usage in earlier runs.
    pub(super) fn remember(&mut self, earlier: UsageQuantiles) {
        self.earlier = Some(earlier);
    }

    /// Records an answer to a prompt of `prompt_bytes`. Numbers that the provider did not report are left out.
    pub(super) fn record(&mut self, prompt_bytes: u64, answer: &Completion) {
        let Usage { input, output, .. } = answer.usage;
        let density = |tokens: u64, bytes: u64| (bytes > 0).then(|| tokens.saturating_mul(1_000) / bytes);
        if let Some(output) = output {
            self.outputs.record(output);
        }
        if let Some(density) = output.and_then(|output| density(output, answer.text.len() as u64)) {
            self.answer_density.record(density);
        }
        if let Some(density) = input.and_then(|input| density(input, prompt_bytes)) {
            self.inputs.record(density);
        }
        let took = answer.timing.total;
        self.micros.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns the expected tokens of a call with a prompt of `prompt_bytes` whose answer broke off after `received_bytes`;
    /// `None` while too few answers were seen.
    ///
    /// The part that arrived has at least a number of tokens, by the median density of answers; the expectation is that
    /// of the answers which had at least as many. For the prompt the 95th percentile of the density is taken.
    pub(super) fn estimate(&self, prompt_bytes: u64, received_bytes: u64) -> Option<Expected> {
        if self.outputs.seen() < ENOUGH {
            return None;
        }
        let tokens = |density: &Histogram, bytes: u64| density.quantile(0.5) as f64 * bytes as f64 / 1_000.0;
        let (output, variance) = self.outputs.at_least(tokens(&self.answer_density, received_bytes))?;
        let input = self.inputs.quantile(0.95).saturating_mul(prompt_bytes).div_ceil(1_000);
        Some(Expected { input, output, variance })
    }

    /// Returns the 99th percentile of the tokens of answers, or the 95th of earlier runs; `None` while too few were seen.
    pub(super) fn usual_output(&self) -> Option<u64> {
        let earlier = self.earlier.filter(|earlier| earlier.calls >= ENOUGH);
        if self.outputs.seen() >= ENOUGH {
            Some(self.outputs.quantile(MOST))
        } else {
            earlier.map(|earlier| earlier.output_tokens.1)
        }
    }

    /// Returns the usual tokens and times of the recorded calls, which were made for `rows`; `None` while none had its
    /// tokens reported. Without rows there are no means.
    pub(super) fn usual(&self, rows: u64) -> Option<UsageQuantiles> {
        // A quantile is the upper edge of its bucket, 9 % above the lower one.
        let range = |learned: &Histogram| (learned.quantile(0.05) * 10 / 11, learned.quantile(0.95));
        (self.outputs.seen() > 0).then(|| UsageQuantiles {
            calls: self.outputs.seen(),
            output_tokens: range(&self.outputs),
            input_tokens_per_kilobyte: range(&self.inputs),
            micros: range(&self.micros),
            mean: (rows > 0).then(|| UsageMeans {
                output_tokens: self.outputs.mean(),
                input_tokens_per_kilobyte: self.inputs.mean(),
                calls_per_row: (self.outputs.seen() as f64 / rows as f64).max(1.0),
            }),
        })
    }
}
