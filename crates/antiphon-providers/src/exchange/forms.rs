use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_http::Response;
use antiphon_llm::{Dialect, Error, ErrorKind, Output, Prompt, Schema};
use tracing::info;

/// How an answer's form is asked for, from the surest way to the one that every server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The server binds the answer to the schema.
    Schema,
    /// The server binds the answer to JSON; the schema is told in words.
    Json,
    /// Only words.
    Words,
}

/// How a server takes schemas: learnt from its refusals, for each model and schema, since it may refuse one and not
/// another.
#[derive(Debug, Clone)]
pub(crate) struct Forms {
    ladder: &'static [Form],
    learnt: Arc<Mutex<HashMap<(String, String), Form>>>,
}

impl Forms {
    /// The forms that a server may know, surest first; the first of them is tried first.
    pub(crate) fn new(ladder: &'static [Form]) -> Self {
        Self { ladder, learnt: Arc::default() }
    }

    /// Asks in the surest form that the server is known to take, and in a weaker one where it refuses that form.
    pub(crate) async fn ask<Fut>(
        &self,
        prompt: &Prompt,
        ask: impl Fn(Form) -> Fut + Send,
    ) -> Result<(Response, Form), Error>
    where
        Fut: Future<Output = Result<Response, Error>> + Send,
    {
        let Output::Json(schema) = &prompt.output else { return Ok((ask(Form::Words).await?, Form::Words)) };
        let key = (prompt.model.clone(), schema.name().to_owned());
        let known = self.learnt.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let mut form = known.unwrap_or(self.ladder[0]);
        loop {
            let err = match ask(form).await {
                Ok(response) => return Ok((response, form)),
                Err(err) => err,
            };
            let weaker = self.ladder.iter().copied().find(|weaker| *weaker > form);
            let Some(weaker) = weaker.filter(|_| is_about_the_form(&err)) else { return Err(err) };
            info!("{err}; asking for {weaker:?} instead");
            self.learnt.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), weaker);
            form = weaker;
        }
    }
}

/// Whether an error is about the form asked for: servers name the field, the form, or the grammar they make of it.
fn is_about_the_form(err: &Error) -> bool {
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
pub(crate) fn weakened(output: &Output, form: Form, dialect: &Dialect) -> Vec<String> {
    match output {
        Output::Json(schema) if form == Form::Schema => {
            let compiled = schema.compile(dialect);
            [compiled.weakened, compiled.inexpressible].concat()
        }
        Output::Json(_) => vec![String::new()],
        _ => Vec::new(),
    }
}

/// The standing instructions, with the schema told in words where the server does not bind the answer to it.
pub(crate) fn system_of(prompt: &Prompt, form: Form) -> Option<String> {
    let told = match &prompt.output {
        Output::Json(schema) if form != Form::Schema => Some(in_words(schema)),
        _ => None,
    };
    match (&prompt.system, told) {
        (Some(system), Some(told)) => Some(format!("{system}\n\n{told}")),
        (system, told) => system.clone().or(told),
    }
}

fn in_words(schema: &Schema) -> String {
    format!("Answer with one JSON value and nothing else. It must fit this JSON schema:\n{}", schema.value())
}
