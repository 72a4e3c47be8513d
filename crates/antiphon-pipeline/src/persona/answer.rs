//! The answer of a model, and its way to personas: each citation is looked up in the documents.
//!
//! An answer is structured output in the schema of `recipe::schema`. Claims have a citation unless grounding is off:
//!
//! ```json
//! { "personas": [{
//!     "name": "Ada", "title": "Bakes at night", "demographics": { "occupation": "baker", "industry": null },
//!     "goals": [{ "claim": "Wants to sleep", "document": "d1", "quote": "I want to sleep" }],
//!     "pain_points": [], "behaviours": [], "motivations": [],
//!     "quotes": [{ "document": "d1", "quote": "I want to sleep" }]
//! }] }
//! ```
//!
//! Document ids such as `d1` count: a quote that only another document has is misattributed, and not verified. Quotes and
//! evidence have the words of the passage that was found, not the model's wording of them.

use std::collections::BTreeMap;

use antiphon_data::{Document, SpeakerRole};
use antiphon_engine::ErrorKind;
use serde::Deserialize;
use serde_json::Value;

use super::recipe::index_of;
use super::types::{Evidence, Persona, Quote, SourcePlace, Unverified};
use crate::config::Grounding;
use crate::error::Error;
use crate::evidence::{self, Found, Missing, Unfound, Wanted};

/// An answer that fits the schema.
#[derive(Deserialize)]
pub(crate) struct Answer {
    personas: Vec<Draft>,
}

/// A persona as the model wrote it, before its citations are looked up.
#[derive(Deserialize)]
struct Draft {
    name: String,
    title: String,
    /// Facts by name; `None` for a fact that no participant mentioned.
    demographics: BTreeMap<String, Option<String>>,
    goals: Vec<Claim>,
    pain_points: Vec<Claim>,
    behaviours: Vec<Claim>,
    motivations: Vec<Claim>,
    /// Quotes without a claim; absent if grounding is off.
    #[serde(default)]
    quotes: Vec<Cited>,
}

/// A claim about a persona, with its citation if one was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Claim {
    /// A claim with the words that support it.
    Cited {
        claim: String,
        #[serde(flatten)]
        cited: Cited,
    },
    /// A claim alone: grounding is off.
    Plain(String),
}

impl Claim {
    fn text(&self) -> &String {
        match self {
            Self::Cited { claim, .. } | Self::Plain(claim) => claim,
        }
    }
}

/// A citation: a document's id in the prompt, and the quoted words.
#[derive(Deserialize)]
struct Cited {
    document: String,
    quote: String,
}

impl Cited {
    /// Returns the index of the document; for an id that no document has, an index that no document has.
    fn index(&self) -> usize {
        index_of(&self.document).unwrap_or(usize::MAX)
    }
}

/// Returns a passage that the grounding mode accepts: strict grounding does not accept words that may be a question.
fn accepted(found: Found, grounding: Grounding) -> Result<Found, Unfound> {
    if grounding == Grounding::Strict && found.role == SpeakerRole::Unclear {
        return Err(Unfound { missing: Missing::UnclearSpeaker, place: Some(found) });
    }
    Ok(found)
}

impl Draft {
    /// Returns the persona with all claims and the facts that are not `null`, without evidence. Its id is its position,
    /// from 1.
    fn persona(&self, index: usize) -> Persona {
        let claims = |claims: &[Claim]| claims.iter().map(|claim| claim.text().clone()).collect();
        let facts = self.demographics.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        Persona {
            id: format!("persona-{:03}", index + 1),
            name: self.name.clone(),
            title: self.title.clone(),
            demographics: facts.collect(),
            goals: claims(&self.goals),
            pain_points: claims(&self.pain_points),
            behaviours: claims(&self.behaviours),
            motivations: claims(&self.motivations),
            ..Persona::default()
        }
    }

    /// Returns every citation with its field and, if it has one, its claim: claims first, in the order of the fields.
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
    /// Reads an answer.
    ///
    /// # Errors
    /// `Internal` for a value of another form: the schema was enforced, so that this is a defect of the schema.
    pub(crate) fn of(value: Value) -> Result<Self, Error> {
        serde_json::from_value(value).map_err(|err| {
            Error::new(ErrorKind::Internal, format!("the schema let a wrong answer through: {err}"))
        })
    }

