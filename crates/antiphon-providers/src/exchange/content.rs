//! The content of a message: a text or a list of parts, of which some are reasoning.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::value::RawValue;

use super::answer::Answer;
use super::first::{MAX_PARTS, first};
use super::reasoning::reasoning_of;
use super::text::{Label, normalised, size_of, text_of};

/// A text, or a list of parts of which some are reasoning, as Mistral's reasoning models send it.
///
/// JSON of another type is the answer itself, which the server has parsed: it is its own text.
pub(crate) enum Content<'a> {
    /// A text, as most servers send it.
    Words(Cow<'a, str>),
    /// A list of parts.
    Parts(Vec<Part<'a>>),
}

/// A part of the content, split into what it adds to an answer.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    text: Cow<'a, str>,
    reasoning: String,
    refusal: Cow<'a, str>,
    /// The bytes of output that is neither text nor a refusal.
    hidden_bytes: usize,
    /// The name of the tool that the part calls, empty if it has none.
    tool: Option<String>,
}

/// The fields of an object.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The meaning of the text of a part, by the part's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Reasoning,
    /// The call of a tool.
    Tool,
    /// Pictures, files, citations and the like, whose texts are no part of the answer.
    Other,
}

/// The fields of a part, beside those of its type.
const FIELDS: [&str; 5] = ["type", "text", "refusal", "thinking", "reasoning"];
/// The types whose parts may have any other fields.
const TYPES: [&str; 5] = ["text", "output_text", "thinking", "reasoning", "refusal"];
/// Words in the types of reasoning.
const OF_REASONING: [&str; 5] = ["think", "reason", "thought", "summary", "analysis"];
/// Words in the types of parts that are no text.
const OF_OTHERS: [&str; 12] = [
    "image",
    "audio",
    "video",
    "file",
    "document",
    "citation",
    "reference",
    "search",
    "signature",
    "redacted",
    "annotation",
    "result",
];

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(<&'de RawValue>::deserialize(deserializer)?.get()).map_err(de::Error::custom)
    }
}

impl<'a> Content<'a> {
    /// Reads a content.
    ///
    /// # Errors
    /// A string with an invalid escape.
    fn of(json: &'a str) -> Result<Self, serde_json::Error> {
        match json.as_bytes().first() {
            Some(b'[') => Self::of_list(json),
            Some(b'{') => {
                let fields: Fields<'a> = serde_json::from_str(json)?;
                let is_part = fields.keys().all(|name| FIELDS.contains(&name.as_str()))
                    || type_of(&fields)
                        .is_some_and(|kind| TYPES.contains(&&*kind) || fields.contains_key(&*kind));
                Ok(if is_part {
                    Self::Parts(vec![Part::of(json, &fields)?])
                } else {
                    Self::Words(Cow::Borrowed(json))
                })
            }
            _ => Ok(Self::Words(text_of(json)?)),
        }
    }

    /// Reads a list of parts. A list without any part is the answer itself; its only element may be.
    fn of_list(json: &'a str) -> Result<Self, serde_json::Error> {
        let mut list = serde_json::Deserializer::from_str(json);
        let items = first::<_, &'a RawValue, MAX_PARTS>(&mut list)?.unwrap_or_default();
        let items: Vec<&'a RawValue> = items.into_iter().flatten().collect();
        let are_parts =
            items.len() < 2 || items.iter().any(|item| item.get().starts_with('"') || is_part(item.get()));
        if !are_parts {
            return Ok(Self::Words(Cow::Borrowed(json)));
        }
        let parts = items.into_iter().map(|item| Part::in_list(item.get()));
        Ok(Self::Parts(parts.collect::<Result<_, _>>()?))
    }

