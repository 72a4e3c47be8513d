//! The persona recipe: participants are clustered, and each group's own sentences become a draft.

use antiphon_llm::{CancellationToken, DocumentPart, Error, ErrorKind, Schema};
use antiphon_text::{Centroid, Terms};
use serde_json::{Value, json};

use super::cues::Cue;
use super::facts::Facts;
use super::select::{self, Candidate, Selection};
use super::speech::{self, Participant, Sentence};
use super::text::{capitalised, cut};

/// The maximum number of sentences, even where the schema allows more: further ones do not improve a draft.
const MOST_CLAIMS: usize = 5;
const MOST_MOTIVATIONS: usize = 3;
const MOST_QUOTES: usize = 3;
/// The schema's limits of a name and of a fact, in characters.
const NAME_LENGTH: usize = 100;
const FACT_LENGTH: usize = 300;
/// The number of terms that name a group's theme.
const THEME: usize = 3;
/// The number of participants that a name lists; further ones are only counted.
const NAMED: usize = 4;

/// The requirements of the recipe's schema.
pub(super) struct Wanted {
    least: usize,
    most: usize,
    claims: usize,
    quotes: usize,
    /// The maximum length of a sentence in characters.
    length: usize,
    /// Whether each claim has a citation: the quote on which it is based.
    is_cited: bool,
}

impl Wanted {
    /// Reads the requirements from the recipe's schema; `None` for any other schema.
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        let number = |place: &str| {
            let value = schema.value().pointer(&format!("/properties/personas{place}"))?.as_u64()?;
            usize::try_from(value).ok()
        };
        let length = |place: &str| number(&format!("/items/properties{place}/maxLength"));
        let plain = length("/goals/items");
        let of_claim = plain.or_else(|| length("/goals/items/properties/claim"))?;
        (schema.name() == "personas").then_some(Self {
            least: number("/minItems")?,
            most: number("/maxItems")?,
            claims: number("/items/properties/goals/maxItems")?,
            quotes: number("/items/properties/quotes/maxItems").unwrap_or(0),
            length: of_claim.min(length("/goals/items/properties/quote").unwrap_or(of_claim)),
            is_cited: plain.is_none(),
        })
    }
}

/// Drafts an answer that fits the recipe's schema.
///
/// # Errors
/// `InvalidRequest` for fewer participants than personas, `Cancelled` after a cancellation.
pub(super) fn draft(
    documents: &[DocumentPart],
    wanted: &Wanted,
    cancel: &CancellationToken,
) -> Result<Value, Error> {
    let (least, most) = (wanted.least, wanted.most);
    let participants = speech::participants(documents);
    if least == 0 || participants.len() < least {
        let message = format!(
            "cannot draft {least} personas: each needs a separate participant, and the documents have {}. Ask for {} at most",
            participants.len(),
            participants.len()
        );
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    let said = participants.iter().map(|participant| participant.sentences.iter().map(|said| said.source));
    let (terms, vectors) = Terms::count(said);
    let mut personas = Vec::with_capacity(least);
    for group in antiphon_text::cluster(&vectors, terms.len(), least..=most, || cancel.is_cancelled()) {
        if cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the call was cancelled"));
        }
        let centre = antiphon_text::centroid(terms.len(), group.iter().map(|member| &vectors[*member]));
        let group =
            Group { documents, wanted, participants: &participants, terms: &terms, members: &group, centre };
        personas.push(group.persona());
    }
    Ok(json!({ "personas": personas }))
}

/// A group of similar participants, which becomes one persona.
struct Group<'a> {
    documents: &'a [DocumentPart],
    wanted: &'a Wanted,
    participants: &'a [Participant<'a>],
    terms: &'a Terms,
    members: &'a [usize],
    centre: Centroid,
}

