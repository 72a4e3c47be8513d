//! What the guide's examples talk to.

use std::path::PathBuf;

use serde_json::json;

use crate::{Reply, Server};

/// The sample interviews.
#[must_use]
pub fn interviews() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/interviews"))
}

/// A server that answers every request with these words, as a chat completion.
#[must_use]
pub fn says(text: &str) -> Server {
    Server::start([Reply::chat(text, "stop")])
}

/// A server that answers with the copy of a portfolio, and a link that no notes have.
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

/// A server that answers with a persona from the sample interviews.
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
