//! The report of a run as one HTML page.
//!
//! A page is made in two steps. [`RunPage::new`] turns the summary of a run into names and values, which a caller may
//! change or add to; [`RunPage::render`] computes the charts and renders the template. The charts are SVG in the page:
//!
//! | chart | data | shows |
//! |---|---|---|
//! | bar | [`RunPage::phases`] | the share of each phase in the time of all rows |
//! | timeline | [`RunPage::ends`] | done and failed rows in 48 slices of the run's time |
//! | histogram | [`RunPage::rows`] | the times of calls in 24 bars, with their quantiles |
//!
//! Input files may be named after people, so that the report of an anonymised run shows neither the input nor the
//! texts of rows (PII).

use std::time::Duration;

use antiphon_engine::{Cause, LONG_RUN, RowSummary, RunInfo, RunSummary};
use antiphon_pipeline::Persona;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value;

use crate::blocking::blocking;
use crate::error::RenderError;
use crate::site::{environment, grouped};

/// The template, which is part of the crate.
const TEMPLATE: &str = include_str!("report.html");

/// The report of a run as one HTML page: its outcome, cost, time by phase, failures and rows.
///
/// All fields are public, so that a caller may add custom facts and figures before rendering. The page shows at
/// most the rows that the summary was read with.
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
    /// The rows to show, and to compute the histogram from.
    pub rows: Vec<RunRow>,
    /// The number of all rows of the run, of which `rows` may be a part.
    pub all_rows: u64,
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

/// Maximum characters to show of a row and of a result.
const MAX_SHOWN: usize = 400;
/// Number of bars of the histogram.
const BARS: usize = 24;
/// Number of slices of the timeline.
const SLICES: usize = 48;
/// Height of the charts in pixels.
const HEIGHT: u64 = 120;

