use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_http::Response;
use antiphon_llm::{Dialect, Error, ErrorKind, Output, Prompt, Schema};
use tracing::info;

use super::sendable::check_sendable;

/// How an answer's form is asked for, from the surest way to the one that every server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StructuredMode {
    /// The server binds the answer to the schema.
    JsonSchema,
    /// The server binds the answer to JSON; the schema is told in words.
    JsonObject,
    /// Only words.
    PromptOnly,
}

/// How a server takes schemas: learnt from its refusals, for each model and schema, since it may refuse one and not
/// another.
#[derive(Debug, Clone)]
pub(crate) struct ModeFallback {
    fallback_order: &'static [StructuredMode],
    learned: Arc<Mutex<HashMap<(String, u64), StructuredMode>>>,
}

impl ModeFallback {
    /// The forms that a server may know, surest first; the first of them is tried first.
    pub(crate) fn new(fallback_order: &'static [StructuredMode]) -> Self {
        Self { fallback_order, learned: Arc::default() }
    }

    /// Asks in the surest form that the server is known to take, and in a weaker one where it refuses that form. A prompt
    /// that cannot be sent as it is goes nowhere.
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
        // A server that binds answers to JSON may mean objects alone.
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
            info!("{err}; asking for {weaker:?} instead");
            mode = weaker;
        }
    }

    fn known(&self, prompt: &Prompt, schema: &Schema) -> Option<StructuredMode> {
        let learned = self.learned();
        // Most servers take the first form, and then there is nothing to look up.
        if learned.is_empty() { None } else { learned.get(&(prompt.model.clone(), digest(schema))).copied() }
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<(String, u64), StructuredMode>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(schema: &Schema) -> u64 {
    let mut hasher = DefaultHasher::new();
    (schema.name(), schema.text()).hash(&mut hasher);
    hasher.finish()
}

/// Whether an error is about the form asked for: servers name the field, the form, or the grammar they make of it.
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

/// The places of a schema that the server does not hold the answer to; all of it where it was only told in words.
pub(crate) fn weakened(output: &Output, mode: StructuredMode, dialect: &Dialect) -> Vec<String> {
    match output.schema() {
        Some(schema) if mode == StructuredMode::JsonSchema => {
            let compiled = schema.compile(dialect);
            // What cannot be said is only a hint, all of it.
            if compiled.inexpressible.is_empty() { compiled.weakened.clone() } else { vec![String::new()] }
        }
        Some(_) => vec![String::new()],
        None => Vec::new(),
    }
}
