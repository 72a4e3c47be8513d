use std::path::{Path, PathBuf};

use antiphon_data::{RowFormat, Strategy};
use antiphon_engine::{Order, RunLimits};
use antiphon_llm::SamplingParams;
use antiphon_pipeline::{Distil, Grounding, PersonaRecipe};
use antiphon_render::{Theme, ThemeSource};
use serde::{Deserialize, Serialize};

use super::error::{OperationError, OperationErrorKind};

/// The version of [`RunRequest`]'s JSON form.
const SCHEMA: &str = "antiphon.request/1";

/// What a run is asked to do, as data: stored with the run, and with the rows in the store all that another process needs
/// to do its work. Keys are never in it: a provider is known by its name.
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
    /// What is made.
    pub kind: RunKind,
    /// Files or folders, as they were named. Relative ones are below `base`.
    pub inputs: Vec<PathBuf>,
    /// The folder below which relative inputs are. Default: the process's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
    /// The folder of runs when the request was stored: inputs beside it are found when both have moved. Set by the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_in: Option<PathBuf>,
    /// The format of rows. Default: the file's name tells, or its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RowFormat>,
    /// The recipe with its whole text.
    pub recipe: RecipeSource,
    /// The provider's name. Default: the configuration's; else a local engine that answers, else none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The server's address, where it is not the provider's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The model to ask. Default: the recipe's, the configuration's or the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The fallbacks, each as `provider/model`: asked in their order where the provider cannot answer. Default: the
    /// recipe's, else the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Vec<String>>,
    /// The limits of the run.
    #[serde(default)]
    pub limits: RunLimits,
    /// How strict evidence is, of personas. Default: the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounding: Option<Grounding>,
    /// Whether documents that do not fit into the model's context are distilled first. Default: they are.
    #[serde(default)]
    pub distil: Distil,
    /// How personal data (PII) is taken out of the documents before anything is asked. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymise: Option<Anonymise>,
    /// Where results go, beside the run's folder.
    #[serde(default)]
    pub output: OutputOptions,
    /// Whether an earlier run of the same request is left alone. Not stored: a run that is resumed is never started fresh.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// The kinds of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunKind {
    /// A recipe over the rows of an input.
    Map,
    /// Personas from interviews.
    Personas,
    /// Site copy from notes.
    Content,
}

/// A recipe: its name in reports and error messages, and its whole text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSource {
    /// The file's name, or that of a built-in recipe.
    pub name: String,
    /// The text of the TOML file.
    pub text: String,
}

/// How personal data is taken out of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Anonymise {
    /// What stands in the place of what is taken out.
    pub mode: Strategy,
    /// More names to take out. Not stored: the documents in the store are without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Anonymise {
    /// Creates the wish to take personal data out in this mode.
    #[must_use]
    pub fn new(mode: Strategy, names: Vec<String>) -> Self {
        Self { mode, names }
    }
}

/// Where results go, beside the run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OutputOptions {
    /// The file for results, `-` for the front's own stream. Default: `results.jsonl` in the run's folder.
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
    /// The JSON of a page's content, for pages that the provider gave none for: its name and its whole text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<RecipeSource>,
}

/// The recipe of a content run: themes with their whole text, and the sampling parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentRecipe {
    #[serde(default)]
    pub(super) parameters: antiphon_engine::RecipeParams,
    #[serde(rename = "theme")]
    pub(super) themes: Vec<ThemeSource>,
}

