//! The conformance suite: checks that every provider must pass, with any server.
//!
//! The checks do not depend on the server: they run against the simulator, real servers and third-party ones. Checks that need
//! a server with scripted faults are in `tests/it/conformance.rs`.

use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{
    CallContext, Delta, Error, ErrorKind, FinishReason, Message, Output, Prompt, Provider, ProviderExt,
    SamplingParams, Schema, TruncationCause,
};
use antiphon_providers::SecretString;
use antiphon_providers::registry::{Kind, Options};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// The wire formats of the providers, each with its route.
pub const FORMATS: [&str; 9] = [
    "chat",
    "responses",
    "compatible",
    "anthropic",
    "gemini",
    "ollama",
    "ollama-generate",
    "llamacpp",
    "llamacpp-native",
];

/// A server to check, in one format.
#[derive(Debug, Clone)]
pub struct Target {
    /// One of [`FORMATS`].
    pub format: String,
    /// The server's address without a path.
    pub url: String,
    /// The name of the model.
    pub model: String,
    /// The API key.
    pub key: String,
    /// The longest time to the first token and between two tokens.
    pub patience: Duration,
    /// The longest time of a whole call. Default: the provider's.
    pub call: Option<Duration>,
}

impl Target {
    /// Creates a target with a placeholder key and a patience of 30 s.
    #[must_use]
    pub fn new(format: &str, url: &str, model: &str) -> Self {
        Self {
            format: format.to_owned(),
            url: url.to_owned(),
            model: model.to_owned(),
            key: "sk-conformance-key".to_owned(),
            patience: Duration::from_secs(30),
            call: None,
        }
    }

    /// Returns the provider of this format, without retries or limits around it.
    ///
    /// # Panics
    /// If the address is invalid, or the format is unknown.
    #[must_use]
    pub fn provider(&self) -> Arc<dyn Provider> {
        let v1 = format!("{}/v1", self.url);
        let kind = match self.format.as_str() {
            "chat" | "responses" => "openai",
            "ollama-generate" => "ollama",
            "llamacpp-native" => "llamacpp",
            name => name,
        };
        let mut options = Options::new(kind).key(SecretString::from(self.key.clone()));
        options = options.base_url(match kind {
            "ollama" | "llamacpp" => self.url.clone(),
            "gemini" => format!("{}/v1beta", self.url),
            _ => v1,
        });
        options.route = match self.format.as_str() {
            "responses" => Some("responses".to_owned()),
            "ollama-generate" => Some("generate".to_owned()),
            "llamacpp-native" => Some("native".to_owned()),
            _ => None,
        };
        (options.token_timeout, options.call_timeout) = (Some(self.patience), self.call);
        Kind::find(kind).expect("a format").build(&options).expect("an address").provider
    }

    /// Returns a short prompt.
    #[must_use]
    pub fn prompt(&self) -> Prompt {
        Prompt::new(&self.model, [Message::user("Say hello.")]).system("Answer in a few words.")
    }
}

