//! Estimates, and the generation of many data sets or experiments with one configuration.

use std::path::PathBuf;
use std::sync::Arc;

use antiphon_llm::{Provider, Usage};
use antiphon_runtime::Runner;
use antiphon_store::RunStatus;
use serde::Serialize;

use crate::config::GenerationConfig;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::persona::Personas;
use crate::pipeline::{Outcome, Pipeline, Prepared};
use crate::report::FailureReport;
use crate::runs::RunFolder;

/// A generator of personas for many data sets: a [`Pipeline`] with one configuration, of which only the data path varies. For a
/// single data set use [`Pipeline::generate`].
///
/// ```
/// # use std::sync::Arc;
/// # use antiphon_pipeline::{GenerationConfig, PersonaGenerator, Pipeline};
/// # async fn made(provider: Arc<dyn antiphon_llm::Provider>) -> Result<(), antiphon_pipeline::Error> {
/// let pipeline = Pipeline::new(provider).on_progress(|step, steps, message| async move {
///     println!("{step}/{steps} {message}");
/// });
/// let generator = PersonaGenerator::new(pipeline, GenerationConfig::new("", "some-model").count(4));
/// let outcomes = generator.generate_batch(["spring/", "autumn/"], 2).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PersonaGenerator {
    pipeline: Pipeline,
    config: GenerationConfig,
}

/// The estimated calls, tokens and cost of a generation, before any call is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GenerationEstimate {
    /// The documents' path.
    pub input: String,
    /// Number of documents that can be used.
    pub documents: usize,
    /// Files that cannot be used, each with the reason.
    pub failures: Vec<String>,
    /// The number of calls, if the first answer to each is valid.
    pub calls: u32,
    /// Estimated tokens of the prompts.
    pub input_tokens: u64,
    /// Estimated tokens of the answers.
    pub output_tokens: u64,
    /// Estimated cost in millionths of a US dollar; `null` if the price is not known.
    pub cost_usd_micros: Option<u64>,
}

impl Pipeline {
    /// Estimates the generation of a configuration. All numbers are zero if the [store](Pipeline::store) already has its result.
    /// Loads the documents and requests the model's context size from the provider, but makes no model call.
    ///
    /// # Errors
    /// The errors of [`prepare`](Pipeline::prepare); `Store` if the store cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn estimate(&self, config: &GenerationConfig) -> Result<GenerationEstimate, Error> {
        let prepared = self.prepare(config).await?;
        let (calls, input_tokens, output_tokens) = if self.is_made(&prepared).await? {
            (0, 0, 0)
        } else {
            // A request for metadata, which costs nothing.
            prepared.likely_calls(self.capabilities(&prepared).await)?
        };
        let usage = Usage::new(Some(input_tokens), Some(output_tokens));
        let price = (self.pricing)(input_tokens);
        Ok(GenerationEstimate {
            input: config.input_name(),
            documents: prepared.documents.len(),
            failures: prepared.unread(),
            calls,
            input_tokens,
            output_tokens,
            cost_usd_micros: price.and_then(|price| price.cost_usd_micros(usage)),
        })
    }

    /// Returns whether the store has the personas of what was prepared.
    async fn is_made(&self, prepared: &Prepared) -> Result<bool, Error> {
        let Some(store) = self.store.as_ref().filter(|_| !prepared.config.fresh) else { return Ok(false) };
        let run = store.newest(&prepared.fingerprint.to_string()).await.map_err(Error::store)?;
        let Some(run) = run.filter(|run| run.record().status != RunStatus::Cancelled) else {
            return Ok(false);
        };
        Ok(run.tally().await.map_err(Error::store)?.accepted > 0)
    }
}

impl PersonaGenerator {
    /// Creates a generator over `pipeline` with `config`, whose data paths are ignored.
    #[must_use]
    pub fn new(pipeline: Pipeline, config: GenerationConfig) -> Self {
        Self { pipeline, config }
    }

    /// Creates a generator for three personas from each data set, with `model` of a provider and defaults for the rest.
    #[must_use]
    pub fn with(provider: Arc<dyn Provider>, model: &str) -> Self {
        Self::new(Pipeline::new(provider), GenerationConfig::new("", model))
    }

    /// Generates the personas of one document or folder.
    ///
    /// # Errors
    /// The errors of [`Pipeline::generate`].
    ///
    /// # Cancel safety
    /// The same as for [`Pipeline::generate`].
    pub async fn generate(&self, data: impl Into<PathBuf>) -> Outcome {
        self.pipeline.generate(&self.config_for(data)).await
    }

