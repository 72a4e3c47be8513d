use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Complexity, Detail, Grounding};
use crate::error::Error;
use crate::persona::{Count, PersonaRecipe};
use antiphon_engine::ErrorKind;

/// The content of `experiment.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Definition {
    /// Its name, which is that of its folder, too.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// When it was made, in UTC.
    pub created_at: String,
    /// How personas are drawn.
    pub personas: PersonaDefaults,
    /// As in `antiphon.toml`: the provider, the model, and the like.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub defaults: toml::Table,
}

/// How an experiment's personas are drawn; what is not said is the recipe's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PersonaDefaults {
    /// The name of a recipe that is built in, or a recipe file; its path counts from the experiment's folder.
    pub recipe: Option<String>,
    /// How many.
    pub count: Option<Count>,
    /// How many claims of each kind.
    pub complexity: Option<Complexity>,
    /// How much is said in each.
    pub detail: Option<Detail>,
    /// What becomes of claims that cannot be verified.
    pub evidence: Option<Grounding>,
}

impl Definition {
    /// One that is made now.
    #[must_use]
    pub fn new(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            created_at: jiff::Timestamp::now().to_string(),
            ..Self::default()
        }
    }

    /// Returns its defaults as the text of an `antiphon.toml`; `None` where it has none.
    #[must_use]
    pub fn defaults_toml(&self) -> Option<String> {
        let file = || toml::Table::from_iter([("defaults".to_owned(), self.defaults.clone().into())]);
        (!self.defaults.is_empty()).then(|| file().to_string())
    }
}

impl PersonaDefaults {
    /// The recipe with what is said beside it; a file's path counts from `folder`.
    ///
    /// # Errors
    /// `Config` for a recipe that is not there or cannot be used.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
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
        Ok(recipe)
    }

    /// This, with what `other` says in its place.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            recipe: self.recipe.clone().or_else(|| other.recipe.clone()),
            count: self.count.or(other.count),
            complexity: self.complexity.or(other.complexity),
            detail: self.detail.or(other.detail),
            evidence: self.evidence.or(other.evidence),
        }
    }
}
