//! The progress of runs on stderr, and the formats of counts, costs and tokens that all commands share.
//!
//! Events of the engine drive a `Meter`; `Live` decides when its reading is shown. A run over documents counts
//! documents and jobs, a run over rows counts rows.
//!
//! | form | chosen by | shown |
//! |---|---|---|
//! | live line | `auto` on a terminal | redrawn at each event and each second |
//! | plain lines | `plain`, or `auto` elsewhere | a line every 10 s, for logs |
//! | NDJSON | `json` | an object every second for rows, every 10 s for documents, and each step of documents |
//! | nothing | `none`, or `--quiet` | - |
//!
//! Text on stderr while a live line is shown must be printed by `Live::aside`, or the line is drawn into it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_engine::{DocumentsReading, Meter, Reading, RowsReading, RunEvent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::cli::ProgressMode;
use super::output::Talk;

/// The progress of runs on stderr, driven by their events. Clones share one display and one state, since several runs
/// may be in progress.
#[derive(Debug, Clone)]
pub(super) struct Live {
    shown: Shown,
    talk: Talk,
    state: Arc<Mutex<State>>,
    /// Wakes those who wait for the next event, which may have new counts.
    counted: Arc<Notify>,
}

/// The form of progress.
#[derive(Debug, Clone)]
enum Shown {
    /// One line that is redrawn in place.
    Bar(ProgressBar),
    /// A line of text from time to time.
    Lines,
    /// A JSON object per line (NDJSON) from time to time.
    Json,
    /// No progress; warnings and errors are printed unless `--quiet` is set.
    Nothing,
}

/// The counts, and the time of the last report.
#[derive(Debug)]
struct State {
    meter: Meter,
    /// The time of the last report; `None` before the first event, from which the first pause is measured.
    last_line: Option<Instant>,
    /// Jobs over documents that are in progress.
    jobs: u64,
}

impl Live {
    /// Creates the progress of one command in the form that the mode, `--quiet` and stderr call for.
    pub(super) fn new(mode: ProgressMode, talk: Talk, meter: Meter) -> Self {
        let shown = match mode {
            ProgressMode::None => Shown::Nothing,
            _ if talk.is_quiet() => Shown::Nothing,
            ProgressMode::Json => Shown::Json,
            ProgressMode::Auto if std::io::stderr().is_terminal() => Shown::Bar(bar()),
            ProgressMode::Auto | ProgressMode::Plain => Shown::Lines,
        };
        Self {
            shown,
            talk,
            state: Arc::new(Mutex::new(State { meter, last_line: None, jobs: 0 })),
            counted: Arc::default(),
        }
    }

    /// Counts an event, and reports the counts if it is time. The end of a job over documents is always reported.
    ///
    /// Called from the tasks of several runs. The lock is held while the event is printed, so that lines do not mix.
    pub(super) fn event(&self, event: &RunEvent) {
        let mut state = self.state();
        state.meter.count(event);
        match event {
            RunEvent::JobStarted => state.jobs += 1,
            RunEvent::JobFinished { .. } => state.jobs = state.jobs.saturating_sub(1),
            _ => {}
        }
        self.counted.notify_waiters();
        let of_documents = !state.meter.counts_rows();
        if of_documents {
            self.document_event(event);
        }
        self.report(state, of_documents && matches!(event, RunEvent::JobFinished { .. }));
    }

    /// Prints an event of a run over documents that is not just a count: its steps, and what was loaded.
    fn document_event(&self, event: &RunEvent) {
        match (event, &self.shown) {
            (RunEvent::Step { .. } | RunEvent::Joined { .. }, Shown::Json) => {
                self.talk.line(&json!(event).to_string())
            }
            // The last step of a run is in the line of its job.
            (RunEvent::Step { step, steps, message }, Shown::Lines) if step < steps => {
                self.talk.line(message);
            }
            (RunEvent::Joined { run_id, others }, _) => self.aside(|| {
                let others = if *others == 1 {
                    "another process".to_owned()
                } else {
                    format!("{others} other processes")
                };
                self.talk.line(&format!("run {run_id} is in progress in {others}: its result will be shown"));
            }),
            (RunEvent::Loaded { documents, failures, skipped, .. }, _) => {
                self.aside(|| self.loaded(*documents, failures, skipped));
            }
            _ => {}
        }
    }

