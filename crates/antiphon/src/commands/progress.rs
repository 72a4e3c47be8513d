//! The progress of runs on stderr, and the formats of counts, costs and tokens that all commands share.
//!
//! Events of the engine drive a `Meter`; `Live` decides when its reading is shown. A run over documents counts
//! documents and jobs, a run over rows counts rows.
//!
//! | form | chosen by | shown |
//! |---|---|---|
//! | live line | `auto` on a terminal | redrawn at each event and each second, as wide as the terminal |
//! | plain lines | `plain`, or `auto` elsewhere | a line every 10 s, for logs |
//! | NDJSON | `json` | an object every second for rows, every 10 s for documents, and each other event |
//! | nothing | `none`, or `--quiet` | - |

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_engine::{Meter, Reading, RunEvent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::cli::ProgressMode;
use super::output::{Talk, end_live_line, set_live_line};
use super::status_line::StatusLine;

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
    /// Whether a language model answers: text statistics have no tokens to count.
    has_model: bool,
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
        let state = State { meter, last_line: None, jobs: 0, has_model: false };
        Self { shown, talk, state: Arc::new(Mutex::new(state)), counted: Arc::default() }
    }

    /// Counts an event, and reports the counts if it is time. The end of a job over documents is always reported.
    ///
    /// Called from the tasks of several runs. The lock is held while the event is printed, so that lines do not mix.
    pub(super) fn event(&self, event: &RunEvent) {
        self.event_of(None, event);
    }

    /// Counts and reports an event as [`event`](Self::event) does. Of several runs, `input` names the one that it is of.
    pub(super) fn event_of(&self, input: Option<&str>, event: &RunEvent) {
        let mut state = self.state();
        state.meter.count(event);
        match event {
            RunEvent::JobStarted => state.jobs += 1,
            RunEvent::JobFinished { .. } => state.jobs = state.jobs.saturating_sub(1),
            RunEvent::Connected { offline, .. } => state.has_model |= !offline,
            RunEvent::Warning { message } => {
                let of_input = input.map(|input| format!("{input}: ")).unwrap_or_default();
                self.talk.warning(&format!("{of_input}{message}"));
            }
            RunEvent::Decoded { file, encoding } if !matches!(self.shown, Shown::Json) => {
                let advice = "use --encoding NAME if the letters are wrong";
                self.talk.warning(&format!("{file}: read as {encoding}; {advice}"));
            }
            _ => {}
        }
        self.counted.notify_waiters();
        self.pass_on(input, event);
        let of_documents = !state.meter.counts_rows();
        if of_documents {
            self.document_event(input, event);
        }
        self.report(state, of_documents && matches!(event, RunEvent::JobFinished { .. }));
    }

    /// Prints an event as JSON, where stderr has events; the frequent ones, which only count, are in the reports.
    fn pass_on(&self, input: Option<&str>, event: &RunEvent) {
        let only_counts =
            matches!(event, RunEvent::Progress(_) | RunEvent::Loading { .. } | RunEvent::Text { .. });
        // A warning is an event of the program, too, of the same form.
        let only_counts = only_counts || matches!(event, RunEvent::Warning { .. });
        if matches!(self.shown, Shown::Json) && !only_counts {
            let mut event = json!(event);
            if let Some(input) = input {
                event["input"] = json!(input);
            }
            self.talk.event(&event);
        }
    }

    /// Prints an event of a run over documents that is not just a count: its steps, and what was loaded.
    fn document_event(&self, input: Option<&str>, event: &RunEvent) {
        let of_input = |message: &str| match input {
            Some(input) if !message.contains(input) => format!("{input}: {message}"),
            _ => message.to_owned(),
        };
        match (event, &self.shown) {
            // The last step of a run is in the line of its job.
            (RunEvent::Step { step, steps, message }, Shown::Lines) if step < steps => {
                self.talk.line(&of_input(message));
            }
            (RunEvent::Joined { run_id, others }, shown) if !matches!(shown, Shown::Json) => {
                let others = match others {
                    1 => "another process".to_owned(),
                    others => format!("{others} other processes"),
                };
                self.talk.line(&format!("run {run_id} is in progress in {others}: its result will be shown"));
            }
            (
                RunEvent::Loaded {
                    documents, failures, skipped, speakers, unclear, unknown_speakers, ..
                },
                _,
            ) => {
                self.loaded(*documents, failures, skipped);
                self.speakers(speakers, unclear);
                if !unknown_speakers.is_empty() {
                    let names = unknown_speakers.join(", ");
                    self.talk.warning(&format!(
                        "no speaker is called {names}; check --interviewer and --participant"
                    ));
                }
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
            Shown::Bar(_) => end_live_line(),
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

    /// Returns whether a language model answers, once a provider was chosen.
    pub(super) fn has_model(&self) -> bool {
        self.state().has_model
    }

    /// Returns the messages on stderr.
    pub(super) fn talk(&self) -> Talk {
        self.talk
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

    /// Reports who was taken for what, of the first ten documents, and warns of documents whose speakers have no clear side.
    fn speakers(&self, speakers: &[String], unclear: &[String]) {
        const MOST: usize = 10;
        if !matches!(self.shown, Shown::Json) {
            speakers.iter().take(MOST).for_each(|line| self.talk.line(line));
            if let more @ 1.. = speakers.len().saturating_sub(MOST) {
                self.talk.line(&format!(
                    "and {} more; run.json lists all speakers",
                    counted(u64::try_from(more).unwrap_or(u64::MAX), "document")
                ));
            }
        }
        if let [first, others @ ..] = unclear {
            let more = and_more(others.len());
            self.talk.warning(&format!(
                "{first}{more}: it is not clear who asks and who answers; name a speaker with --interviewer NAME or \
                 --participant NAME"
            ));
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
        let line = || StatusLine::new(&reading, state.has_model);
        match &self.shown {
            Shown::Json => self.talk.event(&reading),
            Shown::Bar(bar) => bar.set_message(line().fit(width())),
            _ => self.talk.line(&line().whole()),
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

/// Formats a cost for people: `$0.0012`, `no cost`, `cost unknown`. The argument is in millionths of a US dollar;
/// `None` if a price is not known.
pub(super) fn cost(micros: Option<u64>) -> String {
    match micros {
        None => "cost unknown".to_owned(),
        Some(0) => "no cost".to_owned(),
        Some(micros) => dollars(micros),
    }
}

/// Calls without an answer that were possibly billed, of which a cost does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Possible {
    /// The most that they may have cost, in millionths of a US dollar, as far as that is known.
    pub(super) most: u64,
    /// Whether one of them has no known upper bound.
    pub(super) is_unbounded: bool,
}

impl Possible {
    /// Formats a cost with what it may be more: `$0.0012`, `$0.0012, at most $0.0034 more`, `cost unknown`. A cost of nothing
    /// is `no cost` only if no call was possibly billed.
    pub(super) fn beside(self, micros: Option<u64>) -> String {
        match (micros, self) {
            (None | Some(0), Self { is_unbounded: true, .. }) => cost(None),
            (Some(micros), Self { is_unbounded: true, .. }) => {
                format!("{}, and an unknown amount more", cost(Some(micros)))
            }
            (micros, Self { most: 0, .. }) => cost(micros),
            (None, _) => cost(None),
            (Some(micros), Self { most, .. }) => {
                format!("{}, at most {} more", dollars(micros), dollars(most))
            }
        }
    }

    /// Formats a cost for a column of a table: `$0.0012`, `up to $0.0046`, `cost unknown`.
    pub(super) fn in_column(self, micros: Option<u64>) -> String {
        match (micros, self) {
            (_, Self { is_unbounded: true, .. }) => cost(None),
            (micros, Self { most: 0, .. }) => cost(micros),
            (None, _) => cost(None),
            (Some(micros), Self { most, .. }) => format!("up to {}", dollars(micros.saturating_add(most))),
        }
    }
}

/// Formats an amount in millionths of a US dollar, also of nothing: `$0.0012`.
pub(super) fn dollars(micros: u64) -> String {
    format!("${:.4}", micros as f64 / 1e6)
}

/// Formats a cost for a table or after a label: `$0.0012`, `none`, `unknown`.
pub(super) fn price(micros: Option<u64>) -> String {
    match micros {
        None => "unknown".to_owned(),
        Some(0) => "none".to_owned(),
        some => cost(some),
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

/// Formats the number of results whose answers have a mark.
pub(super) fn by_marks(marked: &BTreeMap<String, u64>) -> Vec<String> {
    let words = |name: &str| match name {
        "complete_without_end" => "complete JSON without a natural end".to_owned(),
        "from_reasoning" => "read from the reasoning".to_owned(),
        name => name.replace('_', " "),
    };
    marked.iter().map(|(name, results)| format!("{results} {}", words(name))).collect()
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

/// Creates the live line on stderr. The spinner turns by itself, so that the program is seen to be alive.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    set_live_line(bar.clone());
    bar
}

/// Returns the columns of the terminal that the text of the live line may take: those beside the spinner and the time
/// since the start. A terminal without a known width has 80.
fn width() -> usize {
    const BESIDE: usize = "- ".len() + " 59s".len();
    let size = console::Term::stderr().size_checked();
    size.map_or(80, |(_, columns)| usize::from(columns)).saturating_sub(BESIDE)
}

#[cfg(test)]
mod tests {
    use super::{Possible, counted};

    #[test]
    fn a_cost_says_what_possibly_billed_calls_may_add() {
        let check = |micros, most, is_unbounded, line: &str, column: &str| {
            let possible = Possible { most, is_unbounded };
            assert_eq!((&*possible.beside(micros), &*possible.in_column(micros)), (line, column));
        };
        check(Some(0), 0, false, "no cost", "no cost");
        check(Some(1_200), 0, false, "$0.0012", "$0.0012");
        check(Some(0), 3_400, false, "$0.0000, at most $0.0034 more", "up to $0.0034");
        check(Some(1_200), 3_400, false, "$0.0012, at most $0.0034 more", "up to $0.0046");
        check(Some(0), 0, true, "cost unknown", "cost unknown");
        check(Some(1_200), 3_400, true, "$0.0012, and an unknown amount more", "cost unknown");
        check(None, 3_400, false, "cost unknown", "cost unknown");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([counted(1_u64, "row"), counted(2_u64, "row")], ["1 row", "2 rows"]);
    }
}
