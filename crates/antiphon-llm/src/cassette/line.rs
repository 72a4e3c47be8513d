use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;

use crate::cache_key::CacheKey;
use crate::completion::{Completion, Usage};
use crate::error::{Error, ErrorKind};
use crate::finish::{AnswerMark, FinishReason};
use crate::prompt::{Output, Prompt};
use crate::provider::{Capabilities, Scope};
use crate::redact::redact;
use crate::warning::CallWarning;

/// The format's name and version, in the first line of a cassette.
const SCHEMA: &str = "antiphon.cassette/1";

/// The first line: the provider whose answers follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeaderLine {
    schema: String,
    scope: ScopeOnTape,
}

/// A [`Scope`] without the digest of its key, which identifies the account and does not change the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ScopeOnTape {
    vendor: String,
    base_url: Option<String>,
    variant: Option<String>,
}

/// A line with the capabilities of a model, with which a replayed run sends the same prompts as the recorded one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ModelLine {
    pub(super) model: String,
    pub(super) capabilities: Capabilities,
}

/// A line with a prompt in readable form, and its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AnswerLine {
    key: String,
    prompt: Value,
    text: String,
    finish: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_finish: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish_detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<AnswerMark>,
    usage: Usage,
    model: Option<String>,
    #[serde(default)]
    other_model: bool,
    #[serde(default)]
    weakened: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<CallWarning>,
}

impl HeaderLine {
    pub(super) fn of(scope: &Scope) -> Self {
        Self { schema: SCHEMA.to_owned(), scope: ScopeOnTape::of(scope) }
    }
}

impl ScopeOnTape {
    fn of(scope: &Scope) -> Self {
        let Scope { vendor, base_url, variant, key_digest: _ } = scope;
        let plain = |text: &String| redact(text, &[]);
        Self {
            vendor: vendor.clone(),
            base_url: base_url.as_ref().map(plain),
            variant: variant.as_ref().map(plain),
        }
    }

    fn into_scope(self) -> Scope {
        let scope = Scope::new(self.vendor, self.base_url);
        Scope { variant: self.variant, ..scope }
    }
}

/// The recorded part of a prompt.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    key: String,
    prompt: Value,
    pub(super) output: Output,
}

impl Asked {
    pub(super) fn of(prompt: &Prompt) -> Arc<Self> {
        Arc::new(Self { key: key_of(prompt), prompt: readable(prompt), output: prompt.output.clone() })
    }

    pub(super) fn answered(&self, answer: &Completion) -> AnswerLine {
        AnswerLine {
            key: self.key.clone(),
            prompt: self.prompt.clone(),
            text: redact(&answer.text, &[]),
            finish: answer.finish.name().to_owned(),
            raw_finish: answer.raw_finish.clone(),
            finish_detail: answer.finish_detail.as_deref().map(|detail| redact(detail, &[])),
            reasoning: answer.reasoning.as_deref().map(|reasoning| redact(reasoning, &[])),
            marks: answer.marks.clone(),
            usage: answer.usage,
            model: answer.head.model.clone(),
            other_model: answer.head.other_model,
            weakened: answer.head.weakened.clone(),
            warnings: answer.head.warnings.clone(),
        }
    }
}

/// Returns a prompt's key, which is the same at every provider: a cassette may be played in place of another address. The
/// token limit is not part of it, since a budget lowers that limit as it runs out.
pub(super) fn key_of(prompt: &Prompt) -> String {
    let mut prompt = prompt.clone();
    prompt.parameters.max_tokens = None;
    CacheKey::of(&Scope::new("cassette", None), &prompt).to_string()
}

/// Returns the readable form of a prompt.
fn readable(prompt: &Prompt) -> Value {
    let messages = prompt
        .messages
        .iter()
        .map(|message| json!({ "role": message.role.name(), "text": redact(&message.rendered(), &[]) }));
    let output = match &prompt.output {
        Output::Text => "text",
        Output::Json(schema) => schema.name(),
    };
    json!({
        "model": prompt.model,
        "system": prompt.system.as_deref().map(|system| redact(system, &[])),
        "messages": messages.collect::<Vec<_>>(),
        "parameters": prompt.parameters,
        "output": output,
    })
}

