use std::sync::Arc;

use antiphon_llm::{
    Asking, CacheKey, Capabilities, Completion, Cut, Error as LlmError, ErrorKind as LlmErrorKind, Prompt,
    Schema,
};
use antiphon_store::{JobState, NewRun, Run, RunStatus, Tally};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Journal, stopped};
use crate::distilling::{Noted, Parts};
use crate::error::Error;
use crate::pipeline::{Pipeline, Prepared};
use antiphon_engine::{Engine, Unfit, Work};

/// What a distillation cost this generation, or all that asked for it before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spent {
    pub(super) calls: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) settled: u64,
    pub(super) possible: u64,
    pub(super) cost_unknown: bool,
    pub(super) lost: u64,
}

impl Spent {
    fn all(tally: &Tally) -> Self {
        Self {
            calls: tally.calls,
            input_tokens: tally.input_tokens,
            output_tokens: tally.output_tokens,
            settled: tally.settled,
            possible: tally.possible,
            cost_unknown: tally.cost_unknown,
            lost: tally.lost,
        }
    }

    /// What was added since it was `before`.
    fn since(self, before: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(before.calls),
            input_tokens: self.input_tokens.saturating_sub(before.input_tokens),
            output_tokens: self.output_tokens.saturating_sub(before.output_tokens),
            settled: self.settled.saturating_sub(before.settled),
            possible: self.possible.saturating_sub(before.possible),
            cost_unknown: self.cost_unknown && self.calls > before.calls,
            lost: self.lost.saturating_sub(before.lost),
        }
    }
}

impl Pipeline {
    /// Distils documents that do not fit, in a run of its own: whatever is drawn from the same documents later finds what was
    /// found in them. The second value is what it cost, also where it failed.
    pub(super) async fn distil_in(
        &self,
        prepared: &mut Prepared,
        capabilities: Capabilities,
        journal: &Journal,
    ) -> (Result<(), Error>, Spent) {
        let parts = match prepared.parts(capabilities) {
            Ok(Some(parts)) => parts,
            Ok(None) => return (Ok(()), Spent::default()),
            Err(err) => return (Err(err), Spent::default()),
        };
        let (noted, spent) = match self.note_parts(prepared, &parts, journal).await {
            Ok((noted, spent)) => (noted, spent),
            Err(err) => return (Err(err), Spent::default()),
        };
        match noted {
            Ok(noted) => (prepared.condense(parts, noted).await, spent),
            Err(err) => (Err(err), spent),
        }
    }

    /// The outer error is the journal's.
    async fn note_parts(
        &self,
        prepared: &Prepared,
        parts: &Parts,
        journal: &Journal,
    ) -> Result<(Result<Noted, Error>, Spent), Error> {
        self.distils(parts).await;
        let run = self.open_parts(prepared, parts, journal).await.map_err(Error::store)?;
        let before = run.tally().await.map_err(Error::store)?;
        let baseline = self.baseline(prepared, &before, journal).await.map_err(Error::store)?;
        let total = parts.prompts.len();
        let (ended, mut results) = mpsc::channel(64);
        let work = Arc::new(Parting { prompts: parts.prompts.clone(), schema: parts.schema.clone() });
        let mut options = self.options(prepared, journal);
        options.cache = !prepared.fresh;
        if let Some(most) = &mut options.max_cost {
            // The engine counts all that was ever spent on this run; others' part of it is not this generation's.
            *most = most.saturating_add(baseline.settled).saturating_add(baseline.possible);
        }
        let store = (journal.store.clone(), run.clone());
        let engine =
            Engine::new(journal.calls.clone(), store, work, options, ended).await.map_err(Error::store)?;
        let mut done = usize::try_from(before.accepted).unwrap_or(usize::MAX);
        let stop = {
            let mut working = std::pin::pin!(engine.work(None));
            loop {
                tokio::select! {
                    stop = &mut working => break stop,
                    Some(row) = results.recv() => {
                        done += usize::from(row.result.is_ok());
                        if done < total {
                            self.step(2, format!("{done} of {total} parts distilled")).await;
                        }
                    }
                }
            }
        };
        let tally = run.tally().await.map_err(Error::store)?;
        let spent = Spent::all(&tally).since(&baseline);
        if let Some(stop) = stop {
            return Ok((Err(stopped(stop, String::new())), spent));
        }
        self.step(2, format!("{} of {total} parts distilled", tally.accepted)).await;
        let noted = Noted {
            answers: answers(&run, total).await.map_err(Error::store)?,
            calls: u32::try_from(tally.calls).unwrap_or(u32::MAX),
            cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
        };
        let report = json!({ "schema": "antiphon.distil/1", "parts": total, "failed": tally.failed });
        run.finish(RunStatus::Finished, report.to_string()).await.map_err(Error::store)?;
        Ok((Ok(noted), spent))
    }

