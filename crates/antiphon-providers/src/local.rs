//! Local engines that answer on their default ports.

use std::time::Duration;

use antiphon_http::{Client, Request};
use futures_util::future::join_all;
use serde_json::Value;

/// An engine that may be running on this machine, and how it says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Engine {
    /// Its short name.
    pub name: &'static str,
    /// Its address without a path.
    pub root: String,
}

/// The engines that are looked for, on their default ports, and Ollama where `ollama_host` says, in the form of the variable
/// `OLLAMA_HOST`. llama.cpp's server listened on 8080 until the summer of 2026, and on 9931 since.
#[must_use]
pub fn engines(ollama_host: Option<&str>) -> Vec<Engine> {
    let mut engines = [("llamacpp", 8080), ("llamacpp", 9931), ("lmstudio", 1234)]
        .map(|(name, port)| Engine::new(name, format!("http://127.0.0.1:{port}")))
        .to_vec();
    engines.push(Engine::new("ollama", crate::exchange::url_of_ollama_host(ollama_host.unwrap_or_default())));
    engines
}

/// Those of `engines` that answer and identify themselves, in their order. All are asked at once, for half a second.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn discover(engines: Vec<Engine>) -> Vec<Engine> {
    let patience = Duration::from_millis(500);
    let client = Client::builder()
        .connect_timeout(patience)
        .first_byte_timeout(patience)
        .idle_timeout(patience)
        .max_body(4 << 20)
        .build();
    let asked = join_all(engines.into_iter().map(|engine| {
        let client = client.clone();
        async move {
            let is_there = tokio::time::timeout(patience, identifies(&client, &engine)).await;
            (is_there == Ok(true)).then_some(engine)
        }
    }));
    asked.await.into_iter().flatten().collect()
}

/// Another program may listen on the port, so an engine counts only when it answers as that engine does: llama.cpp's
/// `/props` tells its slots, LM Studio greets its own tools, Ollama tells its version.
async fn identifies(client: &Client, engine: &Engine) -> bool {
    let path = match engine.name {
        "llamacpp" => "/props",
        "lmstudio" => "/lmstudio-greeting",
        _ => "/api/version",
    };
    let Ok(response) = client.send(Request::get(&format!("{}{path}", engine.root))).await else {
        return false;
    };
    if response.status() != 200 {
        return false;
    }
    let Ok(body) = response.text().await else { return false };
    let Ok(body) = serde_json::from_str::<Value>(&body) else { return false };
    match engine.name {
        "llamacpp" => body["total_slots"].is_u64() && body["default_generation_settings"].is_object(),
        "lmstudio" => body["lmstudio"] == true,
        _ => body["version"].is_string(),
    }
}

impl Engine {
    /// An engine of one of the known names at another address.
    #[must_use]
    pub fn new(name: &'static str, root: impl Into<String>) -> Self {
        Self { name, root: root.into() }
    }

    /// The address of its OpenAI-compatible interface.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.root)
    }
}
