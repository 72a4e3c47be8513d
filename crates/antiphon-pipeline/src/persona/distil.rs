//! Distillation of documents that exceed a model's context: findings from each part of them, and the most representative
//! findings in place of the documents.
//!
//! 1. `portions` splits all turns into parts that fit into one call each, in the size that `PartSize::of` computes.
//! 2. `Portion::prompt` builds the prompt about a part, and `Portion::noted` reads its answer.
//! 3. `findings` keeps the findings whose quotes are in a participant's words (grounding), so that no hallucination
//!    reaches the personas.
//! 4. `Digest` chooses findings if not all of them fit, and builds the persona prompt over them.
//!
//! Everything here is computation. The calls, and the run in which their answers are stored, are in
//! `crate::distilling`. Sizes are in bytes, of which a token has four by the estimate of the prompt. Since that is an
//! estimate, only 85 % of the context are used.

use std::sync::Arc;

use antiphon_data::{Document, SpeakerRole, Turn};
use antiphon_llm::{Error as LlmError, Message, Part, Prompt, Role, Schema, Side, SpeakerTurn};
use serde::Deserialize;
use serde_json::{Value, json};

use super::recipe;
use crate::config::GenerationConfig;
use crate::evidence::{self, Found, Wanted};
use crate::json_schema::{list, object, text};

/// Maximum findings of one part. A context of which a quarter is too small for that many gets fewer.
const MAX_FINDINGS: u32 = 24;
/// Estimated tokens of the instructions around the documents.
const TASK_TOKENS: u64 = 500;
/// Estimated tokens of one finding in an answer.
const FINDING_TOKENS: u64 = 90;
/// Bytes of a token, as [`Prompt::estimated_tokens`] counts them.
const TOKEN_BYTES: u64 = 4;
/// Bytes of the smallest part that is worth a call.
pub(crate) const MIN_BYTES: u64 = 2_000;
/// Bytes of markup around each document of a prompt, without its name.
const FRAME_BYTES: usize = 80;
/// Maximum bytes of a speaker's name. Longer ones are cut: they are not names.
const MAX_SPEAKER: usize = 80;

/// A part of the documents that fits into one call.
#[derive(Debug)]
pub(crate) struct Portion {
    /// The pieces of the part, each from one document.
    pieces: Vec<Piece>,
}

/// The words of one document in a part or in a digest, one line for each turn.
#[derive(Debug)]
pub(super) struct Piece {
    /// The index of the document.
    document: usize,
    /// Lines with the speaker's name, a colon and the words.
    text: String,
    /// The turns, with the byte ranges of their words in `text`.
    turns: Vec<SpeakerTurn>,
}

/// The maximum size of a part, and the maximum number of findings in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartSize {
    pub(crate) bytes: u64,
    pub(crate) findings: u32,
}

impl PartSize {
    /// Returns the estimated tokens of an answer with all findings.
    pub(crate) fn answer_tokens(self) -> u64 {
        FINDING_TOKENS * u64::from(self.findings)
    }

    /// Returns the part size for a context of `window` tokens; `None` if it is too small for any part. At most a quarter of the
    /// context is reserved for the answer.
    pub(crate) fn of(window: u64) -> Option<Self> {
        let answer = (FINDING_TOKENS * u64::from(MAX_FINDINGS)).min(window / 4);
        let findings = u32::try_from(answer / FINDING_TOKENS).unwrap_or(MAX_FINDINGS).max(1);
        let bytes = (window / 100 * 85).saturating_sub(answer + TASK_TOKENS) * TOKEN_BYTES;
        (bytes >= MIN_BYTES).then_some(Self { bytes, findings })
    }
}

/// Returns the maximum bytes of findings in one call with an answer of `answer` tokens.
pub(crate) fn digest_bytes(window: u64, answer: u64) -> u64 {
    (window / 100 * 85).saturating_sub(answer.saturating_add(TASK_TOKENS)) * TOKEN_BYTES
}

