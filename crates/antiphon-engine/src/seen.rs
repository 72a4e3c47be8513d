use std::time::Duration;

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
}

/// Answers that have to be seen before they tell what is usual, and which part of them that covers.
const ENOUGH: u64 = 20;
const MOST: f64 = 0.99;

impl Seen {
    pub(super) fn new() -> Self {
        Self { earlier: None, outputs: Learned::new(), inputs: Learned::new(), micros: Learned::new() }
    }

    pub(super) fn remember(&mut self, earlier: Usual) {
        self.earlier = Some(earlier);
    }

    pub(super) fn saw(&mut self, bytes: u64, input: Option<u64>, output: Option<u64>, took: Duration) {
        if let Some(output) = output {
            self.outputs.saw(output);
        }
        if let Some(input) = input.filter(|_| bytes > 0) {
            self.inputs.saw(input.saturating_mul(1_000) / bytes);
        }
        self.micros.saw(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
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

    pub(super) fn usual(&self) -> Option<Usual> {
        // A bucket is told by its upper edge, 9 % above the lower one.
        let range = |learned: &Learned| (learned.quantile(0.05) * 10 / 11, learned.quantile(0.95));
        (self.outputs.seen() > 0).then(|| Usual {
            calls: self.outputs.seen(),
            output_tokens: range(&self.outputs),
            input_tokens_per_kilobyte: range(&self.inputs),
            micros: range(&self.micros),
        })
    }
}
