use crate::completion::Usage;

/// The price of a model, in millionths of a US dollar per million tokens. For example, $0.10 per million tokens is 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// The price of tokens of the prompt.
    pub input: u64,
    /// The price of tokens of the prompt that came from the provider's cache (prompt caching).
    pub cached: u64,
    /// The price of tokens of the prompt that were written into the provider's cache.
    pub cache_write: u64,
    /// The price of tokens of the answer.
    pub output: u64,
    /// The price of calls through the vendor's batch API, in percent of the prices above; 100 if the vendor has no batch API.
    /// Batch calls may take hours.
    pub batch_percent: u64,
}

impl Price {
    /// The price of free calls, such as those to a model on the local machine.
    pub const FREE: Self = Self { input: 0, cached: 0, cache_write: 0, output: 0, batch_percent: 100 };

    /// The price of answers that were paid for earlier, such as those of a cassette.
    ///
    /// All prices are 0. Unlike [`FREE`](Self::FREE), the value counts as the price of a model that costs money: a budget then
    /// limits the maximum length of answers as it did when they were recorded, so that the prompts are equal to the recorded
    /// ones.
    pub const PREPAID: Self = Self { batch_percent: 0, ..Self::FREE };

    /// Creates a price for the tokens of prompts, of cached prompts and of answers. Cache writes cost as much as prompts.
    #[must_use]
    pub fn new(input: u64, cached: u64, output: u64) -> Self {
        Self { input, cached, cache_write: input, output, batch_percent: 100 }
    }

    /// Sets the price of tokens that are written into the provider's cache. Default: the price of a prompt.
    #[must_use]
    pub fn cache_write(mut self, cache_write: u64) -> Self {
        self.cache_write = cache_write;
        self
    }

    /// Sets the price of calls through the vendor's batch API, in percent of the other prices. Default: 100.
    #[must_use]
    pub fn batch_percent(mut self, percent: u64) -> Self {
        self.batch_percent = percent;
        self
    }

    /// Returns the higher of the two prices for each kind of token, for an upper bound on the cost of a call that either model
    /// may answer. If one price is [`FREE`](Self::FREE), returns the other.
    ///
    /// ```
    /// use antiphon_llm::Price;
    /// let (small, large) = (Price::new(100, 100, 500), Price::new(300, 30, 400));
    /// let dearer = small.dearer(large);
    /// assert_eq!((dearer.input, dearer.cached, dearer.output), (300, 100, 500));
    /// assert_eq!(small.dearer(Price::FREE), small);
    /// ```
    #[must_use]
    pub fn dearer(self, other: Self) -> Self {
        if other == Self::FREE {
            return self;
        }
        if self == Self::FREE {
            return other;
        }
        Self {
            input: self.input.max(other.input),
            cached: self.cached.max(other.cached),
            cache_write: self.cache_write.max(other.cache_write),
            output: self.output.max(other.output),
            batch_percent: self.batch_percent.max(other.batch_percent),
        }
    }

    /// Returns the price of calls through the vendor's batch API, which may take hours.
    ///
    /// ```
    /// let price = antiphon_llm::Price::new(100, 10, 500).batch_percent(50).batch();
    /// assert_eq!((price.input, price.output), (50, 250));
    /// ```
    #[must_use]
    pub fn batch(self) -> Self {
        let part = |price: u64| price.saturating_mul(self.batch_percent).div_ceil(100);
        Self {
            input: part(self.input),
            cached: part(self.cached),
            cache_write: part(self.cache_write),
            output: part(self.output),
            batch_percent: 100,
        }
    }

    /// Returns the cost of tokens in millionths of a US dollar, rounded up; `None` if their number is not known and a price is
    /// not 0.
    ///
    /// ```
    /// use antiphon_llm::{Price, Usage};
    /// let price = Price::new(100_000, 10_000, 500_000);
    /// let usage = Usage::new(Some(10_000), Some(1_000)).cached(Some(4_000));
    /// assert_eq!(price.cost_usd_micros(usage), Some(600 + 40 + 500));
    /// ```
    #[must_use]
    pub fn cost_usd_micros(&self, usage: Usage) -> Option<u64> {
        self.cost_usd_picos(usage).map(|picos| picos.div_ceil(1_000_000))
    }

    /// Returns the exact cost of tokens in units of 10⁻¹² US dollars; `None` if their number is not known and a price is not 0.
    ///
    /// Use it to add up many calls, and round the sum once: a call to a small model may cost less than one millionth of a
    /// dollar, which [`cost_usd_micros`](Self::cost_usd_micros) would round up for each call.
    ///
    /// ```
    /// use antiphon_llm::{Price, Usage};
    /// let call = Price::new(100_000, 10_000, 500_000).cost_usd_picos(Usage::new(Some(1), Some(1)));
    /// assert_eq!(call, Some(600_000), "0.6 millionths of a dollar");
    /// ```
    #[must_use]
    pub fn cost_usd_picos(&self, usage: Usage) -> Option<u64> {
        if [self.input, self.cached, self.cache_write, self.output] == [0; 4] {
            return Some(0);
        }
        // Reasoning is a part of the output and has no separate price.
        let Usage { input, cached, cache_write, output, reasoning: _ } = usage;
        let (input, output) = input.zip(output)?;
        let cached = cached.unwrap_or(0).min(input);
        let written = cache_write.unwrap_or(0).min(input - cached);
        let parts = [
            (input - cached - written, self.input),
            (cached, self.cached),
            (written, self.cache_write),
            (output, self.output),
        ];
        let sum: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        u64::try_from(sum).ok()
    }
}