    /// Runs `work`, and reports progress every second: a model may work for minutes without an event.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`, with the consequences that `work` documents.
    pub(super) async fn ticking<T>(&self, mut work: impl Future<Output = T> + Unpin) -> T {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.report(self.state(), false),
            }
        }
    }

    /// Removes the live line; for programs, prints the last counts of rows, however short the run was.
    pub(super) fn end(&self) {
        let state = self.state();
        match &self.shown {
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Json if state.meter.counts_rows() => self.report(state, true),
            _ => {}
        }
    }

    /// Counts the jobs in progress, each of which waits for an answer. Counts of rows arrive periodically, so this waits up to
    /// 500 ms for the next one.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub(super) async fn in_progress(&self) -> u64 {
        const COUNTS: Duration = Duration::from_millis(500);
        let counted = self.counted.notified();
        if self.state().meter.counts_rows() {
            let _ = timeout(COUNTS, counted).await;
        }
        let state = self.state();
        match state.meter.read() {
            Some(Reading::Rows(rows)) => rows.in_flight,
            _ => state.jobs,
        }
    }

    /// Returns the messages on stderr, for use within [`aside`](Self::aside).
    pub(super) fn talk(&self) -> Talk {
        self.talk
    }

    /// Prints something while a live line may be shown.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    /// Reports the files that were left out, the first ten by name, and the number of documents.
    fn loaded(&self, documents: u64, failures: &[String], skipped: &[String]) {
        const MOST: usize = 10;
        for failure in failures.iter().take(MOST) {
            self.talk.warning(&format!("left out {failure}"));
        }
        if let more @ 1.. = failures.len().saturating_sub(MOST) {
            self.talk.warning(&format!("left out {more} more files; run.json lists all"));
        }
        if let [first, others @ ..] = skipped {
            let more = and_more(others.len());
            self.talk.warning(&format!("skipped {first}{more}: unknown type"));
        }
        if matches!(self.shown, Shown::Lines) {
            self.talk.line(&format!("{} loaded", counted(documents, "document")));
        }
    }

    /// Reports the counts: always on a live line, elsewhere if `now` or after a pause since the last report.
    fn report(&self, mut state: MutexGuard<'_, State>, now: bool) {
        let Some(pause) = self.pause(&state.meter) else { return };
        let last = *state.last_line.get_or_insert_with(Instant::now);
        if !now && last.elapsed() < pause {
            return;
        }
        state.last_line = Some(Instant::now());
        let Some(reading) = state.meter.read() else { return };
        match &self.shown {
            Shown::Json => self.talk.line(&json!(reading).to_string()),
            Shown::Bar(bar) => bar.set_message(text(&reading)),
            _ => self.talk.line(&text(&reading)),
        }
    }

    /// Returns the pause between two reports; `None` if nothing is shown.
    fn pause(&self, meter: &Meter) -> Option<Duration> {
        match &self.shown {
            Shown::Nothing => None,
            Shown::Bar(_) => Some(Duration::ZERO),
            Shown::Json if meter.counts_rows() => Some(Duration::from_secs(1)),
            Shown::Json | Shown::Lines => Some(Duration::from_secs(10)),
        }
    }

    /// Locks the state. A panic elsewhere while it was locked does not end the progress.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats a reading as one line: the parts that have a value, separated by dots.