impl Group<'_> {
    /// Selects the group's sentences, and arranges them as the recipe's schema demands. No sentence is used
    /// twice.
    fn persona(&self) -> Value {
        let mut candidates = select::candidates(self.participants, self.members, self.terms, &self.centre);
        candidates.retain(|candidate| candidate.length <= self.wanted.length);
        let mut selection = Selection::new(&mut candidates);
        let (claims, quotes) = (MOST_CLAIMS.min(self.wanted.claims), MOST_QUOTES.min(self.wanted.quotes));
        let goals = selection.with_cue(Cue::Goal, claims);
        let pain_points = selection.with_cue(Cue::Pain, claims);
        let behaviours = selection.with_cue(Cue::Behaviour, claims);
        let motivations = selection.with_cue(Cue::Motivation, MOST_MOTIVATIONS.min(claims));
        let quotes = selection.telling(quotes);
        let theme = self.theme();
        let mut persona = json!({
            "name": cut(&format!("{}: {}", self.codes(), theme[..theme.len().min(2)].join(", ")), NAME_LENGTH),
            "title": cut(&format!("Speaks most of {}", listed(&theme)), NAME_LENGTH),
            "demographics": self.demographics(),
            "goals": self.claims(&candidates, &goals),
            "pain_points": self.claims(&candidates, &pain_points),
            "behaviours": self.claims(&candidates, &behaviours),
            "motivations": self.claims(&candidates, &motivations),
        });
        if self.wanted.is_cited {
            let quotes = quotes.iter().map(|index| self.quote(&candidates[*index].sentence));
            persona["quotes"] = quotes.collect::<Vec<_>>().into();
        }
        persona
    }

    fn claims(&self, candidates: &[Candidate<'_>], chosen: &[usize]) -> Vec<Value> {
        let claim = |index: &usize| {
            let sentence = &candidates[*index].sentence;
            let statement = Value::from(statement(&sentence.text()));
            if !self.wanted.is_cited {
                return statement;
            }
            let mut claim = self.quote(sentence);
            claim["claim"] = statement;
            claim
        };
        chosen.iter().map(claim).collect()
    }

    fn quote(&self, sentence: &Sentence<'_>) -> Value {
        json!({ "document": self.documents[sentence.document].id, "quote": sentence.text() })
    }

    /// Returns the group's terms with the highest weight, in their most frequent form.
    fn theme(&self) -> Vec<String> {
        let mut terms: Vec<(u32, f32)> =
            (0..).zip(self.centre.iter().copied()).filter(|(_, weight)| *weight > 0.0).collect();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1));
        terms.into_iter().take(THEME).map(|(term, _)| self.terms.form(term).to_owned()).collect()
    }

    /// Returns the codes of the group's participants, of which at most four are named.
    fn codes(&self) -> String {
        let codes: Vec<String> = self
            .members
            .iter()
            .take(NAMED)
            .map(|member| self.participants[*member].code.to_owned())
            .collect();
        match self.members.len() - codes.len() {
            0 => listed(&codes),
            more => format!("{} and {more} more", codes.join(", ")),
        }
    }

    fn demographics(&self) -> Value {
        let facts: Vec<Facts> = self
            .members
            .iter()
            .take(2 * NAMED)
            .map(|member| Facts::of(&self.participants[*member]))
            .collect();
        json!({
            "age_range": age_range(&facts),
            "occupation": joined(&facts, |facts| facts.occupation.as_ref()),
            "industry": null,
            "location": joined(&facts, |facts| facts.location.as_ref()),
            "experience": joined(&facts, |facts| facts.experience.as_ref()),
        })
    }
}

/// Returns the ages of a group, from the youngest to the oldest.
fn age_range(facts: &[Facts]) -> Option<String> {
    let ages = || facts.iter().filter_map(|facts| facts.age);
    let (youngest, oldest) = ages().min().zip(ages().max())?;
    Some(if youngest == oldest { youngest.to_string() } else { format!("{youngest} to {oldest}") })
}

/// Joins the different values of one fact.
fn joined(facts: &[Facts], fact: fn(&Facts) -> Option<&String>) -> Option<String> {
    let mut said: Vec<&str> = Vec::new();
    for value in facts.iter().filter_map(fact) {
        if !said.contains(&value.as_str()) {
            said.push(value);
        }
    }
    (!said.is_empty()).then(|| cut(&said.join("; "), FACT_LENGTH))
}

/// Joins items: `a`, `a and b`, `a, b and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => "nothing in particular".to_owned(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

/// Words that only connect a sentence to the one before.
const TIES: [&str; 12] = [
    "and ",
    "but ",
    "so ",
    "well, ",
    "yeah, ",
    "yes, ",
    "no, ",
    "oh, ",
    "honestly, ",
    "because ",
    "then ",
    "or ",
];

/// Returns a sentence without leading words that only connect it to the one before.
fn statement(sentence: &str) -> String {
    let mut rest = sentence;
    while let Some(tie) = TIES.iter().find(|tie| starts_with_ignoring_case(rest, tie)) {
        rest = &rest[tie.len()..];
    }
    if rest.is_empty() { sentence.to_owned() } else { capitalised(rest) }
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::statement;

    #[test]
    fn a_statement_has_no_leading_connectives() {
        assert_eq!(statement("And so, I want it."), "So, I want it.");
        assert_eq!(statement("But well, I do."), "I do.");
        assert_eq!(statement("Every day."), "Every day.");
    }
}
