//! The content of a message: a text or a list of parts, of which some are reasoning.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::first::MAX_PARTS;
use super::reasoning::reasoning_of;
use super::text::{Label, Text, size_of};

/// A text, or a list of parts of which some are reasoning, as Mistral's reasoning models send it.
pub(crate) enum Content<'a> {
    /// A text, as most servers send it.
    Words(Cow<'a, str>),
    /// A list of parts, each with its type.
    Parts(Vec<Part<'a>>),
    /// The JSON of an answer that the server has parsed.
    Json(String),
}

/// A part of the content: `text` belongs to the answer, `thinking` is reasoning.
#[derive(Default, Deserialize)]
pub(crate) struct Part<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Label<'a>,
    #[serde(borrow, default)]
    text: Label<'a>,
    #[serde(borrow, default)]
    refusal: Label<'a>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
}

/// A manual implementation, since it runs for every token: a derived one would buffer the value before it is read.
impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsOrParts { is_in_list: false })
    }
}

/// An element of a list of parts.
struct Element<'a>(Content<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsOrParts { is_in_list: true }).map(Self)
    }
}

/// The visitor of a [`Content`], which borrows a text without escapes from the event.
struct WordsOrParts {
    /// Whether the value is an element of a list, where an object is a part whatever its fields are.
    is_in_list: bool,
}

impl WordsOrParts {
    /// Returns the JSON of a number or a truth value that is the whole answer.
    fn scalar<'a, E: de::Error>(self, value: &Value) -> Result<Content<'a>, E> {
        if self.is_in_list {
            return Err(E::invalid_type(de::Unexpected::Other("no part"), &self));
        }
        Ok(Content::Json(value.to_string()))
    }
}

impl<'de> Visitor<'de> for WordsOrParts {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_borrowed_str<E>(self, words: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Words(Cow::Borrowed(words)))
    }

    fn visit_str<E>(self, words: &str) -> Result<Self::Value, E> {
        Ok(Content::Words(Cow::Owned(words.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Content::Words(Cow::Borrowed("")))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.scalar(&value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.scalar(&value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.scalar(&value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        self.scalar(&value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Element(part)) = parts.next_element::<Element<'de>>()? {
            if all.len() >= MAX_PARTS {
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
            match part {
                Content::Words(words) => all.push(Part { text: Label(Some(words)), ..Part::default() }),
                Content::Parts(parts) => all.extend(parts),
                Content::Json(_) => {}
            }
        }
        Ok(Content::Parts(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Self::Value, A::Error> {
        if self.is_in_list {
            return Ok(Content::Parts(vec![Part::deserialize(MapAccessDeserializer::new(part))?]));
        }
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some((name, value)) = part.next_entry::<Text<'de>, &'de RawValue>()? {
            fields.push((name.0, value));
        }
        if fields.iter().any(|(name, _)| !Part::FIELDS.contains(&&**name)) && !is_typed(&fields) {
            let field =
                |(name, value): &(Cow<'_, str>, &RawValue)| format!("{}:{value}", Value::from(&**name));
            let fields: Vec<String> = fields.iter().map(field).collect();
            return Ok(Content::Json(format!("{{{}}}", fields.join(","))));
        }
        Ok(Content::Parts(vec![Part::of(&fields).map_err(de::Error::custom)?]))
    }
}

/// Returns whether an object has the type of a part.
fn is_typed(fields: &[(Cow<'_, str>, &RawValue)]) -> bool {
    const TYPES: [&str; 5] = ["text", "output_text", "thinking", "reasoning", "refusal"];
    let kind = fields.iter().find(|(name, _)| name == "type");
    kind.is_some_and(|(_, kind)| TYPES.contains(&kind.get().trim_matches('"')))
}

impl<'a> Part<'a> {
    /// The names of the fields.
    const FIELDS: [&'static str; 5] = ["type", "text", "refusal", "thinking", "reasoning"];

    /// Creates a part of its fields; others are ignored.
    fn of(fields: &[(Cow<'_, str>, &'a RawValue)]) -> Result<Self, serde_json::Error> {
        let mut part = Self::default();
        for (name, value) in fields {
            match &**name {
                "type" => part.kind = serde_json::from_str(value.get())?,
                "text" => part.text = serde_json::from_str(value.get())?,
                "refusal" => part.refusal = serde_json::from_str(value.get())?,
                "thinking" => part.thinking = Some(value),
                "reasoning" => part.reasoning = Some(value),
                _ => {}
            }
        }
        Ok(part)
    }

    /// Returns whether the part's text belongs to the answer. Reasoning and pictures do not.
    fn is_text(&self) -> bool {
        matches!(self.kind.as_str(), None | Some("text" | "output_text"))
    }

    /// Adds the part to an answer.
    fn add_to(&self, answer: &mut Answer) {
        let text = if self.is_text() { &mut answer.text } else { &mut answer.reasoning };
        text.push_str(self.text.as_str().unwrap_or_default());
        for thought in [self.thinking, self.reasoning] {
            answer.reasoning.push_str(&reasoning_of(thought));
            answer.hidden_bytes += size_of(thought);
        }
        answer.refusal.push_str(self.refusal.as_str().unwrap_or_default());
    }
}

impl Content<'_> {
    /// Returns whether there is no text at all.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Words(words) => words.is_empty(),
            Self::Parts(parts) => parts.is_empty(),
            Self::Json(_) => false,
        }
    }

    /// Adds the parts to an answer: text, reasoning, refusals, and the bytes of hidden output.
    pub(crate) fn add_to(&self, answer: &mut Answer) {
        match self {
            Self::Words(words) => answer.text.push_str(words),
            Self::Json(json) => answer.text.push_str(json),
            Self::Parts(parts) => parts.iter().for_each(|part| part.add_to(answer)),
        }
    }
}
