use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_engine::{RunEvent, Status};
use antiphon_runtime::{Progress, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cli::ProgressMode;
use super::output::Talk;

/// The progress of runs on stderr, driven by their events.
#[derive(Debug, Clone)]
pub(super) struct Live {
    shown: Shown,
    talk: Talk,
    state: Arc<Mutex<State>>,
}

/// The form of progress.
#[derive(Debug, Clone)]
enum Shown {
    Bar(ProgressBar),
    Lines,
    Json,
    Nothing,
}

#[derive(Debug)]
struct State {
    counts: Counts,
    last_line: Option<Instant>,
}

/// The counts of runs whose jobs are whole documents, or of a run over rows.
#[derive(Debug)]
enum Counts {
    Jobs(Jobs),
    Rows(Rows),
}

impl Live {
    /// Creates a display of so many jobs, each of which is a run over documents.
    pub(super) fn of_jobs(mode: ProgressMode, talk: Talk, jobs: usize) -> Self {
        Self::new(mode, talk, Counts::Jobs(Jobs::new(jobs)))
    }

    /// Creates a display of a run over rows.
    pub(super) fn of_rows(mode: ProgressMode, talk: Talk) -> Self {
        Self::new(mode, talk, Counts::Rows(Rows::new()))
    }

    fn new(mode: ProgressMode, talk: Talk, counts: Counts) -> Self {
        let shown = match mode {
            ProgressMode::None => Shown::Nothing,
            _ if talk.is_quiet() => Shown::Nothing,
            ProgressMode::Json => Shown::Json,
            ProgressMode::Auto if std::io::stderr().is_terminal() => Shown::Bar(bar()),
            ProgressMode::Auto | ProgressMode::Plain => Shown::Lines,
        };
        Self { shown, talk, state: Arc::new(Mutex::new(State { counts, last_line: None })) }
    }

    pub(super) fn event(&self, event: &RunEvent) {
        let of_documents = self.state().counts.count(event);
        match event {
            RunEvent::Step { step, steps, message } if of_documents => self.step(*step, *steps, message),
            RunEvent::Loaded { documents, failures, skipped, .. } if of_documents => {
                self.aside(|| self.loaded(*documents, failures, skipped));
            }
            _ => {}
        }
        self.report(of_documents && matches!(event, RunEvent::JobFinished { .. }));
    }

    /// Runs `work`, and reports progress while it is silent: a model may think for minutes.
    pub(super) async fn ticking<T>(&self, mut work: impl Future<Output = T> + Unpin) -> T {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.report(false),
            }
        }
    }

    /// Takes the moving line away; a program gets the last counts of rows, however short the run was.
    pub(super) fn end(&self) {
        match (&self.shown, &self.state().counts) {
            (Shown::Bar(bar), _) => bar.finish_and_clear(),
            (Shown::Json, Counts::Rows(rows)) => rows.json().into_iter().for_each(|json| self.line(&json)),
            _ => {}
        }
    }

    /// Prints something while a line may be moving.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    fn step(&self, step: u32, steps: u32, message: &str) {
        match &self.shown {
            // The last step of a run is in its job's own line.
            Shown::Lines if step < steps => self.talk.line(message),
            Shown::Json => {
                self.line(&json!({ "event": "step", "step": step, "steps": steps, "message": message }));
            }
            _ => {}
        }
    }

    fn loaded(&self, documents: u64, failures: &[String], skipped: &[String]) {
        const MOST: usize = 10;
        for failure in failures.iter().take(MOST) {
            self.talk.warning(&format!("left out {failure}"));
        }
        if let more @ 1.. = failures.len().saturating_sub(MOST) {
            self.talk.warning(&format!("left out {more} more files; run.json names all"));
        }
        if let [first, others @ ..] = skipped {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            self.talk.warning(&format!("passed over {first}{more}: of no known kind"));
        }
        if matches!(self.shown, Shown::Lines) {
            self.talk.line(&format!("{} loaded", counted(documents, "document")));
        }
    }

    /// Reports the counts: on a line that moves at once, on others if `now`, and else from time to time.
    fn report(&self, now: bool) {
        let mut state = self.state();
        let pause = match (&self.shown, &state.counts) {
            (Shown::Nothing, _) => return,
            (Shown::Bar(_), _) => Duration::ZERO,
            (Shown::Json, Counts::Rows(_)) => Duration::from_secs(1),
            (Shown::Json | Shown::Lines, _) => Duration::from_secs(10),
        };
        let last = *state.last_line.get_or_insert_with(Instant::now);
        if !now && last.elapsed() < pause {
            return;
        }
        state.last_line = Some(Instant::now());
        match (&self.shown, &state.counts) {
            (Shown::Json, counts) => counts.json().into_iter().for_each(|json| self.line(&json)),
            (Shown::Bar(bar), counts) => bar.set_message(counts.text().unwrap_or_default()),
            (_, counts) => counts.text().into_iter().for_each(|text| self.talk.line(&text)),
        }
    }

    fn line(&self, json: &Value) {
        self.talk.line(&json.to_string());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Counts an event, and returns whether the runs are over documents.
    fn count(&mut self, event: &RunEvent) -> bool {
        match self {
            Self::Jobs(jobs) => jobs.count(event),
            Self::Rows(rows) => rows.count(event),
        }
        matches!(self, Self::Jobs(_))
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Jobs(jobs) => Some(jobs.text()),
            Self::Rows(rows) => rows.text(),
        }
    }

    fn json(&self) -> Option<Value> {
        match self {
            Self::Jobs(jobs) => Some(jobs.json()),
            Self::Rows(rows) => rows.json(),
        }
    }
}

