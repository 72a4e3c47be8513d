//! The data of a run's report, and its rendering.

use std::time::Duration;

use antiphon_engine::{Cause, LONG_RUN, RowSummary, RunInfo, RunSummary};
use antiphon_pipeline::Persona;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value;

use super::charts::{Histogram, Timeline, bands};
use super::rows::{BLOCK, Shown, block};
use crate::blocking::blocking;
use crate::error::RenderError;
use crate::site::{environment, grouped};
use crate::support::{Support, support_note};

/// The template, which is part of the crate.
const TEMPLATE: &str = include_str!("../report.html");

/// The report of a run as one HTML page: its outcome, cost, time by phase, failures and rows.
///
/// Fields are public, so that a caller may add custom facts and figures before rendering. [`render`](Self::render) has
/// all rows in memory; for a run of any size, see [`parts`](Self::parts).
///
/// # Examples
/// ```
/// use antiphon_render::RunPage;
/// let mut page = RunPage::default();
/// page.title = "towns with classify".to_owned();
/// page.facts.push(("Status".to_owned(), "finished".to_owned()));
/// page.count("Rows done", 1_240);
/// let html = page.render()?;
/// assert!(html.contains("<h1>towns with classify</h1>") && html.contains("1,240"));
/// # Ok::<(), antiphon_render::RenderError>(())
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RunPage {
    /// The title: the input and the recipe.
    pub title: String,
    /// Facts about the run, as names and values, such as its status, its times and its model.
    pub facts: Vec<(String, String)>,
    /// Figures of the outcome, as names and values: counts, tokens and the cost. Unknown values are `unknown`.
    pub figures: Vec<(String, String)>,
    /// The time of all rows by phase, in milliseconds, in the order of the phases. The sum usually exceeds the
    /// wall-clock time, since rows are processed concurrently. Phases without time are not shown.
    pub phases: Vec<(String, u64)>,
    /// Advice on how to make the run faster; `None` for runs of less than [`LONG_RUN`].
    pub advice: Option<String>,
    /// The end of each row, in milliseconds since 1970 (UTC), and whether it has a result. Any order. Not serialised.
    #[serde(skip)]
    pub ends: Vec<(i64, bool)>,
    /// The causes of failed rows, in the order in which they are shown.
    pub causes: Vec<RunCause>,
    /// The personas of a persona run; empty for other runs.
    pub personas: Vec<Persona>,
    /// The rows of the page; for [`parts`](Self::parts) only the first ones, which are shown without a script.
    #[serde(skip)]
    pub rows: Vec<RunRow>,
    /// The times of calls of all rows in milliseconds, for the histogram. Any order. Default: those of `rows`. Not
    /// serialised.
    #[serde(skip)]
    pub times: Vec<u64>,
    /// The number of all rows of the run, of which `rows` may be a part. 0 leaves out the table of rows.
    pub all_rows: u64,
    /// The text that replaces the input of each row.
    #[serde(skip)]
    hidden: Option<&'static str>,
}

/// The report of a run in the order of its file, for a run of any size: the start, then all rows, then the end.
///
/// Obtain one by [`RunPage::parts`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunPageParts {
    /// The text before the rows.
    pub start: String,
    /// The text after the rows.
    pub end: String,
    /// The text that replaces the input of each row.
    hidden: Option<&'static str>,
}

/// Rows that failed for the same reason.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RunCause {
    /// The short name of the error, such as `timeout`.
    pub error: String,
    /// Number of rows.
    pub rows: u64,
    /// The message of one of them, as an example.
    pub message: String,
}

/// One row of a run.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RunRow {
    /// The index in the input, from 0.
    pub index: u64,
    /// The state: `done`, `failed` or `left`.
    pub state: String,
    /// The text of the row, of which at most 400 characters are shown.
    pub row: String,
    /// The result, or the reason why it is missing; at most 400 characters are shown.
    pub result: String,
    /// The time of its calls in milliseconds, if any were made.
    pub millis: Option<u64>,
}

/// The place of the rows in the rendered template. No text can contain it, since `<` is escaped.
const ROWS: &str = "<!--rows-->\n";

impl RunPage {
    /// Number of rows on a page of the table.
    pub const PAGE_ROWS: usize = 50;