/// Returns the JSON schema for structured output in these checks.
///
/// # Panics
/// Never: the schema is valid.
#[must_use]
pub fn schema() -> Schema {
    let schema = json!({
        "type": "object",
        "properties": {
            "colour": { "enum": ["red", "green", "blue"] },
            "count": { "type": "integer", "enum": [1, 2, 3, 4, 5, 6, 7, 8, 9] },
            "tags": { "type": "array", "items": { "type": "string", "maxLength": 60 }, "maxItems": 3 },
            "label": { "enum": ["a pot of paint for walls and ceilings that dries within an hour and smells of nothing at all"] },
        },
        "required": ["label", "colour", "count", "tags"],
        "additionalProperties": false,
    });
    Schema::new("paint", schema).expect("a schema")
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn said(err: Error) -> String {
    format!("{:?}: {err}", err.kind())
}

/// Checks that a complete answer has text, a finish reason, token counts and the model's name.
///
/// # Errors
/// A description of the fault.
pub async fn complete(target: &Target) -> Result<(), String> {
    let parameters = SamplingParams::default().max_tokens(64);
    let prompt = target.prompt().parameters(parameters);
    let done = target.provider().complete(&prompt, &CallContext::default()).await.map_err(said)?;
    ensure(!done.text.trim().is_empty(), || "there is no text".to_owned())?;
    ensure(matches!(done.finish, FinishReason::Stop | FinishReason::Length), || {
        format!("{:?}", done.finish)
    })?;
    let usage = done.usage;
    ensure(usage.input.is_some_and(|tokens| tokens > 0), || format!("no tokens of the prompt: {usage:?}"))?;
    ensure(usage.output.is_some_and(|tokens| tokens > 0), || format!("no tokens of the answer: {usage:?}"))?;
    ensure(done.head.model.is_some(), || "the answer does not name the model".to_owned())?;
    ensure(done.timing.first_token.is_some(), || "the time to the first token is not known".to_owned())
}

/// Checks that the pieces of a stream, in order, are the whole answer.
///
/// # Errors
/// A description of the fault.
pub async fn stream(target: &Target) -> Result<(), String> {
    let prompt = target.prompt().parameters(SamplingParams::default().max_tokens(64));
    let mut answer = target.provider().stream(&prompt, &CallContext::default()).await.map_err(said)?;
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(delta) = answer.next().await {
        match delta.map_err(said)? {
            Delta::Text(words) => {
                text.push_str(&words);
                pieces += 1;
            }
            Delta::End(done) => {
                ensure(done.text == text, || {
                    format!("the pieces are {text:?}, the whole answer is {:?}", done.text)
                })?;
                return ensure(pieces > 1, || format!("the answer arrived in {pieces} piece"));
            }
            _ => {}
        }
    }
    Err("the stream has no end".to_owned())
}

/// Checks the token limit: a text that reaches it has the finish reason `Length`; JSON that reaches it is an error with the
/// partial answer.
///
/// # Errors
/// A description of the fault.
pub async fn length(target: &Target) -> Result<(), String> {
    let prompt = Prompt::new(&target.model, [Message::user("Count from one to one hundred in words.")]);
    let prompt = prompt.parameters(SamplingParams::default().max_tokens(16));
    let provider = target.provider();
    let done = provider.complete(&prompt, &CallContext::default()).await.map_err(said)?;
    ensure(done.finish == FinishReason::Length, || format!("the text ended with {:?}", done.finish))?;
    let prompt = prompt.output(Output::Json(schema()));
    match provider.complete(&prompt, &CallContext::default()).await {
        Ok(done) => Err(format!("truncated JSON was accepted: {}", done.text)),
        Err(err) => {
            ensure(err.kind() == ErrorKind::Truncated { cause: TruncationCause::MaxTokens }, || {
                format!("{:?}: {err}", err.kind())
            })?;
            ensure(err.partial().is_some_and(|partial| !partial.text.is_empty()), || {
                "the partial answer is lost".to_owned()
            })
        }
    }
}

/// Checks structured output: one call returns JSON that is valid against the schema.
///
/// # Errors
/// A description of the fault.
pub async fn structured(target: &Target) -> Result<(), String> {
    let prompt = Prompt::new(&target.model, [Message::user("Describe a pot of paint.")]);
    let prompt = prompt.parameters(SamplingParams::default().max_tokens(400));
    let provider = target.provider();
    let done = provider.complete_json(&prompt, &schema(), &CallContext::default()).await.map_err(said)?;
    ensure(done.spent.calls == 1, || format!("it took {} calls", done.spent.calls))?;
    ensure(done.value["count"].as_u64().is_some_and(|count| (1..=9).contains(&count)), || {
        done.value.to_string()
    })
}

/// Checks that the models, the server's health and a model's capabilities can be queried.
///
/// # Errors
/// A description of the fault.
pub async fn lists(target: &Target) -> Result<(), String> {
    let (provider, context) = (target.provider(), CallContext::default());
    let models = provider.models(&context).await.map_err(said)?;
    ensure(models.iter().any(|model| model.answers), || format!("no model answers: {models:?}"))?;
    let health = provider.health(&context).await.map_err(said)?;
    ensure(health.http_version.is_some() && health.models.is_some(), || format!("{health:?}"))?;
    // An unknown model is neither an error nor a panic.
    provider.capabilities("no-such-model", &context).await;
    Ok(())
}

/// Checks that the debug output of a provider does not leak the key.
///
/// # Errors
/// The output that contains it.
pub fn silent(target: &Target) -> Result<(), String> {
    let shown = format!("{:?}", target.provider());
    ensure(!shown.contains(&target.key), || format!("the key is printed: {shown}"))
}

/// Returns whether a value is valid against the [schema](schema()) of these checks.
#[must_use]
pub fn fits(value: &Value) -> bool {
    schema().violations(value).is_empty()
}

/// Runs every check, one after another; returns the name of each that failed, with the reason.
pub async fn all(target: &Target) -> Vec<(&'static str, String)> {
    let results = [
        ("complete", complete(target).await),
        ("stream", stream(target).await),
        ("length", length(target).await),
        ("structured", structured(target).await),
        ("lists", lists(target).await),
        ("silent", silent(target)),
    ];
    results.into_iter().filter_map(|(name, result)| Some((name, result.err()?))).collect()
}
