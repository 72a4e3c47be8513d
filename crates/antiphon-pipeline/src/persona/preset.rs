//! Persona recipes as data: the recipe file in TOML, and the built-in recipes.
//!
//! | key | type | default |
//! |---|---|---|
//! | `name` | text | the file's name without its extension |
//! | `count` | number, or text such as `"3-5"` | the caller's |
//! | `complexity` | `simple`, `moderate` or `complex` | `moderate` |
//! | `detail` | `brief`, `standard` or `detailed` | `standard` |
//! | `evidence` | `strict`, `mark` or `off` | `mark` |
//! | `instructions` | text | none |
//! | `temperature`, `top_p` and the other fields of [`SamplingParams`] | see there | the configuration's, else the provider's |
//! | `fallback` | list of `provider/model` | that of the configuration |
//! | `max_similarity` | number from 0 to 1 | 0.6 |
//! | `interviewers`, `participants` | lists of names, see [`PersonaRecipe::interviewers`] | none |
//! | `strict_speakers` | `true` or `false` | `false` |
//! | `[[rule]]` | tables, see [`Rule`] | none |
//!
//! Unknown keys are errors, with the most similar key as a suggestion. A recipe file has the same keys as the fields of
//! [`PersonaRecipe`], except that `grounding` is `evidence`, `rules` is `rule`, and the sampling parameters are not
//! in a table of their own.

use antiphon_llm::{SamplingParams, with_sampling_params};
use serde::{Deserialize, Serialize};

use super::count::Count;
use super::validation::{Rule, Rules};
use crate::config::{Complexity, Detail, Grounding};
use crate::error::Error;
use antiphon_engine::{ErrorKind, at_param, near_name, read_toml};

/// A recipe for personas: the content of a recipe file, or a built-in one.
///
/// ```
/// use antiphon_pipeline::{Complexity, PersonaRecipe};
/// let recipe = PersonaRecipe::parse("clinic.toml", r#"
///     complexity = "complex"
///     instructions = "Write for a clinical audience."
///
///     [[rule]]
///     name = "says what they work as"
///     at = "/demographics/occupation"
///     min = 3
/// "#)?;
/// assert_eq!((recipe.name.as_str(), recipe.complexity), ("clinic", Complexity::Complex));
/// # Ok::<(), antiphon_pipeline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PersonaRecipe {
    /// The name, for reports.
    pub name: String,
    /// Number of personas; `None` leaves it to the caller. Default: `None`.
    pub count: Option<Count>,
    /// The maximum number of claims of each kind. Default: [`Complexity::Moderate`].
    pub complexity: Complexity,
    /// The length of claims and quotes. Default: [`Detail::Standard`].
    pub detail: Detail,
    /// The grounding mode: the treatment of claims that cannot be verified. Default: [`Grounding::Mark`].
    pub grounding: Grounding,
    /// Instructions to the model in addition to its task. Default: none.
    pub instructions: Option<String>,
    /// The sampling parameters. Default: the provider's own.
    pub parameters: SamplingParams,
    /// The fallbacks, each as `provider/model`, called in order if the provider cannot answer. A caller that names others
    /// overrides them. Default: those of the configuration.
    pub fallback: Vec<String>,
    /// The custom rules, which are checked in addition to the built-in ones. Default: none.
    pub rules: Vec<Rule>,
    /// Names of speakers who ask, whatever the documents say: whole names, first names, or labels. Default: none, so that the
    /// labels, heads and questions of the documents decide.
    pub interviewers: Vec<String>,
    /// Names of speakers who answer, in the same form. They have precedence over `interviewers`. Default: none.
    pub participants: Vec<String>,
    /// Whether a document whose speakers have no clear side is an error. Default: no, it is a warning.
    pub strict_speakers: bool,
    /// The highest similarity, from 0 to 1, that two personas may have. A persona that is more similar to an earlier one is
    /// rejected as a near duplicate (MinHash), and a replacement is requested. Default: 0.6; 1 keeps all.
    pub max_similarity: f64,
}