    /// Returns the personas, with every citation looked up in what participants said (grounding). Blocks, for a time that grows
    /// with the documents' size.
    pub(crate) fn verified(&self, documents: &[Document], grounding: Grounding) -> Vec<Persona> {
        let wanted: Vec<Wanted> = self
            .personas
            .iter()
            .flat_map(Draft::citations)
            .map(|(_, _, cited)| Wanted::new(&cited.quote).document(Some(cited.index())))
            .collect();
        let verified = evidence::verify(&wanted, documents).into_iter();
        let mut found = verified.map(|found| found.and_then(|found| accepted(found, grounding)));
        let persona = |(index, draft): (usize, &Draft)| {
            let mut persona = with_citations(draft.persona(index), draft, documents, &mut found);
            if grounding == Grounding::Strict {
                leave_out_unverified(&mut persona);
            }
            persona
        };
        self.personas.iter().enumerate().map(persona).collect()
    }
}

/// Returns the persona of a draft with the outcomes of its citations, which it takes from `found`: one for each, in
/// order.
fn with_citations(
    mut persona: Persona,
    draft: &Draft,
    documents: &[Document],
    found: &mut impl Iterator<Item = Result<Found, Unfound>>,
) -> Persona {
    for ((field, claim, cited), found) in draft.citations().zip(found) {
        match found {
            Ok(found) => add(&mut persona, field, claim, Passage::of(found, documents)),
            Err(unfound) => {
                let place = unfound.place.map(|found| Passage::of(found, documents).place());
                persona.unverified.push(Unverified {
                    field: field.to_owned(),
                    claim: claim.map(str::to_owned),
                    quote: cited.quote.clone(),
                    missing: Some(unfound.missing),
                    reason: unfound.missing.reason().to_owned(),
                    place,
                });
            }
        }
    }
    persona
}

/// Removes claims without evidence in their field; each is among the unverified already.
fn leave_out_unverified(persona: &mut Persona) {
    let Persona { goals, pain_points, behaviours, motivations, evidence, .. } = persona;
    let fields = [
        ("goals", goals),
        ("pain_points", pain_points),
        ("behaviours", behaviours),
        ("motivations", motivations),
    ];
    for (field, claims) in fields {
        claims.retain(|claim| evidence.iter().any(|found| found.supports(field, claim)));
    }
}

/// A passage that was found, with its document.
struct Passage<'d> {
    found: Found,
    document: &'d Document,
    line: u32,
}

impl<'d> Passage<'d> {
    /// Looks up the document and the line of a passage.
    fn of(found: Found, documents: &'d [Document]) -> Self {
        let document = &documents[found.document];
        Self { document, line: document.line_at(found.start), found }
    }

    /// Returns the place without its words.
    fn place(self) -> SourcePlace {
        let Found { speaker, time, .. } = self.found;
        SourcePlace { document: self.document.name.clone(), line: self.line, speaker, time }
    }
}

