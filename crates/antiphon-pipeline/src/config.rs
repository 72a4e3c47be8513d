use std::path::PathBuf;
use std::time::Duration;

use antiphon_data::{Anonymiser, Encoding, Links};
use antiphon_engine::RunLimits;
use antiphon_llm::SamplingParams;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::persona::{Count, PersonaRecipe, Rule};

/// The configuration of a persona generation: documents, model, recipe and limits.
///
/// Two configurations that differ in model, recipe, count, documents or anonymisation are different runs. Limits, `fresh` and
/// `cancel` do not change the identity of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GenerationConfig {
    /// The documents: files and folders, which are one set. Their order does not matter.
    pub data_paths: Vec<PathBuf>,
    /// The model, by its name at the provider.
    pub model: String,
    /// The number of personas. Default: 3.
    pub count: Count,
    /// The recipe. Default: [`PersonaRecipe::default`].
    pub recipe: PersonaRecipe,
    /// The distillation mode, for documents that do not fit into the model's context. Default: [`Distil::Auto`].
    pub distil: Distil,
    /// The anonymiser, which removes names, addresses and numbers (PII) from the documents before any call. Default: none.
    pub anonymiser: Option<Anonymiser>,
    /// The encoding of documents that are not UTF-8. Default: none, so that it is detected.
    pub encoding: Option<Encoding>,
    /// The symbolic links below the data paths that are followed. Default [`Links::Inside`].
    pub links: Links,
    /// The limits of the run. Its deadline is counted from the moment at which the documents are loaded. Default: no limits.
    pub limits: RunLimits,
    /// Whether to start fresh. Default: no, so that an equal earlier run is resumed, or its personas are returned without a call.
    pub fresh: bool,
    /// A token that cancels the generation. Default: a token that is never cancelled.
    pub cancel: CancellationToken,
}

/// The length of claims and quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Detail {
    /// A few words (claims of at most 120 characters), and a third of the claims: for small models, or for a first look.
    Brief,
    /// One sentence (claims of at most 300 characters).
    #[default]
    Standard,
    /// Two or three sentences (claims of at most 600 characters).
    Detailed,
}

/// The maximum number of claims of each kind in a persona.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Complexity {
    /// Up to three claims of each kind.
    Simple,
    /// Up to six claims of each kind.
    #[default]
    Moderate,
    /// Up to ten claims of each kind.
    Complex,
}

/// The grounding mode: the treatment of a claim whose citation is not found in any participant's words, since it may be a
/// hallucination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Grounding {
    /// The claim is removed, and listed as unverified.
    Strict,
    /// The claim is kept, and listed as unverified.
    #[default]
    Mark,
    /// No quotes are requested and none are verified: answers are shorter and cheaper, but no claim has evidence,
    /// so that every persona scores 0 ([`Validation`](crate::Validation)).
    Off,
}

/// The distillation mode. To distil is to have the model extract findings from one part of the documents at a time, and to
/// generate the personas from the verified findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Distil {
    /// Distil if the documents and the answer together do not fit into the model's context.
    #[default]
    Auto,
    /// Never distil: documents that do not fit are an error, reported before any call is paid for.
    Never,
}

impl GenerationConfig {
    /// Creates a configuration for three personas from the documents under `data_path`, a file or a folder, with defaults for
    /// the rest. For several files and folders use [`data_paths`](method@Self::data_paths).
    #[must_use]
    pub fn new(data_path: impl Into<PathBuf>, model: impl Into<String>) -> Self {
        Self {
            data_paths: vec![data_path.into()],
            model: model.into(),
            count: Count::Exactly(3),
            recipe: PersonaRecipe::default(),
            distil: Distil::Auto,
            anonymiser: None,
            encoding: None,
            links: Links::Inside,
            limits: RunLimits::default(),
            fresh: false,
            cancel: CancellationToken::new(),
        }
    }

    /// Sets the files and folders whose documents are one set.
    #[must_use]
    pub fn data_paths(mut self, data_paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.data_paths = data_paths.into_iter().map(Into::into).collect();
        self
    }

    /// Returns the paths of the documents for people, separated by commas.
    pub(crate) fn input_name(&self) -> String {
        let names = self.data_paths.iter().map(|path| path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Returns the paths of the documents for a line of progress: of many, the first.
    pub(crate) fn short_input_name(&self) -> String {
        match &self.data_paths[..] {
            [first, _, _, _, ..] => format!("{} and {} more", first.display(), self.data_paths.len() - 1),
            _ => self.input_name(),
        }
    }

    /// Sets the number of personas.
    #[must_use]
    pub fn count(mut self, count: impl Into<Count>) -> Self {
        self.count = count.into();
        self
    }

    /// Sets the recipe, and the number of personas if the recipe has one.
    #[must_use]
    pub fn recipe(mut self, recipe: PersonaRecipe) -> Self {
        self.count = recipe.count.unwrap_or(self.count);
        self.recipe = recipe;
        self
    }

    /// Sets the length of claims and quotes.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.recipe.detail = detail;
        self
    }

    /// Sets the maximum number of claims in a persona.
    #[must_use]
    pub fn complexity(mut self, complexity: Complexity) -> Self {
        self.recipe.complexity = complexity;
        self
    }

    /// Sets the grounding mode: the treatment of claims that cannot be verified.
    #[must_use]
    pub fn grounding(mut self, grounding: Grounding) -> Self {
        self.recipe.grounding = grounding;
        self
    }

    /// Sets the custom rules, which are checked in addition to the built-in ones.
    #[must_use]
    pub fn rules(mut self, rules: Vec<Rule>) -> Self {
        self.recipe.rules = rules;
        self
    }

    /// Sets the sampling parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: SamplingParams) -> Self {
        self.recipe.parameters = parameters;
        self
    }

    /// Sets the distillation mode.
    #[must_use]
    pub fn distil(mut self, distil: Distil) -> Self {
        self.distil = distil;
        self
    }

    /// Sets the anonymiser, which removes names, addresses and numbers (PII) from the documents; `None` for none.
    #[must_use]
    pub fn anonymiser(mut self, anonymiser: impl Into<Option<Anonymiser>>) -> Self {
        self.anonymiser = anonymiser.into();
        self
    }

    /// Sets the encoding of documents that are not UTF-8; `None` to detect it.
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<Option<Encoding>>) -> Self {
        self.encoding = encoding.into();
        self
    }

    /// Sets the symbolic links below the data paths that are followed. Default [`Links::Inside`].
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Sets the limits of the run.
    #[must_use]
    pub fn limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether to start fresh, that is to ignore earlier runs and to pay for new answers.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Sets the deadline: the time from loading the documents after which no call starts.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = Some(deadline);
        self
    }

    /// Sets the token that cancels the generation.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }
}
