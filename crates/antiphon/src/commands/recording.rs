//! The warning about a cassette that lacks answers of the run.
//!
//! `--record` records the answers to calls. A run that finished earlier, or that takes answers from the cache, makes no
//! call for them: its cassette would fail the replay.

use super::cli::RunArgs;
use super::output::Talk;
use super::progress::counted;
use crate::operations::{RunOutcome, RunResult};

/// Warns if `--record` is set and answers of a run were not recorded.
pub(super) fn warn_of_unrecorded(how: &RunArgs, outcome: &RunOutcome, talk: Talk) {
    let Some(folder) = how.recorded_to() else { return };
    let Some(why) = unrecorded(outcome) else { return };
    let (folder, advice) = (folder.display(), advice(&outcome.result));
    talk.warning(&format!("{why}. {advice} in {folder}"));
}

/// Returns why answers of a run were not recorded; `None` if all were.
fn unrecorded(outcome: &RunOutcome) -> Option<String> {
    match &outcome.result {
        _ if outcome.reused => {
            Some("nothing was recorded: the run had finished, so that no call was made".to_owned())
        }
        _ if outcome.resumed_at > 0 => Some(format!(
            "not all answers were recorded: {} had one before this session",
            counted(outcome.resumed_at, "row")
        )),
        RunResult::Map(made) if made.report.calls == 0 && made.report.cached > 0 => {
            Some("nothing was recorded: all answers were cached, so that no call was made".to_owned())
        }
        _ => None,
    }
}

/// Returns how to record all answers. Persona runs do not take answers from the cache.
fn advice(result: &RunResult) -> &'static str {
    match result {
        RunResult::Personas(_) => "Use --fresh to record a new run",
        RunResult::Map(_) => "Use --fresh, and cache = false in the recipe, to record a new run",
        RunResult::Content(_) => "Use --fresh and another --out, without cached answers, to record a new run",
    }
}
