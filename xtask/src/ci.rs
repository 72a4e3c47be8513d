use std::time::Instant;

use crate::shell::{self, Done, is_there, words};
use crate::{e2e, tidy};

/// Everything that must pass, in the order in which it fails fastest.
pub(crate) fn run() -> Done {
    let began = Instant::now();
    shell::run(&mut words("cargo fmt --all --check"))?;
    for workspace in ["bench", "fuzz"] {
        shell::run(&mut words(&format!("cargo fmt --manifest-path {workspace}/Cargo.toml --check")))?;
    }
    tidy::run()?;
    shell::run(&mut words("cargo clippy --workspace --all-targets --all-features -- -D warnings"))?;
    parts()?;
    // Workspaces of their own, which would rot unseen. What `fuzz_target!` writes opens files, so clippy would refuse it.
    for (command, workspace, lints) in [("clippy", "bench", " -- -D warnings"), ("check", "fuzz", "")] {
        let line = format!(
            "cargo {command} --manifest-path {workspace}/Cargo.toml --target-dir target/bench-build --locked{lints}"
        );
        shell::run(&mut words(&line))?;
    }
    if is_there("cargo", &["nextest", "--version"]) {
        shell::run(&mut words("cargo nextest run --workspace --all-features --no-fail-fast"))?;
    } else {
        shell::run(&mut words("cargo test --workspace --all-features --lib --bins --tests"))?;
    }
    shell::run(&mut words("cargo test --workspace --all-features --doc --quiet"))?;
    for (name, tests) in [
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

/// The crates with fewer features than all: what nothing else builds would rot unseen. Without `--all-targets` where the
/// dependencies of tests would turn features on again.
fn parts() -> Done {
    let mut sets = vec![
        ("antiphon-http", "".to_owned()),
        ("antiphon-store", " --all-targets".to_owned()),
        ("antiphon-providers", "".to_owned()),
        ("antiphon-connect", "".to_owned()),
        ("antiphon-otel", "".to_owned()),
        ("antiphon", " --all-targets".to_owned()),
        ("antiphon", " --features offline".to_owned()),
    ];
    let features = ["anthropic", "compatible", "gemini", "llamacpp", "offline", "ollama", "openai"];
    sets.extend(features.map(|feature| ("antiphon-providers", format!(" --features {feature}"))));
    for (name, more) in sets {
        shell::run(&mut words(&format!(
            "cargo clippy -p {name} --no-default-features{more} -- -D warnings"
        )))?;
    }
    Ok(())
}
