//! Experiments: documents, default settings and runs of one question, kept together in a folder.
//!
//! The folder and its files belong to `antiphon-pipeline`. This module finds an experiment by its name, adds advice to
//! its errors, and turns its settings into a request, so that a run of an experiment is a run like any other.

use std::path::{Path, PathBuf};

use antiphon_data::Links;
use antiphon_llm::SamplingParams;
use antiphon_pipeline::experiment::{
    AddMode, Definition, Experiment, ExperimentInfo, PastRun, PersonaDefaults,
};
use antiphon_pipeline::{Personas, near_name};
use serde::{Deserialize, Serialize};

use super::error::{Hint, OperationError, OperationErrorKind};
use super::request::{RecipeSource, RunRequest};
use super::sources::is_address;
use crate::runtime::ConfigFile;

/// The folder of all experiments, and the operations on them.
///
/// An experiment is a folder with documents, default settings and the outputs of its runs: see
/// [`antiphon_pipeline::experiment`]. Use one where runs over the same documents are repeated and compared; for a
/// single run, a [`RunRequest`] alone is enough.
///
/// ```text
/// experiments/goats/
///   experiment.toml   the name, the description and the default settings
///   data/             the documents, as copies or links
///   outputs/          the folder of runs, which has the store
///   README.md         the list of runs
/// ```
///
/// ```
/// use antiphon::operations::{Experiments, OperationErrorKind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = antiphon::fs::temp_dir()?;
/// let experiments = Experiments::new(folder.path());
/// assert!(experiments.list().await?.is_empty());
/// let err = experiments.show("goats").await.err().ok_or("no such experiment exists")?;
/// assert_eq!(err.kind(), OperationErrorKind::Request);
/// # Ok(())
/// # }
/// ```
///
/// The value holds no handle: every operation reads the folders again, so that changes by other processes are seen.
#[derive(Debug, Clone)]
pub struct Experiments {
    /// The folder that contains one folder for each experiment.
    base: PathBuf,
}

/// The request and the settings with which a run of an experiment is started.
///
/// Pass `request` to [`Workspace::start`](super::Workspace::start) of a workspace on `outputs`, whose configuration
/// files are those of [`files`](Self::files).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExperimentStart {
    /// The request of the run.
    pub request: RunRequest,
    /// The experiment's own defaults, if it has any, as the text of a configuration file that overrides all others.
    pub defaults: Option<RecipeSource>,
    /// The folder of the experiment's runs.
    pub outputs: PathBuf,
}

impl Experiments {
    /// Creates the view of the experiments below a folder, which need not exist.
    #[must_use]
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// Creates the folder of an experiment.
    ///
    /// # Errors
    /// `Request` for a name that is taken or not valid for a folder, or a recipe that does not exist.
    ///
    /// # Cancel safety
    /// A dropped call may leave an empty folder, which the same call uses.
    pub async fn create(&self, definition: Definition) -> Result<ExperimentInfo, OperationError> {
        // A missing recipe is reported now, and not at the first run.
        definition.personas.recipe(Path::new("")).await?;
        Ok(Experiment::create_as(&self.base, definition).await?.info().await?)
    }