/// Adds a verified citation: evidence if it supports a claim of `field`, otherwise a quote.
fn add(persona: &mut Persona, field: &str, claim: Option<&str>, passage: Passage<'_>) {
    let Passage { found, document, line } = passage;
    let Found { start, end, speaker, time, matched, role, .. } = found;
    let words = evidence::passage(document, start, end);
    let (document, speaker_unclear) = (document.name.clone(), role == SpeakerRole::Unclear);
    match claim {
        Some(claim) => persona.evidence.push(Evidence {
            claim: claim.to_owned(),
            field: field.to_owned(),
            document,
            line,
            start,
            end,
            quote: words,
            speaker,
            time,
            speaker_unclear,
            matched,
        }),
        None => persona.quotes.push(Quote {
            text: words,
            speaker,
            time,
            speaker_unclear,
            document,
            line,
            start,
            end,
            matched,
        }),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_data::{Document, SpeakerRole};
    use serde_json::{Value, json};

    use super::{Answer, Grounding, Missing};
    use crate::persona::{Count, Persona, PersonaRecipe, schema};

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

    /// Returns an answer with one goal and one motivation of the same words, each with a citation: document and quote.
    fn twice(goal: [&str; 2], motivation: [&str; 2]) -> Answer {
        let cited = |[document, quote]: [&str; 2]| json!({ "claim": "Wants sleep", "document": document, "quote": quote });
        let mut answer = answer("x", "I want to sleep.");
        answer["personas"][0]["goals"] = json!([cited(goal)]);
        answer["personas"][0]["motivations"] = json!([cited(motivation)]);
        serde_json::from_value(answer).unwrap()
    }

    fn documents() -> Vec<Document> {
        let one =
            Document::parse("a.txt", b"Interviewer: Tired?\nP1: I want to sleep.\nP2: Do you sleep well?\n");
        let other = Document::parse("b.txt", b"Interviewer: Tired?\nP3: I wake up at four.\n");
        let mut documents = vec![one.unwrap(), other.unwrap()];
        documents[0].turns[1].time = Some("12:41".into());
        documents[0].turns[2].role = SpeakerRole::Unclear;
        documents
    }

    #[test]
    fn a_quote_of_another_document_is_misattributed_and_says_where_it_is() {
        let answer = twice(["d2", "I want to sleep."], ["d1", "I want to sleep."]);
        let marked = answer.verified(&documents(), Grounding::Mark).remove(0);
        let open = &marked.unverified[0];
        let place = open.place.as_ref().unwrap();
        assert_eq!((open.field.as_str(), open.missing), ("goals", Some(Missing::Misattributed)));
        assert_eq!((place.document.as_str(), place.line, place.time.as_deref()), ("a.txt", 2, Some("12:41")));
        assert_eq!(
            (marked.goals.len(), marked.supported(), marked.evidence[0].field.as_str()),
            (1, 1, "motivations")
        );
        let strict = answer.verified(&documents(), Grounding::Strict).remove(0);
        assert_eq!(
            (strict.goals.len(), strict.motivations.len()),
            (0, 1),
            "the same claim in two fields is two"
        );
        let unknown = twice(["d9", "I want to sleep."], ["d0", "I want to sleep."]);
        let missing: Vec<_> = unknown.verified(&documents(), Grounding::Mark)[0]
            .unverified
            .iter()
            .map(|open| open.missing)
            .collect();
        assert_eq!(missing, [Some(Missing::Misattributed), Some(Missing::Misattributed)]);
    }

    #[test]
    fn words_of_an_unclear_speaker_are_marked_and_are_no_evidence_in_strict_grounding() {
        let answer = twice(["d1", "Do you sleep well?"], ["d1", "I want to sleep."]);
        let marked = answer.verified(&documents(), Grounding::Mark).remove(0);
        let evidence: Vec<_> =
            marked.evidence.iter().map(|found| (found.speaker_unclear, found.time.as_deref())).collect();
        assert_eq!(evidence, [(true, None), (false, Some("12:41"))]);
        let strict = answer.verified(&documents(), Grounding::Strict).remove(0);
        let open = &strict.unverified[0];
        assert_eq!((open.missing, open.place.is_some()), (Some(Missing::UnclearSpeaker), true));
        assert_eq!((strict.goals.len(), strict.motivations.len(), strict.evidence.len()), (0, 1, 1));
    }

    #[test]
    fn personas_of_earlier_versions_are_read() {
        let place = json!({ "document": "a.txt", "line": 2, "start": 0, "end": 4, "match": "fuzzy" });
        let with = |mut place: Value, fields: &[(&str, &str)]| {
            fields.iter().for_each(|(key, value)| place[*key] = json!(value));
            place
        };
        let persona: Persona = serde_json::from_value(json!({
            "id": "persona-001", "name": "Ada", "title": "", "demographics": {}, "goals": ["Sleep"], "pain_points": [],
            "behaviours": [], "motivations": ["Sleep"], "quotes": [with(place.clone(), &[("text", "I do"), ("speaker", "P1")])],
            "evidence": [with(place, &[("claim", "Sleep"), ("quote", "I do")])],
            "unverified": [{ "field": "goals", "claim": null, "quote": "x", "reason": "no participant said this" }],
        }))
        .unwrap();
        assert_eq!(
            (persona.supported(), persona.unverified[0].missing, &persona.quotes[0].time),
            (2, None, &None)
        );
        let written = serde_json::to_value(&persona).unwrap();
        assert!(
            written["quotes"][0].get("time").is_none()
                && written["evidence"][0].get("speaker_unclear").is_none()
        );
    }
}
