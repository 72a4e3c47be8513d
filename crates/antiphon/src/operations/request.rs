//! The request of a run as serialised data, and the places of its inputs and outputs.
//!
//! A stored request outlives its process, its machine and the place of its folders. Therefore it has texts instead of
//! the names of files where it can, and relative paths with their base where it cannot: if the folder of runs was moved
//! together with the inputs, `locate` finds them at their new place.

use std::path::{Path, PathBuf};

use antiphon_data::{Encoding, Links, RowFormat, Strategy};
use antiphon_engine::{Order, Recipe, RunLimits};
use antiphon_llm::SamplingParams;
use antiphon_pipeline::{Distil, Grounding, PersonaRecipe};
use antiphon_render::{Theme, ThemeSource};
use serde::{Deserialize, Serialize};

use super::error::{OperationError, OperationErrorKind};

/// The version of [`RunRequest`]'s JSON form.
const SCHEMA: &str = "antiphon.request/1";

/// A request for a run, as data. It is stored with the run, so that another process can resume the run from the request and the
/// stored rows alone. It never contains API keys, since it refers to a provider by name.
///
/// Callbacks and cancellation tokens are not part of it: see [`Watch`](super::Watch).
///
/// The request identifies its run together with the rows and the provider: the same request again resumes an
/// interrupted run, or returns a finished one. Limits other than `max_rows`, and outputs, do not count, so that a run
/// can be resumed with a higher budget.
///
/// | kind | inputs | recipe | used options |
/// |---|---|---|---|
/// | `map` | one file, folder or `-` | the recipe | `format`, `encoding`, `anonymise`, `output.results`, `output.order` |
/// | `personas` | documents and folders, as one set | the persona recipe | `encoding`, `grounding`, `distil`, `anonymise` |
/// | `content` | files and folders of notes | the themes | `encoding`, `anonymise`, `output.site`, `output.title`, `output.fallback` |
///
/// ```
/// use antiphon::operations::RunRequest;
/// let request = RunRequest::map("towns.csv", "towns.toml", "prompt = \"Where is {{ name }}?\"").provider("ollama");
/// let text = serde_json::to_string(&request)?;
/// assert!(text.starts_with(r#"{"schema":"antiphon.request/1","kind":"map","inputs":["towns.csv"]"#), "{text}");
/// assert_eq!(serde_json::from_str::<RunRequest>(&text)?, request);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunRequest {
    /// Always `antiphon.request/1`.
    pub schema: String,
    /// The kind of run, which decides on the meaning of `recipe` and on the options that are used.
    pub kind: RunKind,
    /// Files or folders, as the caller named them. Relative paths are below `base`.
    pub inputs: Vec<PathBuf>,
    /// The folder to which relative paths refer. Default: the process's working folder.
    /// Set it to an absolute path if another process may resume the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
    /// The folder of runs at the time of storing. If that folder was moved together with the inputs, the inputs are found
    /// relative to it. Set automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_in: Option<PathBuf>,
    /// The format of rows. Default: by the file's extension, else by its first bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RowFormat>,
    /// The encoding of files that are not UTF-8, by a label of the WHATWG Encoding Standard. Default: it is detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether all symbolic links in folders of the input are followed. Default: false, only those that lead to files of the same
    /// folder that are not hidden; others are reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow_links: bool,
    /// The files and folders outside the inputs to which links in them may lead, as absolute paths. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_targets: Vec<PathBuf>,
    /// The recipe with its whole text.
    pub recipe: RecipeSource,
    /// The provider's name. Default: the configuration's; else a local engine that answers, else offline drafts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The server's address, where it is not the provider's usual one.
    /// Default: that of the environment or of the provider's entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The model to call. Default: the recipe's, the configuration's or the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The fallbacks, each as `provider/model`, called in order if the provider cannot answer. Default: the recipe's, else the
    /// configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Vec<String>>,
    /// The sampling parameters for those that the recipe leaves open. Default: the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<SamplingParams>,
    /// The limits of the run: budget, concurrency, attempts, deadline and number of rows. Default: the configuration's,
    /// else none.
    #[serde(default)]
    pub limits: RunLimits,
    /// The grounding of personas: how strict their evidence must be. Default: the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounding: Option<Grounding>,
    /// Whether documents that do not fit into the model's context are distilled first. Default: [`Distil::Auto`].
    #[serde(default)]
    pub distil: Distil,
    /// The anonymisation of personal data (PII) in documents, notes and rows before they are sent. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymise: Option<Anonymise>,
    /// The outputs other than the run's folder.
    #[serde(default)]
    pub output: OutputOptions,
    /// Whether to start fresh: a new run, even if an earlier one of the same request exists. Default: false, which resumes the
    /// earlier run. Not stored: a resumed run is never fresh.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// The kinds of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunKind {
    /// A recipe over the rows of an input, with one call for each row.
    Map,
    /// Personas from interviews.
    Personas,
    /// Site copy from notes.
    Content,
}

