//! The persona recipe: the prompt and the schema of the answer.
//!
//! A prompt is one user message: the task, then each document as a part of its own with an id (`d1`, `d2` and so on),
//! which citations refer to. The order is task first, documents last, for all configurations. The same functions build
//! the prompt over findings when documents were distilled. Wording and schema are hashed into the fingerprint of a run;
//! a change of either makes another run of equal requests, and needs another version in `NAME`.

use std::sync::Arc;

use antiphon_data::{Document, SpeakerRole};
use antiphon_llm::{Error as LlmError, Message, Part, Prompt, Role, Schema, Side, SpeakerTurn};
use serde_json::{Value, json};

use super::count::Count;
use super::preset::PersonaRecipe;
use crate::config::{Complexity, Detail, GenerationConfig, Grounding};
use crate::json_schema::{list, nullable_text, object, text};

/// The recipe's name and version: another wording or schema makes another recipe.
pub(crate) const NAME: &str = "persona/1";

pub(super) const SYSTEM: &str = "You are a user researcher. You draw personas from interviews and never invent anything: every \
    claim rests on words of a participant, quoted verbatim. You answer with JSON only.";

/// Builds the prompt for a configuration and its documents.
pub(crate) fn prompt(config: &GenerationConfig, documents: &[Document]) -> Prompt {
    let intro = format!("Below are {} interview documents.", documents.len());
    prompt_over(config, &intro, documents.iter().enumerate().map(part))
}

/// Builds the prompt for a configuration over its documents, or over excerpts in their place.
pub(super) fn prompt_over(
    config: &GenerationConfig,
    intro: &str,
    documents: impl IntoIterator<Item = Part>,
) -> Prompt {
    let recipe = &config.recipe;
    let parts = std::iter::once(Part::Text(task(intro, config.count, recipe))).chain(documents);
    Prompt::new(&config.model, [Message::of(Role::User, parts)])
        .system(SYSTEM)
        .parameters(recipe.parameters.clone())
}

/// Returns the text of the task: the number of personas, the parts of each, the form of a claim, and the recipe's
/// instructions.
fn task(intro: &str, count: Count, recipe: &PersonaRecipe) -> String {
    let how_many = how_many(count);
    let quotes = match recipe.grounding {
        Grounding::Off => "",
        _ => ", and the quotes that show the persona best",
    };
    let claims = claims(recipe);
    let instructions = recipe.instructions.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let mut task = format!(
        "{intro} Draw {how_many} from them, each clearly different from the \
         others and each standing for participants with like goals and troubles.\n\
         For each persona give a name, a one-line title, demographics (null for what nobody said), goals, pain_points, \
         behaviours, motivations{quotes}.\n{claims}"
    );
    task.extend(instructions.into_iter().flat_map(|text| [text, "\n"]));
    task
}

/// Returns the number of personas in the words of the task. `AtLeast` says for which participants there may be more; a
/// range says as many as there are kinds of participants.
fn how_many(count: Count) -> String {
    match count {
        Count::Exactly(1) => "exactly 1 persona".to_owned(),
        Count::Exactly(count) => format!("exactly {count} personas"),
        Count::AtLeast(count) => {
            format!("at least {count} personas, and more only where participants differ more,")
        }
        count => {
            let (least, most) = (count.least(), count.most());
            format!("{least} to {most} personas, as many as there are kinds of participants,")
        }
    }
}

/// Returns the part of the task about claims: with grounding, each has a citation.
fn claims(recipe: &PersonaRecipe) -> String {
    let claim = match recipe.detail {
        Detail::Detailed => "two or three sentences",
        _ => "one short sentence",
    };
    match recipe.grounding {
        Grounding::Off => format!(
            "Each goal, pain point, behaviour and motivation is {claim}. Leave a list empty where nobody said anything.\n"
        ),
        _ => format!(
            "Each goal, pain point, behaviour and motivation has: claim ({claim}), document (the id of the \
             document that supports it) and quote (the participant's words, copied character by character from that \
             document). Quote participants only, never the interviewer. Leave a list empty where nobody said anything.\n"
        ),
    }
}

/// Returns a document as a part of the prompt, with its turns, so that a provider can tell participants from
/// interviewers.
fn part((index, document): (usize, &Document)) -> Part {
    let turns: Vec<SpeakerTurn> = document
        .turns
        .iter()
        .map(|turn| {
            let side = match turn.role {
                SpeakerRole::Participant | SpeakerRole::Unclear => Side::Participant,
                SpeakerRole::Interviewer => Side::Interviewer,
            };
            SpeakerTurn::new(turn.speaker.clone(), side, turn.span.clone())
        })
        .collect();
    let text: Arc<str> = document.text.clone();
    Part::Document(antiphon_llm::DocumentPart::new(id_of(index), &document.name, text).turns(turns))
}

