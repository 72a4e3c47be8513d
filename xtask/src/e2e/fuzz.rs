use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use super::{LONG, Outcome};
use crate::shell::{Done, is_there, root, run, words};

/// The wire formats, then the readers of files.
const TARGETS: [&str; 20] = [
    "sse",
    "ndjson",
    "waits",
    "limits",
    "chat",
    "responses",
    "anthropic",
    "gemini",
    "ollama",
    "llamacpp",
    "text",
    "csv",
    "json",
    "yaml",
    "html",
    "captions",
    "docx",
    "rows",
    "recipe",
    "schema",
];
const SECONDS: u32 = 10;
const LONG_SECONDS: u32 = 180;
/// Without a sanitizer, since the code under test is safe Rust: panics, time and memory are what is looked for, and the build takes
/// half as long.
const OPTIONS: [&str; 2] = ["--sanitizer", "none"];

/// Runs every fuzzer for some seconds, or for some minutes in a long run. The corpus in the checkout is only read; new inputs go to
/// `target/e2e/fuzz`.
pub(super) fn check() -> Done<Outcome> {
    if !has_fuzz() {
        return Ok(Outcome::Skipped("cargo-fuzz is not installed: cargo xtask e2e --install".to_owned()));
    }
    if !has_nightly() {
        return Ok(Outcome::Forbidden(
            "libFuzzer needs a nightly toolchain: rustup toolchain install nightly".to_owned(),
        ));
    }
    run(words("cargo +nightly fuzz build").args(OPTIONS))?;
    let seconds = if LONG.load(Ordering::Relaxed) { LONG_SECONDS } else { SECONDS };
    for pair in TARGETS.chunks(2) {
        let running =
            pair.iter().map(|target| Ok((*target, start(target, seconds)?))).collect::<Done<Vec<_>>>()?;
        for (target, child) in running {
            let output = child.wait_with_output().map_err(|err| format!("{target}: {err}"))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let from = said.find("panicked").unwrap_or(said.len().saturating_sub(2_000));
                return Err(format!("{target}: {}", said.get(from..).unwrap_or(&said)));
            }
        }
    }
    Ok(Outcome::Passed(format!("{} for {seconds} s each", TARGETS.join(", "))))
}

/// Returns whether the fuzzers can be built and run here.
pub(crate) fn can_run() -> bool {
    has_fuzz() && has_nightly()
}

fn has_fuzz() -> bool {
    is_there("cargo", &["fuzz", "--version"])
}

fn has_nightly() -> bool {
    is_there("cargo", &["+nightly", "--version"])
}

fn start(target: &str, seconds: u32) -> Done<Child> {
    let found = root().join("target/e2e/fuzz").join(target);
    std::fs::create_dir_all(&found).map_err(|err| format!("{}: {err}", found.display()))?;
    let mut command = words("cargo +nightly fuzz run");
    command.args(OPTIONS);
    command.arg(target).arg(&found).arg(root().join("fuzz/corpus").join(target));
    command.args([
        "--",
        &format!("-max_total_time={seconds}"),
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
    ]);
    let command: &mut Command = command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().map_err(|err| format!("cargo fuzz run {target}: {err}"))
}