    /// Generates the personas of each data set, with at most `max_concurrency` in progress at a time: one outcome for each, in
    /// order.
    ///
    /// # Cancel safety
    /// The same as for [`Pipeline::generate_batch`].
    pub async fn generate_batch(
        &self,
        data: impl IntoIterator<Item = impl Into<PathBuf>>,
        max_concurrency: usize,
    ) -> Vec<Outcome> {
        let configs: Vec<_> = data.into_iter().map(|data| self.config_for(data)).collect();
        self.pipeline.generate_batch(&configs, max_concurrency).await
    }

    /// Estimates the generation for one document or folder.
    ///
    /// # Errors
    /// The errors of [`Pipeline::estimate`].
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn estimate(&self, data: impl Into<PathBuf>) -> Result<GenerationEstimate, Error> {
        self.pipeline.estimate(&self.config_for(data)).await
    }

    /// Generates the personas of an experiment with its recipe and count, and writes `personas.json` and `run.json` to a new
    /// folder among its outputs.
    ///
    /// # Errors
    /// The errors of [`Pipeline::generate`], and `Files` if the output folder cannot be created. Results that cannot be written
    /// afterwards are listed in the report's failures.
    ///
    /// # Cancel safety
    /// A dropped call closes the connection to the provider. Each file that was written is complete.
    pub async fn generate_experiment(&self, experiment: &Experiment) -> Outcome {
        let config = self.config_of(experiment).await?;
        let prepared = self.pipeline.prepare(&config).await?;
        // Created before any call is paid for: without the folder the answer could not be stored. An equal run that is resumed has
        // its own id.
        let outputs = experiment.outputs_path();
        let in_folder = |id| RunFolder::create(&outputs, id);
        let (folder, mut outcome) = Box::pin(self.pipeline.grouped().run_after(prepared, in_folder)).await?;
        if let Err(err) = write_outputs(experiment, &folder, &outcome).await {
            tracing::warn!("could not write all outputs of an experiment: {err}");
            // The answer was paid for: it is returned even if it could not be written.
            if let Ok(made) = &mut outcome {
                made.report.failures.push(FailureReport::of_job(err.to_string()));
            }
        }
        outcome
    }

    /// Generates the personas of several experiments, with at most `max_concurrency` in progress at a time: one outcome for
    /// each, in order.
    ///
    /// # Cancel safety
    /// The same as for [`generate_experiment`](Self::generate_experiment).
    pub async fn generate_experiments(
        &self,
        experiments: &[Experiment],
        max_concurrency: usize,
    ) -> Vec<Outcome> {
        let jobs = experiments.iter().map(|experiment| self.generate_experiment(experiment));
        let outcomes = Runner::new(max_concurrency).gather(jobs).await;
        let flatten =
            |outcome: Result<Outcome, _>| outcome.unwrap_or_else(|err| Err(Error::from_panic(&err)));
        outcomes.into_iter().map(flatten).collect()
    }

    /// Returns the configuration for an experiment: data and recipe are the experiment's, everything else is this
    /// generator's.
    async fn config_of(&self, experiment: &Experiment) -> Result<GenerationConfig, Error> {
        let mut config = experiment.config(&self.config.model).await?;
        config.count = config.recipe.count.unwrap_or(self.config.count);
        (config.limits, config.cancel) = (self.config.limits, self.config.cancel.clone());
        config.fresh = self.config.fresh;
        (config.distil, config.anonymiser) = (self.config.distil, self.config.anonymiser.clone());
        Ok(config)
    }

    /// Returns the generator's configuration for one data path.
    fn config_for(&self, data: impl Into<PathBuf>) -> GenerationConfig {
        GenerationConfig { data_paths: vec![data.into()], ..self.config.clone() }
    }
}

/// Writes the files of an experiment's run, and its README. A failed run has its report alone, if it has one.
async fn write_outputs(experiment: &Experiment, folder: &RunFolder, outcome: &Outcome) -> Result<(), Error> {
    match outcome {
        Ok(made) => {
            let personas = Personas::new(&made.report.run_id, made.personas.clone());
            folder.write_personas(&personas).await?;
            folder.write_report(&made.report).await?;
        }
        Err(err) => {
            if let Some(report) = err.report() {
                folder.write_report(report).await?;
            }
        }
    }
    experiment.write_readme().await
}
