use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_fs::{ErrorKind as FsErrorKind, WalkOptions};
use async_trait::async_trait;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::line::{Cassette, key_of};
use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::{Error, ErrorKind};
use crate::prompt::Prompt;
use crate::provider::{Capabilities, Health, Model, Provider, Scope};
use crate::redact::redact;
use crate::spent::Spent;
use crate::streaming::Streaming;

/// A provider that replays the answers of cassettes that [`Recorded`](crate::Recorded) wrote, without a network.
///
/// Scope, models and capabilities are those of the recorded provider, so that a replayed run has the same fingerprint and the
/// same prompts as the recorded one. The usage is that of the recorded call.
///
/// If a prompt was recorded several times, its answers are returned in the recorded order; after that, the last one is
/// repeated. For a prompt that was not recorded, the call fails with `Unsupported`, so that a [`Fallback`](crate::Fallback)
/// calls the next provider.
///
/// A folder may have cassettes of several providers. All of them are used; the scope is that of the first one by file name. Use
/// [`of_scope`](Self::of_scope) to get the answers of one provider, for example for each provider of a
/// [`Fallback`](crate::Fallback).
///
/// ```
/// use antiphon_llm::{CallContext, ErrorKind, Message, Prompt, Provider, ProviderExt, Recorded, Replayed};
/// # use antiphon_llm::{BlockingProvider, Completion};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// # let folder = antiphon_fs::temp_dir()?;
/// # let (dir, context) = (folder.path(), CallContext::default());
/// # Recorded::in_dir(provider, dir).complete(&Prompt::new("m", [Message::user("Hello")]), &context).await?;
/// let replayed = Replayed::open(dir).await?;
/// assert_eq!(replayed.scope().vendor, "echo");
/// assert_eq!(replayed.models(&context).await?[0].id, "m");
/// let err = replayed.complete(&Prompt::new("m", [Message::user("Goodbye")]), &context).await.unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::Unsupported);
/// assert!(err.to_string().contains("no answer of m to \"Goodbye\" was recorded"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Replayed {
    path: PathBuf,
    first: Arc<Tape>,
    others: Vec<Arc<Tape>>,
}

/// A cassette that is being played.
#[derive(Debug)]
struct Tape(Mutex<Cassette>);

impl Replayed {
    /// Reads the cassette at `path`, or all cassettes in that folder: its files that end in `.jsonl`.
    ///
    /// # Errors
    /// `InvalidRequest` for a file that cannot be read, a folder without cassettes, or a line that does not belong to a
    /// cassette, with its number.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let metadata = antiphon_fs::metadata(path).await.map_err(unreadable)?;
        let files = if metadata.is_dir { cassettes_in(path).await? } else { vec![path.to_owned()] };
        let mut tapes = Vec::with_capacity(files.len());
        for file in files {
            let text = antiphon_fs::read_to_string(&file).await.map_err(unreadable)?;
            tapes.extend(Cassette::parse(&file, &text.text)?.map(|cassette| Arc::new(Tape(cassette.into()))));
        }
        Self::of(path, tapes).ok_or_else(|| {
            let message = format!("cannot replay {}: there is no cassette. Record one first", path.display());
            Error::new(ErrorKind::InvalidRequest, message)
        })
    }

    fn of(path: &Path, tapes: Vec<Arc<Tape>>) -> Option<Self> {
        let mut tapes = tapes.into_iter();
        Some(Self { path: path.to_owned(), first: tapes.next()?, others: tapes.collect() })
    }

    /// Returns the scopes of the providers that were recorded, in the order of their files' names.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        self.tapes().map(|tape| tape.with(|cassette| cassette.scope.clone())).collect()
    }

    /// Returns a provider with the answers of one recorded provider only; `None` if it was not recorded. The digest of its API
    /// key is ignored. If a prompt has several answers, both values take them from the same queue.
    #[must_use]
    pub fn of_scope(&self, scope: &Scope) -> Option<Self> {
        let same = |tape: &&Arc<Tape>| tape.with(|cassette| cassette.is_of(scope));
        Self::of(&self.path, self.tapes().filter(same).cloned().collect())
    }

    fn tapes(&self) -> impl Iterator<Item = &Arc<Tape>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn known(&self) -> BTreeMap<String, Capabilities> {
        self.tapes().flat_map(|tape| tape.with(|cassette| cassette.models.clone())).collect()
    }

    fn missing(&self, prompt: &Prompt) -> Error {
        let last = prompt.messages.last().map(|message| message.rendered().into_owned());
        let words: String = redact(&last.unwrap_or_default(), &[]).chars().take(60).collect();
        let message = format!(
            "cannot replay from {}: no answer of {} to {:?} was recorded. Record again, or ask with the same input, recipe \
             and parameters",
            self.path.display(),
            prompt.model,
            words.trim(),
        );
        Error::new(ErrorKind::Unsupported, message).with_spent(Spent::default())
    }
}

impl Tape {
    fn with<T>(&self, see: impl FnOnce(&mut Cassette) -> T) -> T {
        see(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self, key: &str) -> Option<Completion> {
        self.with(|cassette| {
            let answers = cassette.answers.get_mut(key)?;
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        })
    }
}

fn unreadable(err: antiphon_fs::Error) -> Error {
    let advice = if err.kind() == FsErrorKind::NotFound { ". Record it first" } else { "" };
    Error::new(ErrorKind::InvalidRequest, format!("cannot replay: {err}{advice}")).with_source(err)
}

async fn cassettes_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let options = WalkOptions::default().glob("*.jsonl").max_depth(1);
    let mut batches = antiphon_fs::walk(folder, options, CancellationToken::new());
    let mut files = Vec::new();
    while let Some(batch) = batches.next().await {
        for entry in batch {
            files.push(entry.map_err(unreadable)?.path);
        }
    }
    Ok(files)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Replayed {
    /// Returns the scope of the recorded provider; of several, the first by file name.
    fn scope(&self) -> Scope {
        self.first.with(|cassette| cassette.scope.clone())
    }

    async fn stream(&self, prompt: &Prompt, _: &CallContext) -> Result<Streaming, Error> {
        let key = key_of(prompt);
        let answer = self.tapes().find_map(|tape| tape.next(&key)).ok_or_else(|| self.missing(prompt))?;
        answer.into_complete(&prompt.output).map(Streaming::from_completion)
    }

    /// Returns the models on the cassettes, sorted by name.
    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        let models = self.known().into_iter();
        Ok(models.map(|(model, known)| Model::new(model, known.context_window)).collect())
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        Ok(Health::default().models(self.known().len()))
    }

    /// Returns the recorded capabilities; those of a model that was not looked up are unknown.
    async fn capabilities(&self, model: &str, _: &CallContext) -> Capabilities {
        self.tapes()
            .find_map(|tape| tape.with(|cassette| cassette.models.get(model).copied()))
            .unwrap_or_default()
    }
}
