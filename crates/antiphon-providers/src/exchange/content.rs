//! The content of a message: a text or a list of parts, of which some are reasoning.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::text::{Label, size_of};

/// A text, or a list of parts of which some are reasoning, as Mistral's reasoning models send it.
pub(crate) enum Content<'a> {
    /// A text, as most servers send it.
    Words(Cow<'a, str>),
    /// A list of parts, each with its type.
    Parts(Vec<Part<'a>>),
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
        deserializer.deserialize_any(WordsOrParts)
    }
}

/// The visitor of a [`Content`], which borrows a text without escapes from the event.
struct WordsOrParts;

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

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(part) = parts.next_element::<Content<'de>>()? {
            match part {
                Content::Words(words) => all.push(Part { text: Label::of(words), ..Part::default() }),
                Content::Parts(parts) => all.extend(parts),
            }
        }
        Ok(Content::Parts(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, part: A) -> Result<Self::Value, A::Error> {
        Ok(Content::Parts(vec![Part::deserialize(MapAccessDeserializer::new(part))?]))
    }
}

impl Part<'_> {
    /// Returns whether the part's text belongs to the answer. Reasoning and pictures do not.
    fn is_text(&self) -> bool {
        matches!(self.kind.as_str(), None | Some("text" | "output_text"))
    }
}

impl Content<'_> {
    /// Returns the bytes of reasoning.
    pub(crate) fn hidden_bytes(&self) -> usize {
        match self {
            Self::Words(_) => 0,
            Self::Parts(parts) => {
                parts.iter().map(|part| size_of(part.thinking) + size_of(part.reasoning)).sum()
            }
        }
    }

    /// Appends the text without reasoning to one text, and the reasoning to another.
    pub(crate) fn add_to(&self, text: &mut String, reasoning: &mut String) {
        match self {
            Self::Words(words) => text.push_str(words),
            Self::Parts(parts) => {
                for part in parts {
                    let words = part.text.as_str().unwrap_or_default();
                    if part.is_text() {
                        text.push_str(words)
                    } else {
                        reasoning.push_str(words)
                    }
                    for thought in [part.thinking, part.reasoning] {
                        reasoning.push_str(&reasoning_of(thought));
                    }
                }
            }
        }
    }

    /// Returns the refusal in the parts, if any; else an empty text.
    pub(crate) fn refusal(&self) -> String {
        match self {
            Self::Words(_) => String::new(),
            Self::Parts(parts) => parts.iter().filter_map(|part| part.refusal.as_str()).collect(),
        }
    }
}

/// Returns the text of reasoning, in any of the shapes in use: a text, or texts in lists and objects. Encrypted reasoning and
/// signatures have none.
pub(crate) fn reasoning_of(field: Option<&RawValue>) -> String {
    let value = field.and_then(|field| serde_json::from_str::<Value>(field.get()).ok());
    value.as_ref().map(texts_in).unwrap_or_default()
}

/// Returns the texts in a value, joined.
pub(crate) fn texts_in(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(texts_in).collect(),
        Value::Object(fields) => {
            let of = |key: &&str| fields.get(*key).map(texts_in).filter(|text| !text.is_empty());
            ["text", "thinking", "reasoning", "summary", "content"].iter().find_map(of).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