    /// What others had spent on these parts when this generation first asked about them.
    async fn baseline(
        &self,
        prepared: &Prepared,
        before: &Tally,
        journal: &Journal,
    ) -> Result<Spent, antiphon_store::Error> {
        let name = format!("distil-baseline/{}", prepared.run_id);
        let known = journal.store.recall(name.clone()).await?;
        if let Some(known) = known.and_then(|note| serde_json::from_str(&note).ok()) {
            return Ok(known);
        }
        let baseline = Spent::all(before);
        journal.store.remember(name, json!(baseline).to_string()).await?;
        Ok(baseline)
    }

    /// The run of these questions. What failed of it is asked again.
    async fn open_parts(
        &self,
        prepared: &Prepared,
        parts: &Parts,
        journal: &Journal,
    ) -> Result<Arc<Run>, antiphon_store::Error> {
        let scope = journal.calls.provider().scope();
        let mut hash = blake3::Hasher::new();
        hash.update(b"distil/1");
        for prompt in &parts.prompts {
            hash.update(&CacheKey::of(&scope, prompt).bytes());
        }
        let note = json!({ "input": prepared.input(), "recipe": "distil", "model": prepared.config.model });
        let new = NewRun::new(hash.finalize().to_hex().to_string());
        let new = new.request("generate/distil", note.to_string()).fresh(prepared.fresh);
        let run = journal.store.open_run(new).await?;
        run.retry_failed().await?;
        if run.tally().await?.jobs() == 0 {
            let rows = (0..parts.prompts.len()).map(|part| json!({ "part": part }).to_string());
            run.enqueue(rows.collect()).await?;
            run.seal().await?;
        }
        Ok(Arc::new(run))
    }
}

/// The answer about each part, or why there is none.
async fn answers(run: &Run, total: usize) -> Result<Vec<Result<Value, LlmError>>, antiphon_store::Error> {
    let jobs = run.jobs(0, total).await?;
    let answer = |job: antiphon_store::JobRecord| match (job.state, job.result, job.error) {
        (JobState::Accepted, Some(result), _) => serde_json::from_str(&result)
            .map_err(|err| LlmError::new(LlmErrorKind::InvalidResponse, err.to_string())),
        (_, _, Some((kind, message))) => Err(LlmError::new(kind_of(&kind), message)),
        _ => Err(LlmError::new(LlmErrorKind::Unavailable, "no answer came")),
    };
    Ok(jobs.into_iter().map(answer).collect())
}

/// What a caller can do about a failure of this name.
fn kind_of(name: &str) -> LlmErrorKind {
    match name {
        "context_too_long" => LlmErrorKind::ContextTooLong,
        "filtered" => LlmErrorKind::Filtered,
        "refused" => LlmErrorKind::Refused,
        "invalid_request" => LlmErrorKind::InvalidRequest,
        "truncated" => LlmErrorKind::Truncated { cause: Cut::MaxTokens },
        "schema_mismatch" => LlmErrorKind::SchemaMismatch,
        _ => LlmErrorKind::Unavailable,
    }
}

/// The work of asking about each part.
#[derive(Debug)]
struct Parting {
    prompts: Vec<Prompt>,
    schema: Schema,
}

impl Work for Parting {
    fn prompt(&self, row: &str) -> Result<Prompt, String> {
        let row: Value = serde_json::from_str(row).map_err(|err| err.to_string())?;
        let part = row["part"].as_u64().and_then(|part| usize::try_from(part).ok());
        let prompt = part.and_then(|part| self.prompts.get(part));
        prompt.cloned().ok_or_else(|| "it names no part of the documents".to_owned())
    }

    fn read(&self, _row: (u64, &str), answer: &Completion) -> Result<Value, Unfit> {
        Ok(Asking::default().read(answer, &self.schema)?.0)
    }

    fn list(&self) -> Option<&str> {
        Some("/findings")
    }
}
