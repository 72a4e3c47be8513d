use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_engine::RunEvent;
use antiphon_runtime::{Progress, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

use super::cli::ProgressMode;
use super::output::Talk;

/// The time between two lines on how things stand, where lines do not move.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// What is under way, on stderr.
#[derive(Debug, Clone)]
pub(super) struct Live {
    shown: Shown,
    talk: Talk,
    jobs: Progress,
    documents: Progress,
    state: Arc<Mutex<State>>,
}

/// How progress is shown.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Bar(ProgressBar),
    Lines,
    Json,
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    step: String,
    loading: u64,
    bytes: u64,
    answering: Option<Instant>,
    failed: usize,
    cost_usd_micros: Option<u64>,
    cost_unknown: bool,
    last_line: Option<Instant>,
}

impl Shown {
    pub(super) fn new(mode: ProgressMode, talk: Talk) -> Self {
        match mode {
            ProgressMode::None => Self::Nothing,
            _ if talk.is_quiet() => Self::Nothing,
            ProgressMode::Json => Self::Json,
            ProgressMode::Auto if std::io::stderr().is_terminal() => Self::Bar(bar()),
            ProgressMode::Auto | ProgressMode::Plain => Self::Lines,
        }
    }
}

impl Live {
    pub(super) fn new(mode: ProgressMode, talk: Talk, jobs: usize) -> Self {
        Self {
            shown: Shown::new(mode, talk),
            talk,
            jobs: Progress::new(Some(jobs as u64)),
            documents: Progress::new(None),
            state: Arc::default(),
        }
    }

    fn step(&self, step: u32, steps: u32, message: &str) {
        self.state().step = message.to_owned();
        match &self.shown {
            // The last step of a run is told by its job's own line.
            Shown::Lines if step < steps => self.talk.line(message),
            Shown::Json => self.talk.line(
                &json!({ "event": "step", "step": step, "steps": steps, "message": message }).to_string(),
            ),
            _ => self.redraw(),
        }
    }

    pub(super) fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::Step { step, steps, message } => return self.step(*step, *steps, message),
            RunEvent::Loading { done, total } => {
                let mut state = self.state();
                self.documents.advance(done.saturating_sub(state.loading));
                state.loading = *done;
                if self.jobs.snapshot().total == Some(1) {
                    self.documents.set_total(*total);
                }
            }
            RunEvent::Loaded { documents, failures, skipped, .. } => {
                self.state().loading = 0;
                self.loaded(*documents, failures, skipped);
            }
            RunEvent::JobStarted => self.state().answering = Some(Instant::now()),
            RunEvent::Text { bytes } => self.state().bytes += bytes,
            RunEvent::JobFinished { ok, cost_usd_micros } => {
                let mut state = self.state();
                state.failed += usize::from(!ok);
                match cost_usd_micros {
                    Some(cost) => *state.cost_usd_micros.get_or_insert(0) += cost,
                    None => state.cost_unknown = true,
                }
                drop(state);
                self.jobs.advance(1);
                self.said(true);
            }
            _ => {}
        }
        self.said(false);
    }

    /// Runs `work`, and says how things stand while it is silent: a model may think for minutes.
    pub(super) async fn ticking<T>(&self, mut work: impl Future<Output = T> + Unpin) -> T {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.said(false),
            }
        }
    }

    /// Takes the moving line away.
    pub(super) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    /// Says something while a line may be moving.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(say),
            _ => say(),
        }
    }

    fn loaded(&self, documents: u64, failures: &[String], skipped: &[String]) {
        const MOST: usize = 10;
        self.aside(|| {
            for failure in failures.iter().take(MOST) {
                self.talk.warning(&format!("left out {failure}"));
            }
            if failures.len() > MOST {
                self.talk
                    .warning(&format!("left out {} more files; run.json names all", failures.len() - MOST));
            }
            if let Some(first) = skipped.first() {
                let more = match skipped.len() {
                    1 => String::new(),
                    all => format!(" and {} more", all - 1),
                };
                self.talk.warning(&format!("passed over {first}{more}: of no known kind"));
            }
            if matches!(self.shown, Shown::Lines) {
                let documents = usize::try_from(documents).unwrap_or(usize::MAX);
                self.talk.line(&format!("{} loaded", counted(documents, "document")));
            }
        });
    }

    /// Says how things stand: at once if something ended, else only now and then.
    fn said(&self, ended: bool) {
        match &self.shown {
            Shown::Bar(_) => self.redraw(),
            Shown::Nothing => {}
            Shown::Lines | Shown::Json => {
                let mut state = self.state();
                let last = *state.last_line.get_or_insert_with(Instant::now);
                if !ended && last.elapsed() < HEARTBEAT {
                    return;
                }
                state.last_line = Some(Instant::now());
                let text = match &self.shown {
                    Shown::Json => self.as_json(&state),
                    _ => self.as_text(&state),
                };
                drop(state);
                self.talk.line(&text);
            }
        }
    }

    fn redraw(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_message(self.as_text(&self.state()));
        }
    }

    fn as_text(&self, state: &State) -> String {
        let (documents, jobs) = (self.documents.snapshot(), self.jobs.snapshot());
        let mut parts = vec![format!("{} documents", of(documents)), format!("{} jobs", of(jobs))];
        if state.failed > 0 {
            parts.push(format!("{} failed", state.failed));
        }
        if let Some(since) = state.answering.filter(|_| state.bytes > 0) {
            let seconds = since.elapsed().as_secs_f64().max(0.1);
            // About four bytes make a token.
            let tokens = state.bytes as f64 / 4.0;
            parts.push(format!("about {tokens:.0} tokens, {:.0}/s", tokens / seconds));
        }
        match (documents.rate, documents.total) {
            (Some(rate), total) if total != Some(documents.done) => {
                parts.push(format!("{rate:.0} documents/s"))
            }
            _ => {}
        }
        if let Some(eta) = jobs.eta.or(documents.eta).filter(|eta| !eta.is_zero()) {
            parts.push(format!("{} s left", eta.as_secs().max(1)));
        }
        if state.cost_unknown || state.cost_usd_micros.is_some() {
            parts.push(cost(state.cost_usd_micros.filter(|_| !state.cost_unknown)));
        }
        match state.step.as_str() {
            "" | "complete" => parts.join(" · "),
            step => format!("{step} · {}", parts.join(" · ")),
        }
    }

    fn as_json(&self, state: &State) -> String {
        let (documents, jobs) = (self.documents.snapshot(), self.jobs.snapshot());
        json!({
            "event": "progress",
            "documents_done": documents.done,
            "documents_total": documents.total,
            "jobs_done": jobs.done,
            "jobs_total": jobs.total,
            "jobs_failed": state.failed,
            "answer_bytes": state.bytes,
            "eta_seconds": jobs.eta.map(|eta| eta.as_secs()),
            "cost_usd_micros": if state.cost_unknown { None } else { state.cost_usd_micros },
        })
        .to_string()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
pub(super) fn counted(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

fn of(snapshot: Snapshot) -> String {
    match snapshot.total {
        Some(total) => format!("{}/{total}", snapshot.done),
        None => snapshot.done.to_string(),
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
