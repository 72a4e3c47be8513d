use std::ops::AddAssign;
use std::time::Duration;

use antiphon_resilience::LimitHints;
use serde::{Deserialize, Deserializer, Serialize};

use crate::finish::{AnswerMark, FinishReason};
use crate::spent::Spent;
use crate::warning::{CallWarning, CallWarningKind};

/// A complete answer, with its usage, its times and the calls that it took.
///
/// Answers are serialised by the names of their fields, without [`Head::limits`], and have no secrets. Reading one requires
/// only `text` and ignores unknown keys: an answer is a record of a call, whose known part stays true if a later version
/// adds to it. Durations have the form `{"secs": 1, "nanos": 0}`.
///
/// ```
/// use antiphon_llm::{Completion, FinishReason};
/// let answer: Completion = serde_json::from_str(r#"{"text": "Hello", "finish": "length", "mood": "good"}"#)?;
/// assert_eq!(answer, Completion::new("Hello").finish(FinishReason::Length));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// The text of the model, without its reasoning.
    pub text: String,
    /// The reason why the model stopped.
    #[serde(default)]
    pub finish: FinishReason,
    /// The provider's own word for that reason, such as `MAX_TOKENS` or `end_turn`; `None` if it sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_finish: Option<String>,
    /// The provider's explanation of the end, such as the categories of a content filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_detail: Option<String>,
    /// The model's reasoning, if the provider sent it. It is never part of `text`; its tokens are in [`Usage::reasoning`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Remarks on the way in which the answer arrived; empty for an ordinary answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<AnswerMark>,
    /// The tokens, as far as the provider reported them.
    #[serde(default)]
    pub usage: Usage,
    /// The provider's metadata of the call.
    #[serde(default)]
    pub head: Head,
    /// The times of the call.
    #[serde(default)]
    pub timing: Timing,
    /// The total number of calls, including those in `earlier`; 0 for an answer that needed no call, such as a cached one. An
    /// answer that is read without the number had one call, as that of [`Completion::new`].
    #[serde(default = "one_call")]
    pub attempts: u32,
    /// The calls before the one that answered, such as failed calls that were possibly billed.
    #[serde(default)]
    pub earlier: Spent,
}

/// Returns the number of calls of an answer without earlier ones.
fn one_call() -> u32 {
    1
}

/// The token usage that the provider reported; `None` for a count that it did not report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Tokens of the prompt that came from the provider's cache (prompt caching).
    pub cached: Option<u64>,
    /// Tokens of the prompt that were written into the provider's cache (prompt caching), if they have a separate price.
    pub cache_write: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// Tokens of the answer that were hidden reasoning.
    pub reasoning: Option<u64>,
}

/// The metadata that a provider sent before the first text of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Head {
    /// The provider's id of the call, which its support asks for.
    pub request_id: Option<String>,
    /// The provider's id of the answer, if it has one.
    pub response_id: Option<String>,
    /// The name of the model that served the call. It may differ from the requested name.
    pub model: Option<String>,
    /// Whether another model than the requested one served the call. A dated or longer name of the requested model does not
    /// count.
    pub other_model: bool,
    /// The rate limits that the provider reported. They hold at the moment of the answer only, and are not serialised.
    #[serde(skip)]
    pub limits: LimitHints,
    /// The parts of the schema that the provider does not enforce, as JSON pointers; `[""]` if it enforces none.
    /// [`Schema::check`](crate::Schema::check) enforces them.
    pub weakened: Vec<String>,
    /// Warnings about the call: whatever is not as was requested, and did not fail the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<CallWarning>,
}

/// The times of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Timing {
    /// The total time that the call waited for admission in the queue of a limiter.
    pub queue: Duration,
    /// The time from the start of the last attempt to its first byte.
    pub first_byte: Option<Duration>,
    /// The time from the start of the last attempt to the first text (time to first token).
    pub first_token: Option<Duration>,
    /// The time from the start of the last attempt to the end of the answer.
    pub total: Duration,
    /// The HTTP version in use, if any. Reading a serialised answer keeps `HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`, `HTTP/3.0` and
    /// `HTTP`; any other text becomes `None`.
    #[serde(deserialize_with = "http_version")]
    pub http_version: Option<VersionName>,
}

/// A name of an HTTP version. An alias, since serde would borrow a reference from its input.
type VersionName = &'static str;

/// Reads the name of an HTTP version.
fn http_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<VersionName>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let known = ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "HTTP"];
    Ok(known.into_iter().find(|known| name.as_deref() == Some(known)))
}

