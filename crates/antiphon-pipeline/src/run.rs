//! A persona run: opening it in a store, and the one job that it has.
//!
//! ```text
//! open ──> accepted answer? ──yes──────────────────────────────> verify ──> report
//!               │ no                                               ^
//!               └──> distil, if needed ──> job on the engine ──────┘
//! ```
//!
//! The job's row has the documents (`Sources`), so that any process with the store can continue the run without the
//! files. The engine stores the intent of each call before it is sent and the answer before it is reported
//! (write-ahead), so that a process that dies loses at most the answer of the call in flight. The distillation is a run
//! of its own, which other persona runs over the same documents share; its expense is added to the report of the run
//! that caused it.

use std::sync::Arc;

use antiphon_data::{Document, PossibleMiss};
use antiphon_engine::{BatchOutcome, Engine, ErrorKind, JobDetails, JobOutcome, Journal, Options, RunEvent};
use antiphon_store::{JobState, NewRun, Run, RunStatus, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call_summary::{CallSummary, Expense};
use crate::config::{GenerationConfig, Grounding};
use crate::error::Error;
use crate::persona::Duplicate;
use crate::persona_work::{PersonaWork, duplicates, left_out};
use crate::pipeline::{Generation, Outcome, Pipeline, Prepared, millis, now};
use crate::prepare::loaded_event;
use crate::report::{FailureReport, Report};
use crate::reporting::{PartialText, Reporting};
use crate::runs::pretty;
use crate::voices::Voices;

/// The kind of a persona run in the store.
pub(crate) const KIND: &str = "personas";

/// The row of a persona run: the whole input of its only job, so that another process needs no file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sources {
    /// The documents' paths, as they were given, separated by commas.
    pub(crate) input: String,
    /// The documents, anonymised if that was configured.
    pub(crate) documents: Vec<Document>,
    /// Files that could not be used.
    pub(crate) failures: Vec<FailureReport>,
    /// Files of other kinds.
    pub(crate) skipped: Vec<String>,
    /// Number of names and numbers that were taken out; `None` without an anonymiser.
    pub(crate) replaced: Option<usize>,
    /// Words that may be names and were kept; empty without an anonymiser.
    #[serde(default)]
    pub(crate) possible_misses: Vec<PossibleMiss>,
}

impl Prepared {
    /// Returns the paths of the documents for people, separated by commas.
    #[must_use]
    pub fn input(&self) -> String {
        self.config.input_name()
    }

    /// Opens the run of this fingerprint: the newest one, or a new one if the configuration is `fresh`. It has one job, whose
    /// row holds the documents; a job that failed is queued again. `request` is stored with it, as JSON.
    ///
    /// # Errors
    /// `Store` if the store cannot be used.
    ///
    /// # Cancel safety
    /// A dropped call may leave a run without a job; the next call of this method adds it.
    pub async fn open(&mut self, store: &Store, request: &str) -> Result<Arc<Run>, Error> {
        let new = NewRun::new(self.fingerprint.to_string());
        let new = new.request(KIND, request).fresh(self.config.fresh);
        let run = store.open_run(new).await.map_err(Error::store)?;
        self.take(run).await
    }

