use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_engine::{RunEvent, Status};
use antiphon_runtime::Progress;
use serde_json::json;
use tokio::time::Instant;

use super::cli::ProgressMode;
use super::output::Talk;
use super::progress::{HEARTBEAT, Shown, cost};

/// The time between two events for programs.
const A_SECOND: Duration = Duration::from_secs(1);

/// How a run over rows stands, on stderr.
#[derive(Debug, Clone)]
pub(super) struct RowsLive {
    shown: Shown,
    talk: Talk,
    rows: Progress,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    done: u64,
    said: Option<Instant>,
    tokens: u64,
    began: Option<Instant>,
    status: Option<Status>,
}

impl RowsLive {
    pub(super) fn new(mode: ProgressMode, talk: Talk) -> Self {
        Self { shown: Shown::new(mode, talk), talk, rows: Progress::new(None), last: Arc::default() }
    }

    pub(super) fn event(&self, event: &RunEvent) {
        if let RunEvent::Progress(status) = event {
            self.status(status);
        }
    }

    /// Says something while a line may be moving.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(say),
            _ => say(),
        }
    }

    /// Says how things stand: a line that moves at once, others now and then.
    fn status(&self, status: &Status) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let done = status.accepted + status.failed;
        let tokens = status.output_tokens;
        if last.began.is_none() {
            // What earlier processes did is no speed of this one.
            *last = Last { done, tokens, began: Some(Instant::now()), ..Last::default() };
        }
        self.rows.advance(done.saturating_sub(last.done));
        last.done = done;
        last.status = Some(status.clone());
        if status.is_all {
            self.rows.set_total(status.rows);
        }
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_message(self.as_text(status, &last)),
            Shown::Lines | Shown::Json => {
                let said = *last.said.get_or_insert_with(Instant::now);
                let pause = if matches!(self.shown, Shown::Json) { A_SECOND } else { HEARTBEAT };
                if said.elapsed() >= pause {
                    last.said = Some(Instant::now());
                    self.talk.line(&match self.shown {
                        Shown::Json => self.as_json(status),
                        _ => self.as_text(status, &last),
                    });
                }
            }
        }
    }

    /// Takes the moving line away; a program is told how it ended, however short it was.
    pub(super) fn end(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (&self.shown, &last.status) {
            (Shown::Bar(bar), _) => bar.finish_and_clear(),
            (Shown::Json, Some(status)) => self.talk.line(&self.as_json(status)),
            _ => {}
        }
    }

    fn as_text(&self, status: &Status, last: &Last) -> String {
        let rows = self.rows.snapshot();
        let total = if status.is_all { status.rows.to_string() } else { format!("{}+", status.rows) };
        let mut parts = vec![format!("{} of {total} rows", status.accepted)];
        if status.failed > 0 {
            parts.push(format!("{} failed", status.failed));
        }
        if status.cached > 0 {
            parts.push(format!("{} cached", status.cached));
        }
        parts.push(format!("{} under way", status.under_way));
        if let Some(rate) = rows.rate {
            parts.push(format!("{rate:.1} rows/s"));
        }
        let seconds = last.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        if seconds > 1.0 && status.output_tokens > last.tokens {
            parts.push(format!("{:.0} tokens/s", (status.output_tokens - last.tokens) as f64 / seconds));
        }
        parts.push(cost(status.cost_usd_micros));
        if let Some(eta) = rows.eta.filter(|eta| !eta.is_zero()) {
            parts.push(format!("{} s left", eta.as_secs().max(1)));
        }
        parts.extend(status.bottleneck.map(|phase| format!("most time: {}", phase.told())));
        if let Some(limits) = status.limits {
            parts.push(match limits.requests_per_second {
                Some(rate) => format!("limit {rate:.1}/s"),
                None => format!("up to {} at once", limits.max_concurrency),
            });
            parts.extend(limits.paused_seconds.map(|pause| format!("paused for {:.0} s", pause.ceil())));
        }
        parts.join(" · ")
    }

    fn as_json(&self, status: &Status) -> String {
        let rows = self.rows.snapshot();
        let limits = status.limits;
        json!({
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
            "limit_requests_per_second": limits.and_then(|limits| limits.requests_per_second),
            "limit_concurrency": limits.map(|limits| limits.max_concurrency),
            "bottleneck": status.bottleneck,
        })
        .to_string()
    }
}
