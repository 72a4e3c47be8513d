//! Preparation of a run: documents are loaded, anonymised, and put into a prompt.

use std::sync::Arc;
use std::time::Duration;

use antiphon_data::{Document, Loaded, Loader, Replacement};
use antiphon_engine::{ErrorKind, RunEvent};
use antiphon_llm::{CallContext, Deadline};
use jiff::Timestamp;

use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::{self, Count, Rules};
use crate::pipeline::{Pipeline, Prepared, now};
use crate::report::{self, FailureReport};
use crate::run::Sources;
use crate::runs::{Fingerprint, RunId};

impl Pipeline {
    /// Loads a configuration's documents and builds the prompt, without any call.
    ///
    /// # Errors
    /// `Config` for a count that cannot be met or a rule that cannot be used, `Input` if no document can be loaded, or
    /// `Cancelled`.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn prepare(&self, config: &GenerationConfig) -> Result<Prepared, Error> {
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        if !config.count.is_possible() {
            return Err(wrong(format!(
                "{} personas cannot be made: ask for 1 to {}",
                config.count,
                Count::MOST
            )));
        }
        Rules::new(&config.recipe.rules).map_err(wrong)?;
        if self.drain.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "run not started: it was asked to stop"));
        }
        let began = now();
        self.step(1, format!("loading {}", config.data_path.display())).await;
        let on_event = self.on_event.clone();
        let loader = Loader::new().cancel(config.cancel.clone()).on_progress(move |done, total| {
            on_event(RunEvent::Loading { done: done as u64, total: total as u64 });
        });
        let context = CallContext::default().cancel(config.cancel.clone());
        let loaded =
            context.guard(loader.load_path(&config.data_path)).await.map_err(Error::from_provider)?;
        let Loaded { documents, failures, skipped, .. } = loaded.map_err(Error::input)?;
        let (documents, replaced) = anonymised(config, documents).await?;
        let names = report::names(&skipped);
        let event = RunEvent::Loaded {
            documents: documents.len() as u64,
            bytes: documents.iter().map(|document| document.text.len() as u64).sum(),
            failures: failures.iter().map(ToString::to_string).collect(),
            skipped: names.clone(),
        };
        let sources = Sources {
            input: config.data_path.display().to_string(),
            documents,
            failures: left_out(config, failures.iter().map(FailureReport::from).collect()),
            skipped: match config.anonymiser {
                Some(_) => vec![format!("{} files of other kinds", skipped.len())],
                None => names,
            },
            replaced: config.anonymiser.is_some().then_some(replaced.len()),
        };
        let prepared = self.prepare_from(config, sources)?;
        (self.on_event)(event);
        Ok(Prepared { replaced, load_time: now().duration_since(began), ..prepared })
    }

    /// Builds the prompt and the schema for loaded documents.
    pub(crate) fn prepare_from(
        &self,
        config: &GenerationConfig,
        sources: Sources,
    ) -> Result<Prepared, Error> {
        let Sources { documents, failures, skipped, replaced, .. } = sources;
        let (documents, config) = (Arc::<[Document]>::from(documents), config.clone());
        let prompt = persona::prompt(&config, &documents);
        let schema = persona::schema(config.count, &config.recipe).map_err(Error::from_provider)?;
        let scope = self.calls.provider().scope();
        Ok(Prepared {
            fingerprint: Fingerprint::new(&prompt, &schema, &scope, &documents, &config),
            estimated_tokens: prompt.estimated_tokens(),
            prompt,
            schema,
            replaced: Vec::new(),
            replaced_count: replaced.unwrap_or_default(),
            failures,
            distilled: None,
            skipped,
            run_id: RunId::new(),
            deadline: config.limits.deadline.map_or(Deadline::none(), Deadline::after),
            config,
            documents,
            started_at: Timestamp::now(),
            load_time: Duration::ZERO,
        })
    }
}

/// Returns the files that could not be used. With an anonymiser they are numbered, since their names may be people's.
fn left_out(config: &GenerationConfig, mut failures: Vec<FailureReport>) -> Vec<FailureReport> {
    if config.anonymiser.is_some() {
        for (number, failure) in (1..).zip(&mut failures) {
            failure.document = Some(format!("file-{number:03}"));
        }
    }
    failures
}

/// Returns the documents as the configuration's anonymiser leaves them, and what it replaced.
async fn anonymised(
    config: &GenerationConfig,
    documents: Vec<Document>,
) -> Result<(Vec<Document>, Vec<Replacement>), Error> {
    let Some(anonymiser) = config.anonymiser.clone() else { return Ok((documents, Vec::new())) };
    match tokio::task::spawn_blocking(move || anonymiser.apply(&documents)).await {
        Ok(made) => Ok(made),
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Cancelled, "the runtime is shutting down")),
    }
}
