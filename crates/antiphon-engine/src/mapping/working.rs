//! The work on the open run of a mapping: the engine and the writer of results, side by side.
//!
//! ```text
//! rows ─▶ Engine ── outcomes (bounded channel) ─▶ Output ─▶ file or sink
//!           ▲                                       │
//!           └────────── drain, if it fails ─────────┘
//! ```
//!
//! Both are polled by one task. The engine ends first and drops the last sender of outcomes, upon which the writer has
//! all of them. If results cannot be written, no further call begins, since its answer would be paid for without a
//! reader.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::Calls;
use antiphon_store::{Run, Store};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Mapping;
use crate::error::Error;
use crate::event::RunEvent;
use crate::feed::RowSource;
use crate::file_output::is_beside;
use crate::remarks::Remarks;
use crate::results::{Output, Sink, Unwritten};
use crate::served::Served;
use crate::time_spent::TimeSpent;
use crate::{Engine, JobOutcome, Journal, Options, Status, StopCause, UsageQuantiles, Work};

/// The maximum number of outcomes that wait for the writer: the backpressure of a slow destination.
const MAX_OUTCOMES: usize = 1_024;
/// The interval of [`RunEvent::Progress`].
const PROGRESS: Duration = Duration::from_millis(200);
/// The number of calls from which usage replaces that of an earlier run.
const ENOUGH: u64 = 20;

/// The services that work on a run, and the run.
pub(super) struct Worked {
    pub(super) calls: Calls,
    pub(super) store: Store,
    pub(super) run: Arc<Run>,
    pub(super) work: Arc<dyn Work>,
}

/// The end of the work on a run.
pub(super) struct Ended {
    /// The cause of an early end. A failure of the output has precedence over a stop of the engine, which it may have
    /// caused.
    pub(super) stop: Option<StopCause>,
    /// The counters at the end.
    pub(super) status: Status,
    /// The time of the jobs that this process ended.
    pub(super) time: TimeSpent,
    /// The models that gave the results.
    pub(super) served: Served,
    /// The warnings of the run.
    pub(super) remarks: Remarks,
    /// The path of the results, if another file took their name.
    pub(super) beside: Option<PathBuf>,
}

/// The end of the engine's part of the work.
struct Processed {
    stop: Option<StopCause>,
    status: Status,
    time: TimeSpent,
}

impl Mapping {
    /// Runs the engine, and writes results meanwhile.
    ///
    /// # Errors
    /// `Store` if the store cannot be used before the first call. Later failures are the cause of a stop.
    ///
    /// # Cancel safety
    /// A dropped call aborts the calls in progress, which count as possibly billed. A file of results does not get its
    /// name.
    pub(super) async fn work(
        &self,
        worked: Worked,
        rows: Option<RowSource>,
        sink: Sink,
    ) -> Result<Ended, Error> {
        let Worked { calls, store, run, work } = worked;
        let (ended, results) = mpsc::channel(MAX_OUTCOMES);
        // The reader of the results may go; then no call begins.
        let drain = self.options.drain.child_token();
        let options = self.engine_options(drain.clone());
        let usage = UsageNote { store: store.clone(), name: self.usual_name(&calls.provider().scope()) };
        let engine = Engine::new(calls, Journal::new(store, run.clone()), work, options, ended)
            .await
            .map_err(Error::store)?;
        usage.restore(&engine).await?;
        // Earlier results are written before the first call, so that a destination that cannot be written costs nothing.
        let wanted = sink.path();
        let output = match Output::begin(run, self.order, sink).await {
            Ok(output) => output.reporting(self.on_event.clone()),
            Err(unwritten) => return Ok(Ended::before_any_call(&engine, unwritten)),
        };
        let working = self.process(engine, rows, usage);
        let writing = write_results(output, results, &drain);
        let (Processed { stop, status, time }, (written, served, remarks)) = tokio::join!(working, writing);
        let (failed, beside) = outcome_of(written, wanted.as_deref());
        Ok(Ended { stop: failed.or(stop), status, time, served, remarks, beside })
    }

    /// Returns the options of the engine: those of the mapping, with the settings that always come from the recipe.
    fn engine_options(&self, drain: CancellationToken) -> Options {
        let mut options = self.options.clone();
        options.limits.attempts = options.limits.attempts.or(Some(self.recipe.attempts));
        options.cache = self.uses_cache();
        options.allow_cut = self.recipe.allow_cut;
        options.strict |= self.recipe.strict;
        options.drain = drain;
        options
    }

