//! Generation of portfolio copy: a batch of notes and voices as one run of the engine.
//!
//! Every method that generates ends in `ContentEngine::run`, with one job for each pair of notes and voice. An equal
//! batch in the same store is the same run, so that its accepted results are read from the store and only the other
//! jobs are called for. The store has the answers as the model wrote them; grounding and the rules of the voice are
//! applied when they are read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{BatchOutcome, Engine, JobBatch, JobOutcome, Journal, Options, StopCause};
use antiphon_llm::{Calls, Error as LlmError, ErrorKind as LlmErrorKind, Provider, Stack, Usage};
use antiphon_store::{JobRecord, JobState, Run, RunStatus, Store};
use serde_json::json;

use super::grounding::Removed;
use super::portfolio::Content;
use super::recipe::{ContentRow, recipe};
use super::voice::Voice;
use crate::error::Error;

/// A generator of copy for portfolio sites, with one provider and any number of voices.
///
/// The calls run on the engine, with a budget, retries and deduplication of equal prompts; with a [`store`](Self::store) a
/// run can be resumed. For a table of notes, use [`recipe`](super::recipe) instead.
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
    calls: Calls,
    model: String,
    options: Options,
    store: Option<Store>,
}

/// Generated content, with what grounding removed and the usage.
///
/// To render it as a page use antiphon-render.
#[derive(Debug)]
#[non_exhaustive]
pub struct GeneratedContent {
    /// The content, after grounding and the voice's rules.
    pub content: Content,
    /// Values that grounding removed from the answer, since the notes do not contain them.
    pub removed: Vec<Removed>,
    /// Tokens of all calls in this process; zero for an answer that was cached or stored before.
    pub usage: Usage,
    /// The provider's error in whose place the content was read from a fallback file; `None` if the provider answered.
    pub instead_of: Option<LlmError>,
}

/// The outcome of a job; `None` as long as it has none.
type JobContent = Option<Result<GeneratedContent, Error>>;

