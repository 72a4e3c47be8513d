use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::cache_key::CacheKey;
use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::Error;
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::{Provider, ProviderExt};
use crate::spent::Spent;
use crate::streaming::Streaming;

/// A provider with single flight: while a call is in progress, further callers with an equal prompt wait for its answer instead
/// of making a call (deduplication).
///
/// Use it if many callers send the same prompt at the same time. The answer is not kept after the call; use
/// [`Cached`](crate::Cached) for that.
///
/// The call continues as long as at least one caller waits for it. Every caller gets the complete answer at once, not streamed.
/// For the callers that joined a call, the answer has 0 attempts, since they made no call. The deadline and the cancellation of
/// a caller end only its own wait.
///
/// ```
/// use antiphon_llm::{CallContext, Message, Prompt, ProviderExt, SingleFlight};
/// # use antiphon_llm::{BlockingProvider, Completion, Error};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let provider = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// let provider = SingleFlight::new(provider);
/// let (prompt, context) = (Prompt::new("m", [Message::user("Hello")]), CallContext::default());
/// let (one, two) = tokio::join!(provider.complete(&prompt, &context), provider.complete(&prompt, &context));
/// assert_eq!(one?.attempts + two?.attempts, 1, "one call for both");
/// # Ok(())
/// # }
/// ```
pub struct SingleFlight<P> {
    inner: Arc<P>,
    flights: Flights,
}

type Answer = Result<Completion, Error>;
type Call = BoxFuture<'static, Answer>;
type Flights = Arc<Mutex<HashMap<CacheKey, Flight>>>;

struct Flight {
    number: u64,
    call: WeakShared<Call>,
}

impl<P> SingleFlight<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self { inner: Arc::new(inner), flights: Flights::default() }
    }
}

impl<P: Provider> SingleFlight<P> {
    /// Returns the call for a prompt, and whether it was in progress already.
    fn join(&self, prompt: &Prompt, context: &CallContext) -> (Shared<Call>, bool) {
        let key = CacheKey::of(&self.inner.scope(), prompt);
        let mut flights = lock(&self.flights);
        let number = match flights.get(&key).map(|flight| (flight.call.upgrade(), flight.number)) {
            // A call that has ended has already answered the callers that joined it.
            Some((Some(call), _)) if call.peek().is_none() => return (call, true),
            Some((_, number)) => number + 1,
            None => 0,
        };
        let landing = FlightGuard { flights: self.flights.clone(), key, number };
        let (inner, prompt) = (self.inner.clone(), prompt.clone());
        // The deadline of one caller is not that of the others: each caller observes its own outside the call.
        let ends = CallContext::default();
        let context = context.clone().deadline(ends.deadline).cancel(ends.cancel).drain(ends.drain);
        let call = async move {
            let _landing = landing;
            // Lets concurrent callers join before a call ends that needs no wait.
            tokio::task::yield_now().await;
            inner.complete(&prompt, &context).await
        };
        let call = call.boxed().shared();
        if let Some(weak) = call.downgrade() {
            flights.insert(key, Flight { number, call: weak });
        }
        (call, false)
    }

    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let (call, joined) = self.join(prompt, context);
        // A caller that joined has paid nothing more, however the call or the wait for it ended.
        match context.guard(call).await.and_then(std::convert::identity) {
            Ok(answer) if joined => Ok(Streaming::from_completion(answer.without_calls())),
            Ok(answer) => Ok(Streaming::from_completion(answer)),
            Err(err) if joined => Err(err.with_spent(Spent::default())),
            Err(err) => Err(err),
        }
    }
}

forward!(SingleFlight);

impl<P: fmt::Debug> fmt::Debug for SingleFlight<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A guard that removes a flight from the list when it has ended or no caller waits for it any more.
struct FlightGuard {
    flights: Flights,
    key: CacheKey,
    number: u64,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            flights.remove(&self.key);
        }
    }
}