    /// Creates the page of a run, with the personas that it made.
    ///
    /// A persona run is one request, so its page counts personas instead of rows, and has no table of rows.
    ///
    /// The provider, the advice and whether the run was anonymised are taken from the report of the run's last end; a
    /// run that is still in progress has none. For an anonymised run, the title and the rows have `documents without
    /// names` in the place of the input.
    #[must_use]
    pub fn new(summary: RunSummary, personas: Vec<Persona>) -> Self {
        let RunSummary { info, causes, phases_ms, ends, rows, .. } = summary;
        let report = info.report.clone().unwrap_or_default();
        let hidden = hidden_input(&report, &info.request);
        let (input, recipe) = (hidden.unwrap_or(&info.input), info.recipe.as_deref().unwrap_or_default());
        let mut page = Self {
            title: format!("{input} with {recipe}"),
            facts: facts(&info, report["provider"].as_str()),
            figures: figures(&info, &personas),
            phases: phases_ms.into_iter().map(|(phase, millis)| (phase.label().to_owned(), millis)).collect(),
            advice: advice(&report),
            causes: causes.into_iter().map(RunCause::of).collect(),
            personas,
            hidden,
            ..Self::default()
        };
        if !is_of_personas(&info) {
            (page.ends, page.all_rows) = (ends, info.rows);
            page.rows = rows.into_iter().map(|row| RunRow::of(row, hidden)).collect();
        }
        page
    }

    /// Counts a row in the histogram, and keeps it if it is one of the first 50. Call this for each row of the run in
    /// order, before [`parts`](Self::parts).
    pub fn observe(&mut self, row: RowSummary) {
        self.times.extend(row.millis);
        if self.rows.len() < Self::PAGE_ROWS {
            self.rows.push(RunRow::of(row, self.hidden));
        }
    }

    /// Adds a figure that is a count, with a comma before each group of three digits. Figures of the same name are not
    /// replaced.
    pub fn count(&mut self, name: impl Into<String>, number: u64) {
        self.figures.push((name.into(), grouped(number)));
    }

    /// Renders the page: one self-contained file, with a search that needs no server. This method is CPU-bound and
    /// blocks for large runs: in async code use [`html`](Self::html).
    ///
    /// # Errors
    /// `Internal` if the template is broken, which is a defect of this crate.
    pub fn render(&self) -> Result<String, RenderError> {
        let RunPageParts { start: mut html, end, .. } = self.to_parts()?;
        for rows in self.rows.chunks(BLOCK) {
            html.push_str(&block(rows)?);
        }
        html.push_str(&end);
        Ok(html)
    }

    /// Renders the template, without blocks of rows.
    fn to_parts(&self) -> Result<RunPageParts, RenderError> {
        let mut environment = environment();
        environment.add_template("report.html", TEMPLATE).map_err(RenderError::defect)?;
        let template = environment.get_template("report.html").map_err(RenderError::defect)?;
        let first = self.rows.iter().take(Self::PAGE_ROWS).map(Shown::new);
        let notes: Vec<_> = self.personas.iter().map(support_note).collect();
        let context = minijinja::context! {
            bands => Serde(&bands(&self.phases)),
            timeline => Serde(&Timeline::of(&self.ends)),
            histogram => Serde(&self.histogram()),
            shown => Serde(&first.collect::<Vec<_>>()),
            count => grouped(self.all_rows),
            notes => Serde(&notes),
            ..minijinja::Value::from(Serde(self))
        };
        let html = template.render(context).map_err(RenderError::defect)?;
        let (start, end) = html.split_once(ROWS).unwrap_or((&html, ""));
        Ok(RunPageParts { start: start.to_owned(), end: end.to_owned(), hidden: self.hidden })
    }

    /// Returns the histogram of all call times.
    fn histogram(&self) -> Option<Histogram> {
        if self.times.is_empty() {
            return Histogram::of(self.rows.iter().filter_map(|row| row.millis).collect());
        }
        Histogram::of(self.times.clone())
    }

    /// Renders the page on tokio's blocking pool; see [`render`](Self::render) for code that is not async.
    ///
    /// # Errors
    /// The errors of [`render`](Self::render).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn html(self) -> Result<String, RenderError> {
        blocking(move || self.render()).await
    }

    /// Renders the page in parts on tokio's blocking pool, for a run of any size: of its rows, only the first ones and
    /// 8 bytes for each call time are in memory.
    ///
    /// Give each row to [`observe`](Self::observe) first. Then write the start, all rows in blocks, and the end:
    ///
    /// ```
    /// # async fn example(pages: Vec<Vec<antiphon_engine::RowSummary>>) -> Result<String, antiphon_render::RenderError> {
    /// use antiphon_render::RunPage;
    /// let mut page = RunPage::default();
    /// page.all_rows = 200_000;
    /// pages.iter().flatten().for_each(|row| page.observe(row.clone()));
    /// let parts = page.parts().await?;
    /// let mut html = parts.start.clone();
    /// for rows in pages {
    ///     html += &parts.block(rows).await?;
    /// }
    /// html += &parts.end;
    /// # Ok(html)
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`render`](Self::render).
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn parts(self) -> Result<RunPageParts, RenderError> {
        blocking(move || self.to_parts()).await
    }
}

impl RunPageParts {
    /// Returns the next rows of the file, compressed on tokio's blocking pool. Blocks of some hundred rows are a good
    /// compromise: a browser unpacks a whole block to show a row of it.
    ///
    /// # Errors
    /// `Internal` if the runtime is shutting down.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn block(&self, rows: Vec<RowSummary>) -> Result<String, RenderError> {
        let hidden = self.hidden;
        blocking(move || block(&rows.into_iter().map(|row| RunRow::of(row, hidden)).collect::<Vec<_>>()))
            .await
    }
}