impl RunPage {
    /// Creates the page of a run, with the personas that it made.
    ///
    /// The provider, the advice and whether the run was anonymised are taken from the report of the run's last end; a
    /// run that is still in progress has none. For an anonymised run, the title and the rows have `documents without
    /// names` in the place of the input.
    #[must_use]
    pub fn new(summary: RunSummary, personas: Vec<Persona>) -> Self {
        let RunSummary { info, causes, phases_ms, ends, rows, .. } = summary;
        let report = info.report.clone().unwrap_or_default();
        let hidden = hidden_input(&report);
        let (input, recipe) = (hidden.unwrap_or(&info.input), info.recipe.as_deref().unwrap_or_default());
        Self {
            title: format!("{input} with {recipe}"),
            facts: facts(&info, report["provider"].as_str()),
            figures: figures(&info),
            phases: phases_ms.into_iter().map(|(phase, millis)| (phase.label().to_owned(), millis)).collect(),
            advice: advice(&report),
            ends,
            causes: causes.into_iter().map(RunCause::of).collect(),
            personas,
            rows: rows.into_iter().map(|row| RunRow::of(row, hidden)).collect(),
            all_rows: info.rows,
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
        let mut environment = environment();
        environment.add_template("report.html", TEMPLATE).map_err(RenderError::defect)?;
        let template = environment.get_template("report.html").map_err(RenderError::defect)?;
        let context = minijinja::context! {
            bands => Serde(&bands(&self.phases)),
            timeline => Serde(&Timeline::of(&self.ends)),
            histogram => Serde(&Histogram::of(&self.rows)),
            shown => Serde(&self.rows.iter().map(Shown::new).collect::<Vec<_>>()),
            ..minijinja::Value::from(Serde(self))
        };
        template.render(context).map_err(RenderError::defect)
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
fn hidden_input(report: &Value) -> Option<&'static str> {
    report["anonymised"].is_object().then_some("documents without names")
}

/// Returns the report's advice; `None` for a short run, for which it is meaningless.
fn advice(report: &Value) -> Option<String> {
    let time = report["time"]["wall_ms"].as_u64().map(Duration::from_millis);
    report["time"]["advice"].as_str().filter(|_| time >= Some(LONG_RUN)).map(str::to_owned)
}

/// Returns the figures of the outcome, as names and values.
fn figures(info: &RunInfo) -> Vec<(String, String)> {
    let known = |tokens: Option<u64>| tokens.map_or_else(|| "unknown".to_owned(), grouped);
    let figures = [
        ("Rows done", grouped(info.accepted)),
        ("Failed", grouped(info.failed)),
        ("Left", grouped(info.rows - info.accepted - info.failed)),
        ("Calls", grouped(info.calls)),
        ("Tokens asked", known(info.input_tokens)),
        ("Tokens answered", known(info.output_tokens)),
        ("Cost", cost(info.cost_usd_micros)),
        ("Possibly billed calls", grouped(info.possibly_billed_calls)),
    ];
    figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns a cost in millionths of a US dollar as text, in dollars with four decimals.
fn cost(micros: Option<u64>) -> String {
    match micros {
        None => "unknown".to_owned(),
        Some(0) => "none".to_owned(),
        Some(micros) => format!("${:.4}", micros as f64 / 1e6),
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

/// A part of the bar of time by phase.
#[derive(Serialize)]
struct Band<'a> {
    name: &'a str,
    /// Start and width, in thousandths of the bar.
    start: u64,
    width: u64,
    /// The time as text.
    duration: String,
    /// The share of the whole, in percent, rounded down.
    share: u64,
}

/// Returns the parts of the bar for the phases with time. Starts and ends are rounded alike, so that no gap is between
/// two parts.
fn bands(phases: &[(String, u64)]) -> Vec<Band<'_>> {
    let all: u64 = phases.iter().map(|(_, millis)| millis).sum();
    let mut start = 0;
    let mut bands = Vec::new();
    for (name, millis) in phases.iter().filter(|(_, millis)| *millis > 0) {
        let end = start + millis;
        let place = |millis: u64| millis * 1_000 / all.max(1);
        let (from, to) = (place(start), place(end));
        let share = millis * 100 / all.max(1);
        bands.push(Band { name, start: from, width: to - from, duration: seconds(*millis), share });
        start = end;
    }
    bands
}

/// Returns a duration as text, in a unit by its size: `7 ms`, `1.2 s`, `1 min 1 s`. Fractions are rounded down.
fn seconds(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis / 1_000 % 60),
    }
}

/// The distribution of call times.
#[derive(Serialize)]
struct Histogram {
    bars: Vec<Bar>,
    /// The upper bound of the last bar, which longer times are counted in, too.
    most: String,
    /// The quantiles 50 %, 90 % and 99 %.
    half: String,
    ninety: String,
    last: String,
}

/// A bar of the histogram.
#[derive(Serialize)]
struct Bar {
    /// Position and height, in pixels.
    x: usize,
    height: u64,
    rows: u64,
}

impl Histogram {
    /// Returns the histogram of the rows' times; `None` if no row has one.
    ///
    /// The bars extend to the quantile 99 %, so that a few very long calls do not press all others into the first bar;
    /// longer times count in the last one.
    fn of(rows: &[RunRow]) -> Option<Self> {
        let mut times: Vec<u64> = rows.iter().filter_map(|row| row.millis).collect();
        times.sort_unstable();
        let last = quantile(&times, 99)?;
        let width = last.div_ceil(BARS as u64).max(1);
        Some(Self {
            bars: bars(&times, width),
            most: seconds(width * BARS as u64),
            half: seconds(quantile(&times, 50)?),
            ninety: seconds(quantile(&times, 90)?),
            last: seconds(last),
        })
    }
}

/// Returns the quantile of sorted times by the nearest-rank method; `None` without times. `share` is in percent.
fn quantile(times: &[u64], share: usize) -> Option<u64> {
    times.get((times.len() * share).div_ceil(100).saturating_sub(1)).copied()
}

/// Returns the bars of times, each `width` milliseconds wide; the highest is 120 pixels high.
fn bars(times: &[u64], width: u64) -> Vec<Bar> {
    let mut counts = [0_u64; BARS];
    for time in times {
        let bar = usize::try_from(time / width).unwrap_or(BARS).min(BARS - 1);
        counts[bar] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let bar = |(index, rows): (usize, &u64)| Bar {
        x: index * 24,
        height: (rows * HEIGHT).div_ceil(most),
        rows: *rows,
    };
    counts.iter().enumerate().map(bar).collect()
}

/// The number of rows that ended in each slice of the time.
#[derive(Serialize)]
struct Timeline {
    slices: Vec<Slice>,
    /// The time from the first end to the last, and the length of a slice.
    span: String,
    slice: String,
    /// The rows of the highest slice.
    most: u64,
}

/// A slice of the timeline: failed rows are drawn above done rows.
#[derive(Serialize)]
struct Slice {
    /// Position in pixels.
    x: usize,
    done: u64,
    failed: u64,
    /// Heights, in pixels.
    done_height: u64,
    failed_height: u64,
}

impl Timeline {
    /// Returns the timeline; `None` if there are no ends, or all are at the same time.
    fn of(ends: &[(i64, bool)]) -> Option<Self> {
        let times = ends.iter().map(|(at, _)| *at);
        let (first, last) = (times.clone().min()?, times.max()?);
        let span = u64::try_from(last.checked_sub(first)?).ok().filter(|span| *span > 0)?;
        let width = span / SLICES as u64 + 1;
        let counts = slice_counts(ends, first, width);
        let most = counts.iter().map(|(done, failed)| done + failed).max().unwrap_or(1).max(1);
        let slice = |(index, (done, failed)): (usize, &(u64, u64))| Slice {
            x: index * 12,
            done: *done,
            failed: *failed,
            done_height: (done * HEIGHT).div_ceil(most),
            failed_height: (failed * HEIGHT).div_ceil(most),
        };
        let slices = counts.iter().enumerate().map(slice).collect();
        Some(Self { slices, span: seconds(span), slice: seconds(width), most })
    }
}

/// Counts the done and the failed rows that ended in each slice, of `width` milliseconds from the `first` end on.
fn slice_counts(ends: &[(i64, bool)], first: i64, width: u64) -> [(u64, u64); SLICES] {
    let mut counts = [(0, 0); SLICES];
    for (at, is_well) in ends {
        let slice = usize::try_from(at.abs_diff(first) / width).unwrap_or(SLICES).min(SLICES - 1);
        if *is_well { counts[slice].0 += 1 } else { counts[slice].1 += 1 }
    }
    counts
}

/// A row in the form that the template shows.
#[derive(Serialize)]
struct Shown<'a> {
    index: u64,
    state: &'a str,
    row: String,
    result: String,
    time: Option<String>,
}

impl<'a> Shown<'a> {
    /// Shortens the texts of a row, and formats its time.
    fn new(row: &'a RunRow) -> Self {
        Self {
            index: row.index,
            state: &row.state,
            row: cut(&row.row),
            result: cut(&row.result),
            time: row.millis.map(seconds),
        }
    }
}

/// Returns a text of at most [`MAX_SHOWN`] characters; a longer one ends with an ellipsis.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, RunRow, Timeline, bands, seconds};

