use std::path::PathBuf;
use std::time::Duration;

use antiphon_data::Anonymiser;
use antiphon_engine::RunLimits;
use antiphon_llm::SamplingParams;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::persona::{Count, PersonaRecipe, Rule};

/// What to make personas of, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GenerationConfig {
    /// A document, or a folder of documents.
    pub data_path: PathBuf,
    /// The provider's name of the model to ask.
    pub model: String,
    /// How many personas. Default 3.
    pub count: Count,
    /// How they are drawn. Default: [`PersonaRecipe::default`].
    pub recipe: PersonaRecipe,
    /// Whether documents that do not fit into the model's context are distilled first. Default: they are.
    pub distil: Distil,
    /// What takes names, addresses and numbers out of the documents before anything is asked. Default: nothing does.
    pub anonymiser: Option<Anonymiser>,
    /// The limits of the run; its deadline counts from the moment when the documents are loaded. Default: none.
    pub limits: RunLimits,
    /// Whether an earlier run of the same kind is left alone. Default: it is resumed, or its personas shown.
    pub fresh: bool,
    /// Gives this one up when cancelled. Default: a token that nobody cancels.
    pub cancel: CancellationToken,
}

/// How much is said in each claim and quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Detail {
    /// A few words, and a third of the claims: for small models, and for a first look.
    Brief,
    /// A sentence.
    #[default]
    Standard,
    /// Two or three sentences.
    Detailed,
}

/// How many claims of each kind a persona may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Complexity {
    /// Up to three.
    Simple,
    /// Up to six.
    #[default]
    Moderate,
    /// Up to ten.
    Complex,
}

/// What becomes of a claim whose quote no participant is known to have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Grounding {
    /// It is left out, and listed as unverified.
    Strict,
    /// It stays, and is listed as unverified.
    #[default]
    Mark,
    /// No quotes are asked for, and nothing is looked up: answers are shorter, and rest on the model's word.
    Off,
}

/// Whether documents are first distilled: findings drawn from one part of them after the other, and personas from those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Distil {
    /// Where they do not fit into the model's context with the answer.
    #[default]
    Auto,
    /// Never: what does not fit is refused before anything is paid.
    Never,
}

impl GenerationConfig {
    /// Three personas from what stands under `data_path`.
    #[must_use]
    pub fn new(data_path: impl Into<PathBuf>, model: impl Into<String>) -> Self {
        Self {
            data_path: data_path.into(),
            model: model.into(),
            count: Count::Exactly(3),
            recipe: PersonaRecipe::default(),
            distil: Distil::Auto,
            anonymiser: None,
            limits: RunLimits::default(),
            fresh: false,
            cancel: CancellationToken::new(),
        }
    }

    /// Sets how many personas are made.
    #[must_use]
    pub fn count(mut self, count: impl Into<Count>) -> Self {
        self.count = count.into();
        self
    }

    /// Sets how they are drawn, and how many where the recipe says so.
    #[must_use]
    pub fn recipe(mut self, recipe: PersonaRecipe) -> Self {
        self.count = recipe.count.unwrap_or(self.count);
        self.recipe = recipe;
        self
    }

    /// Sets how much is said in each claim.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.recipe.detail = detail;
        self
    }

    /// Sets how many claims a persona may have.
    #[must_use]
    pub fn complexity(mut self, complexity: Complexity) -> Self {
        self.recipe.complexity = complexity;
        self
    }

    /// Sets what becomes of claims that cannot be verified.
    #[must_use]
    pub fn grounding(mut self, grounding: Grounding) -> Self {
        self.recipe.grounding = grounding;
        self
    }

    /// Sets what has to hold of each persona, beside what always has to.
    #[must_use]
    pub fn rules(mut self, rules: Vec<Rule>) -> Self {
        self.recipe.rules = rules;
        self
    }

    /// Sets how answers are drawn.
    #[must_use]
    pub fn parameters(mut self, parameters: SamplingParams) -> Self {
        self.recipe.parameters = parameters;
        self
    }

    /// Sets whether documents that do not fit are distilled first.
    #[must_use]
    pub fn distil(mut self, distil: Distil) -> Self {
        self.distil = distil;
        self
    }

    /// Sets what takes names, addresses and numbers out of the documents.
    #[must_use]
    pub fn anonymiser(mut self, anonymiser: impl Into<Option<Anonymiser>>) -> Self {
        self.anonymiser = anonymiser.into();
        self
    }

    /// Sets the limits of the run.
    #[must_use]
    pub fn limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Leaves an earlier run of the same kind alone.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Sets the time after which no call begins.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = Some(deadline);
        self
    }

    /// Sets what gives it up.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }
}