    /// Resumes the run with this id, whose fingerprint has to be the same.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open); `Config` if the fingerprint differs.
    ///
    /// # Cancel safety
    /// The same as for [`open`](Self::open).
    pub async fn resume(&mut self, store: &Store, id: &str) -> Result<Arc<Run>, Error> {
        let run = store.join_run(id).await.map_err(Error::store)?;
        if run.record().fingerprint != self.fingerprint.to_string() {
            let message = format!(
                "cannot resume run {id}: its documents, recipe, provider, model or parameters changed"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        self.take(run).await
    }

    /// Takes over the id of a run, queues its failed job again, and adds the job if the run is new. Another process may
    /// add it at the same time: the store has it once.
    async fn take(&mut self, run: Run) -> Result<Arc<Run>, Error> {
        self.run_id = run.record().id.parse().map_err(|_| unreadable(&run, "its id is not a UUID"))?;
        run.retry_failed().await.map_err(Error::store)?;
        // A call that was dropped may have left a run without its job, or without its total.
        if run.record().total.is_none() {
            let row = serde_json::to_string(&self.sources());
            let row = row.map_err(|err| Error::internal(err.to_string()))?;
            run.enqueue_from(0, vec![row]).await.map_err(Error::store)?;
            run.seal().await.map_err(Error::store)?;
        }
        Ok(Arc::new(run))
    }

    /// Returns the row of the run's job.
    fn sources(&self) -> Sources {
        Sources {
            input: self.input(),
            documents: self.documents.to_vec(),
            failures: self.failures.clone(),
            skipped: self.skipped.clone(),
            replaced: self.config.anonymiser.is_some().then_some(self.replaced_count),
            possible_misses: self.possible_misses.clone(),
        }
    }
}

impl Pipeline {
    /// Prepares a run from the documents that are stored with it; `None` for a run of an earlier version, which stored
    /// their path alone.
    ///
    /// # Errors
    /// The errors of [`prepare`](Self::prepare), and `Store`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn prepare_stored(
        &self,
        config: &GenerationConfig,
        run: &Run,
    ) -> Result<Option<Prepared>, Error> {
        let jobs = run.jobs(0, 1).await.map_err(Error::store)?;
        let sources = jobs.first().and_then(|job| serde_json::from_str::<Sources>(&job.row).ok());
        let Some(sources) = sources else { return Ok(None) };
        // Failures and skipped files were reported when the run was started.
        let event = loaded_event(&sources.documents, &[], Vec::new(), Voices::of(&sources.documents));
        let prepared = self.prepare_from(config, sources)?;
        (self.on_event)(event);
        Ok(Some(prepared))
    }

    /// Generates personas from prepared documents, in a run that [`Prepared::open`] opened. The intent of each call is stored
    /// before the call is sent (write-ahead), and its answer before it is reported. A run that already has its answer makes no
    /// call. If an answer is cut, its whole personas are kept, and only the missing ones are requested.
    ///
    /// # Errors
    /// Those of the provider; `Store` if the store cannot be written; `Budget` and `Deadline` if they stop the run; `Cancelled`.
    ///
    /// # Cancel safety
    /// A dropped call closes the connection to the provider. A call in flight counts as possibly billed when the run is opened
    /// again.
    pub async fn run_in(&self, mut prepared: Prepared, run: Arc<Run>, store: Store) -> Outcome {
        let paid = Expense::of(&run.tally().await.map_err(Error::store)?);
        let resumed = paid.calls > 0;
        (self.on_event)(RunEvent::Started { run_id: run.record().id.clone(), resumed });
        if let Some(answer) = accepted(&run).await? {
            return self.generation_of_answer(prepared, &run, &store, answer).await;
        }
        let began = now();
        let capabilities = self.capabilities(&prepared).await;
        let (distilled, spent) = self.distil(&mut prepared, capabilities, &store, &paid).await;
        let mut report = self.report(&prepared, capabilities);
        let started = match distilled {
            Ok(()) => self.begin(&prepared, capabilities, &mut report).await,
            Err(err) => Err(err),
        };
        let answer = match started {
            Ok(()) => {
                let mut options = self.options(&prepared);
                if let Some(most) = &mut options.limits.max_cost {
                    *most = most.saturating_sub(spent.most());
                }
                let JobResult { answer, took, duplicates, left_out } =
                    self.run_job(&prepared, store, run.clone(), options).await?;
                (report.duplicates, report.left_out) = (duplicates, left_out);
                self.emit_report(&mut report, took.with(&spent), answer.as_ref().err());
                answer
            }
            Err(err) => {
                let tally = run.tally().await.map_err(Error::store)?;
                Self::add_summary(&mut report, CallSummary::of(&tally, &JobDetails::default()).with(&spent));
                Err(err)
            }
        };
        report.timings.generate_ms = millis(now().duration_since(began));
        self.end(prepared, report, answer).await
    }

    /// Sets the number of fallbacks that may be called for one prompt, so that a budget covers all of them: see
    /// [`Options::fallbacks`]. Default: 0.
    #[must_use]
    pub fn fallbacks(mut self, fallbacks: u32) -> Self {
        self.options.fallbacks = fallbacks;
        self
    }

    /// Returns the engine's options for a run.
    pub(crate) fn options(&self, prepared: &Prepared) -> Options {
        let mut options = self.options.clone();
        options.pricing = self.pricing.clone();
        options.limits = prepared.config.limits;
        options.limits.deadline = prepared.deadline.remaining(now());
        (options.drain, options.cancel) = (self.drain.clone(), prepared.config.cancel.clone());
        // Evidence from a part of the documents is not what strict grounding promises.
        options.strict = prepared.config.recipe.grounding == Grounding::Strict;
        options
    }

    /// Returns the outcome of an answer that an earlier process received. The report is the one of a finished run, with
    /// its original timings, and with the files that cannot be used now: the same documents may be beside others than
    /// before. Of a run that was interrupted after its answer, it is a new one with the cost from the store.
    async fn generation_of_answer(
        &self,
        mut prepared: Prepared,
        run: &Run,
        store: &Store,
        answer: Value,
    ) -> Outcome {
        if let Some(mut report) = finished_report(run) {
            let timings = report.timings;
            set_unused_files(&mut report, &prepared);
            let personas = self.verify(&prepared, answer, &mut report).await?;
            report.timings = timings;
            return Ok(Generation { personas, report, documents: prepared.documents });
        }
        let capabilities = self.capabilities(&prepared).await;
        let spent = self.earlier_distillation(&mut prepared, store).await?;
        let mut report = self.report(&prepared, capabilities);
        let tally = run.tally().await.map_err(Error::store)?;
        self.emit_report(&mut report, CallSummary::of(&tally, &JobDetails::default()).with(&spent), None);
        self.end(prepared, report, Ok(answer)).await
    }

    /// Runs the only job on the engine. The outer error is the store's.
    ///
    /// The calls are wrapped to report each chunk of the answer and to keep its text: if the run is stopped, that is
    /// the partial answer of the error.
    async fn run_job(
        &self,
        prepared: &Prepared,
        store: Store,
        run: Arc<Run>,
        mut options: Options,
    ) -> Result<JobResult, Error> {
        let words = PartialText::default();
        let (on_event, so_far) = (self.on_event.clone(), words.clone());
        let calls = self.calls.clone().layer(|inner| Arc::new(Reporting { inner, on_event, words: so_far }));
        // Earlier answers are found by their run. An answer that reaches the token limit with its last token is whole.
        (options.cache, options.allow_cut) = (false, true);
        let work = Arc::new(PersonaWork::new(prepared));
        let ran = Engine::run_all(calls, Journal::new(store, run.clone()), work, options, |_| ()).await;
        let BatchOutcome { mut outcomes, stop, .. } = ran.map_err(Error::store)?;
        let (answer, seen) = match (outcomes.pop(), stop) {
            (Some(JobOutcome { result, seen, .. }), _) => (result_of(result, &run), seen),
            (None, Some(stop)) => {
                let stopped = antiphon_engine::Error::stopped(stop, Some(words.take()));
                (Err(stopped.into()), JobDetails::default())
            }
            // Another worker finished the job.
            (None, None) => (Self::result_of_other_worker(&run).await?, JobDetails::default()),
        };
        for warning in &seen.warnings {
            (self.on_event)(RunEvent::Warning { message: warning.message.clone() });
        }
        let tally = run.tally().await.map_err(Error::store)?;
        let (duplicates, left_out) = (duplicates(&seen.notes), left_out(&seen.notes));
        Ok(JobResult { answer, took: CallSummary::of(&tally, &seen), duplicates, left_out })
    }

    /// Returns the result, or the failure, that another worker of the run stored. The outer error is the store's.
    async fn result_of_other_worker(run: &Run) -> Result<Result<Value, Error>, Error> {
        let job = run.jobs(0, 1).await.map_err(Error::store)?.pop();
        Ok(match job.map(|job| (job.result, job.error)) {
            Some((Some(result), None)) => result_of(Ok(result), run),
            Some((_, Some((kind, message)))) => {
                Err(Error::internal(format!("the job failed in another process: {kind}: {message}")))
            }
            _ => Err(Error::internal("the job ended without a result")),
        })
    }
}

/// The result of a run's job.
struct JobResult {
    answer: Result<Value, Error>,
    /// All calls of the run, those of earlier processes included.
    took: CallSummary,
    /// Personas that were rejected in this process.
    duplicates: Vec<Duplicate>,
    /// The number of personas beyond the number that was asked for.
    left_out: usize,
}

/// Returns the report that a finished run has in the store; `None` for a run that is not finished.
fn finished_report(run: &Run) -> Option<Report> {
    let report = run.record().report.as_deref().filter(|_| run.record().status == RunStatus::Finished);
    report.and_then(|report| serde_json::from_str(report).ok())
}

/// Replaces the files that a report lists as not used by those of `prepared`; failures of the job stay.
fn set_unused_files(report: &mut Report, prepared: &Prepared) {
    report.failures.retain(|failure| failure.document.is_none());
    report.failures.splice(..0, prepared.failures.iter().cloned());
    report.skipped.clone_from(&prepared.skipped);
}

/// Returns the JSON of a job's result, or the error of its failure.
fn result_of(result: Result<String, antiphon_engine::JobFailure>, run: &Run) -> Result<Value, Error> {
    match result {
        Ok(result) => serde_json::from_str(&result).map_err(|err| unreadable(run, &err.to_string())),
        Err(failed) => Err(Error::from_job(failed)),
    }
}

/// Returns the JSON of an answer that is in the store; `None` while the job has none.
async fn accepted(run: &Run) -> Result<Option<Value>, Error> {
    let jobs = run.jobs(0, 1).await.map_err(Error::store)?;
    let job = jobs.into_iter().find(|job| job.state == JobState::Accepted);
    let Some(result) = job.and_then(|job| job.result) else { return Ok(None) };
    serde_json::from_str(&result).map(Some).map_err(|err| unreadable(run, &err.to_string()))
}

/// Creates the error for a run whose record or result is not of the expected form.
fn unreadable(run: &Run, why: &str) -> Error {
    Error::internal(format!("run {} cannot be read from the store: {why}", run.record().id))
}

/// Stores the end of a run, for callers without a front end that does so after it has written the results. A failure is only
/// logged: the answer is paid for, and the next start finds it in the store.
pub(crate) async fn finish(run: &Run, outcome: &Outcome) {
    let (status, report) = match outcome {
        Ok(_) if run.record().status == RunStatus::Finished => return,
        Ok(made) => (RunStatus::Finished, &made.report),
        Err(err) => match err.report() {
            Some(report) => (RunStatus::Stopped, report),
            None => return,
        },
    };
    let stored = match pretty(report) {
        Ok(text) => run.finish(status, text).await.map_err(Error::store),
        Err(err) => Err(err),
    };
    if let Err(err) = stored {
        tracing::warn!("could not store the end of run {}: {err}", run.record().id);
    }
}

/// Returns a minimal request, for runs without one from a front end: enough to distinguish runs in a list.
pub(crate) fn plain_request(prepared: &Prepared) -> String {
    json!({ "input": prepared.input(), "recipe": prepared.config.recipe.name, "model": prepared.config.model })
        .to_string()
}
