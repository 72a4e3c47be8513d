//! Rules for personas: built-in ones, and the custom ones of a recipe.
//!
//! A violation never changes a persona, and never causes a call: the answer is paid for, and rules are for its reader.
//! To have an answer of a model checked and requested again, use the checks of a recipe over rows instead ([`Check`]).
//!
//! | built-in rule | violated by | level |
//! |---|---|---|
//! | `name_not_generic` | a placeholder such as "User 2" | warning |
//! | `has_goals`, `has_pain_points` | an empty list | warning |
//! | `has_behaviours`, `has_motivations` | an empty list | info |
//! | `unique_claims` | two equal claims in a list, ignoring case | warning |
//! | `claims_not_empty` | a claim of fewer than three letters or digits | warning |
//! | `minimum_detail` | one or two claims in all; none | warning; error |
//! | `has_demographics` | no demographics | info |
//! | `has_quotes` | an empty list of quotes, unless grounding is off | warning |
//! | `evidence` | claims without evidence | info; warning if more than half as many as claims, or all |
//!
//! # The score
//!
//! A persona begins with 100 points, and each finding deducts those of its [`Level`], down to 0. The rest is multiplied
//! by the share of claims that have evidence, and rounded down:
//!
//! ```text
//! score = max(0, 100 - deducted) × supported / claimed
//! ```
//!
//! `claimed` has the claims that the model made: those of the persona, and those that grounding in strict mode removed;
//! `supported` are those with a verified citation ([`Persona::evidence_of`]). So a persona with evidence for all claims
//! keeps its points, and one without any scores 0, as does every persona without grounding: nothing is known about
//! its claims. A persona without claims keeps its points, of which the rules above have deducted most.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::preset::PersonaRecipe;
use super::types::Persona;
use crate::config::Grounding;
use crate::error::Error;
use antiphon_engine::near_name;
use antiphon_engine::{Check, Checks, ErrorKind};

/// A custom rule for personas, from a recipe.
///
/// Besides `name`, `level` and `at`, set at least one of `regex`, `min`, `max` and `unique`. In TOML:
///
/// ```toml
/// [[rule]]
/// name = "few goals"
/// level = "info"
/// at = "/goals"
/// max = 5
/// ```
///
/// A rule lowers the score of a persona that violates it; see [`Validation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// The name, for reports.
    pub name: String,
    /// The severity of a violation. Default: warning.
    #[serde(default)]
    pub level: Level,
    /// The part of the persona to check, as a JSON pointer (RFC 6901), such as `/demographics/industry` or `/goals`.
    pub at: String,
    /// A regular expression that has to match somewhere in that text. Default: none.
    #[serde(default)]
    pub regex: Option<String>,
    /// The minimum of the number, of the text's length in characters, or of the list's length. Default: none.
    #[serde(default)]
    pub min: Option<f64>,
    /// The maximum of the number, of the text's length in characters, or of the list's length. Default: none.
    #[serde(default)]
    pub max: Option<f64>,
    /// Whether no other persona may have the same value in that part. Default: no.
    #[serde(default)]
    pub unique: bool,
}

/// The severity of a finding. A persona's score begins at 100 points, from which each finding deducts some; see
/// [`Validation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// For information. Costs 2 of 100 points.
    Info,
    /// Worth a check. Costs 10 of 100 points.
    #[default]
    Warning,
    /// Not usable as it is. Costs 40 of 100 points.
    Error,
}

impl Level {
    /// Returns the name, as it is written to `run.json`: `info`, `warning` or `error`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Returns the points that a finding deducts from the score of its persona.
    fn points(self) -> usize {
        match self {
            Self::Info => 2,
            Self::Warning => 10,
            Self::Error => 40,
        }
    }
}

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The id of the persona.
    pub persona: String,
    /// The name of the rule.
    pub rule: String,
    /// The severity.
    pub level: Level,
    /// A description of the violation.
    pub message: String,
}

/// The result of checking the personas of a run against rules.
///
/// A persona begins with 100 points, and each violation deducts the points of its [`Level`], down to 0. The rest is
/// multiplied by the share of its claims that have evidence, so that claims without evidence never score like verified
/// ones: a persona without evidence, as after grounding that is off, scores 0. Violations do not change or remove
/// personas; they are for the reader of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Validation {
    /// The mean score of the personas, from 0 to 100.
    pub score: usize,
    /// The violations: personas of which no claim has evidence first, then the most severe.
    pub findings: Vec<Finding>,
}

/// Fields of a persona that a rule can check.
const FIELDS: [&str; 11] = [
    "id",
    "name",
    "title",
    "demographics",
    "goals",
    "pain_points",
    "behaviours",
    "motivations",
    "quotes",
    "evidence",
    "unverified",
];

