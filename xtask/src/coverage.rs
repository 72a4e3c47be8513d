//! The line coverage of each crate.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::{self, Done, is_there, read, root, words};

/// The least coverage of a library crate, in percent of its lines.
const LIBRARY: f64 = 90.0;
/// The least coverage of the facade, much of which is output for users.
const FACADE: f64 = 80.0;

/// Lines of a crate.
#[derive(Default)]
struct Lines {
    covered: u64,
    all: u64,
}

/// Returns whether the programs that measure coverage are installed, those of the compiler included (the component
/// `llvm-tools`).
pub(crate) fn is_installed() -> bool {
    let has_tools = || {
        let folder = read(&mut words("rustc --print target-libdir")).unwrap_or_default();
        let folder = std::path::Path::new(folder.trim()).with_file_name("bin");
        folder.join(format!("llvm-profdata{}", std::env::consts::EXE_SUFFIX)).exists()
    };
    is_there("cargo", &["llvm-cov", "--version"])
        && is_there("cargo", &["nextest", "--version"])
        && has_tools()
}

/// Runs all tests with coverage counters, prints a line for each crate, and fails if a test fails or a crate has too
/// little coverage.
pub(crate) fn run() -> Done {
    if !is_installed() {
        println!(
            "skipped: cargo-llvm-cov and cargo-nextest are needed (cargo install cargo-llvm-cov cargo-nextest)"
        );
        return Ok(());
    }
    shell::run(&mut words("cargo llvm-cov nextest --workspace --all-features --no-fail-fast --no-report"))?;
    // A program that a test kills leaves a file of counts that ends early: the others count.
    let report = read(&mut words("cargo llvm-cov report --json --summary-only --failure-mode all"))?;
    let report: Value = serde_json::from_str(&report).map_err(|err| format!("cargo llvm-cov: {err}"))?;
    let crates = lines_of_crates(&report);
    println!("\ncoverage of lines, by crate:");
    for (name, lines) in &crates {
        println!("{name:24} {:5.1} % of {} (at least {} %)", percent(lines), lines.all, least(name));
    }
    let short: Vec<&str> = crates
        .iter()
        .filter(|(name, lines)| percent(lines) < least(name))
        .map(|(name, _)| name.as_str())
        .collect();
    match short[..] {
        [] if crates.is_empty() => Err("cargo llvm-cov reported no file".to_owned()),
        [] => Ok(()),
        _ => Err(format!("coverage is too low: {}", short.join(", "))),
    }
}

/// Adds up the lines of a report's files by their crates.
fn lines_of_crates(report: &Value) -> BTreeMap<String, Lines> {
    let folder = root().join("crates");
    let mut crates: BTreeMap<String, Lines> = BTreeMap::new();
    for file in report["data"][0]["files"].as_array().into_iter().flatten() {
        let path = std::path::Path::new(file["filename"].as_str().unwrap_or_default());
        let Some(name) = path.strip_prefix(&folder).ok().and_then(|path| path.iter().next()) else {
            continue;
        };
        let count = |key: &str| file["summary"]["lines"][key].as_u64().unwrap_or(0);
        let lines = crates.entry(name.to_string_lossy().into_owned()).or_default();
        lines.covered += count("covered");
        lines.all += count("count");
    }
    crates
}

/// Returns the share of covered lines in percent.
fn percent(lines: &Lines) -> f64 {
    lines.covered as f64 * 100.0 / lines.all.max(1) as f64
}

/// Returns the least coverage of a crate in percent.
fn least(name: &str) -> f64 {
    if name == "antiphon" { FACADE } else { LIBRARY }
}