#[derive(Debug)]
struct Jobs {
    jobs: Progress,
    documents: Progress,
    step: String,
    loading: u64,
    bytes: u64,
    answering: Option<Instant>,
    failed: usize,
    /// The cost of the jobs that have ended; `None`: a price is not known.
    cost: Option<u64>,
}

impl Jobs {
    fn new(jobs: usize) -> Self {
        Self {
            jobs: Progress::new(Some(jobs as u64)),
            documents: Progress::new(None),
            step: String::new(),
            loading: 0,
            bytes: 0,
            answering: None,
            failed: 0,
            cost: Some(0),
        }
    }

    fn count(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Step { message, .. } => self.step.clone_from(message),
            RunEvent::Loading { done, total } => {
                self.documents.advance(done.saturating_sub(self.loading));
                self.loading = *done;
                if self.jobs.snapshot().total == Some(1) {
                    self.documents.set_total(*total);
                }
            }
            RunEvent::Loaded { .. } => self.loading = 0,
            RunEvent::JobStarted => self.answering = Some(Instant::now()),
            RunEvent::Text { bytes } => self.bytes += bytes,
            RunEvent::JobFinished { ok, cost_usd_micros } => {
                self.failed += usize::from(!ok);
                self.cost = self.cost.zip(*cost_usd_micros).map(|(before, cost)| before + cost);
                self.jobs.advance(1);
            }
            _ => {}
        }
    }

    fn text(&self) -> String {
        let (documents, jobs) = (self.documents.snapshot(), self.jobs.snapshot());
        // About four bytes make a token.
        let tokens = self.bytes as f64 / 4.0;
        let answer = |since: Instant| {
            let rate = tokens / since.elapsed().as_secs_f64().max(0.1);
            format!("about {tokens:.0} tokens, {rate:.0}/s")
        };
        let is_loading = documents.total != Some(documents.done);
        joined([
            Some(self.step.clone()).filter(|step| !step.is_empty() && step != "complete"),
            Some(format!("{} documents", of(documents))),
            Some(format!("{} jobs", of(jobs))),
            unless_none(self.failed as u64, "failed"),
            self.answering.filter(|_| self.bytes > 0).map(answer),
            documents.rate.filter(|_| is_loading).map(|rate| format!("{rate:.0} documents/s")),
            left(jobs.eta.or(documents.eta)),
            (jobs.done > 0).then(|| cost(self.cost)),
        ])
    }

    fn json(&self) -> Value {
        let (documents, jobs) = (self.documents.snapshot(), self.jobs.snapshot());
        json!({
            "event": "progress",
            "documents_done": documents.done,
            "documents_total": documents.total,
            "jobs_done": jobs.done,
            "jobs_total": jobs.total,
            "jobs_failed": self.failed,
            "answer_bytes": self.bytes,
            "eta_seconds": jobs.eta.map(|eta| eta.as_secs()),
            "cost_usd_micros": self.cost.filter(|_| jobs.done > 0),
        })
    }
}

#[derive(Debug)]
struct Rows {
    rows: Progress,
    status: Option<Status>,
    /// The time of the first status and its output tokens: the work of earlier processes is no speed of this one.
    began: Option<(Instant, u64)>,
}

impl Rows {
    fn new() -> Self {
        Self { rows: Progress::new(None), status: None, began: None }
    }

    fn count(&mut self, event: &RunEvent) {
        let RunEvent::Progress(status) = event else { return };
        let done = |status: &Status| status.accepted + status.failed;
        self.began.get_or_insert_with(|| (Instant::now(), status.output_tokens));
        let before = done(self.status.as_ref().unwrap_or(status));
        self.rows.advance(done(status).saturating_sub(before));
        if status.is_all {
            self.rows.set_total(status.rows);
        }
        self.status = Some(Status::clone(status));
    }

