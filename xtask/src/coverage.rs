//! The line coverage of each crate.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::{self, Done, is_there, read, root, words};

/// The least coverage of a library crate, in percent of its lines.
const LIBRARY: f64 = 90.0;
/// The least coverage of the facade, much of which is output for users.
const FACADE: f64 = 80.0;

/// Runs all tests with coverage counters, prints a line for each crate, and fails if one has too little coverage.
pub(crate) fn run() -> Done {
    if !is_there("cargo", &["llvm-cov", "--version"]) {
        println!("skipped: cargo-llvm-cov is not installed (cargo install cargo-llvm-cov)");
        return Ok(());
    }
    shell::run(&mut words("cargo llvm-cov --workspace --exclude xtask --no-report"))?;
    let report = read(&mut words("cargo llvm-cov report --json --summary-only"))?;
    let report: Value = serde_json::from_str(&report).map_err(|err| format!("cargo llvm-cov: {err}"))?;
    let crates = root().join("crates");
    let mut lines: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in report["data"][0]["files"].as_array().into_iter().flatten() {
        let path = file["filename"].as_str().unwrap_or_default();
        let name = std::path::Path::new(path).strip_prefix(&crates).ok().and_then(|path| path.iter().next());
        let Some(name) = name else { continue };
        let count = |key: &str| file["summary"]["lines"][key].as_u64().unwrap_or(0);
        let entry = lines.entry(name.to_string_lossy().into_owned()).or_default();
        *entry = (entry.0 + count("covered"), entry.1 + count("count"));
    }
    let mut short = Vec::new();
    for (name, (covered, count)) in &lines {
        let (percent, least) = (*covered as f64 * 100.0 / (*count).max(1) as f64, least(name));
        println!("{name:24} {percent:5.1} % of {count} lines (at least {least} %)");
        if percent < least {
            short.push(name.as_str());
        }
    }
    match short[..] {
        [] if lines.is_empty() => Err("cargo llvm-cov reported no file".to_owned()),
        [] => Ok(()),
        _ => Err(format!("coverage is too low: {}", short.join(", "))),
    }
}

fn least(name: &str) -> f64 {
    if name == "antiphon" { FACADE } else { LIBRARY }
}
