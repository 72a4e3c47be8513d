//! Structured output with servers whose support differs: the modes, the fallback order, and what is learned
//! from errors.
//!
//! The mode that works is not known in advance. The first call tries the strictest; an error that names the
//! mode (not one about the prompt or the key) leads to the next weaker one, within the same call. The result is
//! cached for each model and schema, so that the price of the search is paid once, not with every row of a run.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_http::Response;
use antiphon_llm::{Capabilities, Dialect, Error, ErrorKind, Prompt, Schema};
use tracing::info;

use super::schema_watch::SentSchema;
use super::sendable::check_sendable;

/// A mode of structured output, from the strictest to the one that every server supports.
///
/// | mode | OpenAI's `response_format` | Gemini's `responseMimeType` | Ollama's `format` | schema in the prompt |
/// |---|---|---|---|---|
/// | `JsonSchema` | `json_schema` | JSON, with a schema | the schema | no |
/// | `JsonObject` | `json_object` | JSON | `"json"` | yes |
/// | `PromptOnly` | none | none | none | yes |
///
/// The order of the variants is that of strictness, and comparisons use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StructuredMode {
    /// The server constrains the answer to the schema.
    JsonSchema,
    /// The server constrains the answer to JSON; the schema is in the prompt.
    JsonObject,
    /// The schema is only in the prompt.
    PromptOnly,
}

/// The structured output mode that a server supports, learned from its errors for each model and schema, since it may reject
/// one and not another.
///
/// Clones share what is learned. Calls that run concurrently may each learn the same; the last write prevails.
#[derive(Debug, Clone)]
pub(crate) struct ModeFallback {
    /// The modes to try, strictest first.
    fallback_order: &'static [StructuredMode],
    /// The mode that worked, by model and digest of the schema, where it is not the first. Memory grows with
    /// the number of distinct pairs only.
    learned: Arc<Mutex<HashMap<(String, u64), Learned>>>,
}

/// The mode that is used in place of the first.
#[derive(Debug, Clone)]
pub(crate) struct Learned {
    /// The mode.
    pub(super) mode: StructuredMode,
    /// The server's words, if it rejected a stricter mode; `None` if an answer showed that it ignores the mode.
    pub(super) rejection: Option<String>,
}

impl ModeFallback {
    /// Creates a fallback over the modes that a server may support, in the order in which they are tried: strictest first.
    pub(crate) fn new(fallback_order: &'static [StructuredMode]) -> Self {
        Self { fallback_order, learned: Arc::default() }
    }

    /// Sends a prompt in the strictest mode that the server is known to support, and falls back to a weaker one where it
    /// rejects that mode. A prompt that cannot be expressed is not sent.
    ///
    /// A prompt without a schema is sent once, as `PromptOnly`. [`StructuredMode::JsonObject`] is skipped for a
    /// schema whose root is not an object.
    ///
    /// # Errors
    /// `Unsupported` for a prompt that cannot be expressed; the error of the last mode that was tried.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request in progress; what was learned before is kept.
    pub(crate) async fn ask<Fut>(
        &self,
        prompt: &Prompt,
        ask: impl Fn(StructuredMode) -> Fut + Send,
    ) -> Result<(Response, StructuredMode), Error>
    where
        Fut: Future<Output = Result<Response, Error>> + Send,
    {
        check_sendable(prompt)?;
        let Some(schema) = prompt.output.schema() else {
            return Ok((ask(StructuredMode::PromptOnly).await?, StructuredMode::PromptOnly));
        };
        // A server that constrains answers to JSON may accept objects only.
        let is_object = is_object(schema);
        let usable = |mode: &StructuredMode| *mode != StructuredMode::JsonObject || is_object;
        let known = self.known(&prompt.model, schema).map(|known| known.mode);
        let first = self.fallback_order.iter().copied().find(usable).unwrap_or(StructuredMode::PromptOnly);
        let (mut mode, mut rejection) = (known.unwrap_or(first), None);
        loop {
            let err = match ask(mode).await {
                Ok(response) => {
                    if known != Some(mode) && mode != first {
                        self.learn(&prompt.model, schema, Learned { mode, rejection });
                    }
                    return Ok((response, mode));
                }
                Err(err) => err,
            };
            let weaker = self.fallback_order.iter().copied().find(|weaker| *weaker > mode && usable(weaker));
            let Some(weaker) = weaker.filter(|_| is_about_mode(&err)) else { return Err(err) };
            info!("{err}; falling back to {weaker:?}");
            (mode, rejection) = (weaker, Some(err.to_string()));
        }
    }

