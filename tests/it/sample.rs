//! Interviews and answers that the tests share.

use std::path::PathBuf;

use serde_json::{Value, json};

/// Returns the folder of the sample interviews.
pub(crate) fn interviews() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/interviews"))
}

/// A sentence that P01 says in the samples.
pub(crate) const SAID: &str = "I hate throwing food away, I really do";

/// Returns an answer with `count` personas, whose only quote is `quote`.
pub(crate) fn answer(count: usize, quote: &str) -> Value {
    let cited = json!({ "document": "d1", "quote": quote });
    let claim = json!({ "claim": "Waste less", "document": "d1", "quote": quote });
    let persona = |number| {
        json!({
            "name": format!("Persona {number}"),
            "title": "Hates waste",
            "demographics": { "age_range": null, "occupation": null, "industry": null, "location": null, "experience": null },
            "goals": [claim], "pain_points": [], "behaviours": [], "motivations": [], "quotes": [cited],
        })
    };
    json!({ "personas": (1..=count).map(persona).collect::<Vec<_>>() })
}
