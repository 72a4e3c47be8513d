use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

/// The content type and the body of a response.
type ContentAndBody = (&'static str, String);

/// Responds to the requests that are not prompts: model lists, health, embeddings, pulls. Returns `None` for unknown paths.
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

fn json_body(value: Value) -> ContentAndBody {
    ("application/json", value.to_string())
}

fn state(path: &str, headers: &HeaderMap, models: &[&str]) -> Option<Value> {
    let each = |entry: &dyn Fn(&str) -> Value| models.iter().map(|id| entry(id)).collect::<Vec<_>>();
    Some(match path {
        "/v1/models" if headers.contains_key("anthropic-version") => {
            let data = each(
                &|id| json!({ "type": "model", "id": id, "display_name": id, "max_input_tokens": 200_000 }),
            );
            json!({ "data": data, "has_more": false })
        }
        "/v1beta/models" => {
            let entry = |id: &str| {
                json!({
                    "name": format!("models/{id}"), "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": ["generateContent"],
                })
            };
            json!({ "models": each(&entry) })
        }
        path if path.ends_with("/models") => {
            let data = each(&|id| json!({ "id": id, "object": "model", "owned_by": "antiphon" }));
            json!({ "object": "list", "data": data })
        }
        "/api/tags" => {
            let models =
                each(&|id| json!({ "name": id, "model": id, "size": 1, "capabilities": ["completion"] }));
            json!({ "models": models })
        }
        "/api/version" => json!({ "version": "0.0.0-sim" }),
        "/api/ps" => json!({
            "models": each(&|id| json!({ "name": id, "model": id, "size": 1, "size_vram": 0, "context_length": 131_072 })),
        }),
        "/health" | "/v1/health" => json!({ "status": "ok" }),
        "/props" => json!({
            "default_generation_settings": { "n_ctx": 131_072 }, "total_slots": 4, "model_alias": models.first(),
            "build_info": "sim",
        }),
        "/slots" => json!([{ "id": 0, "n_ctx": 131_072, "is_processing": false }]),
        _ => return None,
    })
}

fn posted(path: &str, body: &Value) -> Option<Value> {
    Some(match path {
        path if path.ends_with("/embeddings") => {
            let vectors = texts(&body["input"]).enumerate();
            let data: Vec<_> = vectors
                .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": vector(text) }))
                .collect();
            let usage = json!({ "prompt_tokens": data.len(), "total_tokens": data.len() });
            json!({ "object": "list", "data": data, "usage": usage })
        }
        path if path.ends_with(":batchEmbedContents") => {
            let requests = body["requests"].as_array().into_iter().flatten();
            let text = |request: &Value| request.pointer("/content/parts/0/text")?.as_str().map(vector);
            let vectors: Vec<_> =
                requests.filter_map(text).map(|values| json!({ "values": values })).collect();
            json!({ "embeddings": vectors })
        }
        "/api/embed" => {
            let vectors: Vec<_> = texts(&body["input"]).map(vector).collect();
            json!({ "model": body["model"], "embeddings": vectors, "prompt_eval_count": vectors.len() })
        }
        "/api/show" => json!({
            "model_info": { "general.architecture": "sim", "sim.context_length": 262_144 },
            "capabilities": ["completion"],
        }),
        "/apply-template" => {
            let messages = body["messages"].as_array().into_iter().flatten();
            let texts: Vec<_> = messages.filter_map(|message| message["content"].as_str()).collect();
            json!({ "prompt": texts.join("\n") })
        }
        _ => return None,
    })
}

/// Responds to a pull: any model succeeds at once, except for names that begin with `no-such`.
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

/// Returns one text or several.
fn texts(input: &Value) -> impl Iterator<Item = &str> {
    let one = input.as_str();
    one.into_iter().chain(input.as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// Returns an embedding of eight numbers that depends only on the text.
fn vector(text: &str) -> Vec<f32> {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().to_le_bytes().iter().map(|byte| f32::from(*byte) / 255.0).collect()
}