impl Default for PersonaRecipe {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            count: None,
            complexity: Complexity::Moderate,
            detail: Detail::Standard,
            grounding: Grounding::Mark,
            instructions: None,
            parameters: SamplingParams::default(),
            fallback: Vec::new(),
            interviewers: Vec::new(),
            participants: Vec::new(),
            strict_speakers: false,
            rules: Vec::new(),
            max_similarity: MAX_SIMILARITY,
        }
    }
}

/// The default of [`PersonaRecipe::max_similarity`].
const MAX_SIMILARITY: f64 = 0.6;

with_sampling_params! {
/// The content of a recipe file: see the table of the module.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Count>,
    #[serde(default)]
    complexity: Complexity,
    #[serde(default)]
    detail: Detail,
    #[serde(default)]
    evidence: Grounding,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_similarity: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    interviewers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    participants: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    strict_speakers: bool,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}
}

/// Returns whether a setting is off, so that a recipe file leaves it out.
fn is_false(value: &bool) -> bool {
    !*value
}

impl PersonaRecipe {
    /// The names of the built-in recipes.
    pub const BUILT_IN: [&str; 3] = ["default", "research", "quick"];

    /// Returns a built-in recipe: `default`; `research`, with more and longer claims and strict grounding; or `quick`, with few
    /// and short claims, for a first look.
    ///
    /// | name | complexity | detail | grounding |
    /// |---|---|---|---|
    /// | `default` | moderate | standard | mark |
    /// | `research` | complex | detailed | strict |
    /// | `quick` | moderate | brief | mark |
    ///
    /// # Errors
    /// `Config` for another name; the message has a similar name or the list of names.
    pub fn built_in(name: &str) -> Result<Self, Error> {
        let mut recipe = Self { name: name.to_owned(), ..Self::default() };
        match name {
            "default" => {}
            "research" => {
                (recipe.complexity, recipe.detail) = (Complexity::Complex, Detail::Detailed);
                recipe.grounding = Grounding::Strict;
            }
            "quick" => (recipe.complexity, recipe.detail) = (Complexity::Moderate, Detail::Brief),
            other => return Err(unknown(other)),
        }
        Ok(recipe)
    }

    /// Writes the recipe as the text of a recipe file, from which [`parse`](Self::parse) reads the same recipe. A recipe that
    /// flags have changed is stored with its run in this form.
    ///
    /// # Errors
    /// `Internal` for a defect of this crate.
    pub fn to_toml(&self) -> Result<String, Error> {
        let Self {
            name,
            count,
            complexity,
            detail,
            grounding,
            instructions,
            parameters,
            fallback,
            interviewers,
            participants,
            strict_speakers,
            rules,
            max_similarity,
        } = self.clone();
        let file = File {
            name: Some(name),
            count,
            complexity,
            detail,
            evidence: grounding,
            instructions,
            fallback,
            max_similarity: Some(max_similarity),
            interviewers,
            participants,
            strict_speakers,
            rules,
            ..File::from(parameters)
        };
        toml::to_string(&file).map_err(|err| Error::internal(err.to_string()))
    }

    /// Reads the text of a recipe file called `name`. Nothing is read from disk: `name` is for errors, and its stem is
    /// the recipe's name if the file has none.
    ///
    /// # Errors
    /// `Config` for a text that cannot be parsed or a value out of range, with the file and, if known, the line.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let file: File = read_toml(name, text)?;
        file.sampling().check().map_err(|err| Error::new(ErrorKind::Config, at_param(name, text, &err)))?;
        file.check().map_err(|err| Error::new(err.kind(), format!("{name}: {err}")))?;
        let stem = std::path::Path::new(name).file_stem().and_then(|stem| stem.to_str());
        Ok(file.into_recipe(stem.unwrap_or("recipe")))
    }
}

