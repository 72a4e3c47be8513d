//! A run over rows, or its plan, for `map` and `content`.

use antiphon_engine::Estimate;

use super::cli::RunArgs;
use super::error::{CommandError, OK};
use super::front::closed;
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::{Live, cost};
use crate::operations::{Plan, RunOutcome, RunRequest, Watch, Workspace};

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
    /// Prints a plan of the run, or runs it and reports it by `finish`, whose second argument is whether JSON is wanted.
    pub(super) async fn go(
        self,
        finish: impl FnOnce(&RunOutcome, bool, &Interrupts, Talk) -> Result<u8, CommandError>,
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
        let code = finish(&outcome, how.json, &interrupts, talk)?;
        if how.fresh && outcome.stop.is_some() {
            talk.goes_on_without_fresh();
        }
        Ok(code)
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
        || cost(None),
        |(least, most)| {
            if least == most { money(least) } else { format!("{} to {}", money(least), money(most)) }
        },
    );
    text.push_str(&format!("cost       {costs}\n"));
    let seconds = |millis: u64| format!("{:.1} s", millis as f64 / 1e3);
    let time = estimate.millis.map_or_else(
        || "unknown before the first calls: try --max-rows 20".to_owned(),
        |(least, most)| format!("{} to {}", seconds(least), seconds(most)),
    );
    text.push_str(&format!("time       {time}\n"));
    text.push_str(&match estimate.based_on_calls {
        0 => "based on   the limits of the recipe, which has no earlier calls\n".to_owned(),
        calls => format!("based on   {calls} calls of this recipe\n"),
    });
    text
}
