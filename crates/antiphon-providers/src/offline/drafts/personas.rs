//! The persona recipe: participants are clustered, and each group's own sentences become a draft.

use antiphon_llm::{CancellationToken, DocumentPart, Error, ErrorKind, Schema};
use antiphon_text::{Centroid, Terms};
use serde_json::{Value, json};

use super::cues::Cue;
use super::facts::Facts;
use super::naming;
use super::select::{self, Candidate, Selection};
use super::speech::{self, Participant, Sentence};
use super::text::{capitalised, cut};

/// The maximum number of sentences of these kinds, even where the schema allows more: further ones do not improve a draft.
const MOST_MOTIVATIONS: usize = 3;
const MOST_QUOTES: usize = 3;
/// The length of a claim, in characters, up to which claims are brief, and from which they are detailed.
const BRIEF: usize = 150;
const DETAILED: usize = 500;
/// The schema's limits of a name and of a fact, in characters.
const NAME_LENGTH: usize = 100;
const FACT_LENGTH: usize = 300;
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
    /// The form of a claim.
    detail: Detail,
    /// Whether each claim has a citation: the quote on which it is based.
    is_cited: bool,
}

/// The form of a claim, which the schema's length of one shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The first clause of a sentence.
    Brief,
    /// A sentence.
    Standard,
    /// A sentence with the one behind it.
    Detailed,
}

impl Detail {
    /// Returns the form for a length of claims in characters.
    fn of_length(length: usize) -> Self {
        match length {
            ..=BRIEF => Self::Brief,
            DETAILED.. => Self::Detailed,
            _ => Self::Standard,
        }
    }
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
            detail: Detail::of_length(of_claim),
            is_cited: plain.is_none(),
        })
    }
}

/// Drafts an answer that fits the recipe's schema.
///
/// # Errors
/// `InvalidRequest` for fewer participants than personas, `Unsupported` for documents in another language than English,
/// `Cancelled` after a cancellation.
pub(super) fn draft(
    documents: &[DocumentPart],
    wanted: &Wanted,
    cancel: &CancellationToken,
) -> Result<Value, Error> {
    let (least, most) = (wanted.least, wanted.most);
    check_language(documents)?;
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
    distinguish(&mut personas);
    Ok(json!({ "personas": personas }))
}