/// The custom rules of a recipe, compiled.
///
/// `unique` compares the personas that one value of this type has checked: compile the rules again for each answer.
#[derive(Debug)]
pub(crate) struct Rules(Vec<CompiledRule>);

/// A rule's name, its level, and the engine's checks for it.
type CompiledRule = (String, Level, Checks);

impl Rules {
    /// Compiles rules. The error is the first mistake: a place that personas do not have, bounds in the wrong order, or
    /// a check that the engine refuses, such as an invalid regular expression.
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, Error> {
        rules.iter().map(compiled).collect::<Result<_, Error>>().map(Self)
    }
}

/// Compiles one rule.
fn compiled(rule: &Rule) -> Result<CompiledRule, Error> {
    let Rule { name, level, at, regex, min, max, unique } = rule.clone();
    let wrong = |why: String| Error::new(ErrorKind::Config, format!("the rule {name}: {why}"));
    let field = at.split('/').nth(1).unwrap_or_default();
    if !FIELDS.contains(&field) {
        return Err(wrong(format!("personas have nothing at {at}{}", field_hint(field))));
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(wrong("min is greater than max".to_owned()));
    }
    let mut check = Check::default();
    (check.at, check.regex, check.min, check.max, check.unique) = (at, regex, min, max, unique);
    let checks = Checks::new(&[check]).map_err(|err| wrong(err.to_string()))?;
    Ok((name, level, checks))
}

/// Returns a hint for a field that personas do not have: a similar one, or all of them.
fn field_hint(field: &str) -> String {
    match near_name(field, FIELDS.into_iter()) {
        Some(near) => format!("; did you mean /{near}?"),
        None => format!("; use one of {}", FIELDS.join(", ")),
    }
}

/// Checks personas against the built-in rules and the recipe's custom ones.
pub(crate) fn validate(personas: &[Persona], recipe: &PersonaRecipe, rules: &Rules) -> Validation {
    let mut findings: Vec<Finding> = Vec::new();
    let mut points = 0;
    for (index, persona) in (0..).zip(personas) {
        let violations = built_in(persona, recipe.grounding).into_iter().chain(custom(persona, index, rules));
        let first = findings.len();
        findings.extend(violations.map(|(rule, level, message)| Finding {
            persona: persona.id.clone(),
            rule,
            level,
            message,
        }));
        let deducted: usize = findings[first..].iter().map(|finding| finding.level.points()).sum();
        points += Support::of(persona).apply(100_usize.saturating_sub(deducted));
    }
    let unsupported: BTreeSet<&str> = personas
        .iter()
        .filter(|persona| Support::of(persona).is_none())
        .map(|persona| persona.id.as_str())
        .collect();
    let is_first =
        |finding: &Finding| finding.rule == EVIDENCE && unsupported.contains(finding.persona.as_str());
    findings.sort_by_key(|finding| std::cmp::Reverse((is_first(finding), finding.level)));
    Validation { score: points.checked_div(personas.len()).unwrap_or(0), findings }
}

/// The name of the rule about claims without evidence.
const EVIDENCE: &str = "evidence";

/// The numbers of claims of a persona: all that the model made, and those with evidence.
#[derive(Debug, Clone, Copy)]
struct Support {
    claimed: usize,
    supported: usize,
}

impl Support {
    /// Counts the claims of a persona, and those that strict grounding removed from it. A claim in two lists counts twice, as it
    /// does in the coverage.
    fn of(persona: &Persona) -> Self {
        let listed: BTreeSet<(&str, &str)> = persona.claims_by_field().collect();
        let open =
            persona.unverified.iter().filter_map(|open| Some((open.field.as_str(), open.claim.as_deref()?)));
        let removed: BTreeSet<(&str, &str)> = open.filter(|claim| !listed.contains(claim)).collect();
        let has_evidence = |claim: &(&str, &str)| persona.evidence_of(claim.0, claim.1).next().is_some();
        let supported = persona.claims_by_field().filter(has_evidence).count();
        Self { claimed: persona.claims_by_field().count() + removed.len(), supported }
    }

    /// Returns whether there are claims, none of which has evidence.
    fn is_none(self) -> bool {
        self.claimed > 0 && self.supported == 0
    }

    /// Returns points in proportion to the share of claims with evidence, rounded down; all of them without claims.
    fn apply(self, points: usize) -> usize {
        (points * self.supported).checked_div(self.claimed).unwrap_or(points)
    }
}

/// The name of a violated rule, its level, and a description.
type RuleViolation = (String, Level, String);

