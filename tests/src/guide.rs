//! The servers and inputs of the guide's examples.

use std::path::PathBuf;

use serde_json::json;

use crate::{Reply, Server};

/// Returns the folder of the sample interviews.
#[must_use]
pub fn interviews() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/interviews"))
}

/// Starts a server that answers every request with this text, as a chat completion.
#[must_use]
pub fn says(text: &str) -> Server {
    Server::start([Reply::chat(text, "stop")])
}

/// Starts a server that answers with the copy of a portfolio, in which one link is not in any notes.
#[must_use]
pub fn copy() -> Server {
    let loom = json!({ "name": "Loom", "description": "Weaves.", "url": "https://github.com/ada/loom", "stars": 12,
        "language": null, "tags": [] });
    let content = json!({
        "brand_name": "Ada Byron", "tagline": null, "hero": { "title": "Engines", "subtitle": "Woven." },
        "repos": [loom], "menu_items": [{ "label": "Elsewhere", "url": "https://elsewhere.test/ada" }], "cta": null,
    });
    says(&content.to_string())
}

/// Starts a server that answers with a persona from the sample interviews.
#[must_use]
pub fn personas() -> Server {
    let quote = "I hate throwing food away, I really do";
    let cited = json!({ "document": "d1", "quote": quote });
    says(
        &json!({ "personas": [{
            "name": "The saver", "title": "Hates waste",
            "demographics": { "age_range": null, "occupation": null, "industry": null, "location": null, "experience": null },
            "goals": [{ "claim": "Waste less", "document": "d1", "quote": quote }],
            "pain_points": [], "behaviours": [], "motivations": [], "quotes": [cited],
        }] })
        .to_string(),
    )
}
