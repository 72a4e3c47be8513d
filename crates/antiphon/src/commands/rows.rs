//! A run over rows, or its plan, for `map` and `content`.
//!
//! Both commands differ in their request and in the text of their result only; the rest is here: the plan of
//! `--dry-run`, the signals, the order at the end. That order matters: the live line is removed first, then the
//! workspace is closed, so that its store is one complete file, and only then the result is printed.
//!
//! The first Ctrl-C stops new calls, and the answers in progress are still received and stored, since they are billed;
//! the second one aborts them. Either way the run can be resumed, and the advice names the command. A dry run makes no
//! call, so that Ctrl-C ends it.

use std::path::Path;

use antiphon_engine::Estimate;

use super::cli::RunArgs;
use super::confirm::CostCheck;
use super::error::{CommandError, OK, Repeat, advice, exit_code};
use super::front::closed;
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost, counted};
use super::recording::warn_of_unrecorded;
use super::summary;
use crate::operations::{Plan, RunOutcome, RunRequest, StopNotice, Watch, Workspace};

/// The way in which the end of a run is reported.
pub(super) struct Ending<'a> {
    /// Whether the result is one JSON document.
    pub(super) as_json: bool,
    /// The command that resumes the run.
    pub(super) repeat: Repeat,
    /// Whether an existing run was named, by `runs resume` or `runs retry-failed`.
    pub(super) is_resume: bool,
    /// The signals that arrived during the run; the listener ends when this command does.
    pub(super) interrupts: &'a Interrupts,
    /// The messages on stderr.
    pub(super) talk: Talk,
}

/// Returns a command of `runs` about the run in a folder, which is that of its id in the folder of runs. `--out` is added
/// unless that is the default one.
pub(super) fn command_on(verb: &str, folder: &Path) -> String {
    let id = folder.file_name().unwrap_or_default().to_string_lossy();
    match folder.parent() {
        Some(out) if out != Path::new("antiphon-out") => {
            format!("antiphon runs {verb} {id} --out {}", quoted(out))
        }
        _ => format!("antiphon runs {verb} {id}"),
    }
}

/// Quotes a path for a shell, if it has characters that a shell interprets.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

impl Ending<'_> {
    /// Prints the command that looks at a finished run; not beside a document for programs.
    pub(super) fn next(&self, folder: &Path) {
        if !self.as_json || self.talk.sends_events() {
            self.talk.next(&command_on("report", folder));
        }
    }

    /// Reports that a finished run was not started a second time; `what` says what was done instead.
    pub(super) fn reused(&self, what: &str) {
        let advice = if self.is_resume { "" } else { "; use --fresh to start a new run" };
        self.talk.line(&format!("run already finished: {what}, with 0 calls{advice}"));
    }

    /// Reports why a run stopped, and returns the exit code.
    ///
    /// A stop without a kind is no error: the reader of the results has gone, as `head` does. An interruption is not an
    /// error message either, since the user knows the reason.
    pub(super) fn stopped(&self, stop: &StopNotice) -> u8 {
        let advice: Vec<String> = stop.hints.iter().map(|hint| advice(hint, self.repeat)).collect();
        let Some(kind) = stop.kind else {
            self.talk.line(&format!("stopped: {}; {}", stop.message, advice.join("; ")));
            return OK;
        };
        if stop.cause == "interrupted" {
            self.talk.line(&format!("stopped: {}", advice.join("; ")));
            return exit_code(kind);
        }
        let error = CommandError::new(exit_code(kind), &*stop.message);
        self.talk.error(&advice.into_iter().fold(error, CommandError::hint));
        exit_code(kind)
    }
}

/// A run over rows that is ready to start.
pub(super) struct RowsRun<'a> {
    /// The workspace, which is closed at the end.
    pub(super) workspace: Workspace,
    /// The request, complete with the limits and the output of the flags.
    pub(super) request: RunRequest,
    /// The callbacks and cancellation tokens of the run.
    pub(super) watch: Watch,
    /// The flags that all runs share, such as `--dry-run` and `--json`.
    pub(super) how: &'a RunArgs,
    /// The progress on stderr.
    pub(super) live: Live,
    /// The messages on stderr.
    pub(super) talk: Talk,
}

impl RowsRun<'_> {
    /// Prints a plan of the run, or runs it and reports it by `finish`.
    ///
    /// # Errors
    /// The error of a request that cannot be planned or started, or whose run has no outcome. Rows that failed are no
    /// error: they are in the outcome, and `finish` turns them into an exit code.
    pub(super) async fn go(
        self,
        finish: impl FnOnce(&RunOutcome, &Ending<'_>) -> Result<u8, CommandError>,
    ) -> Result<u8, CommandError> {
        let Self { workspace, request, watch, how, live, talk } = self;
        if how.dry_run {
            let plan = workspace.plan(&request, &watch).await;
            live.end();
            return print_plan(&closed(workspace, plan).await?, how.json);
        }
        let interrupts = Interrupts::listen(watch.drain.clone(), watch.cancel.clone(), &live);
        let asking = Box::pin(confirm(&workspace, &request, &watch, how, talk));
        if let Err(err) = interrupts.unless_stopped(&watch.drain, asking).await {
            live.end();
            workspace.close().await;
            return Err(err);
        }
        let done = Box::pin(workspace.start(&request, watch)).await;
        live.end();
        let outcome = closed(workspace, done).await?;
        warn_of_unrecorded(how, &outcome, talk);
        let ending = Ending {
            as_json: how.json,
            repeat: Repeat::of(how.fresh),
            is_resume: false,
            interrupts: &interrupts,
            talk,
        };
        finish(&outcome, &ending)
    }
}