impl RunCause {
    /// Converts the cause of failures of a run.
    fn of(cause: Cause) -> Self {
        Self { error: cause.error, rows: cause.rows, message: cause.message }
    }
}

impl RunRow {
    /// Converts the summary of a row; `hidden` replaces the row's text.
    fn of(row: RowSummary, hidden: Option<&str>) -> Self {
        let RowSummary { index, state, row, result, millis, .. } = row;
        let row = hidden.map_or(row, str::to_owned);
        Self { index, state: state.to_owned(), row, result, millis }
    }
}

/// Returns the text that replaces the input of an anonymised run: file names may be names of people (PII).
fn hidden_input(report: &Value, request: &Value) -> Option<&'static str> {
    let is_anonymised = report["anonymised"].is_object() || request["anonymise"].is_object();
    is_anonymised.then_some("documents without names")
}

/// Returns the report's advice; `None` for a short run, for which it is meaningless.
fn advice(report: &Value) -> Option<String> {
    let time = report["time"]["wall_ms"].as_u64().map(Duration::from_millis);
    report["time"]["advice"].as_str().filter(|_| time >= Some(LONG_RUN)).map(str::to_owned)
}

/// Returns whether a run made personas: it is one request then, not one for each row.
fn is_of_personas(info: &RunInfo) -> bool {
    info.kind == "personas"
}

/// Returns the figures of the outcome, as names and values.
fn figures(info: &RunInfo, personas: &[Persona]) -> Vec<(String, String)> {
    let known = |tokens: Option<u64>| tokens.map_or_else(|| "unknown".to_owned(), grouped);
    let mut figures = if is_of_personas(info) { persona_figures(personas) } else { row_figures(info) };
    figures.extend([
        ("Calls", grouped(info.calls)),
        ("Tokens asked", known(info.input_tokens)),
        ("Tokens answered", known(info.output_tokens)),
        ("Cost", cost(info)),
        ("Possibly billed calls", grouped(info.possibly_billed_calls)),
    ]);
    figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the numbers of rows by their state.
fn row_figures(info: &RunInfo) -> Vec<(&'static str, String)> {
    let left = left(info.rows, info.accepted, info.failed);
    let label = if info.rows_are_all { "Left" } else { "Left of those read so far" };
    vec![("Rows done", grouped(info.accepted)), ("Failed", grouped(info.failed)), (label, grouped(left))]
}

/// Returns the numbers of personas and of their claims with evidence.
fn persona_figures(personas: &[Persona]) -> Vec<(&'static str, String)> {
    let support = personas.iter().map(Support::of).fold(Support::default(), Support::plus);
    let Support { supported, claims } = support;
    vec![
        ("Personas", personas.len().to_string()),
        ("Claims with evidence", format!("{supported} of {claims}")),
    ]
}

/// Returns the number of rows that are neither done nor failed; 0 where counts were read at different times.
fn left(rows: u64, done: u64, failed: u64) -> u64 {
    rows.saturating_sub(done).saturating_sub(failed)
}

/// Returns the cost of a run as text, in dollars with four decimals, with the most that possibly billed calls may add.
fn cost(info: &RunInfo) -> String {
    let dollars = |micros: u64| format!("${:.4}", micros as f64 / 1e6);
    let (most, is_unbounded) = (info.possibly_billed_usd_micros, info.possibly_billed_unbounded > 0);
    match info.cost_usd_micros {
        None => "unknown".to_owned(),
        Some(0) if is_unbounded => "unknown".to_owned(),
        Some(micros) if is_unbounded => format!("{}, and an unknown amount more", dollars(micros)),
        Some(micros) if most > 0 => format!("{}, at most {} more", dollars(micros), dollars(most)),
        Some(0) => "none".to_owned(),
        Some(micros) => dollars(micros),
    }
}

/// Returns the facts about a run, as names and values; facts that are not known are left out.
fn facts(info: &RunInfo, provider: Option<&str>) -> Vec<(String, String)> {
    // Easier to read than RFC 3339.
    let time = |at: &str| at.replace('T', " ").replace('Z', " UTC");
    let facts = [
        ("Run", info.run_id.clone()),
        ("Status", info.status.name().to_owned()),
        ("Started", time(&info.created_at)),
        ("Ended", info.ended_at.as_deref().map(time).unwrap_or_default()),
        ("Provider", provider.unwrap_or_default().to_owned()),
        ("Model", info.model.clone().unwrap_or_default()),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn counts_that_changed_while_they_were_read_leave_no_rows() {
        assert_eq!([left(10, 6, 3), left(10, 6, 4), left(10, 8, 3), left(0, 1, 0)], [1, 0, 0, 0]);
    }
}