    /// Returns whether there is no text at all.
    #[cfg(feature = "ollama")]
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Words(words) => words.is_empty(),
            Self::Parts(parts) => parts.is_empty(),
        }
    }

    /// Adds the parts to an answer: text, reasoning, refusals, and the bytes of hidden output.
    pub(crate) fn add_to(&self, answer: &mut Answer) {
        match self {
            Self::Words(words) => answer.text.push_str(words),
            Self::Parts(parts) => parts.iter().for_each(|part| part.add_to(answer)),
        }
    }
}

/// Returns whether the element of a list is a part: an object with a type, or with nothing but the fields of one.
fn is_part(json: &str) -> bool {
    let fields: Fields<'_> = serde_json::from_str(json).unwrap_or_default();
    type_of(&fields).is_some()
        || (!fields.is_empty() && fields.keys().all(|name| FIELDS.contains(&name.as_str())))
}

/// Returns the type of a part.
fn type_of<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let kind: Label<'a> = serde_json::from_str(fields.get("type")?.get()).ok()?;
    kind.0
}

/// Returns what the text of a part with this type is.
fn class_of(kind: Option<&str>) -> Class {
    let kind = normalised(kind.unwrap_or_default());
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    if has(&["tooluse", "toolcall", "functioncall"]) {
        Class::Tool
    } else if has(&OF_OTHERS) || kind.contains("tool") {
        Class::Other
    } else if has(&OF_REASONING) {
        Class::Reasoning
    } else {
        Class::Text
    }
}

impl<'a> Part<'a> {
    /// Reads an element of a list. One that is no part, such as a number or JSON that the server has parsed, is its own text; an
    /// empty object has none.
    fn in_list(json: &'a str) -> Result<Self, serde_json::Error> {
        match json.as_bytes().first() {
            Some(b'{') if is_part(json) || json == "{}" => Self::of(json, &serde_json::from_str(json)?),
            Some(b'{') => Ok(Self { text: Cow::Borrowed(json), ..Self::default() }),
            _ => Ok(Self { text: text_of(json)?, ..Self::default() }),
        }
    }

    /// Creates a part of an object and its fields.
    fn of(json: &'a str, fields: &Fields<'a>) -> Result<Self, serde_json::Error> {
        let kind = type_of(fields);
        let class = class_of(kind.as_deref());
        let field = |name: &str| fields.get(name).map(|field| field.get());
        let thoughts = ["thinking", "reasoning"].map(|name| fields.get(name).copied());
        let refusal = field("refusal").map(text_of).transpose()?.unwrap_or_default();
        let mut part = Self {
            reasoning: thoughts.into_iter().map(reasoning_of).collect(),
            hidden_bytes: thoughts.into_iter().map(size_of).sum(),
            refusal,
            ..Self::default()
        };
        let text = field("text").map(text_of).transpose()?;
        match class {
            Class::Reasoning => part.reasoning.push_str(&text.unwrap_or_default()),
            Class::Tool => {
                part.hidden_bytes += json.len();
                let name = field("name").and_then(|name| serde_json::from_str(name).ok());
                part.tool = Some(name.unwrap_or_default());
            }
            Class::Other => part.hidden_bytes += json.len(),
            Class::Text => {
                let is_empty = kind.is_none_or(|kind| TYPES.contains(&&*kind));
                part.text = match text.map_or_else(|| payload(fields), |text| Ok(Some(text)))? {
                    Some(text) => text,
                    None if is_empty => Cow::default(),
                    // A part of an unknown type, all of which may be the answer.
                    None => Cow::Borrowed(json),
                };
            }
        }
        Ok(part)
    }

    /// Adds the part to an answer.
    fn add_to(&self, answer: &mut Answer) {
        answer.text.push_str(&self.text);
        answer.reasoning.push_str(&self.reasoning);
        answer.refusal.push_str(&self.refusal);
        answer.hidden_bytes += self.hidden_bytes;
        if let Some(tool) = &self.tool {
            answer.calls_tool(Some(tool));
        }
    }
}

