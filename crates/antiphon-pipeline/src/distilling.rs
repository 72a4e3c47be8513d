//! The calls of a distillation: one for each part of documents that exceed the model's context, in a run of their own.
//!
//! The run is shared. Its fingerprint is made from the prompts about the parts, so that persona runs over the same
//! documents find its results, whatever their count and instructions, and pay only for what is missing. That needs some
//! accounting, by notes in the store under the id of the persona run:
//!
//! | note | content | purpose |
//! |---|---|---|
//! | `distil-baseline/<run>` | the expense of the shared run before this run used it | the rest is this run's own |
//! | `distilled/<run>` | outcome, failures and expense | the report of a resumed run that has its answer already |
//!
//! The parts, the prompts and the choice of findings are in `crate::persona::distil`.

use std::pin::pin;
use std::sync::Arc;

use antiphon_data::Document;
use antiphon_engine::{Engine, InvalidRow, JobBatch, JobOutcome, Journal, Options, StopCause, Work};
use antiphon_llm::{
    Capabilities, Error as LlmError, ErrorKind as LlmErrorKind, Output, Prompt, TruncationCause,
};
use antiphon_store::{JobState, Run, RunStatus, Store, Tally};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::blocking::{blocking, shutting_down};
use crate::call_summary::Expense;
use crate::config::{Distil, GenerationConfig};
use crate::error::Error;
use crate::persona::digest::Digest;
use crate::persona::distil::{MIN_BYTES, PartSize, Portion, digest_bytes, findings, portions, schema};
use crate::pipeline::{Pipeline, Prepared};
use crate::report::{Distilled, FailureReport};

/// The parts of documents that do not fit into the model's context window, with the prompt about each.
pub(crate) struct Parts {
    /// The size of the context window, in tokens.
    window: u64,
    /// Maximum tokens of an answer about one part, roughly.
    answer_tokens: u64,
    portions: Vec<Portion>,
    /// One prompt for each portion.
    pub(crate) prompts: Vec<Prompt>,
}

/// The answers about all parts, with their cost.
pub(crate) struct PartAnswers {
    /// The answer about each part, or the reason why there is none.
    pub(crate) answers: Vec<Result<Value, LlmError>>,
    /// All calls of the shared run, those of other persona runs included.
    pub(crate) calls: u32,
    /// The cost of those calls; `None` if a price is not known.
    pub(crate) cost_usd_micros: Option<u64>,
}

impl Prepared {
    /// Tokens of the context window that are reserved for the answer and the recipe's instructions.
    fn reserved_tokens(&self) -> u64 {
        let recipe = &self.config.recipe;
        let answer = recipe.parameters.max_tokens.unwrap_or(self.estimated_answer_tokens());
        let instructions = recipe.instructions.as_deref().map_or(0, str::len);
        answer.saturating_add(instructions.div_ceil(4) as u64)
    }

    /// Returns the size of the parts for a context of `window` tokens; `None` if everything fits into it, or if not
    /// even the answer fits: then no part of the documents does.
    fn part_size(&self, window: u64) -> Option<PartSize> {
        let answer = self.reserved_tokens();
        let fits = self.estimated_tokens.saturating_add(answer) <= window;
        let is_enough = digest_bytes(window, answer) >= MIN_BYTES;
        PartSize::of(window).filter(|_| !fits && is_enough)
    }

    /// Returns the parts to distil first; `None` if everything fits, or distilling is off or impossible. Documents that
    /// do not fit and cannot be distilled are refused before the call, by `check_context`.
    pub(crate) fn parts(&self, capabilities: Capabilities) -> Result<Option<Parts>, Error> {
        let Some(window) = capabilities.context_window.filter(|_| self.config.distil == Distil::Auto) else {
            return Ok(None);
        };
        let Some(size) = self.part_size(window) else { return Ok(None) };
        let portions = portions(&self.documents, size.bytes);
        let schema = schema(size.findings).map_err(Error::from_provider)?;
        let output = Output::Json(schema);
        let prompt = |portion: &Portion| {
            portion.prompt(&self.config, &self.documents, size.findings).output(output.clone())
        };
        let prompts = portions.iter().map(prompt).collect();
        Ok(Some(Parts { window, answer_tokens: size.answer_tokens(), portions, prompts }))
    }

    /// Estimates the calls, the input tokens and the output tokens, in this order.
    pub(crate) fn likely_calls(&self, capabilities: Capabilities) -> Result<(u32, u64, u64), Error> {
        let answer = self.estimated_answer_tokens();
        let Some(parts) = self.parts(capabilities)? else { return Ok((1, self.estimated_tokens, answer)) };
        let asked: u64 = parts.prompts.iter().map(Prompt::estimated_tokens).sum();
        let count = parts.prompts.len() as u64;
        let digest = digest_bytes(parts.window, self.reserved_tokens()) / 4;
        let calls = u32::try_from(count + 1).unwrap_or(u32::MAX);
        Ok((calls, asked + digest, count * parts.answer_tokens + answer))
    }

