use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;

use crate::completion::{Completion, Head};
use crate::context::CallContext;
use crate::error::{Billed, Error, ErrorKind, TruncationCause};
use crate::spent::Spent;

/// A piece of a streamed answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Delta {
    /// The next piece of text.
    ///
    /// Reasoning between tags is left out, with one exception: some models close reasoning that their chat template opened, and
    /// what they wrote before turns out to be reasoning only then. The text of [`End`](Self::End) is without it.
    Text(String),
    /// The complete answer, with the whole text: the last item of the stream.
    End(Box<Completion>),
}

/// A streamed answer: pieces of text, and then exactly one [`Delta::End`] or an error. Dropping it closes the connection.
#[must_use = "streams do nothing unless polled"]
pub struct Streaming {
    head: Head,
    first: Option<Delta>,
    rest: Pin<Box<dyn Stream<Item = Result<Delta, Error>> + Send>>,
    /// Calls of this answer alone: 0 for one that needed no call.
    calls: u32,
    earlier: Spent,
    queue: Duration,
    ended: bool,
    at_end: Vec<AtEnd>,
}

/// A callback that receives the end of an answer.
type AtEnd = Box<dyn FnOnce(Result<&Completion, &Error>) + Send>;

impl Streaming {
    /// Creates a streamed answer, after the first delta of `stream` has arrived.
    ///
    /// Call this in an implementation of [`Provider::stream`](crate::Provider::stream). An error before the first text is then
    /// an error of that method, which wrappers may retry; a later error reaches the caller in the stream and is not retried.
    ///
    /// # Errors
    /// The stream's error if it is the first item; `Truncated` if the stream is empty.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream, which closes the connection.
    pub async fn start<S>(head: Head, stream: S) -> Result<Self, Error>
    where
        S: Stream<Item = Result<Delta, Error>> + Send + 'static,
    {
        let mut rest: Pin<Box<dyn Stream<Item = Result<Delta, Error>> + Send>> = Box::pin(stream);
        let first = rest.next().await.unwrap_or_else(|| Err(truncated()))?;
        Ok(Self::of(head, first, rest))
    }

    /// Creates a streamed answer from a complete one, such as a cached answer: one delta with the whole text, then the end.
    pub fn from_completion(completion: Completion) -> Self {
        let (head, attempts) = (completion.head.clone(), completion.attempts);
        let (first, rest) = if completion.text.is_empty() {
            (Delta::End(Box::new(completion)), None)
        } else {
            (Delta::Text(completion.text.clone()), Some(Ok(Delta::End(Box::new(completion)))))
        };
        Self::of(head, first, Box::pin(futures_util::stream::iter(rest))).with_attempts(attempts)
    }

    fn of(head: Head, first: Delta, rest: Pin<Box<dyn Stream<Item = Result<Delta, Error>> + Send>>) -> Self {
        Self {
            head,
            first: Some(first),
            rest,
            calls: 1,
            earlier: Spent::default(),
            queue: Duration::ZERO,
            ended: false,
            at_end: Vec::new(),
        }
    }

    /// Returns the metadata that the provider sent before the first text.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Returns the number of calls that were made until the answer began, including failed ones.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.calls.saturating_add(self.earlier.calls)
    }

    /// Sets the total number of calls until the answer began. The completion or the error at the end reports it.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.calls = attempts.saturating_sub(self.earlier.calls);
        self
    }

    /// Adds calls that were made before this one. The completion or the error at the end reports them.
    pub fn after(mut self, earlier: Spent) -> Self {
        self.earlier += earlier;
        self
    }

    /// Adds time that the call waited in the queue of a limiter to [`Timing::queue`](crate::Timing::queue).
    pub fn with_queue(mut self, queue: Duration) -> Self {
        self.queue += queue;
        self
    }

    /// Marks the answer as one of another model than the requested one. The name is `model`, unless the provider reports a
    /// name.
    pub fn of_other_model(mut self, model: &str) -> Self {
        self.head.other_model = true;
        self.head.model.get_or_insert_with(|| model.to_owned());
        self
    }

    /// Adds a callback that is called once, with the completion or the error at the end. If the answer is dropped before its
    /// end, the callback is dropped without a call.
    ///
    /// Wrappers use it to hold a permit or a span while the answer is streamed.
    pub fn at_end(mut self, callback: impl FnOnce(Result<&Completion, &Error>) + Send + 'static) -> Self {
        self.at_end.push(Box::new(callback));
        self
    }

    fn failed(&self, err: Error) -> Error {
        let calls = err.attempts().max(self.calls);
        err.with_attempts(calls).after(self.earlier)
    }

    fn end(&mut self, result: Result<&Completion, &Error>) {
        self.ended = true;
        self.at_end.drain(..).for_each(|callback| callback(result));
    }

    /// Reads the stream to its end and returns the complete answer.
    ///
    /// # Errors
    /// The stream's error, `Cancelled`, or `Timeout`. Each has the partial answer: [`Error::partial`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the text that has arrived is lost.
    pub async fn complete(mut self, context: &CallContext) -> Result<Completion, Error> {
        let mut text = String::new();
        let end = context.guard(async {
            loop {
                match self.next().await {
                    Some(Ok(Delta::Text(words))) => text.push_str(&words),
                    Some(Ok(Delta::End(completion))) => return Ok(*completion),
                    Some(Err(err)) => return Err(err),
                    None => return Err(truncated()),
                }
            }
        });
        // An error of the stream counts the earlier calls already; one that ends the wait does not.
        let end = end.await.unwrap_or_else(|err| Err(self.failed(err)));
        end.map_err(|err| match err.partial() {
            Some(_) => err,
            None => err.with_partial(Completion::new(text).head(self.head.clone())),
        })
    }
}

