//! Preparation of a run: documents are loaded, anonymised, and put into a prompt.
//!
//! Documents have two sources: files, in [`Pipeline::prepare`], or the row of a stored run, in
//! [`Pipeline::prepare_stored`]. Both become `Sources` and then, in `Pipeline::prepare_from`, a [`Prepared`]. So a run
//! that is resumed from its store has the prompt that it had when it was started, even if the files changed or are
//! gone. Anonymisation comes before the sources: neither the store nor a provider ever gets the original text.

use std::sync::Arc;
use std::time::Duration;

use antiphon_data::{Anonymiser, Document, Failure, Loaded, Loader, PossibleMiss, Replacement};
use antiphon_engine::{ErrorKind, RunEvent};
use antiphon_llm::{CallContext, Deadline};
use jiff::Timestamp;

use crate::blocking::{blocking, shutting_down};
use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::{self, Count, Rules};
use crate::pipeline::{Pipeline, Prepared, now};
use crate::report::{self, FailureReport};
use crate::run::Sources;
use crate::runs::{Fingerprint, RunId};
use crate::voices::{Voices, parse_options};

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
        check_request(config)?;
        self.check_drain()?;
        let began = now();
        self.step(1, format!("loading {}", config.short_input_name())).await;
        let Loaded { documents, failures, skipped, .. } = self.load(config).await?;
        if config.encoding.is_none() {
            decoded_events(&documents).for_each(|event| (self.on_event)(event));
        }
        let unknown = parse_options(&config.recipe).unknown_names(&documents);
        let (documents, replaced, possible_misses) = match config.anonymiser.clone() {
            Some(anonymiser) => anonymised(anonymiser, documents).await?,
            None => (documents, Vec::new(), Vec::new()),
        };
        let voices = Voices { unknown, ..Voices::of(&documents) };
        voices.check(config)?;
        let skipped = report::names(&skipped);
        let event = loaded_event(&documents, &failures, skipped.clone(), voices);
        let input = config.input_name();
        let failures = left_out(config, failures.iter().map(FailureReport::from).collect());
        let skipped = skipped_names(config, skipped);
        let replaced_count = config.anonymiser.is_some().then_some(replaced.len());
        let sources =
            Sources { input, documents, failures, skipped, replaced: replaced_count, possible_misses };
        let prepared = self.prepare_from(config, sources)?;
        (self.on_event)(event);
        Ok(Prepared { replaced, load_time: now().duration_since(began), ..prepared })
    }

    /// Loads the documents under the configuration's data paths, with an event for each step of the progress.
    async fn load(&self, config: &GenerationConfig) -> Result<Loaded, Error> {
        let on_event = self.on_event.clone();
        let options = parse_options(&config.recipe).encoding(config.encoding);
        let loader = Loader::new().options(options).links(config.links.clone()).cancel(config.cancel.clone());
        let loader = loader.on_progress(move |done, total| {
            on_event(RunEvent::Loading { done: done as u64, total: total as u64 });
        });
        let context = CallContext::default().cancel(config.cancel.clone());
        let loaded = context.guard(loader.load_paths(&config.data_paths)).await;
        loaded.map_err(Error::from_provider)?.map_err(Error::input)
    }

    /// Builds the prompt and the schema for loaded documents. The run gets a new id, which the store's replaces once
    /// the run is opened, and its deadline begins.
    pub(crate) fn prepare_from(
        &self,
        config: &GenerationConfig,
        sources: Sources,
    ) -> Result<Prepared, Error> {
        let Sources { documents, failures, skipped, replaced, possible_misses, .. } = sources;
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
            possible_misses,
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

/// Refuses a number of personas that cannot be met, and rules that cannot be compiled, before any file is read.
fn check_request(config: &GenerationConfig) -> Result<(), Error> {
    if !config.count.is_possible() {
        let message = format!("{} personas cannot be made: ask for 1 to {}", config.count, Count::MOST);
        return Err(Error::new(ErrorKind::Config, message));
    }
    Rules::new(&config.recipe.rules).map(drop)
}

/// Returns the event for loaded documents. Unlike the report and the store, the event has the real names of unusable
/// and skipped files even if the documents are anonymised: it is for the caller, who has the files.
pub(crate) fn loaded_event(
    documents: &[Document],
    failures: &[Failure],
    skipped: Vec<String>,
    voices: Voices,
) -> RunEvent {
    let Voices { speakers, unclear, unknown } = voices;
    RunEvent::Loaded {
        documents: documents.len() as u64,
        bytes: documents.iter().map(|document| document.text.len() as u64).sum(),
        failures: failures.iter().map(ToString::to_string).collect(),
        skipped,
        speakers,
        unclear,
        unknown_speakers: unknown,
    }
}

/// Returns an event for each document that is not UTF-8, with its real name, as in [`loaded_event`].
fn decoded_events(documents: &[Document]) -> impl Iterator<Item = RunEvent> {
    let others = documents.iter().filter(|document| document.encoding != "UTF-8");
    others.map(|document| RunEvent::Decoded {
        file: document.name.clone(),
        encoding: document.encoding.to_string(),
    })
}

/// Returns the skipped files for the report. With an anonymiser only their number is reported, since their names may be
/// people's.
fn skipped_names(config: &GenerationConfig, skipped: Vec<String>) -> Vec<String> {
    match config.anonymiser {
        Some(_) => vec![format!("{} files of other kinds", skipped.len())],
        None => skipped,
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

/// Documents without personal data, what was replaced in them, and the words that may be names and were kept.
pub(crate) type WithoutNames = (Vec<Document>, Vec<Replacement>, Vec<PossibleMiss>);

/// Returns the documents as an anonymiser leaves them.
pub(crate) async fn anonymised(
    anonymiser: Anonymiser,
    documents: Vec<Document>,
) -> Result<WithoutNames, Error> {
    let made = blocking(move || anonymiser.review(&documents)).await.ok_or_else(shutting_down)?;
    Ok((made.documents, made.replaced, made.possible_misses))
}
