use antiphon_llm::{Completion, Usage};
use serde::{Deserialize, Serialize};

use crate::learned::Learned;

/// What calls usually take, by those that were made.
#[derive(Debug)]
pub(super) struct Seen {
    /// What earlier runs saw.
    earlier: Option<Usual>,
    outputs: Learned,
    /// Tokens of a prompt for a thousand of its bytes.
    inputs: Learned,
    /// Tokens of an answer for a thousand of its bytes.
    answer_density: Learned,
    micros: Learned,
}

/// What calls of one recipe with one model usually take: what 5 and what 95 of a hundred do not pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usual {
    /// Calls that tell it.
    pub calls: u64,
    /// Tokens of an answer.
    pub output_tokens: (u64, u64),
    /// Tokens of a prompt for a thousand of its bytes.
    pub input_tokens_per_kilobyte: (u64, u64),
    /// The time of a call, in microseconds.
    pub micros: (u64, u64),
    /// What many calls take together; `None` where an earlier version learned it.
    #[serde(default)]
    pub mean: Option<Mean>,
}

/// The means of a recipe's calls, each with its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mean {
    /// Tokens of an answer.
    pub output_tokens: (f64, f64),
    /// Tokens of a prompt for a thousand of its bytes.
    pub input_tokens_per_kilobyte: (f64, f64),
    /// Calls for a row, those for better answers included.
    pub calls_per_row: f64,
}

/// The tokens of a call that broke off, as others lead to expect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Of the prompt.
    pub(super) input: u64,
    /// Of the answer, with the part that arrived.
    pub(super) output: f64,
    pub(super) variance: f64,
}

/// Answers that have to be seen before they tell what is usual, and which part of them that covers.
const ENOUGH: u64 = 20;
const MOST: f64 = 0.99;

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            earlier: None,
            outputs: Learned::new(),
            inputs: Learned::new(),
            answer_density: Learned::new(),
            micros: Learned::new(),
        }
    }

    /// Returns how long a call takes on average; `None` while none was answered.
    pub(super) fn seconds_of_a_call(&self) -> Option<f64> {
        let (micros, _) = self.micros.mean();
        (micros > 0.0).then_some(micros / 1e6)
    }

    pub(super) fn remember(&mut self, earlier: Usual) {
        self.earlier = Some(earlier);
    }

    /// Learns from an answer to a prompt of so many bytes.
    pub(super) fn saw(&mut self, prompt_bytes: u64, answer: &Completion) {
        let Usage { input, output, .. } = answer.usage;
        let density = |tokens: u64, bytes: u64| (bytes > 0).then(|| tokens.saturating_mul(1_000) / bytes);
        if let Some(output) = output {
            self.outputs.saw(output);
        }
        if let Some(density) = output.and_then(|output| density(output, answer.text.len() as u64)) {
            self.answer_density.saw(density);
        }
        if let Some(density) = input.and_then(|input| density(input, prompt_bytes)) {
            self.inputs.saw(density);
        }
        let took = answer.timing.total;
        self.micros.saw(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// The tokens that a prompt of so many bytes and an answer that broke off behind so many are expected to have had, and the
    /// variance of the answer's; `None` while too few answers were seen.
    pub(super) fn estimate(&self, prompt_bytes: u64, received_bytes: u64) -> Option<Expected> {
        if self.outputs.seen() < ENOUGH {
            return None;
        }
        let tokens = |density: &Learned, bytes: u64| density.quantile(0.5) as f64 * bytes as f64 / 1_000.0;
        let (output, variance) = self.outputs.at_least(tokens(&self.answer_density, received_bytes))?;
        let input = self.inputs.quantile(0.95).saturating_mul(prompt_bytes).div_ceil(1_000);
        Some(Expected { input, output, variance })
    }

    /// As many tokens as nearly every answer has at most; `None` while too few were seen.
    pub(super) fn usual_output(&self) -> Option<u64> {
        let earlier = self.earlier.filter(|earlier| earlier.calls >= ENOUGH);
        if self.outputs.seen() >= ENOUGH {
            Some(self.outputs.quantile(MOST))
        } else {
            earlier.map(|earlier| earlier.output_tokens.1)
        }
    }

    /// What is usual, of calls for so many rows.
    pub(super) fn usual(&self, rows: u64) -> Option<Usual> {
        // A bucket is told by its upper edge, 9 % above the lower one.
        let range = |learned: &Learned| (learned.quantile(0.05) * 10 / 11, learned.quantile(0.95));
        (self.outputs.seen() > 0).then(|| Usual {
            calls: self.outputs.seen(),
            output_tokens: range(&self.outputs),
            input_tokens_per_kilobyte: range(&self.inputs),
            micros: range(&self.micros),
            mean: (rows > 0).then(|| Mean {
                output_tokens: self.outputs.mean(),
                input_tokens_per_kilobyte: self.inputs.mean(),
                calls_per_row: (self.outputs.seen() as f64 / rows as f64).max(1.0),
            }),
        })
    }
}