fn text(reading: &Reading) -> String {
    let parts = match reading {
        Reading::Documents(reading) => of_documents(reading),
        Reading::Rows(reading) => of_rows(reading),
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Returns the parts of the line of a run over documents, in order; `None` for one that does not apply.
fn of_documents(reading: &DocumentsReading) -> Vec<Option<String>> {
    let of =
        |done: u64, total: Option<u64>| total.map_or(done.to_string(), |total| format!("{done}/{total}"));
    let (documents, jobs) = (reading.documents_done, reading.jobs_done);
    let loading = reading.documents_per_second.filter(|_| reading.documents_total != Some(documents));
    vec![
        Some(reading.step.clone()).filter(|step| !step.is_empty() && step != "complete"),
        Some(format!("{} documents", of(documents, reading.documents_total))),
        Some(format!("{} jobs", of(jobs, reading.jobs_total))),
        unless_none(reading.jobs_failed, "failed"),
        answer_rate(reading),
        loading.map(|rate| format!("{rate:.0} documents/s")),
        left(reading.time_left),
        (jobs > 0).then(|| cost(reading.cost_usd_micros)),
    ]
}

/// Formats the length and the rate of the answer that is being streamed, at about four bytes a token: the number of
/// tokens is not known before the answer ends.
fn answer_rate(reading: &DocumentsReading) -> Option<String> {
    let tokens = reading.answer_bytes as f64 / 4.0;
    let since = reading.answering.filter(|_| tokens > 0.0)?;
    Some(format!("about {tokens:.0} tokens, {:.0}/s", tokens / since.as_secs_f64().max(0.1)))
}

/// Returns the parts of the line of a run over rows, in order; `None` for one that does not apply. The total has a `+`
/// while rows are still being read.
fn of_rows(reading: &RowsReading) -> Vec<Option<String>> {
    let more = if reading.rows_are_all { "" } else { "+" };
    vec![
        Some(format!("{} of {}{more} rows", reading.accepted, reading.rows)),
        unless_none(reading.failed, "failed"),
        unless_none(reading.cached, "cached"),
        Some(format!("{} in progress", reading.in_flight)),
        (reading.processes > 1).then(|| format!("{} processes", reading.processes)),
        reading.rows_per_second.map(|rate| format!("{rate:.1} rows/s")),
        reading.tokens_per_second.map(|rate| format!("{rate:.0} tokens/s")),
        Some(cost(reading.cost_usd_micros)),
        left(reading.time_left),
        reading.bottleneck.map(|phase| format!("bottleneck: {}", phase.label())),
        limit(reading),
        waiting(reading),
    ]
}

/// Formats the wait that the provider asked for or that the open circuit breaker causes.
fn waiting(reading: &RowsReading) -> Option<String> {
    reading.waiting.map(|wait| format!("waits {:.0} s for {}", wait.seconds.ceil(), wait.phase.awaited()))
}

/// Formats the limit that the run has met: the rate limit of the provider, else the concurrency limit at present.
fn limit(reading: &RowsReading) -> Option<String> {
    let rate = reading.limit_requests_per_second.map(|rate| format!("limit {rate:.1}/s"));
    rate.or(reading.limit_concurrency.map(|most| format!("up to {most} concurrent")))
}

/// Formats a cost for people: `$0.0012`, `no cost`, `cost unknown`. The argument is in millionths of a US dollar;
/// `None` if a price is not known.
pub(super) fn cost(micros: Option<u64>) -> String {
    match micros {
        None => "cost unknown".to_owned(),
        Some(0) => "no cost".to_owned(),
        Some(micros) => format!("${:.4}", micros as f64 / 1e6),
    }
}

/// Formats input and output tokens for a table: `12 input, 34 output`, `unknown`.
pub(super) fn tokens(asked: Option<u64>, answered: Option<u64>) -> String {
    asked
        .zip(answered)
        .map_or("unknown".to_owned(), |(asked, answered)| format!("{asked} input, {answered} output"))
}

/// Formats input and output tokens for a sentence: `12 input and 34 output tokens`, `tokens unknown`.
pub(super) fn in_tokens(asked: Option<u64>, answered: Option<u64>) -> String {
    match asked.zip(answered) {
        Some((asked, answered)) => format!("{asked} input and {answered} output tokens"),
        None => "tokens unknown".to_owned(),
    }
}

/// Whether the model that answered is another one than the requested one, and not just a more precise name of it, such
/// as one with a date at the end.
pub(super) fn is_other_model(served: &str, asked: &str) -> bool {
    !served.starts_with(asked)
}

/// Formats the number of results by other models than the requested one, such as fallbacks.
pub(super) fn by_others(served: &BTreeMap<String, u64>, asked: &str) -> Vec<String> {
    let others = served.iter().filter(|(model, _)| is_other_model(model, asked));
    others.map(|(model, results)| format!("{results} by {model}")).collect()
}

/// Formats a count: `1 document`, `2 documents`.
pub(super) fn counted<N: Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Formats the number of things that a list leaves out: ` and 3 more`; empty if it is complete.
pub(super) fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

/// Formats a number with its label; `None` for 0.
fn unless_none(number: u64, what: &str) -> Option<String> {
    (number > 0).then(|| format!("{number} {what}"))
}

/// Formats the time that is left, at least 1 s; `None` if it is not known or has passed.
fn left(eta: Option<Duration>) -> Option<String> {
    eta.filter(|eta| !eta.is_zero()).map(|eta| format!("{} s left", eta.as_secs().max(1)))
}

/// Creates the live line on stderr. The spinner turns by itself, so that the program is seen to be alive.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use antiphon_engine::{Meter, RunEvent};
    use serde_json::json;

    use super::{counted, text};

    #[track_caller]
    fn check(mut meter: Meter, events: &[RunEvent], expected: &str) {
        for event in events {
            meter.count(event);
        }
        assert_eq!(text(&meter.read().unwrap()), expected);
    }

    #[test]
    fn runs_over_documents_are_counted_in_documents_and_jobs() {
        let events = [
            RunEvent::Loading { done: 2, total: 2 },
            RunEvent::Step { step: 2, steps: 4, message: "asking".to_owned() },
            RunEvent::JobStarted,
            RunEvent::JobFinished { ok: false, cost_usd_micros: Some(1_200) },
        ];
        check(Meter::of_documents(1), &[], "0 documents · 0/1 jobs");
        let expected = "asking · 2/2 documents · 1/1 jobs · 1 failed · $0.0012";
        check(Meter::of_documents(1), &events, expected);
    }

    #[test]
    fn runs_over_rows_are_counted_in_rows_with_what_limits_them() {
        let status = json!({
            "event": "progress", "rows": 9, "is_all": false, "accepted": 2, "failed": 1, "cached": 1, "calls": 2,
            "in_flight": 4, "input_tokens": 1, "output_tokens": 1, "cost_usd_micros": null, "possible_usd_micros": 0,
            "limits": { "requests_per_second": 2.5, "max_concurrency": 4, "in_flight": 4, "paused_seconds": 1.5 },
            "bottleneck": null, "waiting": { "phase": "limiter", "seconds": 1.5 }, "processes": 2,
        });
        let event = serde_json::from_value(status).unwrap();
        let expected = "2 of 9+ rows · 1 failed · 1 cached · 4 in progress · 2 processes · cost unknown · limit 2.5/s · waits 2 s for the provider's limit";
        check(Meter::of_rows(), &[event], expected);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([counted(1_u64, "row"), counted(2_u64, "row")], ["1 row", "2 rows"]);
    }
}