impl Completion {
    /// Creates the answer of one call, with the finish reason [`FinishReason::Stop`] and unknown usage.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), attempts: one_call(), ..Self::default() }
    }

    /// Sets the reason why the model stopped. Default: [`FinishReason::Stop`].
    #[must_use]
    pub fn finish(mut self, finish: FinishReason) -> Self {
        self.finish = finish;
        self
    }

    /// Sets the tokens that the provider reported.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Sets the provider's metadata of the call.
    #[must_use]
    pub fn head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// Sets the times of the call.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Returns the number and usage of the calls: of the one that answered and of all calls before it.
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

    /// Marks the answer as one that needed no call, such as a cached or shared one: `attempts` becomes 0, and `earlier` empty.
    /// The usage of the original call is kept.
    #[must_use]
    pub fn without_calls(self) -> Self {
        Self { attempts: 0, earlier: Spent::default(), ..self }
    }
}

impl Usage {
    /// A usage of 0 tokens in which every count is known: the initial value of a sum.
    pub const NOTHING: Self =
        Self { input: Some(0), cached: Some(0), cache_write: Some(0), output: Some(0), reasoning: Some(0) };

    /// Creates a usage of tokens of prompt and answer; the other counts are unknown.
    #[must_use]
    pub fn new(input: Option<u64>, output: Option<u64>) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Returns the usage with implausible counts replaced by `None`: those above 2^40, and 0 for the prompt, which means that
    /// the provider did not count its tokens.
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

    /// Sets the tokens that came from the provider's cache (prompt caching).
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
    /// Adds the tokens of another call. A count is unknown in the sum if either call did not report it.
    fn add_assign(&mut self, other: Self) {
        let add = |a: &mut Option<u64>, b: Option<u64>| *a = a.zip(b).map(|(a, b)| a.saturating_add(b));
        // Destructured, so that a new count is not left out of the sum.
        let Self { input, cached, cache_write, output, reasoning } = other;
        add(&mut self.input, input);
        add(&mut self.cached, cached);
        add(&mut self.cache_write, cache_write);
        add(&mut self.output, output);
        add(&mut self.reasoning, reasoning);
    }
}

impl Head {
    /// Returns the first warning of a kind.
    #[must_use]
    pub fn warning(&self, kind: CallWarningKind) -> Option<&CallWarning> {
        self.warnings.iter().find(|warning| warning.kind == kind)
    }

    /// Creates metadata with the provider's id of the call and the model that served it.
    #[must_use]
    pub fn new(request_id: Option<String>, model: Option<String>) -> Self {
        Self { request_id, model, ..Self::default() }
    }

    /// Sets the model that served the call, and [`other_model`](Self::other_model) if it is not the model `asked`.
    ///
    /// Vendors report a longer name, such as `gpt-4o-2024-08-06` for `gpt-4o`, and routers a name with the vendor as a prefix.
    /// Such names count as the same model.
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

    /// Sets the limits that the provider reported.
    #[must_use]
    pub fn limits(mut self, limits: LimitHints) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the parts of the schema that the provider does not enforce.
    #[must_use]
    pub fn weakened(mut self, weakened: Vec<String>) -> Self {
        self.weakened = weakened;
        self
    }

    /// Adds warnings about the call.
    #[must_use]
    pub fn warned(mut self, warnings: impl IntoIterator<Item = CallWarning>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

/// Returns whether two names are of one model: equal except for a maker or folder as a prefix, and a date, a revision or a
/// router's choice of host as a suffix.
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

/// Returns whether a suffix is one date or revision, such as `-2024-08-06`, `-20250929`, `-001`, `@20250929` or
/// `-preview-09-2025`.
fn is_revision(tail: &str) -> bool {
    let Some(tail) = tail.strip_prefix(['-', '@']) else { return false };
    let tail = tail.strip_prefix("preview-").or_else(|| tail.strip_prefix("exp-")).unwrap_or(tail);
    let lengths: Vec<usize> = tail.split('-').map(str::len).collect();
    let is_digits = tail.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_digits && matches!(lengths[..], [4, 2, 2] | [2, 4] | [8] | [6] | [3 | 4])
}

impl Timing {
    /// Creates the times from a call's beginning to its first text and its end.
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

    /// Sets the HTTP version in use.
    #[must_use]
    pub fn http_version(mut self, version: &'static str) -> Self {
        self.http_version = Some(version);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Completion, is_the_same};

    #[test]
    fn an_answer_that_is_read_from_its_text_alone_is_that_of_one_call() {
        let read = |text| serde_json::from_str::<Completion>(text).unwrap();
        assert_eq!(read(r#"{"text":"x"}"#), Completion::new("x"));
        assert_eq!(read(r#"{"text":"x","attempts":0}"#).attempts, 0, "a cached answer");
    }

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
