use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_fs::{ErrorKind as FsErrorKind, Writer};
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cache_key::CacheKey;
use crate::completion::{Completion, FinishReason, Usage};
use crate::context::CallContext;
use crate::error::{Error, ErrorKind};
use crate::forward::forward;
use crate::prompt::{Output, Prompt};
use crate::provider::{Capabilities, Health, Model, Provider, Scope};
use crate::redact::redact;
use crate::streaming::{Delta, Streaming};

/// A line of a cassette: a question, as people read it, and its answer.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    prompt: Value,
    text: String,
    finish: String,
    usage: Usage,
    model: Option<String>,
}

/// Writes every whole answer into a cassette: a file of JSON lines from which [`Replayed`] answers without a network.
///
/// What looks like a vendor's key is replaced, in questions and answers. An answer is in the file before its end is told;
/// one that cannot be written is an error, with its text.
#[derive(Debug, Clone)]
pub struct Recorded<P> {
    inner: P,
    path: PathBuf,
}

impl<P> Recorded<P> {
    /// Wraps `inner`; new answers go to the end of the file at `path`.
    #[must_use]
    pub fn new(inner: P, path: impl Into<PathBuf>) -> Self {
        Self { inner, path: path.into() }
    }
}

impl<P: Provider> Recorded<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let answer = self.inner.stream(prompt, context).await?;
        let (head, attempts) = (answer.head().clone(), answer.attempts());
        let (path, output) = (self.path.clone(), prompt.output.clone());
        let (key, prompt) = (key_of(prompt), readable(prompt));
        let written = answer.then(move |item| {
            let (path, prompt, key, output) = (path.clone(), prompt.clone(), key.clone(), output.clone());
            async move {
                let Ok(Delta::End(answer)) = item else { return item };
                let line = Line {
                    key,
                    prompt,
                    text: redact(&answer.text, &[]),
                    finish: answer.finish.name().to_owned(),
                    usage: answer.usage,
                    model: answer.head.model.clone(),
                };
                match append(&path, &line).await {
                    Ok(()) => answer.into_whole(&output).map(|answer| Delta::End(Box::new(answer))),
                    // It is paid all the same.
                    Err(err) => Err(err.with_spent(answer.spent()).with_partial(*answer)),
                }
            }
        });
        Ok(Streaming::begun(head, written).await?.with_attempts(attempts))
    }
}

forward!(Recorded);

async fn append(path: &Path, line: &Line) -> Result<(), Error> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidRequest, format!("the answer cannot be recorded: {why}"))
    };
    let line = serde_json::to_string(line).map_err(|err| failed(&err))?;
    let mut writer = Writer::append(path).await.map_err(|err| failed(&err))?;
    writer.write_line(&line).await.map_err(|err| failed(&err))?;
    writer.finish().await.map_err(|err| failed(&err))
}

/// A prompt's key wherever it is asked: a cassette may be played for another address.
fn key_of(prompt: &Prompt) -> String {
    CacheKey::of(&Scope::new("cassette", None), prompt).to_string()
}

/// A prompt for people to read.
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

/// Answers from a cassette that [`Recorded`] wrote, and asks nobody.
///
/// A prompt that was recorded several times gets its answers in their order, and the last of them from then on.
#[derive(Debug, Clone)]
pub struct Replayed {
    scope: Scope,
    answers: Arc<Mutex<HashMap<String, VecDeque<Completion>>>>,
}

impl Replayed {
    /// Reads a cassette.
    ///
    /// # Errors
    /// `InvalidRequest` for a file that cannot be read, or a line that is none of a cassette's, with its number.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let invalid = |why: String| Error::new(ErrorKind::InvalidRequest, why);
        let text = antiphon_fs::read_to_string(path).await.map_err(|err| match err.kind() {
            FsErrorKind::NotFound => invalid(format!("{err}; record it first")),
            _ => invalid(err.to_string()),
        })?;
        let mut answers: HashMap<String, VecDeque<Completion>> = HashMap::new();
        for (index, line) in text.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|err| {
                invalid(format!("{}:{}: this is no line of a cassette: {err}", path.display(), index + 1))
            })?;
            let mut answer =
                Completion::new(line.text).finish(FinishReason::of(&line.finish)).usage(line.usage);
            answer.head.model = line.model;
            answers.entry(line.key).or_default().push_back(answer);
        }
        Ok(Self { scope: Scope::new("cassette", None), answers: Arc::new(Mutex::new(answers)) })
    }

    fn next(&self, prompt: &Prompt) -> Option<Completion> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let row = answers.get_mut(&key_of(prompt))?;
        if row.len() > 1 { row.pop_front() } else { row.front().cloned() }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Provider for Replayed {
    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    async fn stream(&self, prompt: &Prompt, _: &CallContext) -> Result<Streaming, Error> {
        let answer = self.next(prompt).ok_or_else(|| {
            let message = "the cassette has no answer for this prompt: record it again";
            Error::new(ErrorKind::InvalidRequest, message)
        })?;
        answer.into_whole(&prompt.output).map(Streaming::whole)
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        Ok(Health::default())
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        Capabilities::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{CallContext, Completion, ErrorKind, FinishReason, Prompt, Recorded, Replayed};
    use crate::scripted::Scripted;
    use crate::{Message, ProviderExt, Usage};

    #[tokio::test]
    async fn what_was_recorded_is_said_again_without_keys() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("cassette.jsonl");
        let answers = ["one", "two sk-planted-key-1"].map(|text| {
            let done = Completion::new(text).finish(FinishReason::Length);
            Ok(done.usage(Usage::new(Some(3), Some(1))))
        });
        let provider = Recorded::new(Scripted::new(answers), &path);
        let prompt = Prompt::new("m", [Message::user("my key is sk-planted-key-2")]);
        let context = CallContext::default();
        for _ in 0..2 {
            provider.complete(&prompt, &context).await.unwrap();
        }
        let written = antiphon_fs::read_to_string(&path).await.unwrap();
        assert!(!written.text.contains("planted") && written.text.lines().count() == 2, "{}", written.text);
        let replayed = Replayed::load(&path).await.unwrap();
        let mut texts = Vec::new();
        for _ in 0..3 {
            let done = replayed.complete(&prompt, &context).await.unwrap();
            assert_eq!((done.finish, done.usage.input), (FinishReason::Length, Some(3)));
            texts.push(done.text);
        }
        assert_eq!(texts, ["one", "two [key]", "two [key]"]);
        let unknown = Prompt::new("m", [Message::user("?")]);
        let err = replayed.complete(&unknown, &context).await.unwrap_err();
        assert!(err.to_string().contains("record it again"), "{err}");
    }

    #[tokio::test]
    async fn a_bad_cassette_is_named_with_its_line() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("c.jsonl");
        assert!(Replayed::load(&path).await.unwrap_err().to_string().contains("record it first"));
        antiphon_fs::write(&path, "\n{}\n").await.unwrap();
        let err = Replayed::load(&path).await.unwrap_err();
        assert!(err.kind() == ErrorKind::InvalidRequest && err.to_string().contains("c.jsonl:2: "), "{err}");
    }
}