/// Splits all turns of the documents, in order, into parts of at most `most_bytes` bytes. A document that fits into one part is
/// not split; a turn that exceeds a part is.
pub(crate) fn portions(documents: &[Document], most_bytes: u64) -> Vec<Portion> {
    let most = usize::try_from(most_bytes).unwrap_or(usize::MAX);
    let mut packing = Packing { portions: Vec::new(), room: 0, most };
    for (index, document) in documents.iter().enumerate() {
        let whole: usize = document.turns.iter().map(|turn| turn.span.len() + around(turn)).sum();
        if (packing.room..=most).contains(&whole) {
            packing.room = 0;
        }
        for turn in &document.turns {
            packing.add(index, document, turn);
        }
    }
    packing.portions
}

/// The parts so far, of which the last one is being filled.
struct Packing {
    portions: Vec<Portion>,
    /// The bytes that are left in the last part; 0 makes the next turn begin a part.
    room: usize,
    /// The maximum bytes of a part.
    most: usize,
}

impl Packing {
    /// Adds the words of a turn. Words that do not fit into the last part begin a new one, unless a quarter of a part
    /// is free: then they are split between the two.
    fn add(&mut self, index: usize, document: &Document, turn: &Turn) {
        let mut rest = document.words(turn);
        while !rest.is_empty() {
            let frame = self.frame(index, &document.name);
            let free = self.room.saturating_sub(around(turn) + frame);
            if rest.len() > free && free < self.most / 4 {
                self.portions.push(Portion { pieces: Vec::new() });
                self.room = self.most;
                continue;
            }
            let (words, left) = cut(rest, free);
            self.room = free - words.len();
            rest = left;
            if let Some(portion) = self.portions.last_mut() {
                portion.add(index, turn, words);
            }
        }
    }

    /// Returns the bytes of markup that more words of a document need: none if the last piece is of that document
    /// already.
    fn frame(&self, document: usize, name: &str) -> usize {
        let last = self.portions.last().and_then(|portion| portion.pieces.last());
        if last.is_some_and(|piece| piece.document == document) {
            return 0;
        }
        FRAME_BYTES + name.len().min(self.most / 4)
    }
}

/// Returns the bytes of a turn without its words.
fn around(turn: &Turn) -> usize {
    turn.speaker.len().min(MAX_SPEAKER) + 3
}

/// Splits off at most `most` bytes of words, at white space if possible. Returns them and the rest.
fn cut(words: &str, most: usize) -> (&str, &str) {
    if words.len() <= most {
        return (words, "");
    }
    let end = words.floor_char_boundary(most);
    let end = words[..end].rfind(char::is_whitespace).filter(|space| *space > 0).unwrap_or(end);
    (&words[..end], words[end..].trim_start())
}

impl Portion {
    /// Adds words of a turn to the last piece, or to a new one if that is of another document.
    fn add(&mut self, document: usize, turn: &Turn, words: &str) {
        if self.pieces.last().is_none_or(|last| last.document != document) {
            self.pieces.push(Piece::of(document));
        }
        if let Some(piece) = self.pieces.last_mut() {
            let side = match turn.role {
                SpeakerRole::Participant | SpeakerRole::Unclear => Side::Participant,
                SpeakerRole::Interviewer => Side::Interviewer,
            };
            piece.say(&turn.speaker, side, words);
        }
    }

    /// Builds the prompt about this part. Document ids are local to a part, so that an added or removed document does not change
    /// the prompts about others.
    pub(crate) fn prompt(
        &self,
        config: &GenerationConfig,
        documents: &[Document],
        most_findings: u32,
    ) -> Prompt {
        let task = task(most_findings);
        let piece = |(number, piece): (usize, &Piece)| piece.part(number, &documents[piece.document].name);
        let parts = std::iter::once(Part::Text(task)).chain(self.pieces.iter().enumerate().map(piece));
        Prompt::new(&config.model, [Message::of(Role::User, parts)])
            .system(recipe::SYSTEM)
            .parameters(config.recipe.parameters.clone())
    }