/// A recipe: its name in reports and error messages, and its whole text.
///
/// The text is part of the request, so that a run does not change when the file does, and can be resumed without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSource {
    /// The file's name, or that of a built-in recipe.
    pub name: String,
    /// The text of the TOML file.
    pub text: String,
}

/// The anonymisation of documents: how personal data (PII) is removed.
///
/// Documents, notes and the texts of rows are anonymised on this machine before they are sent or stored. With hashes, the salt is stored in the
/// folder of runs, so that a person has the same code in all runs of the folder and another one elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Anonymise {
    /// The mode: redact, replace or hash.
    pub mode: Strategy,
    /// Additional names to remove. Not stored with the run, since the stored documents no longer contain them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Anonymise {
    /// Creates the anonymisation in a mode, with further names to remove.
    #[must_use]
    pub fn new(mode: Strategy, names: Vec<String>) -> Self {
        Self { mode, names }
    }
}

/// The outputs of a run other than its folder.
///
/// Relative paths are below the request's `base`. The run's folder is always written in addition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OutputOptions {
    /// The file for results, or `-` for the receiver in [`Watch`](super::Watch). Default: `results.jsonl` in the run's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<PathBuf>,
    /// The order of results. Default: that of the rows.
    pub order: Order,
    /// The folder for a site. Default: `site` in the run's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<PathBuf>,
    /// The heading of a site's index. Default: `Portfolio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The JSON of a page's content, used for pages without an answer: its file's name and its whole text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<RecipeSource>,
}

/// The recipe of a content run: themes with their whole text, and the sampling parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentRecipe {
    /// The sampling parameters of all calls.
    #[serde(default)]
    pub(super) parameters: SamplingParams,
    /// The themes, each a `[[theme]]` in TOML.
    #[serde(rename = "theme")]
    pub(super) themes: Vec<ThemeSource>,
}