/// The content of a cassette file.
#[derive(Debug)]
pub(super) struct Cassette {
    pub(super) scope: Scope,
    /// The models that were asked or looked up, with the known capabilities of each.
    pub(super) models: BTreeMap<String, Capabilities>,
    pub(super) answers: HashMap<String, VecDeque<Completion>>,
}

/// The position of a line in a file, for errors.
#[derive(Debug, Clone, Copy)]
struct Position<'a> {
    path: &'a Path,
    number: usize,
}

impl Cassette {
    /// Parses the lines of the file at `path`; `None` if there are none. Lines that a crash has cut are skipped.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Option<Self>, Error> {
        let mut cassette: Option<Self> = None;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let position = Position { path, number: index + 1 };
            let value = match serde_json::from_str(line) {
                Err(err) if err.is_eof() => {
                    warn!("{}:{}: a line that a crash has cut is ignored", path.display(), position.number);
                    continue;
                }
                parsed => position.parsed(parsed)?,
            };
            match &mut cassette {
                Some(cassette) => cassette.add(value, position)?,
                None => cassette = Some(Self::with_scope(position.header(value)?)),
            }
        }
        Ok(cassette)
    }

    fn with_scope(scope: ScopeOnTape) -> Self {
        Self { scope: scope.into_scope(), models: BTreeMap::new(), answers: HashMap::new() }
    }

    fn add(&mut self, line: Value, position: Position<'_>) -> Result<(), Error> {
        if line.get("schema").is_some() {
            // Two processes may have created the file at the same time.
            if position.header(line)? != ScopeOnTape::of(&self.scope) {
                let why = "the answers of another provider begin here. Record each into a separate file";
                return Err(position.invalid(&why));
            }
        } else if line.get("capabilities").is_some() {
            let ModelLine { model, capabilities } = position.parsed(serde_json::from_value(line))?;
            self.models.insert(model, capabilities);
        } else {
            self.add_answer(position.parsed(serde_json::from_value(line))?);
        }
        Ok(())
    }

    fn add_answer(&mut self, line: AnswerLine) {
        if let Some(model) = line.prompt["model"].as_str() {
            self.models.entry(model.to_owned()).or_default();
        }
        let finish = FinishReason::of(&line.finish);
        let mut answer = Completion::new(line.text).finish(finish).usage(line.usage);
        (answer.raw_finish, answer.finish_detail) = (line.raw_finish, line.finish_detail);
        (answer.reasoning, answer.marks) = (line.reasoning, line.marks);
        answer.head.model = line.model;
        answer.head.other_model = line.other_model;
        answer.head.weakened = line.weakened;
        answer.head.warnings = line.warnings;
        self.answers.entry(line.key).or_default().push_back(answer);
    }

    /// Returns whether the cassette holds the answers of `scope`, on any account.
    pub(super) fn is_of(&self, scope: &Scope) -> bool {
        ScopeOnTape::of(&self.scope) == ScopeOnTape::of(scope)
    }
}

impl Position<'_> {
    fn header(self, line: Value) -> Result<ScopeOnTape, Error> {
        match line.get("schema").and_then(Value::as_str) {
            Some(SCHEMA) => Ok(self.parsed(serde_json::from_value::<HeaderLine>(line))?.scope),
            Some(other) => {
                Err(self.invalid(&format_args!("its format is {other}, and this version reads {SCHEMA}")))
            }
            None => {
                let why =
                    "this is not a cassette's first line. Keep cassettes in a folder without other files";
                Err(self.invalid(&why))
            }
        }
    }

    fn parsed<T>(self, parsed: serde_json::Result<T>) -> Result<T, Error> {
        parsed.map_err(|err| self.invalid(&format_args!("this is not a line of a cassette: {err}")))
    }

    fn invalid(self, why: &dyn fmt::Display) -> Error {
        let message = format!("cannot read the cassette {}:{}: {why}", self.path.display(), self.number);
        Error::new(ErrorKind::InvalidRequest, message)
    }
}
