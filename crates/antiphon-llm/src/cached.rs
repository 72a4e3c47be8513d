use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use tracing::warn;

use crate::cache_key::CacheKey;
use crate::completion::{Completion, Timing};
use crate::context::CallContext;
use crate::error::Error;
use crate::forward::forward;
use crate::json::{self, Strictness};
use crate::prompt::{Output, Prompt};
use crate::provider::Provider;
use crate::streaming::{Delta, Streaming};

/// The storage of [`Cached`]. [`MemoryCache`] keeps answers in this process; implement the trait for storage that is shared
/// between processes or persistent.
#[async_trait]
pub trait AnswerCache: fmt::Debug + Send + Sync + 'static {
    /// Returns the stored answer, if any.
    ///
    /// # Errors
    /// The reason why the cache cannot be read. [`Cached`] logs it and calls the provider.
    async fn get(&self, key: CacheKey) -> Result<Option<Completion>, Error>;

    /// Stores a complete answer.
    ///
    /// # Errors
    /// The reason why the answer cannot be stored. [`Cached`] logs it and returns the answer.
    async fn put(&self, key: CacheKey, answer: &Completion) -> Result<(), Error>;
}

/// A provider with a cache of answers.
///
/// The key is the [`CacheKey`](crate::CacheKey) of the call. Two calls share an answer only if all of this is equal:
///
/// | part | of it in the key | not in the key |
/// |---|---|---|
/// | provider | vendor, base URL, variant ([`Scope`](crate::Scope)) | the API key: two accounts share answers |
/// | prompt | model, system text, messages with all their parts, sampling parameters (temperature, `max_tokens`, seed) | - |
/// | form of the answer | text or JSON; the schema with its name | - |
/// | [`CallContext`](crate::CallContext) | - | deadline, cancellation, priority, hook |
///
/// Use it for prompts that are repeated after they were answered. For equal prompts at the same time, put
/// [`SingleFlight`](crate::SingleFlight) around it, as a [`Stack`](crate::Stack) does. Runs of the engine cache answers in
/// their store and do not need this wrapper.
///
/// Only complete and valid answers of the requested model are stored, not truncated, filtered or invalid ones. A cached answer
/// has 0 attempts, since it needed no call; its usage is that of the original call.
///
/// ```
/// use std::sync::Arc;
/// use antiphon_llm::{Cached, CallContext, MemoryCache, Message, Prompt, ProviderExt};
/// # use antiphon_llm::{BlockingProvider, Completion, Error};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let provider = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// let provider = Cached::new(provider, Arc::new(MemoryCache::new(1_000)));
/// let (prompt, context) = (Prompt::new("m", [Message::user("Hello")]), CallContext::default());
/// assert_eq!(provider.complete(&prompt, &context).await?.attempts, 1);
/// assert_eq!(provider.complete(&prompt, &context).await?.attempts, 0, "no call was made");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cached<P> {
    inner: P,
    cache: Arc<dyn AnswerCache>,
}

impl<P> Cached<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P, cache: Arc<dyn AnswerCache>) -> Self {
        Self { inner, cache }
    }
}

impl<P: Provider> Cached<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let key = CacheKey::of(&self.inner.scope(), prompt);
        let entries = self.cache.get(key).await.unwrap_or_else(|err| {
            warn!("the cache cannot be read: {err}");
            None
        });
        if let Some(mut answer) = entries {
            answer = answer.without_calls();
            answer.timing = Timing::new(None, Duration::ZERO);
            return Ok(Streaming::from_completion(answer));
        }
        let answer = self.inner.stream(prompt, context).await?;
        let (head, attempts) = (answer.head().clone(), answer.attempts());
        let (cache, output) = (self.cache.clone(), prompt.output.clone());
        // The answer is stored before its end is reported.
        let entries = answer.then(move |item| {
            let (cache, output) = (cache.clone(), output.clone());
            async move {
                if let Ok(Delta::End(answer)) = &item
                    && is_cacheable(answer, &output)
                    && let Err(err) = cache.put(key, answer).await
                {
                    warn!("an answer cannot be kept in the cache: {err}");
                }
                item
            }
        });
        Ok(Streaming::start(head, entries).await?.with_attempts(attempts))
    }
}

forward!(Cached);

/// Returns whether an answer is [repeatable](Completion::is_repeatable) and valid. An invalid answer in the cache would be returned
/// again and again.
fn is_cacheable(answer: &Completion, output: &Output) -> bool {
    let fits = match output {
        Output::Text => !answer.text.trim().is_empty(),
        Output::Json(schema) => {
            json::extract_for(&answer.text, Strictness::Lenient, |value| schema.is_valid(value))
                .is_ok_and(|found| schema.is_valid(&found.value))
        }
    };
    answer.is_repeatable() && fits
}