impl RunRequest {
    /// Creates a request with the default of every option.
    fn new(kind: RunKind, inputs: Vec<PathBuf>, recipe: RecipeSource) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            kind,
            inputs,
            base: None,
            stored_in: None,
            format: None,
            encoding: None,
            follow_links: false,
            link_targets: Vec::new(),
            recipe,
            provider: None,
            base_url: None,
            model: None,
            fallback: None,
            parameters: None,
            limits: RunLimits::default(),
            grounding: None,
            distil: Distil::Auto,
            anonymise: None,
            output: OutputOptions::default(),
            fresh: false,
        }
    }

    /// Creates the request for a recipe over the rows of a file or a folder. `name` is the recipe's name in reports and
    /// messages, `recipe` its text in TOML.
    /// The text is parsed when the run is planned or started, so a mistake in it is reported then, with its line.
    #[must_use]
    pub fn map(input: impl Into<PathBuf>, name: impl Into<String>, recipe: impl Into<String>) -> Self {
        let recipe = RecipeSource { name: name.into(), text: recipe.into() };
        Self::new(RunKind::Map, vec![input.into()], recipe)
    }

    /// Creates the request for personas from a document or a folder of documents. For personas from several of them, add
    /// all with [`inputs`](method@Self::inputs).
    /// The recipe is stored as TOML, with every value that was set in code.
    ///
    /// # Errors
    /// `Internal` for a recipe that cannot be serialised, which is a defect.
    pub fn personas(input: impl Into<PathBuf>, recipe: &PersonaRecipe) -> Result<Self, OperationError> {
        let recipe = RecipeSource { name: recipe.name.clone(), text: recipe.to_toml()? };
        Ok(Self::new(RunKind::Personas, vec![input.into()], recipe))
    }

    /// Creates the request for site copy: one page for each document of notes in each of `themes`.
    /// Themes are stored whole, so that files of a custom theme are not needed to resume the run.
    ///
    /// # Errors
    /// `Internal` for themes that cannot be serialised, which is a defect.
    pub fn content(
        inputs: Vec<PathBuf>,
        themes: &[Theme],
        parameters: SamplingParams,
    ) -> Result<Self, OperationError> {
        let names: Vec<&str> = themes.iter().map(|theme| theme.name.as_str()).collect();
        let name = format!("portfolio in {}", names.join(", "));
        let themes = themes.iter().map(Theme::source).collect();
        let recipe = ContentRecipe { parameters, themes };
        let text = toml::to_string(&recipe).map_err(|err| OperationError::internal(err.to_string()))?;
        Ok(Self::new(RunKind::Content, inputs, RecipeSource { name, text }))
    }

    /// Returns the symbolic links in folders of the input that are followed.
    pub(super) fn links(&self) -> Links {
        match &self.link_targets[..] {
            _ if self.follow_links => Links::All,
            [] => Links::Inside,
            targets => Links::To(targets.into()),
        }
    }

    /// Returns the encoding that is named, if one is.
    ///
    /// # Errors
    /// `Request` for a name that the WHATWG Encoding Standard does not have.
    pub(super) fn named_encoding(&self) -> Result<Option<Encoding>, OperationError> {
        let Some(label) = &self.encoding else { return Ok(None) };
        let unknown = || {
            let message = format!(
                "unknown encoding {label}: name it as the WHATWG Encoding Standard does, as in windows-1251"
            );
            OperationError::new(OperationErrorKind::Request, message)
        };
        Encoding::of_label(label).ok_or_else(unknown).map(Some)
    }

    /// Sets the files and folders. Those of a persona run are one set of documents, whose order does not matter; a map run
    /// takes one.
    ///
    /// ```
    /// use antiphon::operations::{OperationError, RunRequest};
    /// use antiphon::pipeline::PersonaRecipe;
    ///
    /// # fn main() -> Result<(), OperationError> {
    /// let request = RunRequest::personas("may", &PersonaRecipe::default())?.inputs(["may", "june/p7.txt"]);
    /// assert_eq!(request.inputs.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn inputs(mut self, inputs: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.inputs = inputs.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the provider, by its name.
    /// Use `offline` for drafts by text statistics, which need no network and no key.
    #[must_use]
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Sets the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets the fallbacks, each as `provider/model`.
    /// An empty list means no fallback, even if the recipe or the configuration has some.
    #[must_use]
    pub fn fallback(mut self, fallback: Vec<String>) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// Sets the sampling parameters for those that the recipe leaves open, in place of the configuration's.
    #[must_use]
    pub fn parameters(mut self, parameters: SamplingParams) -> Self {
        self.parameters = Some(parameters);
        self
    }

    /// Returns the sampling parameters of a run: those of its recipe, else those of this request.
    pub(super) fn over(&self, recipe: SamplingParams) -> SamplingParams {
        recipe.or(self.parameters.clone().unwrap_or_default())
    }

    /// Sets the limits of the run.
    #[must_use]
    pub fn limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the outputs other than the run's folder.
    #[must_use]
    pub fn output(mut self, output: OutputOptions) -> Self {
        self.output = output;
        self
    }

    /// Sets whether to start a new run even if an earlier one of the same request exists.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Puts the content of the schema file that a recipe names into the text of the recipe, so that the request has all of it.
    ///
    /// # Errors
    /// `Request` for a file that cannot be read or is not a JSON schema.
    pub(super) async fn read_schema_file(&mut self) -> Result<(), OperationError> {
        if self.kind == RunKind::Map {
            let RecipeSource { name, text } = &self.recipe;
            let file = self.base.as_deref().unwrap_or(Path::new("")).join(name);
            self.recipe.text = Recipe::with_schema_file(name, &file, text).await?;
        }
        Ok(())
    }

    /// Reads a stored request.
    ///
    /// # Errors
    /// `Request` for a text that is not a request, or is one of another version.
    pub(super) fn read(text: &str) -> Result<Self, OperationError> {
        let wrong = |message: String| OperationError::new(OperationErrorKind::Request, message);
        let request: Self = serde_json::from_str(text).map_err(|err| wrong(format!("the request: {err}")))?;
        if request.schema != SCHEMA {
            return Err(wrong(format!("unsupported request version {}", request.schema)));
        }
        Ok(request)
    }

    /// Returns the text that is stored with the run, without options for this start only and without names of people.
    pub(super) fn to_store(&self, folder: &Path) -> Result<String, OperationError> {
        let stored_in = std::path::absolute(folder).ok();
        let mut stored = Self { fresh: false, stored_in, ..self.clone() };
        if let Some(anonymise) = &mut stored.anonymise {
            anonymise.names.clear();
        }
        serde_json::to_string(&stored).map_err(|err| OperationError::internal(err.to_string()))
    }

    /// Returns the inputs' names for people.
    pub(super) fn input_name(&self) -> String {
        self.inputs.iter().map(|input| input.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Resolves a path of this request below its base; it stays relative if the base is the working folder.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        match &self.base {
            Some(base) if path.is_relative() => {
                let below = base.join(path);
                let is_here = std::path::absolute(path).is_ok_and(|here| here == below);
                if is_here { path.to_owned() } else { below }
            }
            _ => path.to_owned(),
        }
    }

    /// Resolves the path of an output: below the base, or below the folder to which the base moved with the folder of runs.
    pub(super) async fn place_output(&self, path: &Path, folder: &Path) -> PathBuf {
        let placed = self.place(path);
        let base = self.base.as_deref().filter(|_| path.is_relative());
        let Some((base, was)) = base.zip(self.stored_in.as_deref()) else { return placed };
        let Some(now) = moved(base, was, folder).map(|base| base.join(path)) else { return placed };
        if std::path::absolute(path).is_ok_and(|here| here == now) {
            path.to_owned()
        } else if antiphon_fs::exists(base).await.unwrap_or(true) {
            // A copy of the folder writes to the original's outputs, unless the process runs inside the copy.
            placed
        } else {
            now
        }
    }

    /// Resolves the path of an input: below the base, or where it moved with the folder of runs.
    pub(super) async fn locate(&self, input: &Path, folder: &Path) -> PathBuf {
        let path = self.place(input);
        let exists = async |path: &Path| antiphon_fs::exists(path).await.unwrap_or(false);
        let whole = self.base.as_deref().map_or_else(|| path.clone(), |base| base.join(input));
        let moved = self.stored_in.as_deref().and_then(|was| moved(&whole, was, folder));
        match moved {
            Some(moved) if !exists(&path).await && exists(&moved).await => moved,
            _ => path,
        }
    }
}

