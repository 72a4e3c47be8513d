use crate::completion::Usage;

/// What a model costs, in millionths of a US dollar for a million tokens; so $0.10 a million tokens is 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// For tokens of the prompt.
    pub input: u64,
    /// For tokens of the prompt that came from the provider's cache.
    pub cached: u64,
    /// For tokens of the answer.
    pub output: u64,
}

impl Price {
    /// Nothing at all, as for what runs on one's own machine.
    pub const FREE: Self = Self { input: 0, cached: 0, output: 0 };

    /// A price for prompts, cached prompts and answers.
    #[must_use]
    pub fn new(input: u64, cached: u64, output: u64) -> Self {
        Self { input, cached, output }
    }

    /// What some tokens cost, in millionths of a US dollar, rounded up; `None` where their number is not known.
    ///
    /// ```
    /// use antiphon_llm::{Price, Usage};
    /// let price = Price::new(100_000, 10_000, 500_000);
    /// let usage = Usage::new(Some(10_000), Some(1_000)).cached(Some(4_000));
    /// assert_eq!(price.cost_usd_micros(usage), Some(600 + 40 + 500));
    /// ```
    #[must_use]
    pub fn cost_usd_micros(&self, usage: Usage) -> Option<u64> {
        if *self == Self::FREE {
            return Some(0);
        }
        let (input, output) = usage.input.zip(usage.output)?;
        let cached = usage.cached.unwrap_or(0).min(input);
        let parts = [(input - cached, self.input), (cached, self.cached), (output, self.output)];
        let sum: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        u64::try_from(sum.div_ceil(1_000_000)).ok()
    }
}