impl File {
    /// Checks the ranges of numbers and the rules, which the types do not. Returns the first mistake.
    fn check(&self) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::new(ErrorKind::Config, why));
        if self.max_similarity.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return wrong("max_similarity is a number from 0 to 1");
        }
        Rules::new(&self.rules).map(drop)
    }

    /// Returns the recipe, called `stem` if the file does not name it.
    fn into_recipe(self, stem: &str) -> PersonaRecipe {
        let parameters = self.sampling();
        PersonaRecipe {
            name: self.name.unwrap_or_else(|| stem.to_owned()),
            count: self.count,
            complexity: self.complexity,
            detail: self.detail,
            grounding: self.evidence,
            instructions: self.instructions,
            parameters,
            fallback: self.fallback,
            interviewers: self.interviewers,
            participants: self.participants,
            strict_speakers: self.strict_speakers,
            rules: self.rules,
            max_similarity: self.max_similarity.unwrap_or(MAX_SIMILARITY),
        }
    }
}

/// Returns the error for the name of no built-in recipe.
fn unknown(name: &str) -> Error {
    let names = PersonaRecipe::BUILT_IN;
    let hint = match near_name(name, names.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("use {}, or a file whose name ends in .toml", names.join(", ")),
    };
    Error::new(ErrorKind::Config, format!("unknown recipe {name}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::PersonaRecipe;
    use crate::config::{Detail, Grounding};

    #[test]
    fn only_built_in_names_are_found() {
        for name in PersonaRecipe::BUILT_IN {
            assert_eq!(PersonaRecipe::built_in(name).unwrap().name, name);
        }
        let research = PersonaRecipe::built_in("research").unwrap();
        assert_eq!((research.detail, research.grounding), (Detail::Detailed, Grounding::Strict));
        let err = PersonaRecipe::built_in("reserch").unwrap_err();
        assert!(err.to_string().contains("did you mean research?"), "{err}");
    }

    #[test]
    fn recipes_round_trip_through_toml() {
        let text = "count = \"3-5\"\nevidence = \"strict\"\nseed = 7\ntop_p = 0.5\nstop = [\"END\"]\nreasoning_effort = \"low\"\nfallback = [\"lab/small\"]\ninstructions = \"Short.\"\n[[rule]]\nname = \"x\"\nat = \"/name\"\nmin = 3\n";
        for recipe in
            [PersonaRecipe::parse("own.toml", text).unwrap(), PersonaRecipe::built_in("quick").unwrap()]
        {
            let written = recipe.to_toml().unwrap();
            assert_eq!(PersonaRecipe::parse("recipe", &written).unwrap(), recipe, "{written}");
        }
    }

    #[test]
    fn errors_name_the_file_and_the_mistake() {
        let error = |text: &str| PersonaRecipe::parse("r.toml", text).unwrap_err().to_string();
        assert_eq!(error("detial = \"brief\""), "r.toml:1: unknown key detial; did you mean detail?");
        assert!(error("max_similarity = 2").contains("from 0 to 1"));
        assert_eq!(error("name = \"n\"\ntop_p = 3"), "r.toml:2: top_p is 3: it must be a number from 0 to 1");
        assert_eq!(
            error("name = \"n\"\n\ntemperature = nan"),
            "r.toml:3: temperature is NaN: it must be a number from 0"
        );
        assert!(error("stop = []").starts_with("r.toml:1: stop is empty"));
        assert_eq!(error("tp_k = 3"), "r.toml:1: unknown key tp_k; did you mean top_k?");
        assert!(error("[[rule]]\nname = \"x\"\nat = \"/name\"").contains("none of regex"));
        assert!(error("count = \"5-3\"").contains("r.toml:1"), "{}", error("count = \"5-3\""));
        let recipe = PersonaRecipe::parse("my/own.toml", "count = \"3-5\"\nevidence = \"off\"").unwrap();
        assert_eq!((recipe.name.as_str(), recipe.grounding), ("own", Grounding::Off));
    }
}
