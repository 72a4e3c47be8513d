//! The persona recipe: the prompt and the schema of the answer.

use std::sync::Arc;

use antiphon_data::{Document, SpeakerRole};
use antiphon_llm::{Error as LlmError, Message, Part, Prompt, Role, Schema, Side, SpeakerTurn};
use serde_json::{Value, json};

use super::count::Count;
use super::preset::PersonaRecipe;
use crate::config::{Complexity, Detail, GenerationConfig, Grounding};

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
    let how_many = match config.count {
        Count::Exactly(1) => "exactly 1 persona".to_owned(),
        Count::Exactly(count) => format!("exactly {count} personas"),
        Count::AtLeast(count) => {
            format!("at least {count} personas, and more only where participants differ more,")
        }
        count => {
            let (least, most) = (count.least(), count.most());
            format!("{least} to {most} personas, as many as there are kinds of participants,")
        }
    };
    let mut task = format!(
        "{intro} Draw {how_many} from them, each clearly different from the \
         others and each standing for participants with like goals and troubles.\n\
         For each persona give a name, a one-line title, demographics (null for what nobody said), goals, pain_points, \
         behaviours, motivations{quotes}.\n",
        quotes = if recipe.grounding == Grounding::Off {
            ""
        } else {
            ", and the quotes that show the persona best"
        },
    );
    let claim = match recipe.detail {
        Detail::Detailed => "two or three sentences",
        _ => "one short sentence",
    };
    task.push_str(&match recipe.grounding {
        Grounding::Off => format!(
            "Each goal, pain point, behaviour and motivation is {claim}. Leave a list empty where nobody said anything.\n"
        ),
        _ => format!(
            "Each goal, pain point, behaviour and motivation has: claim ({claim}), document (the id of the \
             document that supports it) and quote (the participant's words, copied character by character from that \
             document). Quote participants only, never the interviewer. Leave a list empty where nobody said anything.\n"
        ),
    });
    if let Some(instructions) = recipe.instructions.as_deref().map(str::trim).filter(|text| !text.is_empty())
    {
        task.push_str(instructions);
        task.push('\n');
    }
    let parts = std::iter::once(Part::Text(task)).chain(documents);
    Prompt::new(&config.model, [Message::of(Role::User, parts)]).system(SYSTEM).parameters(recipe.parameters)
}

fn part((index, document): (usize, &Document)) -> Part {
    let turns: Vec<SpeakerTurn> = document
        .turns
        .iter()
        .map(|turn| {
            let side = match turn.role {
                SpeakerRole::Participant => Side::Participant,
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

/// Returns the index of the document with an id.
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
    let bounds = bounds(recipe);
    let text = |most: u32| json!({ "type": "string", "minLength": 1, "maxLength": most });
    let object = |properties: Value| {
        let required: Vec<&String> =
            properties.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    let fact = || json!({ "type": ["string", "null"], "maxLength": 300 });
    let list = |items: &Value, most: u32| json!({ "type": "array", "items": items, "maxItems": most });
    let document = || json!({ "type": "string", "pattern": "^d[0-9]{1,6}$" });
    let (statement, words) = (text(bounds.claim_length), text(bounds.quote_length));
    let claim = match recipe.grounding {
        Grounding::Off => statement,
        _ => object(json!({ "claim": statement, "document": document(), "quote": words })),
    };
    let mut persona = json!({
        "name": text(100),
        "title": text(200),
        "demographics": object(json!({
            "age_range": fact(), "occupation": fact(), "industry": fact(), "location": fact(), "experience": fact(),
        })),
        "goals": list(&claim, bounds.claims),
        "pain_points": list(&claim, bounds.claims),
        "behaviours": list(&claim, bounds.claims),
        "motivations": list(&claim, bounds.claims),
    });
    if recipe.grounding != Grounding::Off {
        let quote = object(json!({ "document": document(), "quote": words }));
        persona["quotes"] = list(&quote, bounds.quotes);
    }
    let (least, most) = (count.least(), count.most());
    let personas = json!({ "type": "array", "items": object(persona), "minItems": least, "maxItems": most });
    Schema::new("personas", object(json!({ "personas": personas })))
}

/// Returns the schema without bounds on the number of personas.
pub(crate) fn unbounded(schema: &Schema) -> Schema {
    let mut value = schema.value().clone();
    if let Some(list) = value.pointer_mut("/properties/personas").and_then(Value::as_object_mut) {
        list.shift_remove("minItems");
        list.shift_remove("maxItems");
    }
    Schema::new(schema.name(), value).unwrap_or_else(|_| schema.clone())
}