    #[test]
    fn durations_are_formatted_by_size() {
        assert_eq!([seconds(7), seconds(1_250), seconds(61_000)], ["7 ms", "1.2 s", "1 min 1 s"]);
    }

    #[test]
    fn bands_fill_the_bar_without_a_gap() {
        let phases = [("a".to_owned(), 1), ("b".to_owned(), 0), ("c".to_owned(), 2)];
        let places: Vec<_> = bands(&phases).iter().map(|band| (band.start, band.width)).collect();
        assert_eq!(places, [(0, 333), (333, 667)]);
        assert!(bands(&[]).is_empty());
    }

    #[test]
    fn every_end_is_in_a_slice() {
        let ends: Vec<(i64, bool)> = (0..1_000).map(|n| (1_700_000_000_000 + n * 7, n % 10 > 0)).collect();
        let timeline = Timeline::of(&ends).unwrap();
        let count = |of: fn(&super::Slice) -> u64| timeline.slices.iter().map(of).sum::<u64>();
        assert_eq!((count(|slice| slice.done), count(|slice| slice.failed)), (900, 100));
        assert_eq!((timeline.slices.len(), timeline.span.as_str()), (48, "6.9 s"));
        assert!(Timeline::of(&[]).is_none() && Timeline::of(&[(5, true)]).is_none());
        assert!(
            Timeline::of(&[(i64::MIN, true), (i64::MAX, false)]).is_none(),
            "a span that overflows has no timeline"
        );
    }

    #[test]
    fn every_call_is_in_a_bar() {
        let row = |millis| RunRow { millis, ..RunRow::default() };
        let rows: Vec<RunRow> = (1..=100).map(|n| row(Some(n * 10))).chain([row(None)]).collect();
        let histogram = Histogram::of(&rows).unwrap();
        assert_eq!(histogram.bars.iter().map(|bar| bar.rows).sum::<u64>(), 100);
        assert!(histogram.bars.iter().any(|bar| bar.height == 120));
        assert_eq!((histogram.half.as_str(), histogram.ninety.as_str()), ("500 ms", "900 ms"));
        assert!(Histogram::of(&[row(None)]).is_none());
    }
}
