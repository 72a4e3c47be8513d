use std::time::Instant;

use crate::shell::{self, Done, is_there, words};
use crate::{coverage, e2e, supply, tidy};

/// Runs every check that must pass; those that fail fastest come first.
pub(crate) fn run() -> Done {
    let began = Instant::now();
    shell::run(&mut words("cargo fmt --all --check"))?;
    for workspace in ["bench", "fuzz"] {
        shell::run(&mut words(&format!("cargo fmt --manifest-path {workspace}/Cargo.toml --check")))?;
    }
    tidy::run()?;
    supply::check()?;
    shell::run(&mut words("cargo clippy --workspace --all-targets --all-features -- -D warnings"))?;
    parts()?;
    // Separate workspaces, which no other step builds: the fuzzers are built by their e2e check where it can run. `fuzz_target!` expands to
    // code that opens files, which clippy would refuse, so that fuzz is only checked.
    let fuzz = (!e2e::can_fuzz())
        .then_some("check --manifest-path fuzz/Cargo.toml --target-dir target/bench-build --locked");
    let bench =
        "clippy --manifest-path bench/Cargo.toml --target-dir target/bench-build --locked -- -D warnings";
    for line in [Some(bench), fuzz].into_iter().flatten() {
        shell::run(&mut words(&format!("cargo {line}")))?;
    }
    if coverage::is_installed() {
        // The tests run once, with counters.
        coverage::run()?;
    } else if is_there("cargo", &["nextest", "--version"]) {
        shell::run(&mut words("cargo nextest run --workspace --all-features --no-fail-fast"))?;
    } else {
        shell::run(&mut words("cargo test --workspace --all-features --lib --bins --tests"))?;
    }
    shell::run(&mut words("cargo test --workspace --all-features --doc --quiet"))?;
    for (name, tests) in [
        ("antiphon-data", "--lib"),
        ("antiphon-llm", "--lib"),
        ("antiphon-store", "--lib --tests"),
        ("antiphon", "--features offline --lib"),
        ("antiphon", "--features offline --doc"),
    ] {
        shell::run(&mut words(&format!("cargo test -p {name} --no-default-features {tests} --quiet")))?;
    }
    shell::run(
        words("cargo doc --workspace --all-features --no-deps --quiet").env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    e2e::run(None)?;
    println!("\nall checks passed in {} s", began.elapsed().as_secs());
    Ok(())
}

/// Lints the crates with subsets of their features, which no other step builds. Without `--all-targets` where the
/// dev-dependencies would turn features on again. The sets of one crate follow each other, since they share the builds of its
/// dependencies.
fn parts() -> Done {
    let mut sets = vec![
        ("antiphon-http", "".to_owned()),
        ("antiphon-store", " --all-targets".to_owned()),
        ("antiphon-connect", "".to_owned()),
        ("antiphon-otel", "".to_owned()),
        ("antiphon", " --all-targets".to_owned()),
        ("antiphon", " --features offline".to_owned()),
    ];
    let features: [(&str, &[&str]); 3] = [
        ("antiphon-data", &["", "anonymise", "csv", "docx", "html", "yaml"]),
        ("antiphon-llm", &["", "metrics", "schema"]),
        (
            "antiphon-providers",
            &["", "anthropic", "compatible", "gemini", "llamacpp", "offline", "ollama", "openai", "schema"],
        ),
    ];
    for (name, features) in features {
        sets.extend(features.iter().map(|feature| (name, format!(" --features={feature}"))));
    }
    for (name, more) in sets {
        shell::run(&mut words(&format!(
            "cargo clippy -p {name} --no-default-features{more} -- -D warnings"
        )))?;
    }
    Ok(())
}