impl Stream for Streaming {
    type Item = Result<Delta, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.rest.as_mut().poll_next(cx)),
        };
        let next = match next.unwrap_or_else(|| Err(truncated())) {
            Ok(Delta::End(mut completion)) => {
                // Never fewer than the answer itself reports: a wrapper may have restarted the stream.
                completion.attempts = completion.attempts.max(self.calls);
                *completion = std::mem::take(&mut *completion).after(self.earlier);
                completion.timing.queue += self.queue;
                if self.head.other_model {
                    completion.head.other_model = true;
                    completion.head.model = completion.head.model.take().or_else(|| self.head.model.clone());
                }
                self.end(Ok(&completion));
                Ok(Delta::End(completion))
            }
            Ok(words) => Ok(words),
            Err(err) => {
                let err = self.failed(err);
                self.end(Err(&err));
                Err(err)
            }
        };
        Poll::Ready(Some(next))
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("head", &self.head)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn truncated() -> Error {
    let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
    Error::new(kind, "the answer ended in the middle").with_billed(Billed::Maybe)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_resilience::Deadline;
    use futures_util::stream;

    use super::{
        Billed, CallContext, Completion, Delta, Error, ErrorKind, Head, Spent, StreamExt, Streaming,
        TruncationCause,
    };
    use crate::Usage;
    use crate::error::TimeoutPhase;

    fn words(text: &str) -> Result<Delta, Error> {
        Ok(Delta::Text(text.to_owned()))
    }

    #[tokio::test]
    async fn a_stream_that_stops_early_is_truncated_with_its_text() {
        let stream = stream::iter([words("half "), words("an answer")]);
        let answer = Streaming::start(Head::default(), stream).await.unwrap();
        let err = answer.with_attempts(2).complete(&CallContext::default()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Truncated { cause: TruncationCause::Disconnected });
        assert_eq!((err.partial().unwrap().text.as_str(), err.attempts()), ("half an answer", 2));
    }

    #[tokio::test]
    async fn nothing_follows_the_end() {
        let end = || Ok(Delta::End(Box::new(Completion::new("all"))));
        let answer = Streaming::start(Head::default(), stream::iter([end(), words("more")])).await.unwrap();
        let items: Vec<_> = answer.collect().await;
        assert_eq!(items.len(), 1);
        assert!(matches!(&items[0], Ok(Delta::End(whole)) if whole.text == "all"));
    }

    #[tokio::test]
    async fn an_empty_stream_is_truncated() {
        let err = Streaming::start(Head::default(), stream::empty()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Truncated { cause: TruncationCause::Disconnected });
    }

    #[tokio::test(start_paused = true)]
    async fn every_end_of_an_answer_reports_the_earlier_calls() {
        let earlier = Spent::call(Billed::Maybe) + Spent::call(Billed::Maybe);
        let usage = Usage::new(Some(10), Some(5));
        let end = || Ok(Delta::End(Box::new(Completion::new("all").usage(usage))));
        let started = async |items: Vec<Result<Delta, Error>>| {
            let stream = stream::iter(items).chain(stream::pending());
            Streaming::start(Head::default(), stream).await.unwrap().after(earlier)
        };
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        let whole = started(vec![end()]).await;
        assert_eq!(whole.attempts(), 3);
        let whole = whole.complete(&context).await.unwrap();
        assert_eq!((whole.spent(), whole.attempts), (earlier + Spent::call(Billed::Yes(usage)), 3));
        let broken = Err(Error::new(ErrorKind::Unavailable, "down"));
        let broken = started(vec![words("half"), broken]).await.complete(&context).await.unwrap_err();
        assert_eq!(broken.spent(), earlier + Spent::call(Billed::No));
        let late = started(vec![words("half")]).await.complete(&context).await.unwrap_err();
        assert_eq!(late.spent(), earlier + Spent::call(Billed::Maybe));
        // Restarted by a wrapper without knowledge of the calls.
        let inner = started(vec![end()]).await;
        let again = Streaming::start(Head::default(), inner).await.unwrap();
        let again = again.after(Spent::call(Billed::No)).complete(&context).await.unwrap();
        assert_eq!(again.spent(), Spent { calls: 4, ..whole.spent() });
    }

    async fn check_partial(context: CallContext, kind: ErrorKind) {
        let stalls = stream::iter([words("so far")]).chain(stream::pending());
        let answer = Streaming::start(Head::default(), stalls).await.unwrap();
        let soon = async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            context.cancel.cancel();
        };
        let (answer, ()) = tokio::join!(answer.complete(&context), soon);
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.partial().unwrap().text.as_str()), (kind, "so far"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_and_a_cancellation_keep_the_text_so_far() {
        let context = CallContext::default().deadline(Deadline::after(Duration::from_secs(5)));
        check_partial(context, ErrorKind::Timeout { phase: TimeoutPhase::Total }).await;
        check_partial(CallContext::default(), ErrorKind::Cancelled).await;
    }
}
