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