fn lock(flights: &Mutex<HashMap<CacheKey, Flight>>) -> MutexGuard<'_, HashMap<CacheKey, Flight>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_resilience::Deadline;

    use super::{CallContext, Completion, Error, Prompt, SingleFlight, Spent};
    use crate::scripted::Scripted;
    use crate::{Billed, ErrorKind, Message, ProviderExt};

    fn flight<const N: usize>(script: [Result<Completion, Error>; N]) -> SingleFlight<Scripted> {
        SingleFlight::new(Scripted::new(script))
    }

    fn prompt(text: &str) -> Prompt {
        Prompt::new("m", [Message::user(text)])
    }

    #[tokio::test]
    async fn concurrent_equal_prompts_make_one_call_and_later_ones_another() {
        let provider = flight([Ok(Completion::new("a")), Ok(Completion::new("b")), Ok(Completion::new("c"))]);
        let context = CallContext::default();
        let same = prompt("?");
        let (one, two) = tokio::join!(provider.complete(&same, &context), provider.complete(&same, &context));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.text.as_str(), one.attempts, two.text.as_str(), two.attempts), ("a", 1, "a", 0));
        let other = prompt("!");
        let (three, four) =
            tokio::join!(provider.complete(&same, &context), provider.complete(&other, &context));
        assert_ne!(three.unwrap().text, four.unwrap().text);
        assert_eq!(provider.inner.calls(), 3);
        assert!(provider.flights.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_does_not_end_the_call_of_the_others() {
        let slow = Scripted::new([Ok(Completion::new("a"))]).slow(Duration::from_secs(10));
        let provider = SingleFlight::new(slow);
        let hasty = CallContext::default().deadline(Deadline::after(Duration::from_secs(1)));
        let (same, context) = (prompt("?"), CallContext::default());
        let (gone, stayed) =
            tokio::join!(provider.complete(&same, &hasty), provider.complete(&same, &context));
        let gone = gone.unwrap_err();
        assert!(matches!(gone.kind(), ErrorKind::Timeout { .. }));
        assert_eq!(gone.spent(), Spent::call(Billed::Maybe), "the caller made the call itself");
        assert_eq!((stayed.unwrap().text.as_str(), provider.inner.calls()), ("a", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_joined_and_gives_up_has_spent_nothing() {
        let slow = Scripted::new([Ok(Completion::new("a"))]).slow(Duration::from_secs(10));
        let provider = SingleFlight::new(slow);
        let hasty = CallContext::default().deadline(Deadline::after(Duration::from_secs(1)));
        let (same, context) = (prompt("?"), CallContext::default());
        let (stayed, gone) =
            tokio::join!(provider.complete(&same, &context), provider.complete(&same, &hasty));
        assert_eq!(gone.unwrap_err().spent(), Spent::default());
        assert_eq!(stayed.unwrap().spent().calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_waiting_callers_is_dropped() {
        let slow = Scripted::new([Ok(Completion::new("a")), Ok(Completion::new("b"))]);
        let provider = SingleFlight::new(slow.slow(Duration::from_secs(10)));
        let hasty = CallContext::default().deadline(Deadline::after(Duration::from_secs(1)));
        provider.complete(&prompt("?"), &hasty).await.unwrap_err();
        assert!(provider.flights.lock().unwrap().is_empty());
        assert_eq!(provider.complete(&prompt("?"), &CallContext::default()).await.unwrap().text, "a");
    }

    #[tokio::test]
    async fn an_error_reaches_all_callers_and_is_not_kept() {
        let provider = flight([Err(Error::new(ErrorKind::Auth, "no")), Ok(Completion::new("a"))]);
        let (same, context) = (prompt("?"), CallContext::default());
        let (one, two) = tokio::join!(provider.complete(&same, &context), provider.complete(&same, &context));
        assert_eq!((one.unwrap_err().kind(), two.unwrap_err().kind()), (ErrorKind::Auth, ErrorKind::Auth));
        assert_eq!(provider.complete(&same, &context).await.unwrap().text, "a");
    }
}
