use std::ops::AddAssign;
use std::time::Duration;

use antiphon_resilience::LimitHints;

use crate::error::{Error, ErrorKind, TruncationCause};
use crate::prompt::Output;
use crate::spent::Spent;

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
    /// Calls made in all, from 1; 0 for an answer that was there already.
    pub attempts: u32,
    /// The calls before the one that answered, such as failed ones that were possibly billed. They are counted in `attempts`,
    /// too.
    pub earlier: Spent,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Those of the prompt that came from the provider's cache.
    pub cached: Option<u64>,
    /// Those of the prompt that were written into the provider's cache, where that has a price of its own.
    pub cache_write: Option<u64>,
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
    /// The provider's name for the answer, where that has one.
    pub response_id: Option<String>,
    /// The model that served it, which may be another name than was asked for.
    pub model: Option<String>,
    /// Whether that is another model than was asked for, and not only its dated or full name.
    pub other_model: bool,
    /// What the provider told of its limits.
    pub limits: LimitHints,
    /// The places of the schema that the provider does not hold the answer to, each with why; they are enforced here.
    pub weakened: Vec<String>,
}

/// Where a call's time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timing {
    /// The time that the call waited for its turn before it was made.
    pub queue: Duration,
    /// From the last attempt's beginning until its first byte.
    pub first_byte: Option<Duration>,
    /// From the last attempt's beginning until the first words.
    pub first_token: Option<Duration>,
    /// From the last attempt's beginning until the end.
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

    /// Returns what this answer and all calls before it cost.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let own = self.attempts.saturating_sub(self.earlier.calls);
        let mut spent = self.earlier;
        spent += Spent { calls: own, possibly_billed: 0, usage: (own > 0).then_some(self.usage) };
        spent
    }

    /// Adds calls that were made before the one that answered.
    #[must_use]
    pub fn after(mut self, earlier: Spent) -> Self {
        self.attempts = self.attempts.saturating_add(earlier.calls);
        self.earlier += earlier;
        self
    }

    /// Marks an answer that is given without a call: from a cache, or from another caller's call. Its usage remains what it
    /// cost the first time.
    #[must_use]
    pub fn without_calls(self) -> Self {
        Self { attempts: 0, earlier: Spent::default(), ..self }
    }

    /// This answer, if it is one: JSON that was cut by the token limit is none, nor is filtered text.
    ///
    /// # Errors
    /// `Truncated` or `Filtered`, with this completion as its partial answer.
    pub fn into_complete(self, output: &Output) -> Result<Self, Error> {
        let (kind, message) = match (&self.finish, output) {
            (FinishReason::Length, Output::Json(_)) => (
                ErrorKind::Truncated { cause: TruncationCause::MaxTokens },
                "the answer was cut at the token limit",
            ),
            (FinishReason::Failed, _) => (
                ErrorKind::Truncated { cause: TruncationCause::Disconnected },
                "the provider broke the answer off",
            ),
            (FinishReason::Filtered, _) => (ErrorKind::Filtered, "the provider's filter stopped the answer"),
            (FinishReason::Length, Output::Text) | (FinishReason::Stop | FinishReason::Unknown(_), _) => {
                return Ok(self);
            }
        };
        Err(Error::new(kind, message).with_spent(self.spent()).with_partial(self))
    }
}

impl FinishReason {
    /// Its name, as OpenAI calls it, or as its provider does.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Filtered => "content_filter",
            Self::Failed => "error",
            Self::Unknown(name) => name,
        }
    }

    /// The reason of a [`name`](Self::name).
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "content_filter" => Self::Filtered,
            "error" => Self::Failed,
            name => Self::Unknown(name.to_owned()),
        }
    }
}

impl Usage {
    /// No tokens at all, as far as anything is counted: what a sum begins with.
    pub const NOTHING: Self =
        Self { input: Some(0), cached: Some(0), cache_write: Some(0), output: Some(0), reasoning: Some(0) };

    /// Tokens of prompt and answer.
    #[must_use]
    pub fn new(input: Option<u64>, output: Option<u64>) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Returns the counts that can be true: more than 2^40 tokens are none of one call's, and a prompt, which has some, was
    /// not counted where it has 0.
    ///
    /// ```
    /// use antiphon_llm::Usage;
    /// assert_eq!(Usage::new(Some(0), Some(1 << 62)).plausible(), Usage::new(None, None));
    /// ```
    #[must_use]
    pub fn plausible(self) -> Self {
        let possible = |tokens: Option<u64>| tokens.filter(|tokens| *tokens <= 1 << 40);
        let Self { input, cached, cache_write, output, reasoning } = self;
        Self {
            input: possible(input).filter(|tokens| *tokens > 0),
            cached: possible(cached),
            cache_write: possible(cache_write),
            output: possible(output),
            reasoning: possible(reasoning),
        }
    }

    /// Sets the tokens that came from the provider's cache.
    #[must_use]
    pub fn cached(mut self, cached: Option<u64>) -> Self {
        self.cached = cached;
        self
    }