    /// Returns the claims of an answer about this part, each with the words to look for.
    pub(crate) fn noted(&self, answer: Value) -> Vec<(String, Wanted)> {
        let answer: Answer = serde_json::from_value(answer).unwrap_or_default();
        let place = |id: &str| Some(self.pieces.get(recipe::index_of(id)?)?.document);
        let wanted = |noted: RawFinding| {
            let wanted = Wanted::new(&noted.quote).document(place(&noted.document));
            (noted.claim, wanted)
        };
        answer.findings.into_iter().map(wanted).collect()
    }
}

/// Returns the text of the task about a part.
fn task(most_findings: u32) -> String {
    format!(
        "Below is a part of a collection of interviews. Note what participants say of themselves, their goals, troubles, habits and reasons: up to {most_findings} \
         findings, from each participant some, the most telling ones.\n\
         Each finding has: claim (one short sentence), document (the id of the document that supports it) and \
         quote (the participant's words, copied character by character from that document). Quote participants only, \
         never the interviewer.\n"
    )
}

/// Returns the findings of all parts that are verified in the documents, and the number of those that are not.
pub(crate) fn findings(noted: Vec<(String, Wanted)>, documents: &[Document]) -> (Vec<Finding>, usize) {
    let (claims, wanted): (Vec<String>, Vec<Wanted>) = noted.into_iter().unzip();
    let found = evidence::verify(&wanted, documents);
    let findings: Vec<Finding> = claims
        .into_iter()
        .zip(found)
        .filter_map(|(claim, found)| {
            Some(Finding { claim, place: found.or_else(|err| err.place.ok_or(())).ok()? })
        })
        .collect();
    let unverified = wanted.len() - findings.len();
    (findings, unverified)
}

impl Piece {
    /// Creates a piece without words.
    pub(super) fn of(document: usize) -> Self {
        Self { document, text: String::new(), turns: Vec::new() }
    }

    /// Adds a line with words of a speaker.
    pub(super) fn say(&mut self, speaker: &Arc<str>, side: Side, words: &str) {
        self.text.push_str(&speaker[..speaker.floor_char_boundary(MAX_SPEAKER)]);
        self.text.push_str(": ");
        let start = self.text.len();
        self.text.push_str(words);
        self.turns.push(SpeakerTurn::new(speaker.clone(), side, start..self.text.len()));
        self.text.push('\n');
    }

    /// Returns the piece as a document of a prompt, with the id for its position `number`, from 0.
    pub(super) fn part(&self, number: usize, name: &str) -> Part {
        let text: Arc<str> = Arc::from(self.text.as_str());
        Part::Document(
            antiphon_llm::DocumentPart::new(recipe::id_of(number), name, text).turns(self.turns.clone()),
        )
    }
}

/// Returns the schema of an answer about a part.
pub(crate) fn schema(most_findings: u32) -> Result<Schema, LlmError> {
    let (claim, quote) = (text(1, 160), text(1, 300));
    let finding = object(json!({ "claim": claim, "document": recipe::document_id(), "quote": quote }));
    Schema::new("findings", object(json!({ "findings": list(&finding, most_findings) })))
}

/// An answer about a part.
#[derive(Default, Deserialize)]
struct Answer {
    findings: Vec<RawFinding>,
}

/// A finding as the model wrote it, before its quote is looked up.
#[derive(Deserialize)]
struct RawFinding {
    claim: String,
    document: String,
    quote: String,
}

/// A claim with the verified passage behind it.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// The claim, in the model's words.
    pub(super) claim: String,
    /// The passage, in a participant's words.
    pub(super) place: Found,
}

impl Finding {
    /// Returns the estimated bytes of the finding in a prompt.
    pub(super) fn size(&self) -> u64 {
        // Findings share the markup around their document: half of it is an estimate.
        (self.place.end - self.place.start + self.place.speaker.len().min(MAX_SPEAKER) + 3 + FRAME_BYTES / 2)
            as u64
    }
}

#[cfg(test)]
mod tests {
    use antiphon_data::Document;
    use serde_json::json;

    use super::{Finding, PartSize, findings, portions, schema};
    use crate::config::GenerationConfig;
    use crate::persona::digest::Digest;