    /// Lists the experiments. An experiment that cannot be read is an error in the list, and does not hide the others.
    ///
    /// # Errors
    /// `Failed` for a folder that cannot be listed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn list(&self) -> Result<Vec<Result<ExperimentInfo, OperationError>>, OperationError> {
        let mut all = Vec::new();
        for experiment in Experiment::list(&self.base).await? {
            all.push(match experiment {
                Ok(experiment) => experiment.info().await.map_err(OperationError::from),
                Err(err) => Err(err.into()),
            });
        }
        Ok(all)
    }

    /// Returns one experiment.
    ///
    /// # Errors
    /// `Request` for an unknown name, with a similar one as a hint.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn show(&self, name: &str) -> Result<ExperimentInfo, OperationError> {
        Ok(self.load(name).await?.info().await?)
    }

    /// Adds files or folders to an experiment's data, as copies or as links. Paths are checked before any is added, so that a
    /// wrong one adds nothing.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show); `Request` for a path that does not exist, is an address, or would replace another
    /// file.
    ///
    /// # Cancel safety
    /// A dropped call may have added some of the paths; the same call adds the rest.
    pub async fn add(
        &self,
        name: &str,
        paths: &[PathBuf],
        mode: AddMode,
    ) -> Result<ExperimentInfo, OperationError> {
        let experiment = self.load(name).await?;
        for path in paths {
            check_data_path(path).await?;
        }
        for path in paths {
            experiment.add_data(path, mode).await?;
        }
        Ok(experiment.info().await?)
    }

    /// Returns the request and the settings for a run of an experiment. `overrides` take precedence over the experiment's own
    /// defaults, and `parameters` over the sampling parameters of its recipe.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show); `Request` for an experiment without data or with a recipe that cannot be used.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn start(
        &self,
        name: &str,
        overrides: &PersonaDefaults,
        parameters: SamplingParams,
    ) -> Result<ExperimentStart, OperationError> {
        let experiment = self.load(name).await?;
        if experiment.data().await?.is_empty() {
            return Err(no_data(name));
        }
        let about = || Hint::About { what: format!("experiment {name}") };
        let recipe = overrides.or(&experiment.definition().personas).recipe(experiment.root()).await;
        let mut recipe = recipe.map_err(|err| OperationError::from(err).hint(about()))?;
        recipe.parameters = parameters.or(recipe.parameters);
        let mut request = RunRequest::personas(experiment.data_path(), &recipe)?;
        if let Links::To(targets) = experiment.links().await? {
            request.link_targets = targets.to_vec();
        }
        let defaults = defaults_of(&experiment);
        Ok(ExperimentStart { request, defaults, outputs: experiment.outputs_path() })
    }

    /// Returns the canonical path of an experiment's folder, with links resolved.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn place(&self, name: &str) -> Result<PathBuf, OperationError> {
        Ok(antiphon_fs::canonical(self.load(name).await?.root()).await?)
    }

    /// Rewrites an experiment's README with the list of its runs.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show), and `Failed` if the file cannot be written.
    ///
    /// # Cancel safety
    /// The file is replaced atomically: it is the old one or the new one.
    pub async fn write_readme(&self, name: &str) -> Result<(), OperationError> {
        Ok(self.load(name).await?.write_readme().await?)
    }

    /// Lists the runs of an experiment, the newest first.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn history(&self, name: &str) -> Result<Vec<PastRun>, OperationError> {
        Ok(self.load(name).await?.history().await?)
    }

    /// Returns the personas of a run of an experiment, named by its id, a prefix of it, or `latest`.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show); `Request` if there is no such run.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn outputs(&self, name: &str, run: &str) -> Result<Personas, OperationError> {
        Ok(self.load(name).await?.outputs(run).await?)
    }

    /// Deletes an experiment with all its data and outputs; the targets of links are kept. `confirmation` must repeat its name.
    ///
    /// # Errors
    /// The errors of [`show`](Self::show); `Request` for another name.
    ///
    /// # Cancel safety
    /// A dropped call does not stop the deletion, which continues in the background.
    pub async fn delete(&self, name: &str, confirmation: &str) -> Result<(), OperationError> {
        Ok(self.load(name).await?.delete(confirmation).await?)
    }

    /// Loads an experiment by its name, or by its folder. An experiment with a definition that cannot be read is an
    /// error of its own; only where there is none, the error is about the name, with a similar one or the list as
    /// advice.
    async fn load(&self, name: &str) -> Result<Experiment, OperationError> {
        let err = match Experiment::load(self.base.join(name)).await {
            Ok(experiment) => return Ok(experiment),
            Err(err) => OperationError::from(err),
        };
        let definition = self.base.join(name).join("experiment.toml");
        if antiphon_fs::exists(definition).await.is_ok_and(|there| there) {
            return Err(err);
        }
        let known: Vec<Experiment> =
            Experiment::list(&self.base).await.unwrap_or_default().into_iter().flatten().collect();
        let names = known.iter().map(|experiment| experiment.definition().name.as_str());
        Err(match near_name(name, names) {
            Some(near) => err.hint(Hint::DidYouMean { name: near.to_owned() }),
            None => err.hint(Hint::ListExperiments),
        })
    }
}

/// Checks that a path can be added to an experiment: that it exists, and is not an address.
async fn check_data_path(path: &Path) -> Result<(), OperationError> {
    let wrong = |message: String| OperationError::new(OperationErrorKind::Request, message);
    if is_address(path) {
        let message = format!("{}: an address cannot be added", path.display());
        return Err(wrong(message).hint(Hint::FetchFirst));
    }
    antiphon_fs::metadata(path).await.map_err(|err| wrong(err.to_string()))?;
    Ok(())
}

/// Creates the error of an experiment without documents, which has nothing to run over.
fn no_data(name: &str) -> OperationError {
    let error = OperationError::new(OperationErrorKind::Request, format!("experiment {name} has no data"));
    error.hint(Hint::AddData { experiment: name.to_owned() })
}

/// Returns the defaults of an experiment as the text of a configuration file, with its place as the name in messages.
fn defaults_of(experiment: &Experiment) -> Option<RecipeSource> {
    let text = experiment.definition().defaults_toml()?;
    let name = format!("{}: [defaults]", experiment.root().join("experiment.toml").display());
    Some(RecipeSource { name, text })
}

impl ExperimentStart {
    /// Returns the configuration files for the run: the experiment's own defaults, then `files`.
    /// Files are sorted by precedence, so a default of the experiment overrides those of the user.
    ///
    /// # Errors
    /// `Configuration` for defaults that cannot be used.
    pub fn files(&self, files: &[ConfigFile]) -> Result<Vec<ConfigFile>, OperationError> {
        let own = self.defaults.iter().map(|source| ConfigFile::parse(&source.name, &source.text));
        let all: Result<Vec<_>, _> = own.chain(files.iter().cloned().map(Ok)).collect();
        all.map_err(|err| OperationError::new(OperationErrorKind::Configuration, err.to_string()))
    }
}
