use antiphon_llm::{FinishReason, Output, Prompt, Role, Schema, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::Config;

/// How an answer's form is asked for, from the surest way to the one that every server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Format {
    /// The server binds the answer to the schema.
    JsonSchema = 0,
    /// The server binds the answer to JSON; the schema is told in words.
    JsonObject = 1,
    /// Only words.
    Words = 2,
}

impl Format {
    pub(super) fn from_u8(number: u8) -> Self {
        match number {
            0 => Self::JsonSchema,
            1 => Self::JsonObject,
            _ => Self::Words,
        }
    }

    pub(super) fn weaker(self) -> Option<Self> {
        match self {
            Self::JsonSchema => Some(Self::JsonObject),
            Self::JsonObject => Some(Self::Words),
            Self::Words => None,
        }
    }
}

/// The request's body. A stream is asked for even where the caller wants the whole answer: a dropped stream frees a
/// local server at once, while a dropped whole answer is computed to its end.
pub(super) fn request(prompt: &Prompt, config: &Config, format: Format) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(prompt.model));
    body.insert("messages".to_owned(), messages(prompt, format));
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    let parameters = prompt.parameters;
    let optional = [
        ("temperature", parameters.temperature.map(Value::from)),
        (config.token_limit, parameters.max_tokens.map(Value::from)),
        ("seed", parameters.seed.map(Value::from)),
        ("response_format", response_format(&prompt.output, config, format)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body)
}

fn messages(prompt: &Prompt, format: Format) -> Value {
    let told = match (&prompt.output, format) {
        (Output::Json(schema), Format::JsonObject | Format::Words) => Some(in_words(schema)),
        _ => None,
    };
    let system: Vec<&str> = prompt.system.as_deref().into_iter().chain(told.as_deref()).collect();
    let system = (!system.is_empty()).then(|| json!({ "role": "system", "content": system.join("\n\n") }));
    let others = prompt.messages.iter().map(|message| {
        let role = match message.role {
            Role::Assistant => "assistant",
            _ => "user",
        };
        json!({ "role": role, "content": message.rendered() })
    });
    system.into_iter().chain(others).collect()
}

fn in_words(schema: &Schema) -> String {
    format!("Answer with one JSON value and nothing else. It must fit this JSON schema:\n{}", schema.value())
}

fn response_format(output: &Output, config: &Config, format: Format) -> Option<Value> {
    let Output::Json(schema) = output else { return None };
    match format {
        Format::JsonSchema => {
            let sent = schema.without(config.refused_keywords).schema;
            Some(json!({
                "type": "json_schema",
                "json_schema": { "name": schema.name(), "strict": true, "schema": sent },
            }))
        }
        Format::JsonObject => Some(json!({ "type": "json_object" })),
        Format::Words => None,
    }
}

/// A piece of a stream, or the whole of an answer from a server that does not stream.
#[derive(Deserialize)]
pub(super) struct Chunk {
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<WireUsage>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(alias = "message", default)]
    pub(super) delta: Words,
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Words {
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        Self::new(usage.prompt_tokens, usage.completion_tokens)
            .cached(usage.prompt_tokens_details.and_then(|details| details.cached_tokens))
            .reasoning(usage.completion_tokens_details.and_then(|details| details.reasoning_tokens))
    }
}

pub(super) fn finish_reason(name: &str) -> FinishReason {
    match name {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "length" | "max_tokens" | "max_length" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::Filtered,
        "error" | "abort" | "network_error" => FinishReason::Failed,
        other => FinishReason::Unknown(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::{Message, Output, Parameters, Prompt, Schema};
    use serde_json::json;

    use super::{Config, Format, request};

    fn body(format: Format) -> serde_json::Value {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "maxLength": 3 } } });
        let prompt = Prompt::new("m", [Message::user("Hi"), Message::assistant("Ho")])
            .system("Be brief.")
            .parameters(Parameters::default().max_tokens(9))
            .output(Output::Json(Schema::new("s", schema).unwrap()));
        let config = Config {
            vendor: "v".to_owned(),
            base_url: "http://h/v1".to_owned(),
            key: None,
            token_limit: "max_tokens",
            refused_keywords: &["maxLength"],
            token_timeout: Duration::ZERO,
            max_connections: 1,
        };
        request(&prompt, &config, format)
    }

    #[test]
    fn a_schema_is_sent_without_what_the_server_refuses() {
        let body = body(Format::JsonSchema);
        assert_eq!(
            body["response_format"]["json_schema"]["schema"]["properties"]["a"],
            json!({ "type": "string" })
        );
        assert_eq!(body["messages"][0], json!({ "role": "system", "content": "Be brief." }));
        assert_eq!(body["messages"][2], json!({ "role": "assistant", "content": "Ho" }));
        assert_eq!((&body["max_tokens"], body.get("temperature")), (&json!(9), None));
    }

    #[test]
    fn where_the_server_binds_less_words_say_more() {
        let object = body(Format::JsonObject);
        assert_eq!(object["response_format"], json!({ "type": "json_object" }));
        assert!(object["messages"][0]["content"].as_str().unwrap().contains("\"maxLength\":3"));
        assert_eq!(body(Format::Words).get("response_format"), None);
    }
}
