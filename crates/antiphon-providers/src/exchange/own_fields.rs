//! The fields of a request that a user cannot add, whatever the body has: they would make a call cost more than a budget counts on,
//! or its answer no single text.
//!
//! | field | why |
//! |---|---|
//! | a count of answers other than 1, such as `n` | each one is billed, and one is read |
//! | a limit of tokens, such as `max_completion_tokens` | a budget reserves `max_tokens`; servers disagree which of two counts |
//! | `tools` and what belongs to them | a call of a tool is no text |
//! | `model`, `messages`, `stream`, `stream_options` | this program sets them, or their counterparts |
//! | `service_tier` | the price depends on it: it is a sampling parameter |
//!
//! Other fields are sent, and leave the cost of a call unknown, since they choose another model or host, or buy more than tokens:
//! see [`unpriced_field`].
//!
//! Names are compared without case and `_`, since Gemini reads both `maxOutputTokens` and `max_output_tokens`
//! (<https://protobuf.dev/programming-guides/json/>).

use serde_json::{Map, Value};

use super::text::normalised;

/// The numbers of answers. Sources: OpenAI (`n`, `best_of`), Gemini (`candidateCount`), llama.cpp (`n_cmpl`), Cohere
/// (`num_generations`), Hugging Face (`num_return_sequences`).
const COUNTS: [&str; 8] = [
    "n",
    "bestof",
    "candidatecount",
    "ncmpl",
    "numchoices",
    "numcompletions",
    "numgenerations",
    "numreturnsequences",
];
/// The limits of an answer's length. Sources: OpenAI (the first three), llama.cpp (`n_predict`), Ollama (`num_predict`),
/// Hugging Face (`max_new_tokens`, `max_length`), and earlier routes of Anthropic (`max_tokens_to_sample`).
const LIMITS: [&str; 9] = [
    "maxtokens",
    "maxcompletiontokens",
    "maxoutputtokens",
    "maxlength",
    "maxnewtokens",
    "maxtokenstosample",
    "npredict",
    "numpredict",
    "tokenstogenerate",
];
/// The tools, and their settings.
const TOOLS: [&str; 7] =
    ["tools", "toolchoice", "toolconfig", "functions", "functioncall", "functiondeclarations", "mcpservers"];
/// The fields that this program sets in each format that has them.
const OWN: [&str; 4] = ["model", "messages", "stream", "streamoptions"];
/// The objects in which formats have sampling parameters.
const GROUPS: [&str; 5] = ["generationconfig", "inferenceconfig", "options", "parameters", "samplingparams"];

/// The fields that choose another model, add tokens that are not in the prompt, or are billed in another way than the model's tokens,
/// in lower case and without punctuation.
///
/// | fields | of |
/// |---|---|
/// | `models`, `route`, `preset`, `plugins`, `image_config` | OpenRouter (<https://openrouter.ai/docs/api/reference/overview>) |
/// | `fallbacks`, `context_window_fallback_dict` | LiteLLM |
/// | `web_search_options`, `modalities`, `audio`, `prediction`, `prompt`, `conversation`, `previous_response_id`, `background` | OpenAI |
/// | `speed`, `inference_geo`, `cache_control`, `container` | Anthropic |
/// | `cachedContent`, `googleSearch`, `responseModalities` | Gemini |
/// | `search_parameters`, `enable_search`, `search_context_size`, `connectors`, `agent_id` | xAI, Alibaba, Perplexity, Cohere, Mistral |
const UNPRICED: [&str; 37] = [
    "models",
    "route",
    "preset",
    "plugins",
    "imageconfig",
    "fallbacks",
    "fallbackmodels",
    "contextwindowfallbacks",
    "contextwindowfallbackdict",
    "websearchoptions",
    "websearch",
    "enablesearch",
    "enablewebsearch",
    "forcedsearch",
    "searchoptions",
    "searchparameters",
    "searchsettings",
    "searchmode",
    "searchcontextsize",
    "connectors",
    "agentid",
    "modalities",
    "responsemodalities",
    "audio",
    "prediction",
    "prompt",
    "conversation",
    "previousresponseid",
    "background",
    "speed",
    "inferencegeo",
    "cachecontrol",
    "container",
    "skills",
    "cachedcontent",
    "googlesearch",
    "googlesearchretrieval",
];
/// The preferences of OpenRouter's `provider` that choose no host by its price
/// (<https://openrouter.ai/docs/features/provider-routing>).
const OF_HOSTS: [&str; 4] = ["requireparameters", "datacollection", "zdr", "enforcedistillabletext"];

/// Returns the path of the first field with which a call may cost more than the price known for its model.
pub(crate) fn unpriced_field(extra: &Map<String, Value>) -> Option<String> {
    extra.iter().find_map(|(name, value)| {
        let plain = normalised(name);
        if UNPRICED.contains(&&*plain) && !is_off(value) {
            return Some(name.clone());
        }
        let within = value.as_object()?;
        let is_unpriced = |inner: &str| match &*plain {
            "provider" => !OF_HOSTS.contains(&inner),
            "google" | "extrabody" => UNPRICED.contains(&inner),
            group => GROUPS.contains(&group) && UNPRICED.contains(&inner),
        };
        let inner = within.iter().find(|(inner, value)| is_unpriced(&normalised(inner)) && !is_off(value))?.0;
        Some(format!("{name}.{inner}"))
    })
}

/// Returns whether a value turns its field off, or says what holds without it.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => matches!(text.as_str(), "" | "none" | "off" | "standard"),
        Value::Array(items) => items.is_empty() || items.iter().all(|item| item == "text" || item == "TEXT"),
        _ => false,
    }
}

