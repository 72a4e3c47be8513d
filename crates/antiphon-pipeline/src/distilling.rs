use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_llm::{Capabilities, Error as LlmError, ErrorKind as LlmErrorKind, Output, Prompt, Schema};
use antiphon_runtime::Runner;
use serde_json::Value;

use crate::asking::Took;
use crate::config::Distil;
use crate::error::Error;
use crate::persona::distil::{
    Digest, LEAST_BYTES, PartSize, Portion, digest_bytes, findings, portions, schema,
};
use crate::pipeline::{Pipeline, Prepared};
use crate::report::{Distilled, FailureReport};

/// Parts that are asked about at once, where nothing journals them.
const AT_ONCE: usize = 8;

/// The parts of documents that do not fit, and what is asked about each.
pub(crate) struct Parts {
    window: u64,
    /// Tokens that an answer about one of them has at most, roughly.
    answer_tokens: u64,
    portions: Vec<Portion>,
    pub(crate) schema: Schema,
    pub(crate) prompts: Vec<Prompt>,
}

/// What came of asking about all parts.
pub(crate) struct Noted {
    /// An answer for each, or why there is none.
    pub(crate) answers: Vec<Result<Value, LlmError>>,
    pub(crate) calls: u32,
    pub(crate) cost_usd_micros: Option<u64>,
}

impl Prepared {
    /// Tokens that stand beside the documents: the answer, and what is said on top of the task.
    fn beside(&self) -> u64 {
        let recipe = &self.config.recipe;
        let answer = recipe.parameters.max_tokens.unwrap_or(self.likely_answer());
        let instructions = recipe.instructions.as_deref().map_or(0, str::len);
        answer.saturating_add(instructions.div_ceil(4) as u64)
    }

    /// The parts to ask about first; `None` where everything fits, or nothing is to be distilled.
    pub(crate) fn parts(&self, capabilities: Capabilities) -> Result<Option<Parts>, Error> {
        let Some(window) = capabilities.context_window.filter(|_| self.config.distil == Distil::Auto) else {
            return Ok(None);
        };
        let answer = self.beside();
        let fits = self.estimated_tokens.saturating_add(answer) <= window;
        // Where not even the answer fits, no part of the documents would.
        let is_enough = digest_bytes(window, answer) >= LEAST_BYTES;
        let Some(size) = PartSize::of(window).filter(|_| !fits && is_enough) else {
            return Ok(None);
        };
        let portions = portions(&self.documents, size.bytes);
        let schema = schema(size.findings).map_err(Error::from_provider)?;
        let output = Output::Json(schema.clone());
        let prompt = |portion: &Portion| {
            portion.prompt(&self.config, &self.documents, size.findings).output(output.clone())
        };
        let prompts = portions.iter().map(prompt).collect();
        Ok(Some(Parts { window, answer_tokens: size.answer_tokens(), portions, schema, prompts }))
    }

    /// Calls, and tokens that would be sent and come back, roughly.
    pub(crate) fn likely_calls(&self, capabilities: Capabilities) -> Result<(u32, u64, u64), Error> {
        let answer = self.likely_answer();
        let Some(parts) = self.parts(capabilities)? else { return Ok((1, self.estimated_tokens, answer)) };
        let asked: u64 = parts.prompts.iter().map(Prompt::estimated_tokens).sum();
        let count = parts.prompts.len() as u64;
        let digest = digest_bytes(parts.window, self.beside()) / 4;
        let calls = u32::try_from(count + 1).unwrap_or(u32::MAX);
        Ok((calls, asked + digest, count * parts.answer_tokens + answer))
    }

    /// Puts the most telling of what was found in the documents' place.
    pub(crate) async fn condense(&mut self, parts: Parts, noted: Noted) -> Result<(), Error> {
        let Parts { window, portions, .. } = parts;
        let (documents, config) = (self.documents.clone(), self.config.clone());
        let answer = self.beside();
        let Noted { answers, calls, cost_usd_micros } = noted;
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
    /// Distils documents that do not fit, and tells what that took, also where it failed.
    pub(crate) async fn distil(
        &self,
        prepared: &mut Prepared,
        capabilities: Capabilities,
    ) -> (Result<(), Error>, Took) {
        let parts = match prepared.parts(capabilities) {
            Ok(Some(parts)) => parts,
            Ok(None) => return (Ok(()), Took::nothing()),
            Err(err) => return (Err(err), Took::nothing()),
        };
        self.distils(&parts).await;
        let unprepared: &Prepared = prepared;
        // What stops one part stops all: a key that is wrong is not tried a hundred times.
        let is_over = AtomicBool::new(false);
        let ask = async |prompt: &Prompt| {
            if is_over.load(Ordering::Relaxed) || self.drain.is_cancelled() {
                let err = LlmError::new(LlmErrorKind::Cancelled, "not asked: the run was asked to stop");
                return (Err(err), Took::nothing());
            }
            let (answer, took) = self.ask_once(unprepared, prompt, &parts.schema).await;
            if let Err(err) = &answer {
                let stops = matches!(
                    err.kind(),
                    LlmErrorKind::Auth
                        | LlmErrorKind::Quota
                        | LlmErrorKind::ModelNotFound
                        | LlmErrorKind::Cancelled
                );
                is_over.fetch_or(stops, Ordering::Relaxed);
            }
            (answer, took)
        };
        let asked = parts.prompts.iter().map(ask);
        let asked = Runner::new(AT_ONCE).gather(asked).await;
        let (mut took, mut answers) = (Took::nothing(), Vec::new());
        for one in asked {
            match one {
                Ok((answer, more)) => {
                    took = took.and(more);
                    answers.push(answer);
                }
                Err(err) => return (Err(Error::from_panic(&err)), took),
            }
        }
        let noted = Noted { answers, calls: took.calls, cost_usd_micros: took.cost_usd_micros };
        (prepared.condense(parts, noted).await, took)
    }

    /// Tells that documents do not fit, and what is done about it.
    pub(crate) async fn distils(&self, parts: &Parts) {
        let (count, window) = (parts.prompts.len(), parts.window);
        let message = format!(
            "the documents are more than the {window} tokens that the model takes: findings are drawn from {count} parts of \
             them first"
        );
        self.step(2, message).await;
    }
}
