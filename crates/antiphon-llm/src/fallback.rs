use std::sync::Arc;

use tracing::warn;

use crate::context::CallContext;
use crate::error::{Billed, Error, ErrorKind, Phase};
use crate::forward::forward;
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::streaming::Streaming;

/// Asks others, in their order, where the first provider cannot answer.
///
/// Only before a first word: what a caller has seen is never begun again elsewhere. Whether another provider may help is
/// decided by the kind of the error; a prompt that is wrong is wrong everywhere, and what a model declined to say is not
/// asked of the next.
#[derive(Debug, Clone)]
pub struct Fallback<P> {
    inner: P,
    others: Vec<(Arc<dyn Provider>, String)>,
    may_help: fn(ErrorKind) -> bool,
}

impl<P> Fallback<P> {
    /// Wraps `inner`, which is asked first, for the prompt's own model.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self { inner, others: Vec::new(), may_help: another_may_help }
    }

    /// Adds who is asked next, and for which model.
    #[must_use]
    pub fn or(mut self, provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        self.others.push((provider, model.into()));
        self
    }

    /// Sets after which errors the next one is asked.
    #[must_use]
    pub fn when(mut self, may_help: fn(ErrorKind) -> bool) -> Self {
        self.may_help = may_help;
        self
    }
}

fn another_may_help(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Refused
        | ErrorKind::Filtered
        | ErrorKind::SchemaMismatch
        | ErrorKind::Cancelled
        | ErrorKind::Timeout { phase: Phase::Total } => false,
        ErrorKind::Auth
        | ErrorKind::ModelNotFound
        | ErrorKind::Unsupported
        | ErrorKind::Quota
        | ErrorKind::RateLimited { .. }
        | ErrorKind::Overloaded { .. }
        | ErrorKind::CircuitOpen { .. }
        | ErrorKind::Connect
        | ErrorKind::Unavailable
        | ErrorKind::Timeout { phase: Phase::Connect | Phase::FirstToken | Phase::NextToken }
        | ErrorKind::Truncated { .. }
        | ErrorKind::ContextTooLong
        | ErrorKind::InvalidResponse => true,
    }
}

impl<P: Provider> Fallback<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let (mut attempts, mut lost) = (0, Billed::No);
        let mut answer = self.inner.stream(prompt, context).await;
        for (provider, model) in &self.others {
            let err = match answer {
                Err(err) if (self.may_help)(err.kind()) => err,
                answer => return told(answer, attempts, lost),
            };
            warn!("{err}; asking {} for {model}", provider.scope());
            attempts += err.attempts();
            lost = lost.and(err.billed());
            let mut prompt = prompt.clone();
            prompt.model.clone_from(model);
            answer = provider.stream(&prompt, context).await.map(Streaming::of_other_model);
        }
        told(answer, attempts, lost)
    }
}

/// An answer that tells of the calls before it, too.
fn told(answer: Result<Streaming, Error>, attempts: u32, lost: Billed) -> Result<Streaming, Error> {
    match answer {
        Ok(streaming) => {
            let attempts = attempts + streaming.attempts();
            Ok(streaming.with_attempts(attempts).with_lost(lost))
        }
        Err(err) => {
            let (attempts, billed) = (attempts + err.attempts(), err.billed().and(lost));
            Err(err.with_attempts(attempts).with_billed(billed))
        }
    }
}

forward!(Fallback);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Billed, CallContext, Error, ErrorKind, Fallback, Prompt};
    use crate::scripted::Scripted;
    use crate::{Completion, Message, ProviderExt};

    async fn ask(first: ErrorKind, second: ErrorKind) -> (usize, usize, Result<Completion, Error>) {
        let err = |kind| Err(Error::new(kind, "no").with_billed(Billed::Maybe));
        let next = Arc::new(Scripted::new([err(second)]));
        let last = Arc::new(Scripted::new([Ok(Completion::new("at last"))]));
        let provider = Fallback::new(Scripted::new([err(first)])).or(next.clone(), "n").or(last.clone(), "l");
        let answer =
            provider.complete(&Prompt::new("m", [Message::user("?")]), &CallContext::default()).await;
        assert!(next.models.lock().unwrap().iter().all(|model| model == "n"));
        (next.calls(), last.calls(), answer)
    }

    #[tokio::test]
    async fn the_next_is_asked_where_that_may_help() {
        let (next, last, answer) = ask(ErrorKind::Quota, ErrorKind::Connect).await;
        let answer = answer.unwrap();
        assert_eq!((next, last, answer.text.as_str(), answer.attempts), (1, 1, "at last", 3));
        assert_eq!(answer.lost, Billed::Maybe);
        let (next, last, answer) = ask(ErrorKind::Auth, ErrorKind::Refused).await;
        let err = answer.unwrap_err();
        assert_eq!((next, last, err.kind(), err.attempts()), (1, 0, ErrorKind::Refused, 2));
        let (next, _, answer) = ask(ErrorKind::InvalidRequest, ErrorKind::Connect).await;
        assert_eq!((next, answer.unwrap_err().billed()), (0, Billed::Maybe));
    }
}