/// Returns the path of the first field that cannot be added, and what to do instead.
pub(super) fn refused(extra: &Map<String, Value>) -> Option<(String, &'static str)> {
    extra.iter().find_map(|(name, value)| {
        let plain = normalised(name);
        if let Some(why) = why_not(&plain, value) {
            return Some((name.clone(), why));
        }
        let group = value.as_object().filter(|_| GROUPS.contains(&&*plain))?;
        let inner =
            group.iter().find_map(|(inner, value)| Some((inner, of_sampling(&normalised(inner), value)?)));
        inner.map(|(inner, why)| (format!("{name}.{inner}"), why))
    })
}

/// Returns what to do instead of a field of the body; `None` for one that can be added.
fn why_not(name: &str, value: &Value) -> Option<&'static str> {
    if TOOLS.contains(&name) {
        return Some("an answer must be text, and a call of a tool is none. Leave it out");
    }
    if OWN.contains(&name) {
        return Some("this program sets it itself. Leave it out, or use the setting of its own");
    }
    if name == "servicetier" {
        return Some("the price of a call depends on it. Use the parameter service_tier");
    }
    of_sampling(name, value)
}

/// Returns what to do instead of a sampling parameter; `None` for one that can be added.
fn of_sampling(name: &str, value: &Value) -> Option<&'static str> {
    // One answer is what every server returns by default.
    if COUNTS.contains(&name) && value.as_u64() != Some(1) {
        return Some("one answer is read, and all are billed. Leave it out, or ask in several rows");
    }
    LIMITS.contains(&name).then_some("it would exceed the limit that a budget counts on. Use max_tokens")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{refused, unpriced_field};

    #[test]
    fn fields_that_cost_more_or_give_no_text_are_refused_by_their_path() {
        let path = |extra: Value| refused(extra.as_object().unwrap()).map(|(path, _)| path);
        for name in ["n", "best_of", "num_completions", "numReturnSequences", "candidate_count"] {
            assert_eq!(path(json!({ name: 3 })).as_deref(), Some(name));
            assert_eq!(path(json!({ name: "3" })).as_deref(), Some(name));
            assert_eq!(path(json!({ name: 1 })), None, "{name}");
        }
        for name in ["max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "num_predict"] {
            assert_eq!(path(json!({ name: 1 })).as_deref(), Some(name));
            let grouped = format!("options.{name}");
            assert_eq!(path(json!({ "options": { name: 1 } })), Some(grouped));
        }
        for name in [
            "tools",
            "tool_choice",
            "toolConfig",
            "functions",
            "model",
            "messages",
            "stream",
            "stream_options",
            "service_tier",
            "serviceTier",
            "mcp_servers",
        ] {
            assert_eq!(path(json!({ name: [] })).as_deref(), Some(name));
        }
        for (group, name) in [
            ("generationConfig", "candidateCount"),
            ("generationConfig", "maxOutputTokens"),
            ("generation_config", "max_output_tokens"),
        ] {
            assert_eq!(path(json!({ group: { name: 2 } })), Some(format!("{group}.{name}")));
        }
        let fine = json!({
            "metadata": { "n": 3, "model": "x" }, "min_tokens": 2, "top_n_tokens": 1, "n_probs": 2, "nested": { "tools": [] },
            "options": { "mirostat": 2, "num_ctx": 9 }, "chat_template_kwargs": { "tools": [] },
        });
        assert_eq!(path(fine), None);
    }

    #[test]
    fn fields_that_may_change_the_price_are_found_by_their_path() {
        let path = |extra: Value| unpriced_field(extra.as_object().unwrap());
        for (extra, expected) in [
            (json!({ "models": ["a/b", "c/d"] }), "models"),
            (json!({ "route": "fallback" }), "route"),
            (json!({ "plugins": [{ "id": "web" }] }), "plugins"),
            (json!({ "provider": { "max_price": { "prompt": 9 } } }), "provider.max_price"),
            (json!({ "provider": { "order": ["x"], "require_parameters": true } }), "provider.order"),
            (json!({ "provider": { "sort": "throughput" } }), "provider.sort"),
            (json!({ "fallbacks": ["gpt-4"] }), "fallbacks"),
            (json!({ "web_search_options": {} }), "web_search_options"),
            (json!({ "previous_response_id": "r" }), "previous_response_id"),
            (json!({ "speed": "fast" }), "speed"),
            (json!({ "container": "c" }), "container"),
            (json!({ "cachedContent": "cachedContents/x" }), "cachedContent"),
            (
                json!({ "generationConfig": { "responseModalities": ["IMAGE"] } }),
                "generationConfig.responseModalities",
            ),
            (json!({ "google": { "cached_content": "x" } }), "google.cached_content"),
            (json!({ "search_parameters": { "mode": "on" } }), "search_parameters"),
            (json!({ "enable_search": true }), "enable_search"),
        ] {
            assert_eq!(path(extra.clone()).as_deref(), Some(expected), "{extra}");
        }
        let fine = json!({
            "provider": { "require_parameters": true, "data_collection": "deny", "zdr": true }, "models": [], "plugins": null,
            "enable_search": false, "modalities": ["text"], "speed": "standard", "metadata": { "route": "x" }, "keep_alive": "1h",
            "transforms": [], "safetySettings": [], "repetition_penalty": 1.1, "options": { "mirostat": 2 }, "n": 1,
        });
        assert_eq!(path(fine), None);
    }
}
