/// The cost of a call in the units of rate limits: requests, input tokens and output tokens.
///
/// Pass an estimate when a call is admitted, and the actual cost when it has ended. This is not a price in money.
///
/// ```
/// use antiphon_resilience::Cost;
/// assert_eq!(Cost::request().input_tokens(900).output_tokens(100).tokens(), 1_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Cost {
    /// Number of requests, usually 1.
    pub requests: u64,
    /// Number of tokens in the prompt.
    pub input_tokens: u64,
    /// Number of tokens in the answer.
    pub output_tokens: u64,
}

impl Cost {
    /// Creates the cost of one request without tokens.
    #[must_use]
    pub fn request() -> Self {
        Self { requests: 1, ..Self::default() }
    }

    /// Sets the number of tokens in the prompt.
    #[must_use]
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = tokens;
        self
    }

    /// Sets the number of tokens in the answer.
    #[must_use]
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = tokens;
        self
    }

    /// Returns the number of tokens in prompt and answer together.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Returns the amount taken from each limit: requests, tokens, input tokens, output tokens.
    #[expect(clippy::cast_precision_loss, reason = "costs are far below 2^52")]
    pub(crate) fn amounts(self) -> [f64; 4] {
        [self.requests as f64, self.tokens() as f64, self.input_tokens as f64, self.output_tokens as f64]
    }
}
