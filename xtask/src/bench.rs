//! Figures: against blocking code, and against peers. They live in a workspace of their own, `bench/`.

use std::path::Path;

use crate::shell::{self, Done, words};

/// How much faster than blocking code: a table, JSON and a picture in `target/bench`.
pub(crate) fn compare() -> Done {
    shell::run(build().args(["--", "compare", "target/bench"]))
}

/// The rows against peers, and their figures in a file if one is named.
pub(crate) fn suite(name: &str, json: Option<&str>) -> Done {
    let mut command = build();
    command.args(["--", "suite", name]);
    if let Some(file) = json {
        let here = std::env::current_dir().map_err(|err| format!("the current folder: {err}"))?;
        command.arg("--json").arg(here.join(Path::new(file)));
    }
    shell::run(&mut command)
}

fn build() -> std::process::Command {
    words("cargo run --release --quiet --manifest-path bench/Cargo.toml --target-dir target/bench-build")
}