    /// Replaces the documents in the prompt by the most significant of the verified findings. The documents themselves
    /// stay: the citations of the personas are verified against them.
    ///
    /// # Errors
    /// The error of the first part without an answer, or `SchemaMismatch`, if there is not one verified finding.
    /// Otherwise a part without an answer is a failure in the report.
    pub(crate) async fn condense(&mut self, parts: Parts, noted: PartAnswers) -> Result<(), Error> {
        let PartAnswers { answers, calls, cost_usd_micros } = noted;
        let count = parts.portions.len();
        let condensing = self.condensing(parts, answers);
        let condensed = blocking(move || condensing.condense()).await;
        let Condensed { prompt, used, findings, unverified, failures, first_error } =
            condensed.ok_or_else(shutting_down)?;
        if used == 0 {
            return Err(Error::from_provider(first_error.unwrap_or_else(|| without_findings(count))));
        }
        self.failures.extend(failures);
        self.estimated_tokens = prompt.estimated_tokens();
        self.prompt = prompt;
        self.distilled = Some(Distilled { parts: count, findings, used, unverified, calls, cost_usd_micros });
        Ok(())
    }

    /// Collects what is needed to condense the answers about all parts on a blocking thread.
    fn condensing(&self, parts: Parts, answers: Vec<Result<Value, LlmError>>) -> Condensing {
        let Parts { window, portions, .. } = parts;
        let (documents, config) = (self.documents.clone(), self.config.clone());
        let most_bytes = digest_bytes(window, self.reserved_tokens());
        Condensing { portions, answers, documents, config, most_bytes }
    }
}

/// The answers about all parts, with what is needed to build the prompt over their findings.
struct Condensing {
    portions: Vec<Portion>,
    /// One answer for each portion.
    answers: Vec<Result<Value, LlmError>>,
    documents: Arc<[Document]>,
    config: GenerationConfig,
    /// The space for findings in the prompt.
    most_bytes: u64,
}

/// The prompt over the verified findings, and their numbers.
struct Condensed {
    prompt: Prompt,
    /// Number of findings in the prompt.
    used: usize,
    /// Number of different verified findings.
    findings: usize,
    unverified: usize,
    /// The parts without an answer.
    failures: Vec<FailureReport>,
    /// The error of the first part without an answer.
    first_error: Option<LlmError>,
}

impl Condensing {
    /// Verifies the findings in the answers, and builds the prompt over the most representative ones. CPU-bound.
    fn condense(self) -> Condensed {
        let count = self.portions.len();
        let (mut noted, mut failures, mut first_error) = (Vec::new(), Vec::new(), None);
        for (number, (portion, answer)) in (1..).zip(self.portions.iter().zip(self.answers)) {
            match answer {
                Ok(answer) => noted.extend(portion.noted(answer)),
                Err(err) => {
                    failures.push(part_failure(number, count, &err));
                    first_error.get_or_insert(err);
                }
            }
        }
        let (findings, unverified) = findings(noted, &self.documents);
        let digest = Digest::of(findings, &self.documents, self.config.count.likely(), self.most_bytes);
        let (used, findings) = (digest.used, digest.distinct);
        Condensed { prompt: digest.prompt(&self.config), used, findings, unverified, failures, first_error }
    }
}

/// Returns the failure of a part, by its number from 1. Of the error only the first line is reported.
fn part_failure(number: usize, count: usize, err: &LlmError) -> FailureReport {
    let why = err.to_string();
    let why = why.lines().next().unwrap_or_default();
    FailureReport::of_job(format!("part {number} of {count} of the documents was not distilled: {why}"))
}

/// Creates the error for answers of which no finding could be verified.
fn without_findings(count: usize) -> LlmError {
    let message = format!("nothing that a participant said was found in {count} parts of the documents");
    LlmError::new(LlmErrorKind::SchemaMismatch, message)
}