    /// Sets the tokens that were written into the provider's cache.
    #[must_use]
    pub fn cache_write(mut self, cache_write: Option<u64>) -> Self {
        self.cache_write = cache_write;
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
        // Taken apart, so that no new count is left out of a sum.
        let Self { input, cached, cache_write, output, reasoning } = other;
        add(&mut self.input, input);
        add(&mut self.cached, cached);
        add(&mut self.cache_write, cache_write);
        add(&mut self.output, output);
        add(&mut self.reasoning, reasoning);
    }
}

impl Head {
    /// The provider's name for the call, and the model that served it.
    #[must_use]
    pub fn new(request_id: Option<String>, model: Option<String>) -> Self {
        Self { request_id, model, ..Self::default() }
    }

    /// Sets the model that served the call, and whether it is another one than `asked`.
    ///
    /// Vendors answer with a longer name than they were asked for, `gpt-4o-2024-08-06` for `gpt-4o`, and routers with one
    /// that has the maker before it; those are the same model.
    ///
    /// ```
    /// let head = |served| antiphon_llm::Head::default().served(served, "gpt-4o");
    /// assert!(!head("gpt-4o-2024-08-06").other_model);
    /// assert!(head("gpt-3.5-turbo").other_model);
    /// ```
    #[must_use]
    pub fn served(mut self, model: impl Into<String>, asked: &str) -> Self {
        let model = model.into();
        self.other_model = !is_the_same(&model, asked);
        self.model = Some(model);
        self
    }

    /// Sets what the provider told of its limits.
    #[must_use]
    pub fn limits(mut self, limits: LimitHints) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the places of the schema that the provider does not hold the answer to.
    #[must_use]
    pub fn weakened(mut self, weakened: Vec<String>) -> Self {
        self.weakened = weakened;
        self
    }
}

/// Whether two names are of one model: equal but for a maker or folder before it, and a date, a revision or a router's
/// choice of host behind it.
fn is_the_same(served: &str, asked: &str) -> bool {
    // A router's `maker/model:host` names no tag, as `model:tag` of a local engine does.
    if served == asked {
        return true;
    }
    let plain = |model: &str| {
        let model = model.to_lowercase();
        let (maker, name) = model.rsplit_once('/').unwrap_or(("", &model));
        let name = name.strip_suffix(".gguf").unwrap_or(name);
        match name.split_once(':') {
            Some((name, _)) if !maker.is_empty() && maker != "models" => name.to_owned(),
            _ => name.to_owned(),
        }
    };
    let (served, asked) = (plain(served), plain(asked));
    let asked = asked.strip_suffix("-latest").or(asked.strip_suffix(":latest")).unwrap_or(&asked);
    let served = served.strip_suffix(":latest").unwrap_or(&served);
    let is_same_series = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|tail| tail.is_empty() || is_revision(tail))
    };
    is_same_series(served, asked) || is_same_series(asked, served)
}

/// One date or revision, such as `-2024-08-06`, `-20250929`, `-001`, `@20250929` or `-preview-09-2025`.
fn is_revision(tail: &str) -> bool {
    let Some(tail) = tail.strip_prefix(['-', '@']) else { return false };
    let tail = tail.strip_prefix("preview-").or_else(|| tail.strip_prefix("exp-")).unwrap_or(tail);
    let lengths: Vec<usize> = tail.split('-').map(str::len).collect();
    let is_digits = tail.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_digits && matches!(lengths[..], [4, 2, 2] | [2, 4] | [8] | [6] | [3 | 4])
}

impl Timing {
    /// Times since the call began.
    #[must_use]
    pub fn new(first_token: Option<Duration>, total: Duration) -> Self {
        Self { first_token, total, ..Self::default() }
    }

    /// Sets the time to the first byte.
    #[must_use]
    pub fn first_byte(mut self, first_byte: Option<Duration>) -> Self {
        self.first_byte = first_byte;
        self
    }

    /// Sets the HTTP version spoken.
    #[must_use]
    pub fn http_version(mut self, version: &'static str) -> Self {
        self.http_version = Some(version);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::is_the_same;

    #[test]
    fn a_longer_name_is_the_same_model_and_another_name_is_not() {
        for (served, asked) in [
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
            ("models/gemini-2.5-flash", "gemini-2.5-flash"),
            ("llama3.2:latest", "llama3.2"),
            ("llama3.2", "llama3.2:latest"),
            ("/models/small.gguf", "small"),
            ("meta-llama/Llama-3.3-70B", "meta-llama/Llama-3.3-70B:groq"),
            ("claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
        ] {
            assert!(is_the_same(served, asked), "{served} for {asked}");
        }
        for (served, asked) in [
            ("gpt-4o-mini", "gpt-4o"),
            ("gpt-4o-mini-2024-07-18", "gpt-4o"),
            ("llama3.2:3b", "llama3.2:1b"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4"),
            ("claude-opus-5-5", "claude-opus-5"),
        ] {
            assert!(!is_the_same(served, asked), "{served} for {asked}");
        }
    }
}
