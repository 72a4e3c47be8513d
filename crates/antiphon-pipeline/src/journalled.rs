mod distil;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_llm::{
    Asking, Calls, Completion, Error as LlmError, ErrorKind as LlmErrorKind, Output, Prompt, Rejected,
    Schema, Usage,
};
use antiphon_store::{JobState, NewRun, Run, RunStatus, Store, Tally};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::distil::Spent;
use crate::asking::{Distinct, REPLACEMENTS, Took};
use crate::error::Error;
use crate::persona::{self, Count, Refused};
use crate::pipeline::{Generation, Outcome, Pipeline, Prepared, millis, now};
use crate::report::Report;
use crate::watched::{Watched, Words};
use antiphon_engine::ErrorKind;
use antiphon_engine::{Engine, Options, Stop, Unfit, Work};

/// Where a generation is journalled, and how its calls are made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Journal {
    /// The provider, which makes each call once.
    pub calls: Calls,
    /// The store of the run.
    pub store: Store,
    /// How the engine works. What a [`GenerationConfig`](crate::GenerationConfig) or the pipeline says goes before it:
    /// prices, deadline, and what stops it.
    pub options: Options,
}

impl Journal {
    /// Calls that are journalled in `store`.
    #[must_use]
    pub fn new(calls: Calls, store: Store, options: Options) -> Self {
        Self { calls, store, options }
    }
}

impl Prepared {
    /// The path of its documents.
    #[must_use]
    pub fn input(&self) -> String {
        self.config.data_path.display().to_string()
    }

    /// The run of this fingerprint: the newest one, or with `fresh` a new one. It has one job, and a job that failed is
    /// queued again. `request` is kept with it, as JSON.
    ///
    /// # Errors
    /// `Store` where the journal cannot be used, or another process works on the run.
    ///
    /// # Cancel safety
    /// A dropped call may leave a run without a job, which the next call of this method gives it.
    pub async fn open(&mut self, store: &Store, request: &Value, fresh: bool) -> Result<Arc<Run>, Error> {
        self.fresh = fresh;
        let new = NewRun::new(self.fingerprint.to_string());
        let new = new.request("generate", request.to_string()).fresh(fresh);
        let run = store.open_run(new).await.map_err(Error::store)?;
        self.take(run).await
    }

