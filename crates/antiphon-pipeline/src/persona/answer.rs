use std::collections::BTreeMap;

use antiphon_data::Document;
use serde::Deserialize;

use super::recipe::index_of;
use super::types::{Evidence, Persona, Quote, Unverified};
use crate::config::Grounding;
use crate::evidence::{self, Found, Missing, Wanted};

/// An answer that fits the schema.
#[derive(Deserialize)]
pub(crate) struct Answer {
    personas: Vec<Draft>,
}

#[derive(Deserialize)]
struct Draft {
    name: String,
    title: String,
    demographics: BTreeMap<String, Option<String>>,
    goals: Vec<Claim>,
    pain_points: Vec<Claim>,
    behaviours: Vec<Claim>,
    motivations: Vec<Claim>,
    #[serde(default)]
    quotes: Vec<Cited>,
}

/// A claim about a persona, with its citation if one was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Claim {
    Cited {
        claim: String,
        #[serde(flatten)]
        cited: Cited,
    },
    Plain(String),
}

impl Claim {
    fn text(&self) -> &String {
        match self {
            Self::Cited { claim, .. } | Self::Plain(claim) => claim,
        }
    }
}

#[derive(Deserialize)]
struct Cited {
    document: String,
    quote: String,
}

impl Draft {
    /// Returns every citation with its field and, if it has one, its claim.
    fn citations(&self) -> impl Iterator<Item = (&'static str, Option<&str>, &Cited)> {
        let fields = [
            ("goals", &self.goals),
            ("pain_points", &self.pain_points),
            ("behaviours", &self.behaviours),
            ("motivations", &self.motivations),
        ];
        let claims = fields.into_iter().flat_map(|(field, claims)| {
            claims.iter().filter_map(move |claim| match claim {
                Claim::Cited { claim, cited } => Some((field, Some(claim.as_str()), cited)),
                Claim::Plain(_) => None,
            })
        });
        claims.chain(self.quotes.iter().map(|cited| ("quotes", None, cited)))
    }
}

impl Answer {
    /// Returns the personas, with every citation looked up in what participants said (grounding). Blocks, for a time that grows
    /// with the documents' size.
    pub(crate) fn verified(&self, documents: &[Document], grounding: Grounding) -> Vec<Persona> {
        let wanted: Vec<Wanted> = self
            .personas
            .iter()
            .flat_map(Draft::citations)
            .map(|(_, _, cited)| Wanted::new(&cited.quote).document(index_of(&cited.document)))
            .collect();
        let mut found = evidence::verify(&wanted, documents).into_iter();
        let persona = |(index, draft): (usize, &Draft)| {
            let mut persona = persona(index, draft, documents, &mut found);
            if grounding == Grounding::Strict {
                leave_out_unverified(&mut persona);
            }
            persona
        };
        self.personas.iter().enumerate().map(persona).collect()
    }
}

fn persona(
    index: usize,
    draft: &Draft,
    documents: &[Document],
    found: &mut impl Iterator<Item = Result<Found, Missing>>,
) -> Persona {
    let claims = |claims: &[Claim]| claims.iter().map(|claim| claim.text().clone()).collect();
    let demographics =
        draft.demographics.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    let mut persona = Persona {
        id: format!("persona-{:03}", index + 1),
        name: draft.name.clone(),
        title: draft.title.clone(),
        demographics: demographics.collect(),
        goals: claims(&draft.goals),
        pain_points: claims(&draft.pain_points),
        behaviours: claims(&draft.behaviours),
        motivations: claims(&draft.motivations),
        ..Persona::default()
    };
    for ((field, claim, cited), found) in draft.citations().zip(found) {
        match found {
            Ok(found) => add(&mut persona, claim, &found, &documents[found.document]),
            Err(missing) => persona.unverified.push(Unverified {
                field: field.to_owned(),
                claim: claim.map(str::to_owned),
                quote: cited.quote.clone(),
                reason: missing.reason().to_owned(),
            }),
        }
    }
    persona
}

/// Removes claims without evidence; each is among the unverified already.
fn leave_out_unverified(persona: &mut Persona) {
    let Persona { goals, pain_points, behaviours, motivations, evidence, .. } = persona;
    for claims in [goals, pain_points, behaviours, motivations] {
        claims.retain(|claim| evidence.iter().any(|found| found.claim == *claim));
    }
}