    fn documents(count: usize) -> Vec<Document> {
        let talk = |number: usize| {
            let said = ["bread at dawn", "goats on the hill"][number % 2];
            let text = format!(
                "Interviewer: Well?\nP{number}: I like {said} number {number}.\nP{number}: And tea.\n"
            );
            Document::parse(&format!("t{number:03}.txt"), text.as_bytes()).unwrap()
        };
        (0..count).map(talk).collect()
    }

    #[test]
    fn parts_hold_every_word_and_none_is_too_large() {
        let mut documents = documents(9);
        let long = format!("P9: {}\n", "speaks without an end ".repeat(400));
        documents.push(Document::parse("long.txt", long.as_bytes()).unwrap());
        let found = portions(&documents, 2_000);
        let config = GenerationConfig::new("", "m");
        let mut all = String::new();
        for portion in &found {
            let prompt = portion.prompt(&config, &documents, 9);
            let size: usize = prompt.documents().map(|document| document.text.len()).sum();
            assert!(size <= 2_000, "{size}");
            all.extend(prompt.documents().map(|document| document.text.to_string()));
        }
        let spoken = |word: &str| all.split_whitespace().filter(|said| *said == word).count();
        assert_eq!([spoken("speaks"), spoken("without"), spoken("end")], [400, 400, 400]);
        assert!((0..9).all(|number| all.contains(&format!("number {number}."))));
        assert_eq!(portions(&documents[..9], 1 << 20).len(), 1);
    }

    #[test]
    fn findings_are_verified_in_their_document() {
        let documents = documents(4);
        let found = portions(&documents, 160);
        assert!(found.len() > 1);
        let last = found.last().unwrap();
        let answer = json!({ "findings": [
            { "claim": "Goats", "document": "d1", "quote": "I like goats on the hill number 3." },
            { "claim": "Lies", "document": "d1", "quote": "I adore spreadsheets" },
        ] });
        assert_eq!(schema(9).unwrap().violations(&answer), []);
        let (findings, unverified) = findings(last.noted(answer), &documents);
        assert_eq!((findings.len(), unverified, findings[0].place.document), (1, 1, 3));
        assert_eq!(findings[0].place.speaker, "P3");
    }

    #[test]
    fn a_digest_shares_its_space_between_groups_and_participants() {
        let documents = documents(12);
        let mut all: Vec<Finding> = Vec::new();
        for portion in portions(&documents, 1 << 20) {
            let noted: Vec<_> = (0..12)
                .flat_map(|number| {
                    let what = ["bread at dawn", "goats on the hill"][number % 2];
                    [(format!("Likes {what}"), format!("I like {what} number {number}.")), ("Tea".to_owned(), "And tea.".to_owned())]
                        .map(|(claim, quote)| json!({ "claim": claim, "document": format!("d{}", number + 1), "quote": quote }))
                })
                .collect();
            all.extend(findings(portion.noted(json!({ "findings": noted })), &documents).0);
        }
        assert_eq!(all.len(), 24);
        let whole = Digest::of(all.clone(), &documents, 2, 1 << 20);
        assert_eq!((whole.used, whole.distinct, whole.groups.len()), (24, 24, 0));
        let part = Digest::of(all, &documents, 2, 1_200);
        assert!(part.used < 24 && part.used >= 10, "{}", part.used);
        assert_eq!(part.groups.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6]);
        let prompt = part.prompt(&GenerationConfig::new("", "m"));
        let said: Vec<String> = prompt.documents().map(|document| document.text.to_string()).collect();
        for what in ["bread", "goats"] {
            assert!(said.iter().filter(|text| text.contains(what)).count() >= 4, "{said:?}");
        }
    }

    #[test]
    fn too_small_contexts_have_no_part_size() {
        assert_eq!(PartSize::of(1_000), None);
        let small = PartSize::of(4_096).unwrap();
        assert_eq!((small.findings, small.bytes), (11, 7_504));
        assert_eq!(PartSize::of(128_000).unwrap().findings, 24);
    }
}