impl Pipeline {
    /// Distils documents that do not fit, in a separate run, whose findings later runs over the same documents reuse. `paid`
    /// is the expense so far of the run that needs them. The second value is the expense of distilling, also if it fails.
    pub(crate) async fn distil(
        &self,
        prepared: &mut Prepared,
        capabilities: Capabilities,
        store: &Store,
        paid: &Expense,
    ) -> (Result<(), Error>, Expense) {
        let parts = match prepared.parts(capabilities) {
            Ok(Some(parts)) => parts,
            Ok(None) => return (Ok(()), Expense::default()),
            Err(err) => return (Err(err), Expense::default()),
        };
        let (noted, spent) = match self.answer_parts(prepared, &parts, store, paid).await {
            Ok((Ok(noted), spent)) => (noted, spent),
            Ok((Err(err), spent)) => return (Err(err), spent),
            Err(err) => return (Err(err), Expense::default()),
        };
        let before = prepared.failures.len();
        if let Err(err) = prepared.condense(parts, noted).await {
            return (Err(err), spent);
        }
        let outcome = DistilOutcome {
            distilled: prepared.distilled.clone(),
            failures: prepared.failures.split_at(before).1.to_vec(),
            spent: spent.clone(),
        };
        let kept = store.set_note(outcome_name(prepared), json!(outcome).to_string()).await;
        (kept.map_err(Error::store), spent)
    }

    /// Loads the outcome of an earlier process' distillation, for a run whose answer is in the store, and returns its expense.
    pub(crate) async fn earlier_distillation(
        &self,
        prepared: &mut Prepared,
        store: &Store,
    ) -> Result<Expense, Error> {
        let known = store.note(outcome_name(prepared)).await.map_err(Error::store)?;
        let known = known.and_then(|outcome| serde_json::from_str(&outcome).ok());
        let DistilOutcome { distilled, failures, spent } = known.unwrap_or_default();
        prepared.distilled = distilled;
        prepared.failures.extend(failures);
        Ok(spent)
    }

    /// Gets the answers about all parts, and the expense of this run for them. The outer error is the store's; the inner one
    /// reports what stopped the run.
    async fn answer_parts(
        &self,
        prepared: &Prepared,
        parts: &Parts,
        store: &Store,
        paid: &Expense,
    ) -> Result<(Result<PartAnswers, Error>, Expense), Error> {
        self.report_parts(parts).await;
        let (work, total) = (Arc::new(DistilWork { prompts: parts.prompts.clone() }), parts.prompts.len());
        // Other runs that distil the same documents share this run and its results.
        let run = parts_batch(prepared, total).open(store, &self.calls, &*work).await?;
        let before = run.tally().await.map_err(Error::store)?;
        let baseline = baseline(prepared, &before, store).await.map_err(Error::store)?;
        let options = self.parts_options(prepared, paid, &baseline);
        let progress = PartProgress { done: usize::try_from(before.accepted).unwrap_or(usize::MAX), total };
        let stop = self.run_parts(Journal::new(store.clone(), run.clone()), work, options, progress).await?;
        let tally = run.tally().await.map_err(Error::store)?;
        let spent = Expense::of(&tally).since(&baseline);
        if let Some(stop) = stop {
            return Ok((Err(antiphon_engine::Error::stopped(stop, None).into()), spent));
        }
        self.step(2, format!("{} of {total} parts distilled", tally.accepted)).await;
        let noted = finish_parts(&run, &tally, total).await.map_err(Error::store)?;
        Ok((Ok(noted), spent))
    }

    /// Returns the engine's options for the parts, with the budget that is left for them.
    ///
    /// The engine counts everything that was ever spent on the shared run. The baseline was spent by other runs, and
    /// does not count against the budget of this one; `paid`, the expense of this run so far, does.
    fn parts_options(&self, prepared: &Prepared, paid: &Expense, baseline: &Expense) -> Options {
        let mut options = self.options(prepared);
        options.cache = !prepared.config.fresh;
        if let Some(most) = &mut options.limits.max_cost {
            *most = most.saturating_sub(paid.most()).saturating_add(baseline.most());
        }
        options
    }

    /// Runs the jobs of all parts, and reports the number of finished ones.
    async fn run_parts(
        &self,
        journal: Journal,
        work: Arc<DistilWork>,
        options: Options,
        progress: PartProgress,
    ) -> Result<Option<StopCause>, Error> {
        let (done, mut counted) = watch::channel(progress.done);
        let count = |outcome: &JobOutcome| {
            if outcome.result.is_ok() {
                done.send_modify(|done| *done += 1);
            }
        };
        let mut running = pin!(Engine::run_all(self.calls.clone(), journal, work, options, count));
        loop {
            tokio::select! {
                ran = &mut running => return Ok(ran.map_err(Error::store)?.stop),
                Ok(()) = counted.changed() => {
                    let done = *counted.borrow_and_update();
                    if done < progress.total {
                        self.step(2, format!("{done} of {} parts distilled", progress.total)).await;
                    }
                }
            }
        }
    }

