use std::ops::AddAssign;
use std::time::Duration;

use crate::error::{Billed, Cut, Error, ErrorKind};
use crate::prompt::Output;
use crate::streaming::Delta;

/// A whole answer, and what it took to get it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Completion {
    /// What the model wrote.
    pub text: String,
    /// Why it stopped.
    pub finish: FinishReason,
    /// What was counted, as far as the provider told.
    pub usage: Usage,
    /// What the provider said of the call.
    pub head: Head,
    /// Where the time went.
    pub timing: Timing,
    /// Calls made in all, from 1.
    pub attempts: u32,
}

/// Why a model stopped writing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FinishReason {
    /// It had said all.
    #[default]
    Stop,
    /// It reached the limit of tokens: the text is cut.
    Length,
    /// A filter stopped it.
    Filtered,
    /// It failed on the way: the text is cut.
    Failed,
    /// A reason that this version does not know, as the provider names it.
    Unknown(String),
}

/// Tokens, as the provider counted them; `None` where it did not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Those of the prompt that came from the provider's cache.
    pub cached: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// Those of the answer that were hidden reasoning.
    pub reasoning: Option<u64>,
}

/// What a provider said of a call before its first words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The provider's own name for the call, for its support.
    pub request_id: Option<String>,
    /// The model that served it, which may be another name than was asked for.
    pub model: Option<String>,
}

/// Where a call's time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timing {
    /// From the first attempt until the first words.
    pub first_token: Option<Duration>,
    /// From the first attempt until the end.
    pub total: Duration,
    /// The HTTP version spoken, if any.
    pub http_version: Option<&'static str>,
}

impl Completion {
    /// An answer that ended by itself, with nothing else known of it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), attempts: 1, ..Self::default() }
    }

    /// Sets why the model stopped.
    #[must_use]
    pub fn finish(mut self, finish: FinishReason) -> Self {
        self.finish = finish;
        self
    }

    /// Sets what was counted.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Sets what the provider said of the call.
    #[must_use]
    pub fn head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// Sets where the time went.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// The end of a stream for this answer: JSON that was cut by the token limit is no answer, nor is filtered text.
    ///
    /// # Errors
    /// `Truncated` or `Filtered`, with this completion as its partial answer.
    pub fn into_end(self, output: &Output) -> Result<Delta, Error> {
        let (kind, message) = match (&self.finish, output) {
            (FinishReason::Length, Output::Json(_)) => {
                (ErrorKind::Truncated { cause: Cut::MaxTokens }, "the answer was cut at the token limit")
            }
            (FinishReason::Failed, _) => {
                (ErrorKind::Truncated { cause: Cut::Disconnected }, "the provider broke the answer off")
            }
            (FinishReason::Filtered, _) => (ErrorKind::Filtered, "the provider's filter stopped the answer"),
            _ => return Ok(Delta::End(Box::new(self))),
        };
        let billed = Billed::Yes(self.usage);
        Err(Error::new(kind, message).with_billed(billed).with_partial(self))
    }
}

impl Usage {
    /// Tokens of prompt and answer.
    #[must_use]
    pub fn new(input: Option<u64>, output: Option<u64>) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Sets the tokens that came from the provider's cache.
    #[must_use]
    pub fn cached(mut self, cached: Option<u64>) -> Self {
        self.cached = cached;
        self
    }

    /// Sets the tokens of hidden reasoning.
    #[must_use]
    pub fn reasoning(mut self, reasoning: Option<u64>) -> Self {
        self.reasoning = reasoning;
        self
    }
}

impl AddAssign for Usage {
    /// Adds another call's tokens; what one of the calls does not tell is unknown for both together.
    fn add_assign(&mut self, other: Self) {
        let add = |a: &mut Option<u64>, b: Option<u64>| *a = a.zip(b).map(|(a, b)| a.saturating_add(b));
        add(&mut self.input, other.input);
        add(&mut self.cached, other.cached);
        add(&mut self.output, other.output);
        add(&mut self.reasoning, other.reasoning);
    }
}

impl Head {
    /// The provider's name for the call, and the model that served it.
    #[must_use]
    pub fn new(request_id: Option<String>, model: Option<String>) -> Self {
        Self { request_id, model }
    }
}

impl Timing {
    /// Times since the call began.
    #[must_use]
    pub fn new(first_token: Option<Duration>, total: Duration) -> Self {
        Self { first_token, total, http_version: None }
    }

    /// Sets the HTTP version spoken.
    #[must_use]
    pub fn http_version(mut self, version: &'static str) -> Self {
        self.http_version = Some(version);
        self
    }
}
