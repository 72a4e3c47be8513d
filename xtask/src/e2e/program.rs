//! The program under test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::shell::{Done, root, target};

/// Creates an empty folder for a check's output, which is kept for inspection.
pub(super) fn out(name: &str) -> Done<PathBuf> {
    let folder = root().join("target/e2e").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    Ok(folder)
}

pub(super) fn samples() -> PathBuf {
    root().join("examples/interviews")
}

/// Returns the command `antiphon generate INPUT --out OUT --json` with more arguments.
pub(super) fn generate(input: &Path, out: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(target().join("debug/antiphon"));
    command
        .arg("generate")
        .arg(input)
        .arg("--out")
        .arg(out)
        .args(["--json", "--progress", "none"])
        .args(args);
    command.current_dir(out).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns the command `antiphon content NOTES --site SITE --out RUNS --theme THEMES --json`.
pub(super) fn content(notes: &Path, site: &Path, themes: &str) -> Command {
    let mut command = Command::new(target().join("debug/antiphon"));
    command.arg("content").arg(notes).arg("--site").arg(site).arg("--out").arg(site.with_extension("runs"));
    command.args(["--theme", themes, "--json", "--progress", "none"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code and the output of a run of the program.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
    pub(super) document: Value,
}

impl Ran {
    pub(super) fn of(command: &mut Command) -> Done<Self> {
        Self::from_output(command.output().map_err(|err| format!("{command:?}: {err}"))?)
    }

    pub(super) fn of_child(child: Child) -> Done<Self> {
        Self::from_output(child.wait_with_output().map_err(|err| err.to_string())?)
    }

    fn from_output(output: Output) -> Done<Self> {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let document = serde_json::from_slice(&output.stdout)
            .map_err(|err| format!("stdout is not JSON ({err}); stderr: {stderr}"))?;
        Ok(Self { code: output.status.code(), stderr, document })
    }

    /// Returns the first run of the document.
    pub(super) fn run(&self) -> &Value {
        &self.document["runs"][0]
    }

    pub(super) fn personas(&self) -> &[Value] {
        self.run()["personas"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        Path::new(self.run()["folder"].as_str().unwrap_or_default()).join(name)
    }
}
