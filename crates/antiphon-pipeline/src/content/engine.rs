use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use antiphon_llm::{
    CallContext, Error as LlmError, ErrorKind as LlmErrorKind, Output, Provider, ProviderExt, Usage,
};
use antiphon_runtime::Runner;

use super::asking::{Notes, recipe};
use super::grounds::Removed;
use super::portfolio::Content;
use super::voice::Voice;
use crate::error::Error;

/// Makes the copy of portfolio sites with one provider, in any number of voices.
///
/// Nothing is journalled: for that, [`recipe`](super::recipe) goes over rows. A provider out of
/// [`Stack`](antiphon_llm::Stack) with a cache answers what it was asked before also while its breaker is open.
///
/// ```
/// # use std::sync::Arc;
/// # use antiphon_llm::Provider;
/// use antiphon_pipeline::content::{ContentEngine, Voice};
///
/// # async fn copy(provider: Arc<dyn Provider>) -> Result<(), antiphon_pipeline::Error> {
/// let engine = ContentEngine::new(provider, "some-model");
/// let voices = [Voice::new("blunt", "Short and blunt."), Voice::new("warm", "Warm, as to a friend.")];
/// for (voice, made) in engine.generate_all("Ada weaves. github.com/ada/loom", &voices).await {
///     println!("{voice}: {}", made?.content.hero.title);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ContentEngine {
    provider: Arc<dyn Provider>,
    model: String,
    concurrency: usize,
    context: CallContext,
}

/// Content, and how it came about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Made {
    /// The content, as the voice's rules want it.
    pub content: Content,
    /// What the notes do not have, and was taken out.
    pub removed: Vec<Removed>,
    /// Tokens of all calls.
    pub usage: Usage,
    /// Why the content is a file's and not the provider's, if it is.
    pub instead_of: Option<LlmError>,
}

impl ContentEngine {
    /// An engine that asks `model` of a provider, up to ten times at once.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        Self { provider, model: model.into(), concurrency: 10, context: CallContext::default() }
    }

    /// Sets how many calls may be under way at once.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets deadline and cancellation of all calls.
    #[must_use]
    pub fn context(mut self, context: CallContext) -> Self {
        self.context = context;
        self
    }

    /// The copy for these notes in one voice.
    ///
    /// # Errors
    /// `Provider` with why there is no answer that fits.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
    pub async fn generate(&self, notes: &str, voice: &Voice) -> Result<Made, Error> {
        let recipe = recipe();
        let work = recipe.asking(&self.model)?;
        let prompt = work.prompt(&Notes::new("notes", notes, voice).row()).map_err(Error::internal)?;
        let Output::Json(schema) = prompt.output.clone() else {
            return Err(Error::internal("the recipe has lost its schema"));
        };
        let asked = self.provider.complete_json(&prompt, &schema, &self.context).await;
        let answer = asked.map_err(Error::from_provider)?;
        let (content, removed) = Content::of_answer(answer.value, notes, voice)?;
        Ok(Made { content, removed, usage: answer.usage, instead_of: None })
    }

    /// The copy for these notes in each voice, all at once, by the voices' names: of several of one name the last is asked.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
    pub async fn generate_all(&self, notes: &str, voices: &[Voice]) -> BTreeMap<String, Result<Made, Error>> {
        let by_name: BTreeMap<&String, &Voice> = voices.iter().map(|voice| (&voice.name, voice)).collect();
        let jobs: Vec<(&str, &Voice)> = by_name.values().map(|voice| (notes, *voice)).collect();
        let outcomes = self.outcomes(&jobs).await;
        by_name.into_keys().cloned().zip(outcomes).collect()
    }

    /// The copy for each of `jobs`: what was made, and what failed, each with its place. One that fails loses no other.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
    pub async fn generate_batch(&self, jobs: &[(&str, &Voice)]) -> (Vec<(usize, Made)>, Vec<(usize, Error)>) {
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        for (index, outcome) in self.outcomes(jobs).await.into_iter().enumerate() {
            match outcome {
                Ok(made) => succeeded.push((index, made)),
                Err(err) => failed.push((index, err)),
            }
        }
        (succeeded, failed)
    }

    /// As [`generate`](Self::generate), and the content in the JSON file at `fallback` while the provider cannot be
    /// reached, or its breaker is open.
    ///
    /// # Errors
    /// As [`generate`](Self::generate) for everything else; `Files` or `Config` for a file that does not do.
    ///
    /// # Cancel safety
    /// As [`generate`](Self::generate).
    pub async fn generate_with_fallback(
        &self,
        notes: &str,
        voice: &Voice,
        fallback: &Path,
    ) -> Result<Made, Error> {
        let err = match self.generate(notes, voice).await {
            Ok(made) => return Ok(made),
            Err(err) => err,
        };
        let is_away = |err: &&LlmError| {
            matches!(
                err.kind(),
                LlmErrorKind::CircuitOpen { .. }
                    | LlmErrorKind::Connect
                    | LlmErrorKind::Unavailable
                    | LlmErrorKind::Overloaded { .. }
                    | LlmErrorKind::Timeout { .. }
            )
        };
        if err.provider().filter(is_away).is_none() {
            return Err(err);
        }
        let text = antiphon_fs::read_to_string(fallback).await.map_err(Error::files)?;
        let mut content = Content::parse(&fallback.display().to_string(), &text.text)?;
        voice.apply(&mut content);
        let instead_of = err.into_provider();
        Ok(Made { content, removed: Vec::new(), usage: Usage::default(), instead_of })
    }

    async fn outcomes(&self, jobs: &[(&str, &Voice)]) -> Vec<Result<Made, Error>> {
        let calls = jobs.iter().map(|(notes, voice)| self.generate(notes, voice));
        let outcomes = Runner::new(self.concurrency.max(1)).gather(calls).await;
        let settled =
            outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|err| Err(Error::from_panic(&err))));
        settled.collect()
    }
}