impl ContentEngine {
    /// Creates an engine that calls `model` of `provider`, with a concurrency limit of 10.
    ///
    /// The provider must send each call once, since the engine does the retries. For rate limits and a circuit breaker use
    /// [`over`](Self::over) with [`Stack::calls`].
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        Self::over(Stack::new(provider).calls(), model)
    }

    /// Creates an engine over the calls of a [`Stack`], with its rate limits and circuit breaker, and a concurrency limit of 10.
    #[must_use]
    pub fn over(calls: Calls, model: impl Into<String>) -> Self {
        let mut options = Options::default();
        options.limits.max_concurrency = Some(10);
        Self { calls, model: model.into(), options, store: None }
    }

    /// Sets the concurrency limit: the maximum number of calls in flight. Default: 10.
    #[must_use]
    pub fn concurrency(mut self, max_concurrency: usize) -> Self {
        self.options.limits.max_concurrency = Some(max_concurrency);
        self
    }

    /// Sets prices, limits, retries and the token that cancels all calls. This also replaces the concurrency limit: the default
    /// options have none.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets the store for runs and answers, so that no answer is paid for twice. Default: a new in-memory store for each call.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Generates the copy for these notes in one voice. For several voices, [`generate_all`](Self::generate_all) is
    /// faster: it runs them concurrently, in one run of the store.
    ///
    /// # Errors
    /// `Provider` with the reason why there is no valid answer; `Store`, `Budget` or `Deadline` if one of them stops the run.
    ///
    /// # Cancel safety
    /// A dropped call closes the connection: the partial answer is lost, and the call counts as possibly billed.
    pub async fn generate(&self, notes: &str, voice: &Voice) -> Result<GeneratedContent, Error> {
        let made = self.outcomes(&[(notes, voice)]).await.pop();
        made.unwrap_or_else(|| Err(Error::internal("the job ended without an outcome")))
    }

    /// Generates the copy for these notes in each voice, concurrently. Returns the outcomes by the name of their voice; if
    /// several voices have one name, only the last of them is used.
    ///
    /// # Cancel safety
    /// A dropped call closes the connections: partial answers are lost, accepted ones stay in the
    /// [`store`](Self::store) that was set.
    pub async fn generate_all(
        &self,
        notes: &str,
        voices: &[Voice],
    ) -> BTreeMap<String, Result<GeneratedContent, Error>> {
        let by_name: BTreeMap<&String, &Voice> = voices.iter().map(|voice| (&voice.name, voice)).collect();
        let jobs: Vec<(&str, &Voice)> = by_name.values().map(|voice| (notes, *voice)).collect();
        let outcomes = self.outcomes(&jobs).await;
        by_name.into_keys().cloned().zip(outcomes).collect()
    }

    /// Generates the copy for each of `jobs` (notes and a voice). Returns the contents and the errors separately, each with the
    /// index of its job; a failed job does not affect the others. Both lists are in the order of `jobs`.
    ///
    /// # Cancel safety
    /// The same as for [`generate_all`](Self::generate_all).
    pub async fn generate_batch(
        &self,
        jobs: &[(&str, &Voice)],
    ) -> (Vec<(usize, GeneratedContent)>, Vec<(usize, Error)>) {
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        for (index, outcome) in self.outcomes(jobs).await.into_iter().enumerate() {
            match outcome {
                Ok(made) => succeeded.push((index, made)),
                Err(err) => failed.push((index, err)),
            }
        }
        (succeeded, failed)
    }

    /// Generates the copy as [`generate`](Self::generate) does, or returns the content of the JSON file at `fallback` if the
    /// provider is unreachable, overloaded or timed out, or its circuit breaker is open.
    ///
    /// # Errors
    /// The errors of [`generate`](Self::generate) for every other failure; `Files` if the file cannot be read, `Config` if its
    /// content is invalid.
    ///
    /// # Cancel safety
    /// The same as for [`generate`](Self::generate).
    pub async fn generate_with_fallback(
        &self,
        notes: &str,
        voice: &Voice,
        fallback: &Path,
    ) -> Result<GeneratedContent, Error> {
        let err = match self.generate(notes, voice).await {
            Err(err) if err.provider().is_some_and(is_unreachable) => err,
            outcome => return outcome,
        };
        let text = antiphon_fs::read_to_string(fallback).await.map_err(Error::files)?;
        let mut content = Content::parse(&fallback.display().to_string(), &text.text)?;
        voice.apply(&mut content);
        let instead_of = err.into_provider();
        Ok(GeneratedContent { content, removed: Vec::new(), usage: Usage::default(), instead_of })
    }

    /// Runs a batch of notes, and returns one outcome for each job, in order. A job that was left when the run stopped,
    /// or that could not be started at all, has the cause of the stop as its outcome.
    async fn outcomes(&self, jobs: &[(&str, &Voice)]) -> Vec<Result<GeneratedContent, Error>> {
        let mut made: Vec<JobContent> = jobs.iter().map(|_| None).collect();
        let stop = match self.run(jobs, &mut made).await {
            Ok(stop) => stop,
            Err(err) => Some(StopCause::Internal(err.to_string())),
        };
        let left = || match &stop {
            Some(stop) => Err(antiphon_engine::Error::stopped(stop.clone(), None).into()),
            None => Err(Error::internal("the job ended without an outcome")),
        };
        made.into_iter().map(|made| made.unwrap_or_else(left)).collect()
    }

    /// Runs a batch of notes, and stores the outcome of each job at its index in `made`.
    async fn run(
        &self,
        jobs: &[(&str, &Voice)],
        made: &mut [JobContent],
    ) -> Result<Option<StopCause>, Error> {
        let work = recipe().asking(&self.model)?;
        let rows = jobs.iter().map(|(notes, voice)| ContentRow::new("notes", *notes, voice).row());
        let batch = JobBatch::new("content", rows.collect());
        let store = self.store.clone().unwrap_or_else(Store::in_memory);
        let run = batch.open(&store, &self.calls, &*work).await?;
        let journal = Journal::new(store, run.clone());
        let ran = Engine::run_all(self.calls.clone(), journal, work, self.options.clone(), |_| ()).await;
        let BatchOutcome { outcomes, stop, .. } = ran.map_err(Error::store)?;
        let stored = run.jobs(0, jobs.len()).await.map_err(Error::store)?;
        collect(jobs, made, stored, outcomes);
        finish(&run, stop.as_ref()).await;
        Ok(stop)
    }
}

