use antiphon_resilience::RetryPolicy;

use crate::response::Response;

/// The retries of a [`Client`](crate::Client): the policy, the statuses that are retried, and the budget of each host.
///
/// A policy alone converts into its retries with the default statuses and no budget, so
/// [`ClientBuilder::retry`](crate::ClientBuilder::retry) takes either.
///
/// ```
/// use antiphon_http::{Client, HttpRetry, RetryPolicy};
/// let retry = HttpRetry::new(RetryPolicy::default().max_retries(2)).budget(500).statuses([429, 503]);
/// let client = Client::builder().retry(retry).build();
/// # drop(client);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpRetry {
    /// The number of retries and the pauses between them.
    pub policy: RetryPolicy,
    /// The statuses after which a request is retried, where the server does not say whether to retry (`x-should-retry`). Default [`DEFAULT_STATUSES`](Self::DEFAULT_STATUSES).
    pub statuses: Vec<u16>,
    /// The retry budget of each host, in the points of [`RetryBudget`](crate::RetryBudget). All requests of the client to one
    /// host share it. Default `None`: no limit other than the policy's.
    pub budget: Option<u32>,
}

impl HttpRetry {
    /// The statuses that are retried by default, where the server does not say whether to retry (`x-should-retry`): 408, 429, 500, 502, 503, 504 and 529.
    ///
    /// | status | meaning |
    /// |---|---|
    /// | 408 | the server waited too long for the request (RFC 9110, section 15.5.9) |
    /// | 429 | too many requests (RFC 6585, section 4) |
    /// | 500, 502, 504 | a fault of the server, or of one behind it |
    /// | 503, 529 | the server is overloaded; 529 is used by Anthropic and others |
    pub const DEFAULT_STATUSES: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];

    /// Creates retries under a policy, with the default statuses and no budget.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, statuses: Self::DEFAULT_STATUSES.to_vec(), budget: None }
    }

    /// Sets the statuses after which a request is retried, in place of the default ones. With none, only failures without a
    /// response are retried.
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Sets the retry budget of each host, in the points of [`RetryBudget`](crate::RetryBudget). Default: no budget.
    #[must_use]
    pub fn budget(mut self, points: u32) -> Self {
        self.budget = Some(points);
        self
    }

    /// Returns whether a response is retried: as its server says, or by its status.
    pub(crate) fn retries(&self, response: &Response) -> bool {
        let is_error = response.status() >= 400;
        let said = response.should_retry().filter(|_| is_error);
        said.unwrap_or_else(|| self.statuses.contains(&response.status()))
    }
}

impl From<RetryPolicy> for HttpRetry {
    fn from(policy: RetryPolicy) -> Self {
        Self::new(policy)
    }
}