fn add(persona: &mut Persona, claim: Option<&str>, found: &Found, document: &Document) {
    let (start, end) = (found.start, found.end);
    let (line, words) = (document.line_at(start), evidence::passage(document, start, end));
    let name = document.name.clone();
    match claim {
        Some(claim) => persona.evidence.push(Evidence {
            claim: claim.to_owned(),
            document: name,
            line,
            start,
            end,
            quote: words,
            speaker: found.speaker.clone(),
            matched: found.matched,
        }),
        None => persona.quotes.push(Quote {
            text: words,
            speaker: found.speaker.clone(),
            document: name,
            line,
            start,
            end,
            matched: found.matched,
        }),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_data::Document;
    use serde_json::{Value, json};

    use super::{Answer, Grounding};
    use crate::persona::{Count, PersonaRecipe, schema};

    fn answer(goal_quote: &str, quote: &str) -> Value {
        let cited = |quote: &str| json!({ "document": "d1", "quote": quote });
        let mut goal = cited(goal_quote);
        goal["claim"] = json!("Wants sleep");
        json!({ "personas": [{
            "name": "Ada", "title": "Tired",
            "demographics": { "age_range": null, "occupation": "baker", "industry": null, "location": null, "experience": null },
            "goals": [goal], "pain_points": [], "behaviours": [], "motivations": [], "quotes": [cited(quote)],
        }] })
    }

    #[test]
    fn the_schema_accepts_its_own_answer_and_no_other_count() {
        let schema = |count: &str| {
            let count: Count = count.parse().unwrap();
            schema(count, &PersonaRecipe::default()).unwrap()
        };
        assert_eq!(schema("1").violations(&answer("x", "y")), []);
        assert_eq!(schema("~1").violations(&answer("x", "y")), []);
        assert_eq!(schema("2").violations(&answer("x", "y")).len(), 1);
        assert_eq!(schema("2+").violations(&answer("x", "y")).len(), 1);
        assert!(!schema("1").violations(&json!({ "personas": [{ "name": "Ada" }] })).is_empty());
    }

    #[test]
    fn without_grounding_claims_are_kept_as_they_are() {
        let recipe = PersonaRecipe { grounding: Grounding::Off, ..PersonaRecipe::default() };
        let plain = json!({ "personas": [{
            "name": "Ada", "title": "Tired",
            "demographics": { "age_range": null, "occupation": null, "industry": null, "location": null, "experience": null },
            "goals": ["Sleep"], "pain_points": [], "behaviours": [], "motivations": [],
        }] });
        assert_eq!(schema(Count::Exactly(1), &recipe).unwrap().violations(&plain), []);
        let answer: Answer = serde_json::from_value(plain).unwrap();
        let persona = answer.verified(&[], Grounding::Off).remove(0);
        assert_eq!((persona.goals.as_slice(), persona.unverified.len()), (&["Sleep".to_owned()][..], 0));
    }

    #[test]
    fn found_quotes_stay_and_others_become_unverified() {
        let document =
            Document::parse("a.txt", b"Interviewer: Are you tired?\nP1: I want to sleep. Really I do.\n")
                .unwrap();
        let verify = |goal: &str, quote: &str, grounding| {
            let answer: Answer = serde_json::from_value(answer(goal, quote)).unwrap();
            answer.verified(std::slice::from_ref(&document), grounding).remove(0)
        };
        let good = verify("I want to sleep.", "Really I do.", Grounding::Strict);
        assert_eq!((good.evidence[0].line, good.quotes[0].speaker.as_str()), (2, "P1"));
        assert_eq!((good.unverified.len(), good.demographics["occupation"].as_str()), (0, "baker"));
        assert_eq!(good.goals.len(), 1);
        let strict = verify("I need money", "Really I do.", Grounding::Strict);
        assert_eq!((strict.goals.len(), strict.unverified[0].claim.as_deref()), (0, Some("Wants sleep")));
        let bad = verify("I need money", "Are you tired?", Grounding::Mark);
        assert_eq!((bad.goals.len(), bad.evidence.len(), bad.quotes.len()), (1, 0, 0));
        let reasons: Vec<_> =
            bad.unverified.iter().map(|un| (un.field.as_str(), un.reason.as_str())).collect();
        assert_eq!(
            reasons,
            [
                ("goals", "no participant said this"),
                ("quotes", "the interviewer said this, no participant did"),
            ]
        );
    }
}