/// Returns whether a provider could not be reached or is out of service, so that a fallback is better than an error.
fn is_unreachable(err: &LlmError) -> bool {
    matches!(
        err.kind(),
        LlmErrorKind::CircuitOpen { .. }
            | LlmErrorKind::Connect
            | LlmErrorKind::Tls
            | LlmErrorKind::Unavailable
            | LlmErrorKind::Overloaded { .. }
            | LlmErrorKind::Timeout { .. }
    )
}

/// Puts the outcomes of jobs at their indices in `made`. Those in the store are results from before this call, and
/// those that another worker of the run stored in the meantime; outcomes of this call replace them, since they have
/// errors with their causes, and usage.
fn collect(
    jobs: &[(&str, &Voice)],
    made: &mut [JobContent],
    stored: Vec<JobRecord>,
    outcomes: Vec<JobOutcome>,
) {
    for (place, job) in made.iter_mut().zip(stored) {
        *place = stored_content(job, jobs);
    }
    for outcome in outcomes {
        let at = usize::try_from(outcome.index).unwrap_or(usize::MAX);
        let (Some(place), Some((notes, voice))) = (made.get_mut(at), jobs.get(at)) else { continue };
        *place = Some(made_content(outcome, notes, voice));
    }
}

/// Returns the content, or the failure, that the store has of a job. Its usage is zero, since no call of this process
/// paid for it.
fn stored_content(job: JobRecord, jobs: &[(&str, &Voice)]) -> JobContent {
    let at = usize::try_from(job.index).unwrap_or(usize::MAX);
    match (job.state, job.result, job.error) {
        (JobState::Accepted, Some(result), _) => {
            let (notes, voice) = jobs.get(at)?;
            Some(content_of(&result, Usage::new(Some(0), Some(0)), notes, voice))
        }
        (JobState::Failed, _, Some((_, message))) => Some(Err(Error::internal(message))),
        _ => None,
    }
}

/// Returns the content of a job that ended in this process, or its failure.
fn made_content(outcome: JobOutcome, notes: &str, voice: &Voice) -> Result<GeneratedContent, Error> {
    let JobOutcome { result, seen, .. } = outcome;
    match result {
        Ok(result) => {
            let usage = seen.usage.unwrap_or(Usage::new(Some(0), Some(0)));
            content_of(&result, usage, notes, voice)
        }
        Err(failed) => Err(Error::from_job(failed)),
    }
}

/// Stores how a run ended. A failure is only logged, since the outcomes belong to the caller in any case.
async fn finish(run: &Run, stop: Option<&StopCause>) {
    let status = if stop.is_none() { RunStatus::Finished } else { RunStatus::Stopped };
    let report = json!({ "schema": "antiphon.batch/1", "stopped_by": stop.map(|stop| (stop.name(), stop.to_string())) });
    if let Err(err) = run.finish(status, report.to_string()).await {
        tracing::warn!("cannot store the end of run {}: {err}", run.record().id);
    }
}

/// Returns the content of a stored result, after grounding and the voice's rules.
fn content_of(result: &str, usage: Usage, notes: &str, voice: &Voice) -> Result<GeneratedContent, Error> {
    let answer = serde_json::from_str(result).map_err(|err| Error::internal(err.to_string()))?;
    let (content, removed) = Content::of_answer(answer, notes, voice)?;
    Ok(GeneratedContent { content, removed, usage, instead_of: None })
}
