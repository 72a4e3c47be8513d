use std::time::Duration;

use antiphon_engine::{Cause, LONG_RUN, RowSummary, RunInfo, RunSummary};
use antiphon_pipeline::Persona;
use minijinja::value::Serde;
use serde::Serialize;

use crate::blocking::blocking;
use crate::error::RenderError;
use crate::site::{environment, grouped};

const TEMPLATE: &str = include_str!("report.html");

/// The report of a run as one HTML page: its outcome, cost, time by phase, failures and rows.
///
/// All fields are public, so that a caller may add custom facts and figures before rendering. The page shows at
/// most the rows that the summary was read with.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RunPage {
    /// The title.
    pub title: String,
    /// Facts about the run, as names and values.
    pub facts: Vec<(String, String)>,
    /// Figures of the outcome, as names and values.
    pub figures: Vec<(String, String)>,
    /// The time of all rows by phase, in milliseconds, in the order of the phases.
    pub phases: Vec<(String, u64)>,
    /// Advice on how to make the run faster.
    pub advice: Option<String>,
    /// The end of each row, in milliseconds since 1970, and whether it has a result.
    #[serde(skip)]
    pub ends: Vec<(i64, bool)>,
    /// The causes of failed rows.
    pub causes: Vec<RunCause>,
    /// The personas of a persona run.
    pub personas: Vec<Persona>,
    /// The rows to show.
    pub rows: Vec<RunRow>,
    /// The number of all rows of the run, of which `rows` may be a part.
    pub all_rows: u64,
}

/// Rows that failed for the same reason.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RunCause {
    /// The name of the error.
    pub error: String,
    /// Number of rows.
    pub rows: u64,
    /// The message of one of them.
    pub message: String,
}

/// One row of a run.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RunRow {
    /// The index, from 0.
    pub index: u64,
    /// The state: `done`, `failed` or `left`.
    pub state: String,
    /// The text of the row.
    pub row: String,
    /// The result, or the reason why it is missing.
    pub result: String,
    /// The time of its calls in milliseconds, if any were made.
    pub millis: Option<u64>,
}

/// Maximum characters to show of a row and of a result.
const MAX_SHOWN: usize = 400;
/// Number of bars of the histogram.
const BARS: usize = 24;

impl RunPage {
    /// Creates the page of a run, with the personas that it made.
    #[must_use]
    pub fn new(summary: RunSummary, personas: Vec<Persona>) -> Self {
        let RunSummary { info, causes, phases_ms, ends, rows, .. } = summary;
        let report = info.report.clone().unwrap_or_default();
        // File names may be names of people (PII).
        let is_anonymised = report["anonymised"].is_object();
        let input = if is_anonymised { "documents without names" } else { &info.input };
        let is_long = report["time"]["wall_ms"].as_u64().map(Duration::from_millis) >= Some(LONG_RUN);
        let row = |row: RowSummary| {
            let shown = if is_anonymised { input.to_owned() } else { row.row };
            let RowSummary { index, state, result, millis, .. } = row;
            RunRow { index, state: state.to_owned(), row: shown, result, millis }
        };
        let cause = |of: Cause| RunCause { error: of.error, rows: of.rows, message: of.message };
        let mut page = Self {
            title: format!("{input} with {}", info.recipe.as_deref().unwrap_or_default()),
            facts: facts(&info, report["provider"].as_str()),
            phases: phases_ms.into_iter().map(|(phase, millis)| (phase.label().to_owned(), millis)).collect(),
            // Advice on a short run is meaningless.
            advice: report["time"]["advice"].as_str().filter(|_| is_long).map(str::to_owned),
            ends,
            causes: causes.into_iter().map(cause).collect(),
            personas,
            rows: rows.into_iter().map(row).collect(),
            all_rows: info.rows,
            figures: Vec::new(),
        };
        page.add_figures(&info);
        page
    }

    fn add_figures(&mut self, info: &RunInfo) {
        let cost = match info.cost_usd_micros {
            None => "unknown".to_owned(),
            Some(0) => "none".to_owned(),
            Some(micros) => format!("${:.4}", micros as f64 / 1e6),
        };
        self.count("Rows done", info.accepted);
        self.count("Failed", info.failed);
        self.count("Left", info.rows - info.accepted - info.failed);
        self.count("Calls", info.calls);
        for (name, tokens) in [("Tokens asked", info.input_tokens), ("Tokens answered", info.output_tokens)] {
            match tokens {
                Some(tokens) => self.count(name, tokens),
                None => self.figures.push((name.to_owned(), "unknown".to_owned())),
            }
        }
        self.figures.push(("Cost".to_owned(), cost));
        self.count("Possibly billed calls", info.possibly_billed_calls);
    }

    /// Adds a figure that is a count.
    pub fn count(&mut self, name: impl Into<String>, number: u64) {
        self.figures.push((name.into(), grouped(number)));
    }

    /// Renders the page: one self-contained file, with a search that needs no server. This method is CPU-bound and blocks for
    /// large runs: in async code use [`html`](Self::html).
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

/// Returns the facts about a run, as names and values.
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
    duration: String,
    share: u64,
}

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

#[derive(Serialize)]
struct Bar {
    /// In pixels.
    x: usize,
    height: u64,
    rows: u64,
}

impl Histogram {
    fn of(rows: &[RunRow]) -> Option<Self> {
        let mut times: Vec<u64> = rows.iter().filter_map(|row| row.millis).collect();
        times.sort_unstable();
        let quantile =
            |share: usize| times.get((times.len() * share).div_ceil(100).saturating_sub(1)).copied();
        let last = quantile(99)?;
        let width = last.div_ceil(BARS as u64).max(1);
        let mut counts = [0_u64; BARS];
        for time in &times {
            let bar = usize::try_from(time / width).unwrap_or(BARS).min(BARS - 1);
            counts[bar] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1);
        let bar = |(index, rows): (usize, &u64)| Bar {
            x: index * 24,
            height: (rows * 120).div_ceil(most),
            rows: *rows,
        };
        Some(Self {
            bars: counts.iter().enumerate().map(bar).collect(),
            most: seconds(width * BARS as u64),
            half: seconds(quantile(50)?),
            ninety: seconds(quantile(90)?),
            last: seconds(last),
        })
    }
}

/// The number of rows that ended in each slice of the time.
#[derive(Serialize)]
struct Timeline {
    slices: Vec<Slice>,
    /// The time from the first end to the last, and the length of a slice.
    span: String,
    slice: String,
    most: u64,
}

#[derive(Serialize)]
struct Slice {
    /// In pixels.
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
        const SLICES: usize = 48;
        const HEIGHT: u64 = 120;
        let (first, last) = ends
            .iter()
            .map(|(at, _)| *at)
            .fold((i64::MAX, i64::MIN), |(first, last), at| (first.min(at), last.max(at)));
        let span = u64::try_from(last.checked_sub(first)?).ok().filter(|span| *span > 0)?;
        let width = span / SLICES as u64 + 1;
        let mut counts = [(0_u64, 0_u64); SLICES];
        for (at, is_well) in ends {
            let slice = usize::try_from(at.abs_diff(first) / width).unwrap_or(SLICES).min(SLICES - 1);
            if *is_well { counts[slice].0 += 1 } else { counts[slice].1 += 1 }
        }
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
