//! `runs delete` and `runs prune`.
//!
//! Both list the runs and ask for a confirmation first; without a terminal they need `--yes`. A run that cannot be
//! deleted, since a process works on it, does not affect the others, and ends the command with exit code 4.

use super::cli::ConfirmDeletion;
use super::error::{CommandError, OK, SOME_FAILED, USAGE};
use super::output::{self, Talk};
use super::progress::counted;
use super::rows::command_on;
use super::runs::{table, write_readme};
use crate::operations::{DeletedRun, OperationErrorKind, PruneFilter, RunInfo, Workspace};

/// Deletes the named runs. All names are looked up before any run is deleted.
pub(super) async fn delete(
    workspace: &Workspace,
    names: &[String],
    confirmation: ConfirmDeletion,
    talk: Talk,
) -> Result<u8, CommandError> {
    let mut runs: Vec<RunInfo> = Vec::new();
    for name in names {
        let run = workspace.status(name).await?;
        if !runs.iter().any(|known| known.run_id == run.run_id) {
            runs.push(run);
        }
    }
    confirm(&runs, confirmation).await?;
    remove(workspace, &runs, talk).await
}

/// Deletes old runs; without a confirmation, which is a dry run, only prints them.
pub(super) async fn prune(
    workspace: &Workspace,
    filter: &PruneFilter,
    confirmation: Option<ConfirmDeletion>,
    talk: Talk,
) -> Result<u8, CommandError> {
    let mut runs = workspace.prunable(filter).await?;
    runs.reverse();
    if runs.is_empty() {
        talk.line("nothing to delete: no run is old enough");
        return Ok(OK);
    }
    let Some(confirmation) = confirmation else {
        output::result(&table(&runs))?;
        talk.line(&format!("{} would be deleted", counted(runs.len(), "run")));
        return Ok(OK);
    };
    confirm(&runs, confirmation).await?;
    remove(workspace, &runs, talk).await
}

/// Asks for a confirmation, unless `--yes` is set.
///
/// # Errors
/// A usage error if the user does not confirm, or cannot be asked.
async fn confirm(runs: &[RunInfo], confirmation: ConfirmDeletion) -> Result<(), CommandError> {
    if confirmation.yes {
        return Ok(());
    }
    let them = counted(runs.len(), "run");
    if !output::can_ask() {
        let message =
            format!("cannot delete {them}: this needs a confirmation, and there is no terminal to ask at");
        return Err(CommandError::new(USAGE, message).hint("use --yes to delete without a question"));
    }
    let question = format!("{}delete {them}, with results and folders? [y/N] ", table(runs));
    if output::confirmed(question).await {
        return Ok(());
    }
    Err(CommandError::new(USAGE, "nothing was deleted: it was not confirmed"))
}

/// Deletes runs one after the other, reports each, and returns the exit code.
async fn remove(workspace: &Workspace, runs: &[RunInfo], talk: Talk) -> Result<u8, CommandError> {
    let mut code = OK;
    for run in runs {
        match workspace.delete(&run.run_id).await {
            Ok(deleted) => report(&deleted, talk),
            // A part that was deleted with its run, or a run that another process has deleted.
            Err(err) if err.kind() == OperationErrorKind::NotFound => {}
            Err(err) => {
                let is_at_work = err.kind() == OperationErrorKind::Conflict;
                let mut error = CommandError::from(err);
                if is_at_work {
                    let cancel = command_on("cancel", &workspace.folder().join(&run.run_id));
                    error = error.hint(format!("wait until it has ended, or stop it with {cancel}"));
                }
                talk.error(&error);
                code = SOME_FAILED;
            }
        }
    }
    write_readme(workspace, talk).await;
    Ok(code)
}

/// Reports a deleted run: what was deleted with it, and what is kept.
fn report(deleted: &DeletedRun, talk: Talk) {
    let folder = deleted.folder.as_ref().map(|folder| format!(" and its folder {}", folder.display()));
    let parts = match deleted.parts.len() {
        0 => String::new(),
        parts => format!(", with {} of its documents", counted(parts, "distillation")),
    };
    talk.line(&format!("deleted run {}{}{parts}", deleted.run_id, folder.unwrap_or_default()));
    for kept in &deleted.kept {
        talk.line(&format!("kept {}: it is outside the folder of the run", kept.display()));
    }
}
