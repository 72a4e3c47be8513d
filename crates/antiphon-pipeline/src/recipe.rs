//! The persona recipe: what is asked, the schema of the answer, and what is made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_data::{Document, Role as SpeakerRole};
use antiphon_llm::{Error as LlmError, Message, Part, Prompt, Role, Schema, Side, Turn};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{Detail, GenerationConfig};
use crate::evidence::{self, Found, Missing, Wanted};
use crate::persona::{Evidence, Persona, Quote, Unverified};

/// The recipe's name and version: another wording or schema makes another recipe.
pub(crate) const NAME: &str = "persona/1";

const SYSTEM: &str = "You are a user researcher. You draw personas from interviews and never invent anything: every \
    claim rests on words of a participant, quoted verbatim. You answer with JSON only.";

/// The prompt for a configuration and its documents.
pub(crate) fn prompt(config: &GenerationConfig, documents: &[Document]) -> Prompt {
    let count = config.count;
    let task = format!(
        "Below are {n} interview documents. Draw exactly {count} personas from them, each clearly different from the \
         others and each standing for participants with like goals and troubles.\n\
         For each persona give a name, a one-line title, demographics (null for what nobody said), goals, pain_points, \
         behaviours, motivations, and the quotes that show the persona best.\n\
         Each goal, pain point, behaviour and motivation has: claim (one short sentence), document (the id of the \
         document that supports it) and quote (the participant's words, copied character by character from that \
         document). Quote participants only, never the interviewer. Leave a list empty where nobody said anything.\n",
        n = documents.len(),
    );
    let parts = std::iter::once(Part::Text(task)).chain(documents.iter().enumerate().map(part));
    Prompt::new(&config.model, [Message::of(Role::User, parts)]).system(SYSTEM).parameters(config.parameters)
}

fn part((index, document): (usize, &Document)) -> Part {
    let turns: Vec<Turn> = document
        .turns
        .iter()
        .map(|turn| {
            let side = match turn.role {
                SpeakerRole::Participant => Side::Participant,
                SpeakerRole::Interviewer => Side::Interviewer,
            };
            Turn::new(turn.speaker.clone(), side, turn.span.clone())
        })
        .collect();
    let text: Arc<str> = document.text.clone();
    Part::Document(antiphon_llm::Document::new(id_of(index), &document.name, text).turns(turns))
}

fn id_of(index: usize) -> String {
    format!("d{}", index + 1)
}

/// The most claims of each kind, quotes, and characters of a claim and of a quote.
struct Bounds {
    claims: u32,
    quotes: u32,
    claim_length: u32,
    quote_length: u32,
}

impl Bounds {
    fn of(detail: Detail) -> Self {
        match detail {
            Detail::Brief => Self { claims: 2, quotes: 2, claim_length: 120, quote_length: 200 },
            Detail::Standard => Self { claims: 6, quotes: 5, claim_length: 300, quote_length: 600 },
        }
    }
}

/// The schema of an answer with exactly `count` personas. Its fields stand in the order in which they are best written.
pub(crate) fn schema(count: usize, detail: Detail) -> Result<Schema, LlmError> {
    let bounds = Bounds::of(detail);
    let text = |most: u32| json!({ "type": "string", "minLength": 1, "maxLength": most });
    let object = |properties: Value| {
        let required: Vec<&String> =
            properties.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    let fact = || json!({ "type": ["string", "null"], "maxLength": 300 });
    let list = |items: &Value, most: u32| json!({ "type": "array", "items": items, "maxItems": most });
    let document = || json!({ "type": "string", "pattern": "^d[0-9]{1,6}$" });
    let (claim, words) = (text(bounds.claim_length), text(bounds.quote_length));
    let claim = object(json!({ "claim": claim, "document": document(), "quote": words }));
    let quote = object(json!({ "document": document(), "quote": words }));
    let persona = object(json!({
        "name": text(100),
        "title": text(200),
        "demographics": object(json!({
            "age_range": fact(), "occupation": fact(), "industry": fact(), "location": fact(), "experience": fact(),
        })),
        "goals": list(&claim, bounds.claims),
        "pain_points": list(&claim, bounds.claims),
        "behaviours": list(&claim, bounds.claims),
        "motivations": list(&claim, bounds.claims),
        "quotes": list(&quote, bounds.quotes),
    }));
    let personas = json!({ "type": "array", "items": persona, "minItems": count, "maxItems": count });
    Schema::new("personas", object(json!({ "personas": personas })))
}

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
    quotes: Vec<Cited>,
}

#[derive(Deserialize)]
struct Claim {
    claim: String,
    #[serde(flatten)]
    cited: Cited,
}

#[derive(Deserialize)]
struct Cited {
    document: String,
    quote: String,
}

impl Draft {
    /// Every citation with its field and, where there is one, its claim.
    fn citations(&self) -> impl Iterator<Item = (&'static str, Option<&str>, &Cited)> {
        let fields = [
            ("goals", &self.goals),
            ("pain_points", &self.pain_points),
            ("behaviours", &self.behaviours),
            ("motivations", &self.motivations),
        ];
        let claims = fields.into_iter().flat_map(|(field, claims)| {
            claims.iter().map(move |claim| (field, Some(claim.claim.as_str()), &claim.cited))
        });
        claims.chain(self.quotes.iter().map(|cited| ("quotes", None, cited)))
    }
}

impl Answer {
    /// The personas, with every quote looked up in what participants said. Takes time with the documents' size.
    pub(crate) fn verified(&self, documents: &[Document]) -> Vec<Persona> {
        let by_id =
            |id: &str| id.strip_prefix('d').and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
        let wanted: Vec<Wanted> = self
            .personas
            .iter()
            .flat_map(Draft::citations)
            .map(|(_, _, cited)| Wanted::new(&cited.quote).document(by_id(&cited.document)))
            .collect();
        let mut found = evidence::verify(&wanted, documents).into_iter();
        let persona = |(index, draft): (usize, &Draft)| persona(index, draft, documents, &mut found);
        self.personas.iter().enumerate().map(persona).collect()
    }
}

fn persona(
    index: usize,
    draft: &Draft,
    documents: &[Document],
    found: &mut impl Iterator<Item = Result<Found, Missing>>,
) -> Persona {
    let claims = |claims: &[Claim]| claims.iter().map(|claim| claim.claim.clone()).collect();
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

    use super::{Answer, Detail, schema};

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
    fn the_schema_takes_its_own_answer_and_no_other_number() {
        let schema = |count| schema(count, Detail::Standard).unwrap();
        assert_eq!(schema(1).violations(&answer("x", "y")), []);
        assert_eq!(schema(2).violations(&answer("x", "y")).len(), 1);
        assert!(!schema(1).violations(&json!({ "personas": [{ "name": "Ada" }] })).is_empty());
    }

    #[test]
    fn found_quotes_stay_and_others_become_unverified() {
        let document =
            Document::parse("a.txt", b"Interviewer: Are you tired?\nP1: I want to sleep. Really I do.\n")
                .unwrap();
        let verify = |goal: &str, quote: &str| {
            let answer: Answer = serde_json::from_value(answer(goal, quote)).unwrap();
            answer.verified(std::slice::from_ref(&document)).remove(0)
        };
        let good = verify("I want to sleep.", "Really I do.");
        assert_eq!((good.evidence[0].line, good.quotes[0].speaker.as_str()), (2, "P1"));
        assert_eq!((good.unverified.len(), good.demographics["occupation"].as_str()), (0, "baker"));
        let bad = verify("I need money", "Are you tired?");
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