/// Returns the path to which `path` moved together with a folder, from `was` to `now`.
fn moved(path: &Path, was: &Path, now: &Path) -> Option<PathBuf> {
    let now = std::path::absolute(now).ok()?;
    // The nearest folder that contained both.
    let common = was.ancestors().find(|ancestor| path.starts_with(ancestor))?;
    let depth = was.strip_prefix(common).ok()?.components().count();
    let now = now.ancestors().nth(depth)?;
    Some(now.join(path.strip_prefix(common).ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use antiphon_data::Strategy;
    use antiphon_pipeline::PersonaRecipe;

    use super::{Anonymise, RunRequest, moved};

    #[test]
    fn a_stored_request_has_no_names_and_is_never_fresh() {
        let mut request = RunRequest::personas("in", &PersonaRecipe::default()).unwrap().fresh(true);
        request.anonymise = Some(Anonymise::new(Strategy::Hash, vec!["Anna".to_owned()]));
        let text = request.to_store(Path::new("out")).unwrap();
        let stored = RunRequest::read(&text).unwrap();
        assert!(!text.contains("Anna") && !stored.fresh, "{text}");
        assert_eq!(stored.anonymise.unwrap().mode, Strategy::Hash);
        assert!(
            RunRequest::read(&text.replace("request/1", "request/9")).unwrap_err().to_string().contains("/9")
        );
    }

    #[test]
    fn an_input_moves_with_the_folder_of_runs() {
        let check = |path: &str, was: &str, now: &str, expected: Option<&str>| {
            let found = moved(Path::new(path), Path::new(was), Path::new(now));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{path}");
        };
        check("/a/rows.csv", "/a/out", "/b/out", Some("/b/rows.csv"));
        check("/a/data/rows.csv", "/a/out", "/b/c/out", Some("/b/c/data/rows.csv"));
        check("/data/rows.csv", "/a/out", "/b/c", Some("/data/rows.csv"));
        check("/a/out/rows.csv", "/a/out", "/b/out", Some("/b/out/rows.csv"));
    }
}