/// An [`AnswerCache`] in memory. When it is full, the answer that was stored first is evicted. Clones are handles to the same
/// cache.
///
/// [`MemoryCache::default`] keeps at most 1,000 answers, and [`new`](Self::new) the number that it is given. `Debug` writes the
/// number of answers and the maximum, and no answer: answers may contain PII.
///
/// ```
/// use antiphon_llm::MemoryCache;
/// assert_eq!(format!("{:?}", MemoryCache::default()), "MemoryCache { answers: 0, max_answers: 1000 }");
/// ```
#[derive(Clone)]
pub struct MemoryCache {
    entries: Arc<Mutex<Entries>>,
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (answers, max) = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            (entries.answers.len(), entries.max)
        };
        f.debug_struct("MemoryCache").field("answers", &answers).field("max_answers", &max).finish()
    }
}

struct Entries {
    answers: HashMap<CacheKey, Completion>,
    oldest_first: VecDeque<CacheKey>,
    max: usize,
}

impl Default for MemoryCache {
    /// Creates a cache of at most 1,000 answers.
    fn default() -> Self {
        Self::new(1_000)
    }
}

impl MemoryCache {
    /// Creates a cache of at most `max_answers` answers. Eviction is first in, first out.
    #[must_use]
    pub fn new(max_answers: usize) -> Self {
        let entries = Entries { answers: HashMap::new(), oldest_first: VecDeque::new(), max: max_answers };
        Self { entries: Arc::new(Mutex::new(entries)) }
    }
}

#[async_trait]
impl AnswerCache for MemoryCache {
    async fn get(&self, key: CacheKey) -> Result<Option<Completion>, Error> {
        Ok(self.entries.lock().unwrap_or_else(PoisonError::into_inner).answers.get(&key).cloned())
    }

    async fn put(&self, key: CacheKey, answer: &Completion) -> Result<(), Error> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.answers.insert(key, answer.clone()).is_none() {
            entries.oldest_first.push_back(key);
        }
        while entries.answers.len() > entries.max {
            let Some(oldest) = entries.oldest_first.pop_front() else { break };
            entries.answers.remove(&oldest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{AnswerCache, CacheKey, Cached, CallContext, Completion, MemoryCache, Prompt};
    use crate::FinishReason;
    use crate::scripted::Scripted;
    use crate::{Message, ProviderExt, SamplingParams, Scope, Usage};

    #[tokio::test]
    async fn a_complete_answer_is_cached_and_a_truncated_one_is_not() {
        let script = ["one", "two", "three"].map(|text| {
            let finish = if text == "two" { FinishReason::Length } else { FinishReason::Stop };
            Ok(Completion::new(text).finish(finish).usage(Usage::new(Some(9), Some(1))))
        });
        let provider = Cached::new(Scripted::new(script), Arc::new(MemoryCache::new(1)));
        let prompt = Prompt::new("m", [Message::user("?")]);
        let hotter = prompt.clone().parameters(SamplingParams::default().temperature(1.0));
        let ask = async |prompt: &Prompt| {
            let done = provider.complete(prompt, &CallContext::default()).await.unwrap();
            (done.text, done.attempts, done.usage.input)
        };
        assert_eq!(ask(&prompt).await, ("one".to_owned(), 1, Some(9)));
        assert_eq!(ask(&prompt).await, ("one".to_owned(), 0, Some(9)));
        assert_eq!(ask(&hotter).await, ("two".to_owned(), 1, Some(9)));
        assert_eq!(ask(&hotter).await, ("three".to_owned(), 1, Some(9)), "a truncated answer is not cached");
        assert_eq!(ask(&hotter).await.1, 0);
        assert_eq!(provider.inner.calls(), 3);
    }

    #[tokio::test]
    async fn the_default_cache_keeps_a_thousand_answers() {
        let cache = MemoryCache::default();
        let key = |number: u32| CacheKey::of(&Scope::new("v", None), &Prompt::new(number.to_string(), []));
        for number in 0..=1_000 {
            cache.put(key(number), &Completion::new("ok")).await.unwrap();
        }
        let kept = [cache.get(key(0)).await.unwrap(), cache.get(key(1)).await.unwrap()];
        assert_eq!(kept, [None, Some(Completion::new("ok"))]);
    }

    #[tokio::test]
    async fn debug_writes_numbers_and_no_answer() {
        let cache = MemoryCache::new(2);
        let key = CacheKey::of(&Scope::new("v", None), &Prompt::new("m", []));
        cache.put(key, &Completion::new("private")).await.unwrap();
        let provider = Cached::new(Scripted::new([]), Arc::new(cache.clone()));
        assert_eq!(format!("{cache:?}"), "MemoryCache { answers: 1, max_answers: 2 }");
        assert!(!format!("{provider:?} {cache:#?}").contains("private"));
    }
}