impl RunRequest {
    fn new(kind: RunKind, inputs: Vec<PathBuf>, recipe: RecipeSource) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            kind,
            inputs,
            base: None,
            stored_in: None,
            format: None,
            recipe,
            provider: None,
            base_url: None,
            model: None,
            fallback: None,
            limits: RunLimits::default(),
            grounding: None,
            distil: Distil::Auto,
            anonymise: None,
            output: OutputOptions::default(),
            fresh: false,
        }
    }

    /// Creates the request for a recipe over the rows of a file or a folder; the recipe's name is for reports and messages.
    #[must_use]
    pub fn map(input: impl Into<PathBuf>, name: impl Into<String>, recipe: impl Into<String>) -> Self {
        let recipe = RecipeSource { name: name.into(), text: recipe.into() };
        Self::new(RunKind::Map, vec![input.into()], recipe)
    }

    /// Creates the request for personas from a document or a folder of documents.
    ///
    /// # Errors
    /// `Internal` for a recipe that cannot be written, which is a defect.
    pub fn personas(input: impl Into<PathBuf>, recipe: &PersonaRecipe) -> Result<Self, OperationError> {
        let recipe = RecipeSource { name: recipe.name.clone(), text: recipe.to_toml()? };
        Ok(Self::new(RunKind::Personas, vec![input.into()], recipe))
    }

    /// Creates the request for a page of each document of notes in each of `themes`.
    ///
    /// # Errors
    /// `Internal` for themes that cannot be written, which is a defect.
    pub fn content(
        inputs: Vec<PathBuf>,
        themes: &[Theme],
        parameters: SamplingParams,
    ) -> Result<Self, OperationError> {
        let names: Vec<&str> = themes.iter().map(|theme| theme.name.as_str()).collect();
        let name = format!("portfolio in {}", names.join(", "));
        let themes = themes.iter().map(Theme::source).collect();
        let recipe = ContentRecipe { parameters: antiphon_engine::RecipeParams::from(parameters), themes };
        let text = toml::to_string(&recipe).map_err(|err| OperationError::internal(err.to_string()))?;
        Ok(Self::new(RunKind::Content, inputs, RecipeSource { name, text }))
    }

    /// Sets the provider, by its name.
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
    #[must_use]
    pub fn fallback(mut self, fallback: Vec<String>) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// Sets the limits of the run.
    #[must_use]
    pub fn limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where results go.
    #[must_use]
    pub fn output(mut self, output: OutputOptions) -> Self {
        self.output = output;
        self
    }

    /// Leaves an earlier run of the same request alone.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Reads a stored request.
    ///
    /// # Errors
    /// `Request` for a text that is none, or of another version.
    pub(super) fn read(text: &str) -> Result<Self, OperationError> {
        let wrong = |message: String| OperationError::new(OperationErrorKind::Request, message);
        let request: Self = serde_json::from_str(text).map_err(|err| wrong(format!("the request: {err}")))?;
        if request.schema != SCHEMA {
            return Err(wrong(format!("a request of version {} is not known here", request.schema)));
        }
        Ok(request)
    }

    /// Returns the text that is stored with the run: nothing that is for this start alone, and no person's name.
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

    /// Returns where a path of this request is: below its base, and as it was named where the process is there.
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

    /// Returns where an output goes: below the base, or below where the base moved to together with the folder of runs.
    pub(super) async fn place_output(&self, path: &Path, folder: &Path) -> PathBuf {
        let placed = self.place(path);
        let base = self.base.as_deref().filter(|_| path.is_relative());
        let Some((base, was)) = base.zip(self.stored_in.as_deref()) else { return placed };
        let Some(now) = moved(base, was, folder).map(|base| base.join(path)) else { return placed };
        if std::path::absolute(path).is_ok_and(|here| here == now) {
            path.to_owned()
        } else if antiphon_fs::exists(base).await.unwrap_or(true) {
            // A copy beside the original leaves that alone only where the process works in it.
            placed
        } else {
            now
        }
    }

    /// Returns where an input is: below the base, or where it moved together with the folder of runs.
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

/// Where `path` is now if it moved together with a folder, from `was` to `now`.
fn moved(path: &Path, was: &Path, now: &Path) -> Option<PathBuf> {
    let now = std::path::absolute(now).ok()?;
    // The folder that both were in is found from below.
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