    fn text(&self) -> Option<String> {
        let (status, rows) = (self.status.as_ref()?, self.rows.snapshot());
        let (began, tokens_before) = self.began?;
        let (seconds, tokens) =
            (began.elapsed().as_secs_f64(), status.output_tokens.saturating_sub(tokens_before));
        let more = if status.is_all { "" } else { "+" };
        let limit = status.limits.map(|limits| match limits.requests_per_second {
            Some(rate) => format!("limit {rate:.1}/s"),
            None => format!("up to {} at once", limits.max_concurrency),
        });
        let paused = status.limits.and_then(|limits| limits.paused_seconds);
        Some(joined([
            Some(format!("{} of {}{more} rows", status.accepted, status.rows)),
            unless_none(status.failed, "failed"),
            unless_none(status.cached, "cached"),
            Some(format!("{} under way", status.under_way)),
            rows.rate.map(|rate| format!("{rate:.1} rows/s")),
            (seconds > 1.0 && tokens > 0).then(|| format!("{:.0} tokens/s", tokens as f64 / seconds)),
            Some(cost(status.cost_usd_micros)),
            left(rows.eta),
            status.bottleneck.map(|phase| format!("most time: {}", phase.told())),
            limit,
            paused.map(|pause| format!("paused for {:.0} s", pause.ceil())),
        ]))
    }

    fn json(&self) -> Option<Value> {
        let (status, rows) = (self.status.as_ref()?, self.rows.snapshot());
        Some(json!({
            "event": "progress",
            "rows": status.rows,
            "rows_are_all": status.is_all,
            "accepted": status.accepted,
            "failed": status.failed,
            "cached": status.cached,
            "calls": status.calls,
            "under_way": status.under_way,
            "input_tokens": status.input_tokens,
            "output_tokens": status.output_tokens,
            "cost_usd_micros": status.cost_usd_micros,
            "possible_usd_micros": status.possible_usd_micros,
            "rows_per_second": rows.rate,
            "eta_seconds": rows.eta.map(|eta| eta.as_secs()),
            "limit_requests_per_second": status.limits.and_then(|limits| limits.requests_per_second),
            "limit_concurrency": status.limits.map(|limits| limits.max_concurrency),
            "bottleneck": status.bottleneck,
        }))
    }
}

/// A cost for people: `$0.0012`, `no cost`, `cost unknown`.
pub(super) fn cost(micros: Option<u64>) -> String {
    match micros {
        None => "cost unknown".to_owned(),
        Some(0) => "no cost".to_owned(),
        Some(micros) => format!("${:.4}", micros as f64 / 1e6),
    }
}

/// `1 document`, `2 documents`.
pub(super) fn counted<N: Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn of(snapshot: Snapshot) -> String {
    match snapshot.total {
        Some(total) => format!("{}/{total}", snapshot.done),
        None => snapshot.done.to_string(),
    }
}

fn unless_none(number: u64, what: &str) -> Option<String> {
    (number > 0).then(|| format!("{number} {what}"))
}

fn left(eta: Option<Duration>) -> Option<String> {
    eta.filter(|eta| !eta.is_zero()).map(|eta| format!("{} s left", eta.as_secs().max(1)))
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use antiphon_engine::RunEvent;
    use serde_json::json;

    use super::{Counts, Jobs, Rows, counted};

    #[track_caller]
    fn check(mut counts: Counts, events: &[RunEvent], text: &str) {
        for event in events {
            counts.count(event);
        }
        assert_eq!(counts.text().unwrap(), text);
    }

    #[test]
    fn runs_over_documents_are_counted_in_documents_and_jobs() {
        let events = [
            RunEvent::Loading { done: 2, total: 2 },
            RunEvent::Step { step: 2, steps: 4, message: "asking".to_owned() },
            RunEvent::JobStarted,
            RunEvent::JobFinished { ok: false, cost_usd_micros: Some(1_200) },
        ];
        let jobs = || Counts::Jobs(Jobs::new(1));
        check(jobs(), &[], "0 documents · 0/1 jobs");
        let text = "asking · 2/2 documents · 1/1 jobs · 1 failed · $0.0012";
        check(jobs(), &events, text);
    }

    #[test]
    fn runs_over_rows_are_counted_in_rows_with_what_limits_them() {
        let status = json!({
            "event": "progress", "rows": 9, "is_all": false, "accepted": 2, "failed": 1, "cached": 1, "calls": 2,
            "under_way": 4, "input_tokens": 1, "output_tokens": 1, "cost_usd_micros": null, "possible_usd_micros": 0,
            "limits": { "requests_per_second": 2.5, "max_concurrency": 4, "in_flight": 4, "paused_seconds": 1.5 },
            "bottleneck": null,
        });
        let event = serde_json::from_value(status).unwrap();
        let text =
            "2 of 9+ rows · 1 failed · 1 cached · 4 under way · cost unknown · limit 2.5/s · paused for 2 s";
        check(Counts::Rows(Rows::new()), &[event], text);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([counted(1_u64, "row"), counted(2_u64, "row")], ["1 row", "2 rows"]);
    }
}
