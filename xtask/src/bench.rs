//! Benchmarks, against blocking code and against other libraries. They are in a separate workspace, `bench/`.

use std::path::Path;

use crate::shell::{self, Done, words};

/// Compares with blocking code: prints a table, and writes JSON and a chart to `target/bench`.
pub(crate) fn compare() -> Done {
    shell::run(build().args(["--", "compare", "target/bench"]))
}

/// Runs a suite that compares with other libraries, and writes its figures to a JSON file if one is named.
pub(crate) fn suite(name: &str, json: Option<&str>) -> Done {
    let mut command = build();
    command.args(["--", "suite", name]);
    if let Some(file) = json {
        let here = std::env::current_dir().map_err(|err| format!("cannot read the current folder: {err}"))?;
        command.arg("--json").arg(here.join(Path::new(file)));
    }
    shell::run(&mut command)
}

fn build() -> std::process::Command {
    words("cargo run --release --quiet --manifest-path bench/Cargo.toml --target-dir target/bench-build")
}