    /// Processes the rows to the end, then stores the usage and hands over the outcomes that could not be stored.
    async fn process(&self, engine: Engine, rows: Option<RowSource>, usage: UsageNote) -> Processed {
        let stop = self.watched(&engine, rows).await;
        let processed = Processed { stop, status: engine.status(), time: engine.time_spent() };
        if let Some(usual) = engine.usual() {
            usage.keep(usual).await;
        }
        engine.hand_over_unsaved().await;
        // This drops the last sender, so that the results are complete.
        drop(engine);
        processed
    }

    /// Runs the engine, and reports its progress five times a second and at the end.
    async fn watched(&self, engine: &Engine, rows: Option<RowSource>) -> Option<StopCause> {
        let work = engine.work(rows);
        tokio::pin!(work);
        let mut ticks = interval(PROGRESS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let progress = || (self.on_event)(RunEvent::Progress(Box::new(engine.status())));
        let stop = loop {
            tokio::select! {
                stop = &mut work => break stop,
                _ = ticks.tick() => progress(),
            }
        };
        progress();
        stop
    }
}

impl Ended {
    /// Returns the end of a run whose earlier results could not be written.
    fn before_any_call(engine: &Engine, unwritten: Unwritten) -> Self {
        let (status, time) = (engine.status(), engine.time_spent());
        let (served, remarks) = (Served::default(), Remarks::default());
        Self { stop: Some(unwritten.into()), status, time, served, remarks, beside: None }
    }
}

impl From<Unwritten> for StopCause {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Unread => Self::Unread,
            Unwritten::Failed(why) => Self::Output(why),
        }
    }
}

/// Writes results until all senders are dropped, and finishes the output. Drains the run if they cannot be written.
async fn write_results(
    mut output: Output,
    mut results: mpsc::Receiver<JobOutcome>,
    drain: &CancellationToken,
) -> (Result<Option<PathBuf>, Unwritten>, Served, Remarks) {
    let followed = output.follow(&mut results).await;
    if followed.is_err() {
        drain.cancel();
    }
    // Answers in progress are in the store, and are counted although they are not written.
    while let Some(outcome) = results.recv().await {
        output.count(&outcome);
    }
    let served = std::mem::take(&mut output.served);
    let remarks = std::mem::take(&mut output.remarks);
    let finished = output.finish().await;
    let written = followed.and(finished);
    if written.is_err() {
        drain.cancel();
    }
    (written, served, remarks)
}

/// Returns the cause of a stop that follows from the output, and the name of results that another file's name kept from
/// theirs. Results beside the `wanted` path are complete, but the caller has to know that they are not where they were
/// expected.
fn outcome_of(
    written: Result<Option<PathBuf>, Unwritten>,
    wanted: Option<&Path>,
) -> (Option<StopCause>, Option<PathBuf>) {
    match written {
        Ok(beside) => {
            let both = wanted.zip(beside.as_deref());
            (both.map(|(wanted, beside)| StopCause::Output(is_beside(wanted, beside))), beside)
        }
        Err(unwritten) => (Some(unwritten.into()), None),
    }
}

/// The note in the store with the usage of a recipe's calls, from which the next run of the recipe learns.
struct UsageNote {
    store: Store,
    name: String,
}

impl UsageNote {
    /// Passes the usage of earlier runs to the engine. A note that cannot be parsed counts as none.
    async fn restore(&self, engine: &Engine) -> Result<(), Error> {
        let note = self.store.note(self.name.clone()).await.map_err(Error::store)?;
        if let Some(usual) = note.and_then(|note| serde_json::from_str(&note).ok()) {
            engine.remember(usual);
        }
        Ok(())
    }

    /// Stores the usage of the calls, unless it is based on a few calls and an earlier one exists. It only improves
    /// estimates, so errors are ignored.
    async fn keep(self, usual: UsageQuantiles) {
        let known = self.store.note(self.name.clone()).await.ok().flatten();
        if known.is_some() && usual.calls < ENOUGH {
            return;
        }
        if let Ok(note) = serde_json::to_string(&usual) {
            let _ = self.store.set_note(self.name, note).await;
        }
    }
}
