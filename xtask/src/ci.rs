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
    for feature in ["anthropic", "compatible", "gemini", "llamacpp", "offline", "ollama", "openai"] {
        let line = format!(
            "cargo clippy -p antiphon-providers --no-default-features --features {feature} -- -D warnings"
        );
        shell::run(&mut words(&line))?;
    }
    shell::run(&mut words("cargo clippy -p antiphon-http --no-default-features -- -D warnings"))?;
    shell::run(&mut words("cargo clippy -p antiphon --no-default-features --all-targets -- -D warnings"))?;
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
    shell::run(&mut words("cargo test -p antiphon --no-default-features --lib --quiet"))?;
    shell::run(
        words("cargo doc --workspace --all-features --no-deps --quiet").env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    e2e::run(None)?;
    println!("\nall checks passed in {} s", began.elapsed().as_secs());
    Ok(())
}