    /// Reports that documents do not fit and are distilled.
    async fn report_parts(&self, parts: &Parts) {
        let (count, window) = (parts.prompts.len(), parts.window);
        let message = format!(
            "the documents exceed the model's context window of {window} tokens: distilling {count} parts first"
        );
        self.step(2, message).await;
    }
}

/// Returns the batch with one row for each part. Its prompts are its identity in the store.
fn parts_batch(prepared: &Prepared, total: usize) -> JobBatch {
    let rows = (0..total).map(|part| json!({ "part": part }).to_string());
    let mut batch = JobBatch::new(KIND, rows.collect());
    batch.fresh = prepared.config.fresh;
    let request = json!({ "input": prepared.input(), "recipe": "distil", "model": prepared.config.model });
    batch.request = request.to_string();
    batch
}

/// Reads the answers about all parts, and finishes their run. Parts without an answer do not keep it from being
/// finished.
async fn finish_parts(run: &Run, tally: &Tally, total: usize) -> Result<PartAnswers, antiphon_store::Error> {
    let noted = PartAnswers {
        answers: answers(run, total).await?,
        calls: u32::try_from(tally.calls).unwrap_or(u32::MAX),
        cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
    };
    let report = json!({ "schema": "antiphon.distil/1", "parts": total, "failed": tally.failed });
    run.finish(RunStatus::Finished, report.to_string()).await?;
    Ok(noted)
}

/// The number of distilled parts, and of all parts.
#[derive(Debug, Clone, Copy)]
struct PartProgress {
    done: usize,
    total: usize,
}

/// The stored outcome of a distillation for one run, for a later process that finds the run's answer in the store.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct DistilOutcome {
    distilled: Option<Distilled>,
    failures: Vec<FailureReport>,
    spent: Expense,
}

/// Returns the name of the note with the outcome of the distillation for a run.
fn outcome_name(prepared: &Prepared) -> String {
    format!("distilled/{}", prepared.run_id)
}

/// The kind of a distillation run in the store; it is a part of other runs.
const KIND: &str = "personas/distil";

/// Returns the expense of other runs for these parts before this run first asked about them. Stored, so that a resumed run
/// has the same baseline.
async fn baseline(
    prepared: &Prepared,
    before: &Tally,
    store: &Store,
) -> Result<Expense, antiphon_store::Error> {
    let name = format!("distil-baseline/{}", prepared.run_id);
    let known = store.note(name.clone()).await?;
    if let Some(known) = known.and_then(|note| serde_json::from_str(&note).ok()) {
        return Ok(known);
    }
    let baseline = Expense::of(before);
    store.set_note(name, json!(baseline).to_string()).await?;
    Ok(baseline)
}

/// Returns the answer about each part, or the reason why there is none.
async fn answers(run: &Run, total: usize) -> Result<Vec<Result<Value, LlmError>>, antiphon_store::Error> {
    let jobs = run.jobs(0, total).await?;
    let answer = |job: antiphon_store::JobRecord| match (job.state, job.result, job.error) {
        (JobState::Accepted, Some(result), _) => serde_json::from_str(&result)
            .map_err(|err| LlmError::new(LlmErrorKind::InvalidResponse, err.to_string())),
        (_, _, Some((kind, message))) => Err(LlmError::new(kind_of(&kind), message)),
        _ => Err(LlmError::new(LlmErrorKind::Unavailable, "no answer was received")),
    };
    Ok(jobs.into_iter().map(answer).collect())
}

/// Returns the error kind for the stored name of a failure. Names that say nothing about the documents count as
/// unavailable.
fn kind_of(name: &str) -> LlmErrorKind {
    match name {
        "context_too_long" => LlmErrorKind::ContextTooLong,
        "filtered" => LlmErrorKind::Filtered,
        "refused" => LlmErrorKind::ModelRefusal,
        "invalid_request" => LlmErrorKind::InvalidRequest,
        "truncated" => LlmErrorKind::Truncated { cause: TruncationCause::MaxTokens },
        "schema_mismatch" => LlmErrorKind::SchemaMismatch,
        _ => LlmErrorKind::Unavailable,
    }
}

/// The work of distilling: one prompt for each part.
#[derive(Debug)]
struct DistilWork {
    prompts: Vec<Prompt>,
}

impl Work for DistilWork {
    fn prompt(&self, row: &str) -> Result<Prompt, InvalidRow> {
        let row: Value = serde_json::from_str(row).map_err(|err| InvalidRow::new(err.to_string()))?;
        let part = row["part"].as_u64().and_then(|part| usize::try_from(part).ok());
        let prompt = part.and_then(|part| self.prompts.get(part));
        prompt.cloned().ok_or_else(|| InvalidRow::new("the row names no part of the documents"))
    }

    fn list(&self) -> Option<&str> {
        Some("/findings")
    }
}
