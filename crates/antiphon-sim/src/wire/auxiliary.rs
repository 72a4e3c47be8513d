//! Requests that are not prompts: what clients ask of a server before or beside their prompts.
//!
//! | path | answer |
//! |---|---|
//! | `GET …/models` | the models of the scenario, in the format of OpenAI, Anthropic (by its header) or Gemini |
//! | `GET /api/tags`, `/api/ps`, `/api/version` | Ollama's models, loaded models and version |
//! | `GET /health`, `/v1/health`, `/props`, `/slots` | llama.cpp's state |
//! | `POST …/embeddings`, `…:batchEmbedContents`, `/api/embed` | embeddings |
//! | `POST /api/show`, `/apply-template` | a model's properties, a prompt as text |
//! | `POST /api/pull` | the progress of a download, as NDJSON |
//!
//! The numbers are plausible constants. These requests are neither counted nor limited, and have no faults.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

/// The content type and the body of a response.
type ContentAndBody = (&'static str, String);

/// Responds to the requests that are not prompts: model lists, health, embeddings, pulls. Returns `None` for unknown
/// paths.
///
/// Any method but `GET` is handled as `POST`. A body that is not JSON counts as null, so that its fields are missing.
pub(crate) fn auxiliary(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    models: &[&str],
) -> Option<ContentAndBody> {
    if *method == Method::GET {
        return state(path, headers, models).map(json_body);
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match path {
        "/api/pull" => Some(pull(&body)),
        path => posted(path, &body).map(json_body),
    }
}

/// Returns a JSON response.
fn json_body(value: Value) -> ContentAndBody {
    ("application/json", value.to_string())
}

/// Returns the state of the server that a `GET` asks for.
fn state(path: &str, headers: &HeaderMap, models: &[&str]) -> Option<Value> {
    Some(match path {
        "/v1/models" if headers.contains_key("anthropic-version") => anthropic_models(models),
        "/v1beta/models" => gemini_models(models),
        path if path.ends_with("/models") => openai_models(models),
        "/api/tags" => ollama_models(models),
        "/api/version" => json!({ "version": "0.0.0-sim" }),
        "/api/ps" => ollama_loaded(models),
        "/health" | "/v1/health" => json!({ "status": "ok" }),
        "/props" => json!({
            "default_generation_settings": { "n_ctx": 131_072 }, "total_slots": 4, "model_alias": models.first(),
            "build_info": "sim",
        }),
        "/slots" => json!([{ "id": 0, "n_ctx": 131_072, "is_processing": false }]),
        _ => return None,
    })
}

/// Returns an entry for each model.
fn each(models: &[&str], entry: impl Fn(&str) -> Value) -> Vec<Value> {
    models.iter().copied().map(entry).collect()
}

/// Returns the list of OpenAI, which compatible vendors have, too.
fn openai_models(models: &[&str]) -> Value {
    let data = each(models, |id| json!({ "id": id, "object": "model", "owned_by": "antiphon" }));
    json!({ "object": "list", "data": data })
}

/// Returns the list of Anthropic, always as a single page.
fn anthropic_models(models: &[&str]) -> Value {
    let data = each(
        models,
        |id| json!({ "type": "model", "id": id, "display_name": id, "max_input_tokens": 200_000 }),
    );
    json!({ "data": data, "has_more": false })
}

/// Returns the list of Gemini, whose names have a prefix.
fn gemini_models(models: &[&str]) -> Value {
    let entry = |id: &str| {
        json!({
            "name": format!("models/{id}"), "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent"],
        })
    };
    json!({ "models": each(models, entry) })
}

/// Returns the models that Ollama has on disk.
fn ollama_models(models: &[&str]) -> Value {
    let entry = |id: &str| json!({ "name": id, "model": id, "size": 1, "capabilities": ["completion"] });
    json!({ "models": each(models, entry) })
}

/// Returns the models that Ollama has in memory: all of them.
fn ollama_loaded(models: &[&str]) -> Value {
    let entry =
        |id: &str| json!({ "name": id, "model": id, "size": 1, "size_vram": 0, "context_length": 131_072 });
    json!({ "models": each(models, entry) })
}

/// Returns the answer to a `POST` with a single JSON object.
fn posted(path: &str, body: &Value) -> Option<Value> {
    Some(match path {
        path if path.ends_with("/embeddings") => openai_embeddings(body),
        path if path.ends_with(":batchEmbedContents") => gemini_embeddings(body),
        "/api/embed" => {
            let vectors: Vec<_> = texts(&body["input"]).map(vector).collect();
            json!({ "model": body["model"], "embeddings": vectors, "prompt_eval_count": vectors.len() })
        }
        "/api/show" => json!({
            "model_info": { "general.architecture": "sim", "sim.context_length": 262_144 },
            "capabilities": ["completion"],
        }),
        "/apply-template" => json!({ "prompt": template(body) }),
        _ => return None,
    })
}

/// Returns embeddings in OpenAI's format, with one token for each text.
fn openai_embeddings(body: &Value) -> Value {
    let vectors = texts(&body["input"]).enumerate();
    let data: Vec<_> = vectors
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": vector(text) }))
        .collect();
    let usage = json!({ "prompt_tokens": data.len(), "total_tokens": data.len() });
    json!({ "object": "list", "data": data, "usage": usage })
}

/// Returns embeddings in Gemini's format, of the first part of each request.
fn gemini_embeddings(body: &Value) -> Value {
    let requests = body["requests"].as_array().into_iter().flatten();
    let text = |request: &Value| request.pointer("/content/parts/0/text")?.as_str().map(vector);
    let vectors: Vec<_> = requests.filter_map(text).map(|values| json!({ "values": values })).collect();
    json!({ "embeddings": vectors })
}

/// Applies the simplest chat template: the texts of all messages, each on a line.
fn template(body: &Value) -> String {
    let messages = body["messages"].as_array().into_iter().flatten();
    let texts: Vec<_> = messages.filter_map(|message| message["content"].as_str()).collect();
    texts.join("\n")
}

/// Responds to a pull with lines of progress: any model succeeds immediately, except for names that begin with
/// `no-such`. A missing name fails, too. As with Ollama, the status is 200 in both cases, and the last line has the
/// error.
fn pull(body: &Value) -> ContentAndBody {
    let is_missing = body["model"].as_str().is_none_or(|model| model.starts_with("no-such"));
    let lines = if is_missing {
        vec![
            json!({ "status": "pulling manifest" }),
            json!({ "error": "pull model manifest: file does not exist" }),
        ]
    } else {
        vec![
            json!({ "status": "pulling manifest" }),
            json!({ "status": "pulling 0123", "digest": "sha256:0123", "total": 10, "completed": 10 }),
            json!({ "status": "success" }),
        ]
    };
    ("application/x-ndjson", lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Returns the texts of an input that is one text or a list of texts. Other items are left out.
fn texts(input: &Value) -> impl Iterator<Item = &str> {
    let one = input.as_str();
    one.into_iter().chain(input.as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// Returns an embedding of eight numbers from 0 to 1 that depends only on the text. Equal texts have equal vectors;
/// texts with a similar meaning are not close to each other.
fn vector(text: &str) -> Vec<f32> {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().to_le_bytes().iter().map(|byte| f32::from(*byte) / 255.0).collect()
}
