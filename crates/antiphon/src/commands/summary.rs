//! The summary of a command with a run: its exit code, its errors and its outcome, as one JSON object.
//!
//! With `--progress json` the summary is the last event on stderr; `--summary FILE` writes the same object to a file. It
//! is there also for a command that failed before its run began:
//!
//! ```json
//! {
//!   "event": "summary", "schema": "antiphon.event/3", "exit_code": 4,
//!   "errors": [{ "message": "…", "hints": ["…"] }],
//!   "outcome": { "schema": "antiphon.map/1", "run_id": "…" }
//! }
//! ```
//!
//! `outcome` is the document of `--json`, or the estimate of `--dry-run`; without personas and pages, which may be large
//! and are in the run's folder. It is `null` if there is none. As there is one command per process, what the summary
//! has so far is in a static.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_engine::EVENT_SCHEMA;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::{CONFIG, CommandError, USAGE};
use super::output::{self, Talk};

/// The parts of the summary that are known so far.
#[derive(Debug)]
struct Draft {
    /// The file of `--summary`, once it is known that it may be written.
    file: Option<PathBuf>,
    errors: Vec<Value>,
    outcome: Option<Value>,
}

static DRAFT: Mutex<Draft> = Mutex::new(Draft { file: None, errors: Vec::new(), outcome: None });

/// Locks the draft.
fn draft() -> MutexGuard<'static, Draft> {
    DRAFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the outcome of the command: its document, or the estimate of a dry run.
pub(super) fn set_outcome(outcome: &impl Serialize) {
    draft().outcome = Some(json!(outcome));
}

/// Returns a document without a key that may be large.
pub(super) fn without(mut document: Value, key: &str) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.remove(key);
    }
    document
}

/// Adds an error that was reported.
pub(super) fn add_error(err: &CommandError) {
    draft().errors.push(json!({ "message": err.to_string(), "hints": err.hints() }));
}

/// Returns the summary.
fn summary(code: u8) -> Value {
    let draft = draft();
    json!({
        "event": "summary",
        "schema": EVENT_SCHEMA,
        "exit_code": code,
        "errors": draft.errors,
        "outcome": draft.outcome,
    })
}

/// Prints the summary as the last event, if stderr has events.
pub(super) fn print(code: u8, talk: Talk) {
    if talk.sends_events() {
        talk.event(&summary(code));
    }
}

/// Checks, before anything is paid, that the summary can be written to a file: its folder can be written, and a file
/// of that name is an earlier summary. The file of a command that is given again is thus replaced, and no other.
///
/// # Errors
/// A usage error for `-` and for a file that is no summary; a configuration error for a folder that cannot be written.
pub(super) async fn prepare(file: &Path) -> Result<(), CommandError> {
    if file == Path::new("-") {
        let message = "cannot write the summary to stdout: it is for results";
        return Err(CommandError::new(USAGE, message).hint("use --json for one document on stdout"));
    }
    if !is_free(file).await? {
        return Err(exists(file));
    }
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    antiphon_fs::check_writable(folder).await.map_err(|err| CommandError::new(CONFIG, err.to_string()))?;
    // A process that is killed leaves no summary, not that of an earlier one.
    antiphon_fs::remove(file).await.map_err(|err| CommandError::new(CONFIG, err.to_string()))?;
    draft().file = Some(file.to_owned());
    Ok(())
}

/// Whether a path names nothing yet, or an earlier summary.
async fn is_free(file: &Path) -> Result<bool, CommandError> {
    let unusable = |err: antiphon_fs::Error| CommandError::new(CONFIG, err.to_string());
    match antiphon_fs::metadata(file).await {
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => Ok(true),
        Err(err) => Err(unusable(err)),
        // A pipe is not read: that could wait forever.
        Ok(found) if !found.is_file => Ok(false),
        Ok(_) => {
            let bytes = antiphon_fs::read(file).await.map_err(unusable)?;
            let earlier: Option<Value> = serde_json::from_slice(&bytes).ok();
            Ok(earlier.is_some_and(|earlier| earlier["event"] == "summary"))
        }
    }
}

/// Writes the summary to the file of `--summary`, if there is one.
///
/// # Errors
/// The errors of [`prepare`] if the path has become that of another file meanwhile, such as of the results; an internal
/// error if the file cannot be written, such as for a full disk.
pub(super) async fn write(code: u8) -> Result<(), CommandError> {
    let Some(file) = draft().file.take() else { return Ok(()) };
    if !is_free(&file).await? {
        return Err(exists(&file));
    }
    let text = output::json(&summary(code))?;
    antiphon_fs::write(&file, text).await.map_err(|err| CommandError::internal(err.to_string()))
}

/// Returns the error of a path that is that of another file.
fn exists(file: &Path) -> CommandError {
    let file = file.display();
    let message = format!("cannot write the summary to {file}: file exists already, and is no summary");
    CommandError::new(USAGE, message).hint("name another file with --summary")
}
