//! The content of a message: a text or a list of parts, of which some are reasoning.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::answer::Answer;
use super::reasoning::reasoning_of;
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
                Content::Words(words) => all.push(Part { text: Label(Some(words)), ..Part::default() }),
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
    /// Adds the parts to an answer: text, reasoning, refusals, and the bytes of hidden output.
    pub(crate) fn add_to(&self, answer: &mut Answer) {
        match self {
            Self::Words(words) => answer.text.push_str(words),
            Self::Parts(parts) => parts.iter().for_each(|part| part.add_to(answer)),
        }
    }
}
