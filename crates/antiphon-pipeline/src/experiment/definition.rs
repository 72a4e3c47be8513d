//! The content of `experiment.toml`:
//!
//! ```toml
//! name = "bakers"
//! description = "What bakers need at night"
//! created_at = "2026-01-31T09:30:00Z"
//!
//! [personas]
//! recipe = "research"
//! count = "3-5"
//! evidence = "strict"
//!
//! [defaults]
//! model = "some-model"
//! ```

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Complexity, Detail, Grounding};
use crate::error::Error;
use crate::persona::{Count, PersonaRecipe};
use antiphon_engine::ErrorKind;

/// The content of `experiment.toml`. Unknown keys are errors; missing ones have their defaults.
///
/// # Examples
/// ```
/// use antiphon_pipeline::Count;
/// use antiphon_pipeline::experiment::Definition;
/// let mut definition = Definition::new("bakers", "What bakers need at night");
/// definition.personas.count = Some(Count::Between(3, 5));
/// assert_eq!(definition.defaults_toml(), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Definition {
    /// The name of the experiment and of its folder.
    pub name: String,
    /// A description for its README. Default: empty.
    pub description: String,
    /// The time of creation in UTC, in RFC 3339 format.
    pub created_at: String,
    /// Defaults for its personas.
    pub personas: PersonaDefaults,
    /// The table `defaults` of an `antiphon.toml`, such as the provider and the model. Default: empty.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub defaults: toml::Table,
}

/// Defaults for the personas of an experiment; where a field is `None`, the recipe's value is used. With
/// [`or`](Self::or), several levels of defaults are merged, such as those of flags over those of the experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PersonaDefaults {
    /// The name of a built-in recipe, or the path of a recipe file, relative to the experiment's folder and ending with
    /// `.toml`. Default: the default recipe.
    pub recipe: Option<String>,
    /// The number of personas.
    pub count: Option<Count>,
    /// The maximum number of claims of each kind.
    pub complexity: Option<Complexity>,
    /// The length of each claim and quote.
    pub detail: Option<Detail>,
    /// The grounding mode: the treatment of claims that cannot be verified.
    pub evidence: Option<Grounding>,
    /// The names of speakers who ask; see [`PersonaRecipe::interviewers`]. Empty for the recipe's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interviewers: Vec<String>,
    /// The names of speakers who answer; see [`PersonaRecipe::participants`]. Empty for the recipe's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    /// Whether a document whose speakers have no clear side is an error.
    pub strict_speakers: Option<bool>,
}

impl Definition {
    /// Creates a definition with the current time as `created_at`.
    #[must_use]
    pub fn new(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            created_at: jiff::Timestamp::now().to_string(),
            ..Self::default()
        }
    }

    /// Returns `defaults` as the text of an `antiphon.toml`; `None` if there are none.
    #[must_use]
    pub fn defaults_toml(&self) -> Option<String> {
        let file = || toml::Table::from_iter([("defaults".to_owned(), self.defaults.clone().into())]);
        (!self.defaults.is_empty()).then(|| file().to_string())
    }
}

impl PersonaDefaults {
    /// Returns the recipe with these defaults applied. The path of a recipe file is relative to `folder`.
    ///
    /// # Errors
    /// `Config` for a recipe that does not exist or is invalid.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn recipe(&self, folder: &Path) -> Result<PersonaRecipe, Error> {
        let mut recipe = match self.recipe.as_deref() {
            None => PersonaRecipe::default(),
            Some(file) if file.ends_with(".toml") => {
                let path = folder.join(file);
                let text = antiphon_fs::read_to_string(&path).await;
                let text = text.map_err(|err| Error::new(ErrorKind::Config, err.to_string()))?;
                PersonaRecipe::parse(&path.display().to_string(), &text.text)?
            }
            Some(name) => PersonaRecipe::built_in(name)?,
        };
        recipe.count = self.count.or(recipe.count);
        recipe.complexity = self.complexity.unwrap_or(recipe.complexity);
        recipe.detail = self.detail.unwrap_or(recipe.detail);
        recipe.grounding = self.evidence.unwrap_or(recipe.grounding);
        recipe.interviewers = first_named(&self.interviewers, &recipe.interviewers);
        recipe.participants = first_named(&self.participants, &recipe.participants);
        recipe.strict_speakers = self.strict_speakers.unwrap_or(recipe.strict_speakers);
        Ok(recipe)
    }

    /// Returns these defaults, with the values of `other` where these are `None`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            recipe: self.recipe.clone().or_else(|| other.recipe.clone()),
            count: self.count.or(other.count),
            complexity: self.complexity.or(other.complexity),
            detail: self.detail.or(other.detail),
            evidence: self.evidence.or(other.evidence),
            interviewers: first_named(&self.interviewers, &other.interviewers),
            participants: first_named(&self.participants, &other.participants),
            strict_speakers: self.strict_speakers.or(other.strict_speakers),
        }
    }
}

/// Returns the first of two lists of names that is not empty.
fn first_named(names: &[String], others: &[String]) -> Vec<String> {
    if names.is_empty() { others.to_vec() } else { names.to_vec() }
}