    /// The run with this id, which has to be of the same fingerprint.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Config` for a run of something else.
    ///
    /// # Cancel safety
    /// As [`open`](Self::open).
    pub async fn resume(&mut self, store: &Store, id: &str) -> Result<Arc<Run>, Error> {
        let run = store.take_run(id).await.map_err(Error::store)?;
        if run.record().fingerprint != self.fingerprint.to_string() {
            let message = format!(
                "run {id} cannot be gone on with: its documents, its provider, its model or its parameters are not what \
                 they were"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        self.take(run).await
    }

    async fn take(&mut self, run: Run) -> Result<Arc<Run>, Error> {
        self.run_id = run.record().id.parse().map_err(|_| unreadable(&run, "its id is no UUID"))?;
        run.retry_failed().await.map_err(Error::store)?;
        if run.tally().await.map_err(Error::store)?.jobs() == 0 {
            let row = json!({ "input": self.input() });
            run.enqueue(vec![row.to_string()]).await.map_err(Error::store)?;
            run.seal().await.map_err(Error::store)?;
        }
        Ok(Arc::new(run))
    }
}

impl Pipeline {
    /// Asks for the personas of what was prepared, in a run from [`Prepared::open`]: the call is in the journal before it is
    /// sent, and its answer before it is told. Where an answer is there already, nothing is asked. Of a list that was
    /// cut, whole personas are kept, and only the others asked for again.
    ///
    /// # Errors
    /// As [`Pipeline::generate`]; `Store` where the journal cannot be written; `Budget` where nothing is left of it.
    ///
    /// # Cancel safety
    /// Hangs up. A call under way counts as possibly billed when the run is opened again.
    pub async fn run_in(&self, mut prepared: Prepared, run: Arc<Run>, journal: Journal) -> Outcome {
        if let Some(answer) = accepted(&run).await? {
            return self.made_before(prepared, (&run, &journal), answer).await;
        }
        let began = now();
        let capabilities = self.capabilities(&prepared).await;
        let (distilled, spent) = self.distil_in(&mut prepared, capabilities, &journal).await;
        let mut report = self.report(&prepared, capabilities);
        let begun = match distilled {
            Ok(()) => self.begin(&prepared, capabilities, &mut report).await,
            Err(err) => Err(err),
        };
        let answer = match begun {
            Ok(()) => {
                let mut journal = journal;
                if let Some(most) = &mut journal.options.max_cost {
                    *most = most.saturating_sub(spent.settled.saturating_add(spent.possible));
                }
                let (answer, took, refused) = self.ask_in(&prepared, run.clone(), journal).await?;
                report.refused = refused;
                self.tell(&mut report, with(took, &spent), answer.is_ok());
                answer
            }
            Err(err) => {
                let tally = run.tally().await.map_err(Error::store)?;
                Pipeline::note(&mut report, with(took(&tally, Seen::default()), &spent));
                Err(err)
            }
        };
        report.timings.generate_ms = millis(now().duration_since(began));
        self.end(prepared, report, answer).await
    }

    /// How the engine works for a generation.
    fn options(&self, prepared: &Prepared, journal: &Journal) -> Options {
        let mut options = journal.options.clone();
        (options.pricing, options.deadline) = (self.pricing.clone(), prepared.deadline);
        (options.drain, options.cancel) = (self.drain.clone(), prepared.config.cancel.clone());
        options
    }

    /// The generation of an answer that an earlier process got.
    async fn made_before(
        &self,
        mut prepared: Prepared,
        (run, journal): (&Run, &Journal),
        answer: Value,
    ) -> Outcome {
        let earlier = run.record().report.as_deref().filter(|_| run.record().status == RunStatus::Finished);
        let earlier = earlier.and_then(|report| serde_json::from_str::<Report>(report).ok());
        if let Some(mut report) = earlier {
            let timings = report.timings;
            let personas = self.verify(&prepared, answer, &mut report).await?;
            report.timings = timings;
            return Ok(Generation { personas, report, documents: prepared.documents });
        }
        let capabilities = self.capabilities(&prepared).await;
        // What was distilled is in its journal; it is read again for the report.
        let (distilled, spent) = self.distil_in(&mut prepared, capabilities, journal).await;
        distilled?;
        let mut report = self.report(&prepared, capabilities);
        let tally = run.tally().await.map_err(Error::store)?;
        // What no answer told is not known.
        let usage = if tally.input_tokens == 0 { Usage::default() } else { Usage::new(Some(0), Some(0)) };
        let took = took(&tally, Seen { usage: Some(usage), ..Seen::default() });
        self.tell(&mut report, with(took, &spent), true);
        self.end(prepared, report, Ok(answer)).await
    }

    /// What the engine made of the one job. The outer error is the journal's.
    async fn ask_in(
        &self,
        prepared: &Prepared,
        run: Arc<Run>,
        journal: Journal,
    ) -> Result<(Result<Value, Error>, Took, Vec<Refused>), Error> {
        let has_budget = journal.options.max_cost.is_some();
        let (drawing, words) = (Arc::new(Drawing::new(prepared, has_budget)), Words::default());
        let (on_event, so_far) = (self.on_event.clone(), words.clone());
        let calls = journal.calls.clone().layer(|inner| Arc::new(Watched { inner, on_event, words: so_far }));
        let mut options = self.options(prepared, &journal);
        // Earlier runs are found as runs. An answer that reached the limit of tokens with its last word is whole.
        (options.cache, options.allow_cut) = (false, true);
        let (ended, mut results) = mpsc::channel(1);
        let store = (journal.store, run.clone());
        let engine =
            Engine::new(calls, store, drawing.clone(), options, ended).await.map_err(Error::store)?;
        let stop = engine.work(None).await;
        let mut seen = std::mem::take(&mut *drawing.seen());
        let answer = match (results.try_recv(), stop) {
            (Ok(row), _) => match row.result {
                Ok(result) => serde_json::from_str(&result).map_err(|err| unreadable(&run, &err.to_string())),
                Err(_) if seen.replacements > 0 && seen.value.is_some() => {
                    seen.value.take().ok_or_else(|| Error::internal("personas were there, and are not"))
                }
                Err(failed) => Err(match failed.cause {
                    Some(err) => Error::from_provider(err),
                    None => Error::internal(failed.message),
                }),
            },
            // What was paid for is not thrown away because it cannot be noted: whoever keeps it will be told.
            (Err(_), Some(Stop::Store(err))) => seen.value.take().ok_or_else(|| Error::store(err)),
            (Err(_), Some(stop)) => Err(stopped(stop, words.take())),
            (Err(_), None) => Err(Error::internal("the job ended without a result")),
        };
        let tally = run.tally().await.map_err(Error::store)?;
        let refused = std::mem::take(&mut seen.refused);
        Ok((answer, took(&tally, seen), refused))
    }
}

/// The JSON of an answer that is in the journal.
async fn accepted(run: &Run) -> Result<Option<Value>, Error> {
    let jobs = run.jobs(0, 1).await.map_err(Error::store)?;
    let job = jobs.into_iter().find(|job| job.state == JobState::Accepted);
    let Some(result) = job.and_then(|job| job.result) else { return Ok(None) };
    serde_json::from_str(&result).map(Some).map_err(|err| unreadable(run, &err.to_string()))
}

fn unreadable(run: &Run, why: &str) -> Error {
    Error::internal(format!("run {} cannot be read from the journal: {why}", run.record().id))
}

/// Why the engine stopped, with the words that had come.
fn stopped(stop: Stop, words: String) -> Error {
    let message = stop.to_string();
    let with_words = |err: LlmError| match err.partial() {
        Some(_) => Error::from_provider(err),
        None => Error::from_provider(err.with_partial(Completion::new(words))),
    };
    match stop {
        Stop::Provider(err) => with_words(err),
        Stop::Interrupted => with_words(LlmError::new(LlmErrorKind::Cancelled, "the call was cancelled")),
        Stop::Saturated { retry_after } => {
            let kind = LlmErrorKind::RateLimited { retry_after: Some(retry_after) };
            with_words(LlmError::new(kind, message))
        }
        Stop::Budget { .. } => Error::new(ErrorKind::Budget, message),
        Stop::Store(err) => Error::store(err),
        _ => Error::internal(message),
    }
}

/// What all calls of a run took: money and tokens from the journal, which knows of earlier processes, too.
fn took(tally: &Tally, seen: Seen) -> Took {
    let mut usage = seen.usage.unwrap_or(Usage::new(Some(0), Some(0)));
    // What answers do not tell is not known of all calls together.
    usage.input = usage.input.map(|_| tally.input_tokens);
    usage.output = usage.output.map(|_| tally.output_tokens);
    Took {
        calls: u32::try_from(tally.calls).unwrap_or(u32::MAX),
        usage,
        cost_usd_micros: (!tally.cost_unknown).then_some(tally.settled),
        may_cost_more: tally.lost > 0,
        served_model: seen.model,
        first_token: seen.first_token,
    }
}

/// What the calls of a run took, with what its documents' distillation did.
fn with(mut took: Took, spent: &Spent) -> Took {
    took.calls = took.calls.saturating_add(u32::try_from(spent.calls).unwrap_or(u32::MAX));
    took.usage.input = took.usage.input.map(|tokens| tokens + spent.input_tokens);
    took.usage.output = took.usage.output.map(|tokens| tokens + spent.output_tokens);
    took.cost_usd_micros =
        took.cost_usd_micros.filter(|_| !spent.cost_unknown).map(|cost| cost + spent.settled);
    took.may_cost_more |= spent.lost > 0;
    took
}

/// The work of the one job of a generation.
#[derive(Debug)]
struct Drawing {
    prompt: Prompt,
    schema: Schema,
    /// The same for a list of any length.
    list: Schema,
    count: Count,
    max_similarity: f64,
    seen: Mutex<Seen>,
}

/// What answers told besides their text.
#[derive(Debug, Default)]
struct Seen {
    usage: Option<Usage>,
    model: Option<String>,
    first_token: Option<Duration>,
    /// The newest answer that fits.
    value: Option<Value>,
    refused: Vec<Refused>,
    /// How often others were asked for.
    replacements: u32,
}

impl Seen {
    /// Notes what an answer told besides its text.
    fn note(&mut self, answer: &Completion) {
        match &mut self.usage {
            Some(usage) => *usage += answer.usage,
            None => self.usage = Some(answer.usage),
        }
        self.model.clone_from(&answer.head.model);
        self.first_token = answer.timing.first_token;
    }

    /// Whoever has some personas already is not left without them because others in their place did not come.
    fn value_or(&self, rejected: Rejected) -> Result<Value, Unfit> {
        match &self.value {
            Some(value) if self.replacements > 0 => Ok(value.clone()),
            _ => Err(rejected.into()),
        }
    }

    /// Notes what was refused; a model may give the same again and again.
    fn refuse(&mut self, refused: Vec<Refused>) {
        let new = refused.into_iter().filter(|refused| !self.refused.contains(refused)).collect::<Vec<_>>();
        self.refused.extend(new);
    }
}

impl Drawing {
    fn new(prepared: &Prepared, has_budget: bool) -> Self {
        /// Tokens that one persona may take under a budget, hidden reasoning included, where nobody said how many.
        const MOST_TOKENS: u64 = 4_000;
        let (schema, count) = (prepared.schema.clone(), prepared.config.count);
        let mut prompt = prepared.prompt.clone().output(Output::Json(schema.clone()));
        if has_budget {
            let most = MOST_TOKENS.saturating_mul(count.likely() as u64);
            prompt.parameters.max_tokens.get_or_insert(most);
        }
        let max_similarity = prepared.config.recipe.max_similarity;
        let list = persona::unbounded(&schema);
        Self { prompt, schema, list, count, max_similarity, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Drawing {
    fn prompt(&self, _row: &str) -> Result<Prompt, String> {
        Ok(self.prompt.clone())
    }

    fn read(&self, _row: (u64, &str), answer: &Completion) -> Result<Value, Unfit> {
        let read = Asking::default().read(answer, &self.list);
        let mut seen = self.seen();
        if read != Err(Rejected::Cut) {
            // What is whole of a cut answer comes once more.
            seen.note(answer);
        }
        let mut distinct = match read {
            Ok((value, _)) => Distinct::of(&value, self.max_similarity),
            Err(rejected) => return seen.value_or(rejected),
        };
        if distinct.refused.is_empty()
            // Nothing but the answer is to blame for its length.
            && let Err(rejected) = Asking::default().read(answer, &self.schema)
        {
            return seen.value_or(rejected);
        }
        distinct.kept.truncate(self.count.most());
        let (value, reasons) = (distinct.answer(), distinct.reasons());
        seen.refuse(distinct.refused);
        seen.value = Some(value.clone());
        if distinct.kept.len() < self.count.least() && seen.replacements < REPLACEMENTS {
            seen.replacements += 1;
            return Err(Unfit::Part(distinct.kept, reasons));
        }
        // Fewer that differ are of more use than none: the report tells what is missing.
        Ok(value)
    }

    fn list(&self) -> Option<&str> {
        Some("/personas")
    }
}