/// Returns the text of a part without a field `text`: the field that is named as its type, as in `{"type": "json", "json": {…}}`,
/// or its `content`.
fn payload<'a>(fields: &Fields<'a>) -> Result<Option<Cow<'a, str>>, serde_json::Error> {
    let kind = type_of(fields).unwrap_or_default();
    let named = |name: &&String| *name != "type" && normalised(name) == normalised(&kind);
    let own = fields.keys().find(named).map(String::as_str);
    let names = own.into_iter().chain(["content", "json", "value", "data", "output"]);
    let field = names.filter_map(|name| fields.get(name)).next();
    field.map(|field| text_of(field.get())).transpose()
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use super::Content;

    #[track_caller]
    fn check(json: &str, text: &str, reasoning: &str) {
        let content: Content<'_> = serde_json::from_str(json).unwrap();
        let mut answer = Answer::default();
        content.add_to(&mut answer);
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), (text, reasoning), "{json}");
    }

    #[test]
    fn a_content_of_any_type_is_kept() {
        check(r#""Blue.""#, "Blue.", "");
        check("null", "", "");
        check("7", "7", "");
        check("1.50", "1.50", "");
        check("true", "true", "");
        check(r#"{"colour": "blue"}"#, r#"{"colour": "blue"}"#, "");
        check(r#"{"type": "text", "text": "Blue."}"#, "Blue.", "");
        check(r#"{"type": "json", "json": {"a": 1}}"#, r#"{"a": 1}"#, "");
        check("[]", "", "");
        check("[1, 2.50]", "[1, 2.50]", "");
        check(r#"[{"a": 1}, {"a": 2}]"#, r#"[{"a": 1}, {"a": 2}]"#, "");
        check(r#"[["a"], ["b"]]"#, r#"[["a"], ["b"]]"#, "");
    }

    #[test]
    fn no_part_of_a_list_is_lost() {
        check("[7]", "7", "");
        check("[false, null]", "false", "");
        check(r#"[{"a": 1}]"#, r#"{"a": 1}"#, "");
        check(r#"["Bl", "ue", ".", null]"#, "Blue.", "");
        check(r#"[{"type": "text", "text": 5}, 7, {"type": "json", "json": {"a": 1}}]"#, r#"57{"a": 1}"#, "");
        check(r#"[{"type": "text", "text": true}]"#, "true", "");
        check(r#"[{"type": "text", "text": null}]"#, "", "");
        check(r#"[{"type": "text", "text": {"value": "Blue.", "annotations": []}}]"#, "Blue.", "");
        check(r#"[{"type": "text", "text": {"a": 1.0}}]"#, r#"{"a": 1.0}"#, "");
        check(r#"[{"type": "text", "content": "Blue."}]"#, "Blue.", "");
        check(r#"[{"type": "markdown", "text": "Blue."}]"#, "Blue.", "");
        check(r#"[{"type": "output_json", "json": {"a": 1}}]"#, r#"{"a": 1}"#, "");
        check(r#"[{"type": "dog", "name": "Rex"}]"#, r#"{"type": "dog", "name": "Rex"}"#, "");
        check(r#"[{"text": "Blue."}, {"a": [1]}]"#, r#"Blue.{"a": [1]}"#, "");
    }

    #[test]
    fn reasoning_and_pictures_are_no_text() {
        check(r#"[{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "a"}]"#, "a", "hm");
        check(
            r#"[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]"#,
            "a",
            "hm",
        );
        check(r#"{"type": "thinking", "thinking": "hm"}"#, "", "hm");
        check(
            r#"[{"type": "reasoning_text", "text": "hm"}, {"type": "summary_text", "text": "."}]"#,
            "",
            "hm.",
        );
        check(
            r#"[{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}]"#,
            "a",
            "",
        );
        check(r#"[{"type": "tool_use", "name": "f", "input": {}}]"#, "", "");
        check(r#"[{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "a"}]"#, "a", "");
    }
}
