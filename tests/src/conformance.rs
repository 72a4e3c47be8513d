//! What every provider must do alike, whatever server answers it.
//!
//! The checks know nothing of the server: they run against the simulator, against real servers and against those that others
//! wrote. What only a server that can be told to misbehave can show stands in `tests/it/conformance.rs`.

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

/// The ways of asking that there are.
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

/// A server that is to be asked in a format.
#[derive(Debug, Clone)]
pub struct Target {
    /// One of [`FORMATS`].
    pub format: String,
    /// The server's address without a path.
    pub url: String,
    /// The model to ask.
    pub model: String,
    /// The key to bring.
    pub key: String,
    /// The time to the first token and between two of them.
    pub patience: Duration,
    /// The time of a whole call, if not the provider's default.
    pub call: Option<Duration>,
}

impl Target {
    /// A server, a format and a model; a key that no server asks for, and half a minute of patience.
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

    /// The provider of this format, by itself.
    ///
    /// # Panics
    /// For an address that is none, or a format that is none.
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

    /// A short question to the model.
    #[must_use]
    pub fn prompt(&self) -> Prompt {
        Prompt::new(&self.model, [Message::user("Say hello.")]).system("Answer in a few words.")
    }
}

/// The schema that structured answers have to fit here.
///
/// # Panics
/// Never: it is one.
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

/// A whole answer has text, a reason, a count of tokens and the model's name.
///
/// # Errors
/// What does not hold.
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
    ensure(done.head.model.is_some(), || "it does not say which model served".to_owned())?;
    ensure(done.timing.first_token.is_some(), || "the time to the first token is not known".to_owned())
}

/// The pieces of a stream are the whole answer, in their order.
///
/// # Errors
/// What does not hold.
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
                ensure(done.text == text, || format!("{text:?} came, and {:?} was the whole", done.text))?;
                return ensure(pieces > 1, || format!("the answer came in {pieces} piece"));
            }
            _ => {}
        }
    }
    Err("the stream has no end".to_owned())
}

/// A text that reaches the limit of tokens says so; JSON that does is an error with what there is of it.
///
/// # Errors
/// What does not hold.
pub async fn length(target: &Target) -> Result<(), String> {
    let prompt = Prompt::new(&target.model, [Message::user("Count from one to one hundred in words.")]);
    let prompt = prompt.parameters(SamplingParams::default().max_tokens(16));
    let provider = target.provider();
    let done = provider.complete(&prompt, &CallContext::default()).await.map_err(said)?;
    ensure(done.finish == FinishReason::Length, || format!("the text ended with {:?}", done.finish))?;
    let prompt = prompt.output(Output::Json(schema()));
    match provider.complete(&prompt, &CallContext::default()).await {
        Ok(done) => Err(format!("JSON that was cut is an answer: {}", done.text)),
        Err(err) => {
            ensure(err.kind() == ErrorKind::Truncated { cause: TruncationCause::MaxTokens }, || {
                format!("{:?}: {err}", err.kind())
            })?;
            ensure(err.partial().is_some_and(|partial| !partial.text.is_empty()), || {
                "what came of it is lost".to_owned()
            })
        }
    }
}

/// JSON that fits a schema comes as it is asked for.
///
/// # Errors
/// What does not hold.
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

/// The models can be listed, the server's health and what a model takes be asked for.
///
/// # Errors
/// What does not hold.
pub async fn lists(target: &Target) -> Result<(), String> {
    let (provider, context) = (target.provider(), CallContext::default());
    let models = provider.models(&context).await.map_err(said)?;
    ensure(models.iter().any(|model| model.answers), || format!("no model answers: {models:?}"))?;
    let health = provider.health(&context).await.map_err(said)?;
    ensure(health.http_version.is_some() && health.models.is_some(), || format!("{health:?}"))?;
    // Unknown is no error, and no panic.
    provider.capabilities("no-such-model", &context).await;
    Ok(())
}

/// A key that shows in anything that is printed would be a leak.
///
/// # Errors
/// Where it shows.
pub fn silent(target: &Target) -> Result<(), String> {
    let shown = format!("{:?}", target.provider());
    ensure(!shown.contains(&target.key), || format!("the key shows: {shown}"))
}

/// A value is JSON that fits the schema of these checks.
#[must_use]
pub fn fits(value: &Value) -> bool {
    schema().violations(value).is_empty()
}

/// Every check that any server must stand, one after another; the name of each that failed, and why.
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
