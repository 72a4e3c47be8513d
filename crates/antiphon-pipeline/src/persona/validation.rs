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
mod tests {
    use super::{Grounding, Level, PersonaRecipe, Rule, Rules, Validation, validate};
    use crate::persona::{Evidence, Persona, Unverified};
    use serde_json::json;

    const CLAIMS: [&str; 4] = ["Sleep", "Noise", "Walks", "Health"];

    /// Returns a persona with four claims, all with evidence.
    fn persona(name: &str) -> Persona {
        supported(name, CLAIMS.len())
    }

    /// Returns a persona with four claims, of which the first `count` have evidence and the others are unverified.
    fn supported(name: &str, count: usize) -> Persona {
        let list = |claim: usize| vec![CLAIMS[claim].to_owned()];
        let (with, without) = CLAIMS.split_at(count);
        Persona {
            id: "persona-001".to_owned(),
            name: name.to_owned(),
            goals: list(0),
            pain_points: list(1),
            behaviours: list(2),
            motivations: list(3),
            evidence: with.iter().map(|claim| evidence(claim)).collect(),
            unverified: without.iter().map(|claim| unverified(claim)).collect(),
            ..Persona::default()
        }
    }

    fn evidence(claim: &str) -> Evidence {
        serde_json::from_value(json!({
            "claim": claim, "field": field_of(claim), "document": "a.txt", "line": 1, "start": 0, "end": 9,
            "quote": "I said it", "speaker": "P1", "match": "exact",
        }))
        .unwrap()
    }

    fn unverified(claim: &str) -> Unverified {
        let reason = "no participant said this";
        let open = json!({ "field": field_of(claim), "claim": claim, "quote": "x", "reason": reason });
        serde_json::from_value(open).unwrap()
    }

    /// Returns the field of a claim.
    fn field_of(claim: &str) -> &'static str {
        let fields = ["goals", "pain_points", "behaviours", "motivations"];
        fields[CLAIMS.iter().position(|known| *known == claim).unwrap_or_default()]
    }

    /// Returns the score of one persona, and its first finding: rule, level and message.
    fn first_finding(persona: Persona, grounding: Grounding) -> (usize, String) {
        let recipe = PersonaRecipe { grounding, ..PersonaRecipe::default() };
        let rule = r#"{"name": "long", "level": "error", "at": "/goals", "min": 2}"#;
        let rules = Rules::new(&[serde_json::from_str(rule).unwrap()]).unwrap();
        let validation = validate(&[persona], &recipe, &rules);
        let first = &validation.findings[0];
        (validation.score, format!("{} ({}): {}", first.rule, first.level.name(), first.message))
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
        twice.evidence.push(evidence("SLEEP"));
        check(twice, &[], &[("unique_claims", Level::Warning), built_in[0], built_in[1]]);
        let none = Persona { name: "Ada".to_owned(), ..Persona::default() };
        let validation = validate(&[none], &PersonaRecipe::default(), &Rules::new(&[]).unwrap());
        assert_eq!((validation.findings[0].level, validation.score), (Level::Error, 24));
    }

    #[test]
    fn the_score_is_in_proportion_to_the_claims_with_evidence() {
        let score = |count, findings: &[(&str, Level)]| check(supported("Ada", count), &[], findings).score;
        let (quotes, facts) = (("has_quotes", Level::Warning), ("has_demographics", Level::Info));
        assert_eq!(score(4, &[quotes, facts]), 88);
        assert_eq!(score(3, &[quotes, facts, ("evidence", Level::Info)]), 86 * 3 / 4);
        assert_eq!(score(1, &[quotes, ("evidence", Level::Warning), facts]), 78 / 4);
        assert_eq!(score(0, &[("evidence", Level::Warning), quotes, facts]), 0);
    }

    #[test]
    fn a_persona_without_evidence_scores_nothing_and_says_so_first() {
        let none = "evidence (warning): none of its 4 claims has evidence in a participant's words";
        assert_eq!(first_finding(supported("Ada", 0), Grounding::Mark), (0, none.to_owned()));
        let mut silent = supported("Ada", 0);
        silent.unverified.clear();
        assert_eq!(first_finding(silent.clone(), Grounding::Mark), (0, none.to_owned()));
        let one = Persona { goals: vec!["Sleep".to_owned()], ..Persona::default() };
        let only = "evidence (warning): its only claim has no evidence in a participant's words";
        assert_eq!(first_finding(one, Grounding::Mark), (0, only.to_owned()));
        let mut twice = silent.clone();
        twice.motivations.push(twice.goals[0].clone());
        let five = none.replace('4', "5");
        assert_eq!(first_finding(twice, Grounding::Mark), (0, five), "a claim in two lists counts twice");
        let off = format!("{none}: grounding was off");
        assert_eq!(first_finding(silent, Grounding::Off), (0, off));
        let mut strict = supported("Ada", 0);
        for claims in
            [&mut strict.goals, &mut strict.pain_points, &mut strict.behaviours, &mut strict.motivations]
        {
            claims.clear();
        }
        assert_eq!(first_finding(strict, Grounding::Strict), (0, none.to_owned()));
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