/// Returns the violations of custom rules. `index` is the persona's position, by which `unique` reports an earlier
/// equal value.
fn custom(persona: &Persona, index: u64, rules: &Rules) -> Vec<RuleViolation> {
    let Ok(value) = serde_json::to_value(persona) else { return Vec::new() };
    let breach = |(name, level, checks): &CompiledRule| {
        checks.hold(index, &value).err().map(|why| (name.clone(), *level, why.to_string()))
    };
    rules.0.iter().filter_map(breach).collect()
}

/// Returns the violations of the built-in rules, which the module's table lists.
fn built_in(persona: &Persona, grounding: Grounding) -> Vec<RuleViolation> {
    let lists = [
        ("goals", &persona.goals),
        ("pain points", &persona.pain_points),
        ("behaviours", &persona.behaviours),
        ("motivations", &persona.motivations),
    ];
    let mut found = Violations::default();
    if is_generic(&persona.name) {
        found.add("name_not_generic", Level::Warning, format!("{} is a generic name", persona.name));
    }
    lists.iter().for_each(|(what, claims)| found.check_claims(what, claims));
    let claims: usize = lists.iter().map(|(_, claims)| claims.len()).sum();
    found.check_amount(claims, persona);
    found.check_grounding(persona, grounding);
    found.0
}

/// The violations of built-in rules by one persona so far.
#[derive(Default)]
struct Violations(Vec<RuleViolation>);

impl Violations {
    /// Adds a violation.
    fn add(&mut self, rule: &str, level: Level, message: String) {
        self.0.push((rule.to_owned(), level, message));
    }

    /// Checks one list of claims, called `what`: whether there are any, all different, and none without content.
    fn check_claims(&mut self, what: &str, claims: &[String]) {
        if claims.is_empty() {
            let level = if matches!(what, "goals" | "pain points") { Level::Warning } else { Level::Info };
            self.add(&format!("has_{}", what.replace(' ', "_")), level, format!("no {what}"));
        }
        let unique: BTreeSet<String> = claims.iter().map(|claim| claim.to_lowercase()).collect();
        if unique.len() < claims.len() {
            self.add("unique_claims", Level::Warning, format!("duplicate among its {what}"));
        }
        if claims.iter().any(|claim| claim.chars().filter(|c| c.is_alphanumeric()).count() < 3) {
            self.add("claims_not_empty", Level::Warning, format!("one of its {what} is too short"));
        }
    }

    /// Checks whether there is enough of a persona to be of use: claims in any list, and demographics.
    fn check_amount(&mut self, claims: usize, persona: &Persona) {
        match claims {
            0 => self.add("minimum_detail", Level::Error, "no claims".to_owned()),
            1 | 2 => self.add("minimum_detail", Level::Warning, format!("few claims: {claims}")),
            _ => {}
        }
        if persona.demographics.is_empty() {
            self.add("has_demographics", Level::Info, "no demographics".to_owned());
        }
    }

    /// Checks the evidence, and the quotes if any were requested. Claims that strict mode removed count, too.
    fn check_grounding(&mut self, persona: &Persona, grounding: Grounding) {
        let is_off = grounding == Grounding::Off;
        if persona.quotes.is_empty() && !is_off {
            let why = match Support::of(persona).supported {
                0 => "no verified quotes",
                _ => "its list of quotes is empty; its claims have quotes as evidence",
            };
            self.add("has_quotes", Level::Warning, why.to_owned());
        }
        let support = Support::of(persona);
        let open = support.claimed - support.supported;
        let level = if open * 2 > persona.claims().count() { Level::Warning } else { Level::Info };
        if support.is_none() {
            let why = if is_off { ": grounding was off" } else { "" };
            let subject = match support.claimed {
                1 => "its only claim has no".to_owned(),
                claims => format!("none of its {claims} claims has"),
            };
            self.add(EVIDENCE, level, format!("{subject} evidence in a participant's words{why}"));
        } else if open > 0 {
            self.add(EVIDENCE, level, format!("claims without evidence: {open}"));
        }
    }
}

/// Returns whether a name is a placeholder, also with a number or a letter at its end: "User 2", "Persona A".
fn is_generic(name: &str) -> bool {
    const GENERIC: [&str; 9] =
        ["user", "persona", "participant", "customer", "person", "john doe", "jane doe", "name", "n/a"];
    let name = name.trim().to_lowercase();
    let stem = match name.rsplit_once([' ', '-', '_', '#']) {
        Some((stem, last)) if last.len() == 1 || last.parse::<u32>().is_ok() => stem.trim(),
        _ => name.trim_end_matches(|c: char| c.is_ascii_digit()),
    };
    GENERIC.contains(&stem) || GENERIC.contains(&name.as_str())
}

#[cfg(test)]
mod tests;
