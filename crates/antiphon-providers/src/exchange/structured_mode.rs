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
use antiphon_llm::{Dialect, Error, ErrorKind, Output, Prompt, Schema};
use tracing::info;

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
    learned: Arc<Mutex<HashMap<(String, u64), StructuredMode>>>,
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
        let is_object = schema.value()["type"] == "object";
        let usable = |mode: &StructuredMode| *mode != StructuredMode::JsonObject || is_object;
        let known = self.known(prompt, schema);
        let first = self.fallback_order.iter().copied().find(usable).unwrap_or(StructuredMode::PromptOnly);
        let mut mode = known.unwrap_or(first);
        loop {
            let err = match ask(mode).await {
                Ok(response) => {
                    if known != Some(mode) && mode != first {
                        self.learned().insert((prompt.model.clone(), digest(schema)), mode);
                    }
                    return Ok((response, mode));
                }
                Err(err) => err,
            };
            let weaker = self.fallback_order.iter().copied().find(|weaker| *weaker > mode && usable(weaker));
            let Some(weaker) = weaker.filter(|_| is_about_mode(&err)) else { return Err(err) };
            info!("{err}; falling back to {weaker:?}");
            mode = weaker;
        }
    }

    /// Returns the mode that worked earlier for a model and a schema.
    fn known(&self, prompt: &Prompt, schema: &Schema) -> Option<StructuredMode> {
        let learned = self.learned();
        // Most servers support the first mode, and then nothing has to be looked up.
        if learned.is_empty() { None } else { learned.get(&(prompt.model.clone(), digest(schema))).copied() }
    }

    /// Locks the cache; a panic elsewhere cannot leave it inconsistent, so a poisoned lock is used as it is.
    fn learned(&self) -> MutexGuard<'_, HashMap<(String, u64), StructuredMode>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a digest of a schema's name and text; it is never stored.
fn digest(schema: &Schema) -> u64 {
    let mut hasher = DefaultHasher::new();
    (schema.name(), schema.text()).hash(&mut hasher);
    hasher.finish()
}

/// Returns whether an error is about the mode: servers name the field, the mode, or the grammar that they build from it.
fn is_about_mode(err: &Error) -> bool {
    let message = err.to_string().to_lowercase();
    matches!(err.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported)
        && [
            "response_format",
            "json_schema",
            "json_object",
            "grammar",
            "output_config",
            "schema",
            "text.format",
        ]
        .iter()
        .any(|word| message.contains(word))
}

/// Returns the places of a schema that the server does not enforce; the root where the schema is only in the prompt.
///
/// The list is reported in the head of the answer: a caller learns that validity rests on this crate's check.
pub(crate) fn weakened(output: &Output, mode: StructuredMode, dialect: &Dialect) -> Vec<String> {
    match output.schema() {
        Some(schema) if mode == StructuredMode::JsonSchema => {
            let compiled = schema.compile(dialect);
            // A schema that the dialect cannot express is sent as a hint only.
            if compiled.inexpressible.is_empty() { compiled.weakened.clone() } else { vec![String::new()] }
        }
        Some(_) => vec![String::new()],
        None => Vec::new(),
    }
}