/// Checks that the participants speak English, since the phrases and the stop words of the statistics are English.
fn check_language(documents: &[DocumentPart]) -> Result<(), Error> {
    let is_foreign = |document: &&DocumentPart| !antiphon_text::is_english(&speech::answers_of(document));
    let foreign: Vec<&str> =
        documents.iter().filter(is_foreign).map(|document| document.name.as_str()).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let named = foreign.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if foreign.len() > NAMED { ", …" } else { "" };
    let message = format!(
        "cannot draft from {named}{more}: drafts by text statistics are for English only, and {} of {} documents are not in English. Use a language model for them",
        foreign.len(),
        documents.len()
    );
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// Adds the participants to names that two personas have.
fn distinguish(personas: &mut [Value]) {
    let names: Vec<String> =
        personas.iter().map(|persona| persona["name"].as_str().unwrap_or_default().to_owned()).collect();
    for (at, persona) in personas.iter_mut().enumerate() {
        let is_shared = names.iter().enumerate().any(|(other, name)| other != at && *name == names[at]);
        if let (true, Some(title)) = (is_shared, persona["title"].as_str()) {
            persona["name"] = cut(&format!("{} ({title})", names[at]), NAME_LENGTH).into();
        }
    }
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
        let (claims, quotes) = (self.wanted.claims, MOST_QUOTES.min(self.wanted.quotes));
        let goals = selection.with_cue(Cue::Goal, claims);
        let pain_points = selection.with_cue(Cue::Pain, claims);
        let behaviours = selection.with_cue(Cue::Behaviour, claims);
        let motivations = selection.with_cue(Cue::Motivation, MOST_MOTIVATIONS.min(claims));
        let quotes = selection.telling(quotes);
        let said = |chosen: &[usize]| -> Vec<String> {
            chosen.iter().map(|index| candidates[*index].sentence.text()).collect()
        };
        let name = naming::name(&said(&behaviours), &said(&goals), &said(&pain_points), NAME_LENGTH);
        let demographics = self.demographics();
        let mut persona = json!({
            "name": name.unwrap_or_else(|| self.unnamed(&said(&quotes))),
            "title": self.title(&demographics),
            "demographics": demographics,
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
            let sentence = self.in_detail(&candidates[*index].sentence);
            let statement = statement(&sentence.text());
            let statement = Value::from(match self.wanted.detail {
                Detail::Brief => first_clause(&statement).to_owned(),
                Detail::Standard | Detail::Detailed => statement,
            });
            if !self.wanted.is_cited {
                return statement;
            }
            let mut claim = self.quote(&sentence);
            claim["claim"] = statement;
            claim
        };
        chosen.iter().map(claim).collect()
    }

    /// Returns a sentence with the one behind it, if claims are detailed and both are short enough.
    fn in_detail<'s>(&self, sentence: &Sentence<'s>) -> Sentence<'s> {
        let both = Sentence { source: sentence.with_next, ..sentence.clone() };
        let fits =
            self.wanted.detail == Detail::Detailed && both.text().chars().count() <= self.wanted.length;
        if fits { both } else { sentence.clone() }
    }

    fn quote(&self, sentence: &Sentence<'_>) -> Value {
        json!({ "document": self.documents[sentence.document].id, "quote": sentence.text() })
    }

    /// Returns the name of a group of whom no statement can be said in the third person: the beginning of a typical
    /// sentence, or else the participants.
    fn unnamed(&self, quotes: &[String]) -> String {
        const BEGINNING: usize = 60;
        let quote =
            quotes.first().map(|quote| format!("“{}”", cut(first_clause(&statement(quote)), BEGINNING)));
        quote.unwrap_or_else(|| cut(&self.codes(), NAME_LENGTH))
    }

    /// Returns the participants, with their occupation if they said it.
    fn title(&self, demographics: &Value) -> String {
        let codes = self.codes();
        let title = match demographics["occupation"].as_str() {
            Some(occupation) => format!("{codes}: {occupation}"),
            None => codes,
        };
        cut(&title, NAME_LENGTH)
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

/// Returns the first clause of a statement, without its mark; all of it if that has fewer than four words.
fn first_clause(statement: &str) -> &str {
    let ends = [", ", "; ", ": ", " — ", " because ", " but ", " so that ", " which "];
    let end = ends.iter().filter_map(|end| statement.find(end)).min();
    let clause = end.map_or(statement, |end| &statement[..end]);
    if clause.split_whitespace().count() < 4 { statement } else { clause }
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{CancellationToken, DocumentPart, ErrorKind, Side, SpeakerTurn};
    use serde_json::Value;

    use super::{Detail, Wanted, draft, first_clause, statement};

    #[test]
    fn a_statement_has_no_leading_connectives() {
        assert_eq!(statement("And so, I want it."), "So, I want it.");
        assert_eq!(statement("But well, I do."), "I do.");
        assert_eq!(statement("Every day."), "Every day.");
    }

    #[test]
    fn a_brief_statement_is_its_first_clause() {
        assert_eq!(
            first_clause("I want one list for it all, because I forget"),
            "I want one list for it all"
        );
        assert_eq!(first_clause("Well, it is slow"), "Well, it is slow");
    }

    /// Returns a document in which each participant says all of these words in one turn.
    fn document(said: &[(&str, &str)]) -> DocumentPart {
        let (mut text, mut turns) = (String::new(), Vec::new());
        for (speaker, words) in said {
            let start = text.len();
            text.push_str(words);
            turns.push(SpeakerTurn::new(*speaker, Side::Participant, start..text.len()));
            text.push('\n');
        }
        DocumentPart::new("d1", "talk.txt", text).turns(turns)
    }

    fn drafted(document: DocumentPart, claims: usize, detail: Detail) -> Value {
        let length = if detail == Detail::Detailed { 600 } else { 300 };
        let wanted = Wanted { least: 1, most: 1, claims, quotes: 3, length, detail, is_cited: true };
        draft(&[document], &wanted, &CancellationToken::new()).unwrap()["personas"][0].clone()
    }

    const BAKER: &str = "I keep the stock by hand, in a book. I want no surprises at delivery. The van is late a lot. \
        I need a list for the mill, because I forget it. I would like to sleep more. My goal is one order a week. \
        I hate it when the flour is gone. I usually ring the mill on Friday.";

    #[test]
    fn a_persona_is_named_by_what_it_wants_with_evidence_for_it() {
        let persona = drafted(document(&[("P1", BAKER)]), 6, Detail::Standard);
        let name = persona["name"].as_str().unwrap_or_default();
        assert!(!name.contains("P1") && name.split(' ').count() > 3, "{name}");
        let claims = [&persona["goals"], &persona["behaviours"]];
        let quotes: Vec<&str> = claims
            .iter()
            .filter_map(|list| list.as_array())
            .flatten()
            .filter_map(|claim| claim["quote"].as_str())
            .collect();
        for part in name.to_lowercase().split(", ") {
            let last = part.split(' ').next_back().unwrap_or_default();
            assert!(quotes.iter().any(|quote| quote.to_lowercase().contains(last)), "{part}: {quotes:?}");
        }
        assert_eq!(persona["title"], "P1");
    }

    #[test]
    fn complexity_and_detail_change_a_draft() {
        let count = |persona: &Value| persona["goals"].as_array().map_or(0, Vec::len);
        let simple = drafted(document(&[("P1", BAKER)]), 1, Detail::Standard);
        let more = drafted(document(&[("P1", BAKER)]), 10, Detail::Standard);
        assert_eq!((count(&simple), count(&more)), (1, 4), "{more}");
        let length = |detail| {
            let persona = drafted(document(&[("P1", BAKER)]), 4, detail);
            let claims = persona["goals"].as_array().cloned().unwrap_or_default();
            claims.iter().filter_map(|claim| Some(claim["claim"].as_str()?.len())).sum::<usize>()
        };
        let lengths = [Detail::Brief, Detail::Standard, Detail::Detailed].map(length);
        assert!(lengths[0] < lengths[1] && lengths[1] < lengths[2], "{lengths:?}");
    }

    #[test]
    fn documents_in_another_language_need_a_model() {
        let said = "Ich führe das Lager von Hand, und ich will keine Überraschungen bei der Lieferung. Das ist mir wichtig.";
        let wanted = Wanted {
            least: 1,
            most: 1,
            claims: 3,
            quotes: 3,
            length: 300,
            detail: Detail::Standard,
            is_cited: true,
        };
        let err = draft(&[document(&[("P1", said)])], &wanted, &CancellationToken::new()).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        assert!(err.to_string().contains("talk.txt") && err.to_string().contains("English"), "{err}");
    }
}