    /// Returns what the reader of the answer needs to know of the schema that was sent in a mode, in a dialect: what is not
    /// enforced of it, with a warning if that is the whole schema, and the means to learn from an answer that ignores it.
    pub(crate) fn sent(&self, prompt: &Prompt, mode: StructuredMode, dialect: &Dialect) -> SentSchema {
        match prompt.output.schema() {
            Some(schema) => SentSchema::new(self.clone(), prompt, schema, mode, dialect),
            None => SentSchema::default(),
        }
    }

    /// Adds the form in which schemas are sent to the capabilities of a model.
    pub(crate) fn capable(&self, capabilities: Capabilities, dialect: &Dialect) -> Capabilities {
        let in_prompt = !self.fallback_order.contains(&StructuredMode::JsonSchema);
        capabilities.dialect(*dialect).schema_in_prompt(in_prompt)
    }

    /// Returns the mode to use where a server ignores another one; `None` if there is no weaker one.
    pub(super) fn weaker(&self, mode: StructuredMode, schema: &Schema) -> Option<StructuredMode> {
        let is_usable = |weaker: &StructuredMode| *weaker != StructuredMode::JsonObject || is_object(schema);
        self.fallback_order.iter().copied().find(|weaker| *weaker > mode && is_usable(weaker))
    }

    /// Remembers the mode for a model and a schema.
    pub(super) fn learn(&self, model: &str, schema: &Schema, learned: Learned) {
        self.learned().insert((model.to_owned(), digest(schema)), learned);
    }

    /// Returns the mode that worked earlier for a model and a schema.
    pub(super) fn known(&self, model: &str, schema: &Schema) -> Option<Learned> {
        let learned = self.learned();
        // Most servers support the first mode, and then nothing has to be looked up.
        if learned.is_empty() { None } else { learned.get(&(model.to_owned(), digest(schema))).cloned() }
    }

    /// Locks the cache; a panic elsewhere cannot leave it inconsistent, so a poisoned lock is used as it is.
    fn learned(&self) -> MutexGuard<'_, HashMap<(String, u64), Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the root of a schema is an object, also behind a reference.
fn is_object(schema: &Schema) -> bool {
    let root = schema.value();
    let reference = root["$ref"].as_str().and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    reference.unwrap_or(root)["type"] == "object"
}

/// Returns a digest of a schema's name and text; it is never stored.
fn digest(schema: &Schema) -> u64 {
    let mut hasher = DefaultHasher::new();
    (schema.name(), schema.text()).hash(&mut hasher);
    hasher.finish()
}

/// The words by which servers name the field, the mode, or the grammar that they build from it.
const MODE_WORDS: [&str; 14] = [
    "response_format",
    "json_schema",
    "json_object",
    "json mode",
    "json_mode",
    "grammar",
    "output_config",
    "output_format",
    "schema",
    "text.format",
    "structured output",
    "structured_output",
    "guided_json",
    // Ollama before 0.5, which reads a text in `format`.
    "request.format",
];

/// Returns whether an error is about the mode.
fn is_about_mode(err: &Error) -> bool {
    let message = err.to_string().to_lowercase();
    matches!(err.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported)
        && MODE_WORDS.iter().any(|word| message.contains(word))
}