/// Asks for confirmation of a run that may be expensive.
async fn confirm(
    workspace: &Workspace,
    request: &RunRequest,
    watch: &Watch,
    how: &RunArgs,
    talk: Talk,
) -> Result<(), CommandError> {
    if !CostCheck::is_needed(how) {
        return Ok(());
    }
    let mut check = CostCheck::default();
    check.add(workspace, request, watch).await?;
    check.confirm(how, talk).await
}

/// Prints an estimate of a run.
fn print_plan(plan: &Plan, as_json: bool) -> Result<u8, CommandError> {
    summary::set_outcome(plan);
    let text = match plan {
        _ if as_json => output::json(plan)?,
        Plan::Rows(estimate) => as_table(estimate),
        _ => return Err(CommandError::internal("the plan is not of a run over rows")),
    };
    output::result(&text).map(|()| OK)
}

/// Formats an estimate as a table:
///
/// ```text
/// rows       100: 0 done, 3 cached or duplicates, 1 invalid
/// calls      96 to 110
/// tokens     9600 input, 4800 to 9000 output
/// cost       $0.0040 to $0.0070
/// time       12.0 s to 31.5 s
/// based on   40 earlier calls of this recipe
/// schema     not enforced by the provider, but checked here: /properties/name/maxLength
/// ```
fn as_table(estimate: &Estimate) -> String {
    let Estimate { rows, done, cached, bad, calls, input_tokens, output_tokens, .. } = estimate;
    let count = |count: u64| count.to_string();
    let input = range(input_tokens.0, input_tokens.1, count);
    let output = range(output_tokens.0, output_tokens.1, count);
    let mut text = format!("rows       {rows}: {done} done, {cached} cached or duplicates, {bad} invalid\n");
    text.push_str(&format!("calls      {}\n", range(calls.0, calls.1, count)));
    text.push_str(&format!("tokens     {input} input, {output} output\n"));
    text.push_str(&format!("cost       {}\n", cost_range(estimate)));
    text.push_str(&format!("time       {}\n", time_range(estimate)));
    text.push_str(&match estimate.based_on_calls {
        0 => "based on   the token limits of the recipe (no earlier calls)\n".to_owned(),
        calls => format!("based on   {} of this recipe\n", counted(calls, "earlier call")),
    });
    text.push_str(&not_enforced(&estimate.weakened));
    text
}

/// Formats the parts of the schema that the provider does not enforce, a line for each; empty if it enforces all.
fn not_enforced(weakened: &[String]) -> String {
    let place = |place: &String| match place.as_str() {
        "" => {
            "schema     not enforced by the provider: it is in the prompt, and each answer is checked here\n"
                .to_owned()
        }
        place => format!("schema     not enforced by the provider, but checked here: {place}\n"),
    };
    weakened.iter().map(place).collect()
}

/// Formats a range; two equal bounds are one value.
fn range(least: u64, most: u64, text: impl Fn(u64) -> String) -> String {
    if least == most { text(least) } else { format!("{} to {}", text(least), text(most)) }
}

/// Formats the likely cost; unknown if the model has no known price.
fn cost_range(estimate: &Estimate) -> String {
    let money = |micros: u64| format!("${:.4}", micros as f64 / 1e6);
    match estimate.cost_usd_micros {
        None => "unknown".to_owned(),
        Some((_, 0)) => cost(Some(0)),
        Some((least, most)) => range(least, most, money),
    }
}

/// Formats the likely wall-clock time, which is known only once the recipe has been run with this model.
fn time_range(estimate: &Estimate) -> String {
    let seconds = |millis: u64| format!("{:.1} s", millis as f64 / 1e3);
    estimate.millis.map_or_else(
        || "unknown: no earlier calls of this recipe. Run --max-rows 20 first to learn it".to_owned(),
        |(least, most)| format!("{} to {}", seconds(least), seconds(most)),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::command_on;

    #[test]
    fn a_command_on_a_run_can_be_copied_to_a_shell() {
        let check =
            |folder: &str, expected: &str| assert_eq!(command_on("report", Path::new(folder)), expected);
        check("antiphon-out/0198", "antiphon runs report 0198");
        check("/runs/of mine/0198", "antiphon runs report 0198 --out '/runs/of mine'");
        check("it's/0198", "antiphon runs report 0198 --out 'it'\\''s'");
    }
}
