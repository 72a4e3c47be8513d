//! A run over rows, or its plan, for `map` and `content`.

use antiphon_engine::Estimate;

use super::cli::RunArgs;
use super::error::{CommandError, OK, Repeat, advice, exit_code};
use super::front::closed;
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost};
use crate::operations::{Plan, RunOutcome, RunRequest, StopNotice, Watch, Workspace};

/// The way in which the end of a run is reported.
pub(super) struct Ending<'a> {
    /// Whether the result is one JSON document.
    pub(super) as_json: bool,
    /// The command that resumes the run.
    pub(super) repeat: Repeat,
    /// Whether an existing run was named, by `runs resume` or `runs retry-failed`.
    pub(super) is_resume: bool,
    pub(super) interrupts: &'a Interrupts,
    pub(super) talk: Talk,
}

impl Ending<'_> {
    /// Reports why a run stopped, and returns the exit code.
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
    pub(super) workspace: Workspace,
    pub(super) request: RunRequest,
    pub(super) watch: Watch,
    pub(super) how: &'a RunArgs,
    pub(super) live: Live,
    pub(super) talk: Talk,
}

impl RowsRun<'_> {
    /// Prints a plan of the run, or runs it and reports it by `finish`.
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
        let done = Box::pin(workspace.start(&request, watch)).await;
        live.end();
        let outcome = closed(workspace, done).await?;
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

/// Prints an estimate of a run.
fn print_plan(plan: &Plan, as_json: bool) -> Result<u8, CommandError> {
    let text = match plan {
        _ if as_json => output::json(plan)?,
        Plan::Rows(estimate) => as_table(estimate),
        _ => return Err(CommandError::internal("the plan is not of a run over rows")),
    };
    output::result(&text).map(|()| OK)
}

/// Formats an estimate as a table.
fn as_table(estimate: &Estimate) -> String {
    let range = |(least, most): (u64, u64)| {
        if least == most { least.to_string() } else { format!("{least} to {most}") }
    };
    let Estimate { rows, done, cached, bad, calls, input_tokens, output_tokens, .. } = estimate;
    let mut text = format!("rows       {rows}: {done} done, {cached} cached or duplicates, {bad} invalid\n");
    text.push_str(&format!("calls      {}\n", range(*calls)));
    text.push_str(&format!("tokens     {} input, {} output\n", range(*input_tokens), range(*output_tokens)));
    let money = |micros: u64| cost(Some(micros));
    let costs = estimate.cost_usd_micros.map_or_else(
        || "unknown".to_owned(),
        |(least, most)| {
            if least == most { money(least) } else { format!("{} to {}", money(least), money(most)) }
        },
    );
    text.push_str(&format!("cost       {costs}\n"));
    let seconds = |millis: u64| format!("{:.1} s", millis as f64 / 1e3);
    let time = estimate.millis.map_or_else(
        || "unknown: no earlier calls of this recipe. Run --max-rows 20 first to learn it".to_owned(),
        |(least, most)| format!("{} to {}", seconds(least), seconds(most)),
    );
    text.push_str(&format!("time       {time}\n"));
    text.push_str(&match estimate.based_on_calls {
        0 => "based on   the token limits of the recipe (no earlier calls)\n".to_owned(),
        calls => format!("based on   {calls} earlier calls of this recipe\n"),
    });
    text
}
