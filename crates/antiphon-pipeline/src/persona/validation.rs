use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::preset::PersonaRecipe;
use super::types::Persona;
use crate::config::Grounding;
use antiphon_engine::near_name;
use antiphon_engine::{Check, Checks};

/// A custom rule for personas, from a recipe.
///
/// Besides `name`, `level` and `at`, set at least one of `regex`, `min`, `max` and `unique`.
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

/// The severity of a finding. A persona's score begins at 100 points, from which each finding deducts some.
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
/// A persona begins with 100 points, and each violation deducts the points of its [`Level`], down to 0. Violations do not change
/// or remove personas; they are for the reader of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Validation {
    /// The mean score of the personas, from 0 to 100.
    pub score: usize,
    /// The violations, the most severe first.
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
#[derive(Debug)]
pub(crate) struct Rules(Vec<(String, Level, Checks)>);

impl Rules {
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, String> {
        let compiled = rules.iter().map(|rule| {
            let Rule { name, level, at, regex, min, max, unique } = rule.clone();
            let field = at.split('/').nth(1).unwrap_or_default();
            if !FIELDS.contains(&field) {
                let near =
                    near_name(field, FIELDS.into_iter()).map(|near| format!("; did you mean /{near}?"));
                let near = near.unwrap_or_else(|| format!("; use one of {}", FIELDS.join(", ")));
                return Err(format!("the rule {name}: personas have nothing at {at}{near}"));
            }
            if min.zip(max).is_some_and(|(min, max)| min > max) {
                return Err(format!("the rule {name}: min is greater than max"));
            }
            let mut check = Check::default();
            (check.at, check.regex, check.min, check.max, check.unique) = (at, regex, min, max, unique);
            let checks = Checks::new(&[check]);
            let checks = checks.map_err(|why| format!("the rule {name}: {why}"))?;
            Ok((name, level, checks))
        });
        compiled.collect::<Result<_, String>>().map(Self)
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
        points += 100_usize.saturating_sub(deducted);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Validation { score: points.checked_div(personas.len()).unwrap_or(0), findings }
}

type RuleViolation = (String, Level, String);

fn custom(persona: &Persona, index: u64, rules: &Rules) -> Vec<RuleViolation> {
    let Ok(value) = serde_json::to_value(persona) else { return Vec::new() };
    let breach = |(name, level, checks): &(String, Level, Checks)| {
        checks.hold(index, &value).err().map(|why| (name.clone(), *level, why.to_string()))
    };
    rules.0.iter().filter_map(breach).collect()
}

fn built_in(persona: &Persona, grounding: Grounding) -> Vec<RuleViolation> {
    let lists = [
        ("goals", &persona.goals),
        ("pain points", &persona.pain_points),
        ("behaviours", &persona.behaviours),
        ("motivations", &persona.motivations),
    ];
    let mut violations = Vec::new();
    let mut add = |rule: &str, level, message: String| violations.push((rule.to_owned(), level, message));
    if is_generic(&persona.name) {
        add("name_not_generic", Level::Warning, format!("{} is a generic name", persona.name));
    }
    for (what, claims) in lists {
        if claims.is_empty() {
            let level = if matches!(what, "goals" | "pain points") { Level::Warning } else { Level::Info };
            add(&format!("has_{}", what.replace(' ', "_")), level, format!("no {what}"));
        }
        let unique: BTreeSet<String> = claims.iter().map(|claim| claim.to_lowercase()).collect();
        if unique.len() < claims.len() {
            add("unique_claims", Level::Warning, format!("duplicate among its {what}"));
        }
        if claims.iter().any(|claim| claim.chars().filter(|c| c.is_alphanumeric()).count() < 3) {
            add("claims_not_empty", Level::Warning, format!("one of its {what} is too short"));
        }
    }
    let claims: usize = lists.iter().map(|(_, claims)| claims.len()).sum();
    match claims {
        0 => add("minimum_detail", Level::Error, "no claims".to_owned()),
        1 | 2 => add("minimum_detail", Level::Warning, format!("few claims: {claims}")),
        _ => {}
    }
    if persona.demographics.is_empty() {
        add("has_demographics", Level::Info, "no demographics".to_owned());
    }
    if grounding != Grounding::Off {
        if persona.quotes.is_empty() {
            add("has_quotes", Level::Warning, "no verified quotes".to_owned());
        }
        let open = persona.unverified.iter().filter(|open| open.claim.is_some()).count();
        let level = if open * 2 > claims { Level::Warning } else { Level::Info };
        if open > 0 {
            add("evidence", level, format!("claims without evidence: {open}"));
        }
    }
    violations
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
mod tests {
    use super::{Level, PersonaRecipe, Rule, Rules, Validation, validate};
    use crate::persona::Persona;

    fn persona(name: &str) -> Persona {
        let list = |text: &str| vec![text.to_owned()];
        Persona {
            id: "persona-001".to_owned(),
            name: name.to_owned(),
            goals: list("Sleep"),
            pain_points: list("Noise"),
            behaviours: list("Walks"),
            motivations: list("Health"),
            ..Persona::default()
        }
    }

    #[track_caller]
    fn check(persona: Persona, rules: &[Rule], expected: &[(&str, Level)]) -> Validation {
        let validation = validate(&[persona], &PersonaRecipe::default(), &Rules::new(rules).unwrap());
        let found: Vec<_> =
            validation.findings.iter().map(|finding| (finding.rule.as_str(), finding.level)).collect();
        assert_eq!(found, expected);
        validation
    }

    #[test]
    fn built_in_rules_lower_the_score() {
        let built_in = [("has_quotes", Level::Warning), ("has_demographics", Level::Info)];
        assert_eq!(check(persona("Ada"), &[], &built_in).score, 88);
        let generic = [("name_not_generic", Level::Warning), built_in[0], built_in[1]];
        for name in ["User 2", "persona-A", "Participant", "John Doe", "user7"] {
            check(persona(name), &[], &generic);
        }
        for name in ["Userine", "Ada B", "P01 and P05: milk"] {
            check(persona(name), &[], &built_in);
        }
        let mut twice = persona("Ada");
        twice.goals.push("SLEEP".to_owned());
        check(twice, &[], &[("unique_claims", Level::Warning), built_in[0], built_in[1]]);
        let none = Persona { name: "Ada".to_owned(), ..Persona::default() };
        let validation = validate(&[none], &PersonaRecipe::default(), &Rules::new(&[]).unwrap());
        assert_eq!((validation.findings[0].level, validation.score), (Level::Error, 24));
    }

    #[test]
    fn custom_rules_have_a_name_and_a_level() {
        let rule: Rule =
            serde_json::from_str(r#"{"name": "long", "level": "error", "at": "/goals", "min": 2}"#).unwrap();
        let found = check(
            persona("Ada"),
            &[rule],
            &[("long", Level::Error), ("has_quotes", Level::Warning), ("has_demographics", Level::Info)],
        );
        assert_eq!(found.findings[0].message, "/goals: its length is 1, and 2 is the least");
    }
}
