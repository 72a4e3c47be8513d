use std::pin::pin;
use std::sync::Arc;

use antiphon_engine::{Engine, InvalidRow, JobBatch, JobOutcome, Journal, Options, StopCause, Work};
use antiphon_llm::{
    Capabilities, Error as LlmError, ErrorKind as LlmErrorKind, Output, Prompt, TruncationCause,
};
use antiphon_store::{JobState, Run, RunStatus, Store, Tally};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::call_summary::Expense;
use crate::config::Distil;
use crate::error::Error;
use crate::persona::distil::{
    Digest, MIN_BYTES, PartSize, Portion, digest_bytes, findings, portions, schema,
};
use crate::pipeline::{Pipeline, Prepared};
use crate::report::{Distilled, FailureReport};

/// The parts of documents that do not fit into the model's context window, with the prompt about each.
pub(crate) struct Parts {
    window: u64,
    /// Maximum tokens of an answer about one part, roughly.
    answer_tokens: u64,
    portions: Vec<Portion>,
    pub(crate) prompts: Vec<Prompt>,
}

/// The answers about all parts, with their cost.
pub(crate) struct PartAnswers {
    /// The answer about each part, or the reason why there is none.
    pub(crate) answers: Vec<Result<Value, LlmError>>,
    pub(crate) calls: u32,
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

    /// Returns the parts to distil first; `None` if everything fits, or distilling is off or impossible.
    pub(crate) fn parts(&self, capabilities: Capabilities) -> Result<Option<Parts>, Error> {
        let Some(window) = capabilities.context_window.filter(|_| self.config.distil == Distil::Auto) else {
            return Ok(None);
        };
        let answer = self.reserved_tokens();
        let fits = self.estimated_tokens.saturating_add(answer) <= window;
        // If not even the answer fits, no part of the documents does.
        let is_enough = digest_bytes(window, answer) >= MIN_BYTES;
        let Some(size) = PartSize::of(window).filter(|_| !fits && is_enough) else {
            return Ok(None);
        };
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

    /// Replaces the documents in the prompt by the most significant of the verified findings.
    pub(crate) async fn condense(&mut self, parts: Parts, noted: PartAnswers) -> Result<(), Error> {
        let Parts { window, portions, .. } = parts;
        let (documents, config) = (self.documents.clone(), self.config.clone());
        let answer = self.reserved_tokens();
        let PartAnswers { answers, calls, cost_usd_micros } = noted;
        let count = portions.len();
        let condensed = tokio::task::spawn_blocking(move || {
            let (mut noted, mut failures) = (Vec::new(), Vec::new());
            let mut first = None;
            for (number, (portion, answer)) in (1..).zip(portions.iter().zip(answers)) {
                match answer {
                    Ok(answer) => noted.extend(portion.noted(answer)),
                    Err(err) => {
                        let why = err.to_string();
                        let why = why.lines().next().unwrap_or_default();
                        failures.push(FailureReport::of_job(format!(
                            "part {number} of {count} of the documents was not distilled: {why}"
                        )));
                        first.get_or_insert(err);
                    }
                }
            }
            let (findings, unverified) = findings(noted, &documents);
            let bytes = digest_bytes(window, answer);
            let digest = Digest::of(findings, &documents, config.count.likely(), bytes);
            let (used, distinct) = (digest.used, digest.distinct);
            (digest.prompt(&config), (used, distinct, unverified), failures, first)
        });
        let (prompt, (used, findings, unverified), failures, first) = match condensed.await {
            Ok(condensed) => condensed,
            Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
            Err(_) => return Err(Error::internal("the runtime is shutting down")),
        };
        if used == 0 {
            let message =
                format!("nothing that a participant said was found in {count} parts of the documents");
            let err = first.unwrap_or_else(|| LlmError::new(LlmErrorKind::SchemaMismatch, message));
            return Err(Error::from_provider(err));
        }
        self.failures.extend(failures);
        self.estimated_tokens = prompt.estimated_tokens();
        self.prompt = prompt;
        self.distilled = Some(Distilled { parts: count, findings, used, unverified, calls, cost_usd_micros });
        Ok(())
    }
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
        let rows = (0..total).map(|part| json!({ "part": part }).to_string());
        let mut batch = JobBatch::new(KIND, rows.collect());
        batch.fresh = prepared.config.fresh;
        batch.request =
            json!({ "input": prepared.input(), "recipe": "distil", "model": prepared.config.model })
                .to_string();
        // Other runs that distil the same documents share this run and its results.
        let run = batch.open(store, &self.calls, &*work).await?;
        let before = run.tally().await.map_err(Error::store)?;
        let baseline = baseline(prepared, &before, store).await.map_err(Error::store)?;
        let mut options = self.options(prepared);
        options.cache = !prepared.config.fresh;
        if let Some(most) = &mut options.limits.max_cost {
            // The engine counts everything that was ever spent on the shared run. The baseline was spent by other runs, and
            // does not count against this budget.
            *most = most.saturating_sub(paid.most()).saturating_add(baseline.most());
        }
        let progress = PartProgress { done: usize::try_from(before.accepted).unwrap_or(usize::MAX), total };
        let stop = self.run_parts(Journal::new(store.clone(), run.clone()), work, options, progress).await?;
        let tally = run.tally().await.map_err(Error::store)?;
        let spent = Expense::of(&tally).since(&baseline);
        if let Some(stop) = stop {
            return Ok((Err(antiphon_engine::Error::stopped(stop, None).into()), spent));
        }
        self.step(2, format!("{} of {total} parts distilled", tally.accepted)).await;
        let noted = PartAnswers {
            answers: answers(&run, total).await.map_err(Error::store)?,
            calls: u32::try_from(tally.calls).unwrap_or(u32::MAX),
            cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
        };
        let report = json!({ "schema": "antiphon.distil/1", "parts": total, "failed": tally.failed });
        run.finish(RunStatus::Finished, report.to_string()).await.map_err(Error::store)?;
        Ok((Ok(noted), spent))
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

/// Returns the error kind for the stored name of a failure.
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
