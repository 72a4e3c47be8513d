use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::{Done, read, root, words};

/// The crates from the lowest row upwards, each with the workspace crates that its normal dependencies may contain: the table
/// of docs/architecture.md.
const LAYERS: &[(&str, &[&str])] = &[
    ("antiphon-runtime", &[]),
    ("antiphon-stream", &[]),
    ("antiphon-resilience", &[]),
    ("antiphon-fs", &[]),
    ("antiphon-sim", &[]),
    ("antiphon-text", &[]),
    ("antiphon-http", &["antiphon-resilience", "antiphon-fs"]),
    ("antiphon-llm", &["antiphon-resilience", "antiphon-fs"]),
    ("antiphon-data", &["antiphon-fs"]),
    ("antiphon-store", &["antiphon-fs"]),
    ("antiphon-providers", &["antiphon-llm", "antiphon-http", "antiphon-text"]),
    (
        "antiphon-engine",
        &[
            "antiphon-llm",
            "antiphon-data",
            "antiphon-store",
            "antiphon-runtime",
            "antiphon-stream",
            "antiphon-resilience",
            "antiphon-fs",
        ],
    ),
    ("antiphon-otel", &["antiphon-http", "antiphon-llm"]),
    (
        "antiphon-connect",
        &[
            "antiphon-engine",
            "antiphon-providers",
            "antiphon-http",
            "antiphon-llm",
            "antiphon-resilience",
            "antiphon-fs",
        ],
    ),
    (
        "antiphon-pipeline",
        &[
            "antiphon-engine",
            "antiphon-llm",
            "antiphon-data",
            "antiphon-store",
            "antiphon-runtime",
            "antiphon-stream",
            "antiphon-fs",
            "antiphon-text",
        ],
    ),
    ("antiphon-render", &["antiphon-pipeline", "antiphon-engine", "antiphon-data", "antiphon-fs"]),
];
/// The packages that may use all crates.
const FREE: [&str; 3] = ["antiphon", "antiphon-tests", "xtask"];

/// Checks that dependencies point downwards, that each is used, and that no banned crate is in the tree.
pub(crate) fn check() -> Done<Vec<String>> {
    let metadata = read(&mut words("cargo metadata --format-version 1 --no-deps --offline"));
    let metadata = metadata.or_else(|_| read(&mut words("cargo metadata --format-version 1 --no-deps")))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|err| format!("cargo metadata: {err}"))?;
    let table: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut breaches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may_use) = table.get(name).copied().or_else(|| FREE.contains(&name).then_some(&[][..]))
        else {
            breaches.push(format!("{name} has no row in the table of layers"));
            continue;
        };
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let folder =
            std::path::Path::new(manifest).parent().map(|folder| folder.join("src")).unwrap_or_default();
        let sources = sources(&folder);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            if !dependency["kind"].is_null() {
                continue;
            }
            if used.starts_with("antiphon") && !FREE.contains(&name) && !may_use.contains(&used) {
                breaches.push(format!("{name} must not use {used}"));
            }
            let ident = used.replace('-', "_");
            if !names(&sources, &format!("{ident}::")) && !names(&sources, &format!("{ident} as ")) {
                breaches.push(format!("{name} never uses its dependency {used}"));
            }
        }
    }
    let lock =
        std::fs::read_to_string(root().join("Cargo.lock")).map_err(|err| format!("Cargo.lock: {err}"))?;
    for unwanted in ["aws-lc-rs", "eventsource-stream", "openssl-sys"] {
        if lock.contains(&format!("name = \"{unwanted}\"\n")) {
            breaches.push(format!("{unwanted} is banned, and is in Cargo.lock"));
        }
    }
    Ok(breaches)
}

/// Returns whether the sources contain a name as a whole word: `antiphon_http::` does not contain `http::`.
fn names(sources: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    sources.match_indices(name).any(|(at, _)| !sources[..at].ends_with(is_word))
}

fn sources(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.extension() {
            _ if path.is_dir() => text.push_str(&sources(&path)),
            Some(ending) if ending == "rs" => {
                text.push_str(&std::fs::read_to_string(&path).unwrap_or_default())
            }
            _ => {}
        }
    }
    text
}