/// Returns the id of a document in a prompt.
pub(super) fn id_of(index: usize) -> String {
    format!("d{}", index + 1)
}

/// Returns the index of the document with an id; `None` for a text that is no id, as models may invent one.
pub(super) fn index_of(id: &str) -> Option<usize> {
    id.strip_prefix('d')?.parse::<usize>().ok()?.checked_sub(1)
}

/// The maximum number of claims of each kind and of quotes, and the maximum characters of a claim and of a quote.
struct Bounds {
    claims: u32,
    quotes: u32,
    claim_length: u32,
    quote_length: u32,
}

/// Returns the bounds: complexity sets the number of claims, detail their length. Brief recipes have a third of the
/// claims.
fn bounds(recipe: &PersonaRecipe) -> Bounds {
    let claims = match recipe.complexity {
        Complexity::Simple => 3,
        Complexity::Moderate => 6,
        Complexity::Complex => 10,
    };
    match recipe.detail {
        Detail::Brief => Bounds { claims: claims / 3, quotes: 2, claim_length: 120, quote_length: 200 },
        Detail::Standard => Bounds { claims, quotes: 5, claim_length: 300, quote_length: 600 },
        Detail::Detailed => Bounds { claims, quotes: 5, claim_length: 600, quote_length: 600 },
    }
}

/// Returns the schema of an answer with `count` personas. Its fields are in the order in which a model writes them best.
pub(crate) fn schema(count: Count, recipe: &PersonaRecipe) -> Result<Schema, LlmError> {
    let persona = object(persona_properties(recipe));
    let (least, most) = (count.least(), count.most());
    let personas = json!({ "type": "array", "items": persona, "minItems": least, "maxItems": most });
    Schema::new("personas", object(json!({ "personas": personas })))
}

/// Returns the schemas of a persona's fields.
fn persona_properties(recipe: &PersonaRecipe) -> Value {
    let bounds = bounds(recipe);
    let (claims, quote) = (list(&claim(recipe, &bounds), bounds.claims), text(1, bounds.quote_length));
    let mut persona = json!({
        "name": text(1, 100),
        "title": text(1, 200),
        "demographics": demographics(),
        "goals": claims,
        "pain_points": claims,
        "behaviours": claims,
        "motivations": claims,
    });
    if recipe.grounding != Grounding::Off {
        let quote = object(json!({ "document": document_id(), "quote": quote }));
        persona["quotes"] = list(&quote, bounds.quotes);
    }
    persona
}

/// Returns the schema of a claim: with a citation, or a text alone if grounding is off.
fn claim(recipe: &PersonaRecipe, bounds: &Bounds) -> Value {
    let (statement, quote) = (text(1, bounds.claim_length), text(1, bounds.quote_length));
    match recipe.grounding {
        Grounding::Off => statement,
        _ => object(json!({ "claim": statement, "document": document_id(), "quote": quote })),
    }
}

/// Returns the schema of the facts about a persona, each `null` if no participant mentioned it.
fn demographics() -> Value {
    let fact = nullable_text(300);
    object(json!({
        "age_range": fact, "occupation": fact, "industry": fact, "location": fact, "experience": fact,
    }))
}

/// Returns the schema of a document's id in a prompt, as `id_of` writes it.
pub(super) fn document_id() -> Value {
    json!({ "type": "string", "pattern": "^d[0-9]{1,6}$" })
}

/// Returns the schema of a list of any elements, and that of a persona. Personas are checked one by one, and whether their
/// number is right depends on near duplicates and on earlier partial answers, which `PersonaWork` takes into account.
pub(crate) fn separated(schema: &Schema) -> (Schema, Schema) {
    let mut value = schema.value().clone();
    let list = value.pointer_mut("/properties/personas").and_then(Value::as_object_mut);
    let [element, ..] = list
        .map(|list| ["items", "minItems", "maxItems"].map(|key| list.shift_remove(key)))
        .unwrap_or_default();
    let of = |value: Value| Schema::new(schema.name(), value).unwrap_or_else(|_| schema.clone());
    (of(value), of(element.unwrap_or(Value::Bool(true))))
}
