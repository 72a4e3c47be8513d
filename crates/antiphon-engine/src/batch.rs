//! Runs over a few rows in memory.
//!
//! A [`JobBatch`] is a part of a larger operation, such as one stage of a pipeline: the caller needs the outcomes as
//! values, and knows all rows before the first call. In contrast to a [`Mapping`](crate::Mapping) there is no input
//! file and no result file, and the identity of a run is the digest of its kind and its prompts.

use std::sync::Arc;

use antiphon_llm::{CacheKey, Calls, Scope};
use antiphon_store::{NewRun, Run, Store};
use tokio::sync::mpsc;

use crate::engine::{Engine, JobOutcome, Journal, Options};
use crate::error::Error;
use crate::stop::StopCause;
use crate::work::Work;

/// A run over a few rows in memory whose outcomes the caller needs directly, such as one stage of a pipeline. For tables of any
/// size, with results in a file, use [`Mapping`](crate::Mapping).
///
/// Opening a batch of the same kind, with the same prompts at the same provider, in the same store resumes the earlier run: no
/// call is sent for a row that has a result.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobBatch {
    /// The kind of the run in the store, such as `map`. Batches of different kinds are different runs, even with the same
    /// prompts.
    pub kind: String,
    /// The request as JSON, which is stored with the run; it must not contain a secret. Default: `null`.
    pub request: String,
    /// The rows: texts of JSON objects.
    pub rows: Vec<String>,
    /// Whether an earlier run of the same prompts is ignored and a new one started. Default: no, it is resumed.
    pub fresh: bool,
}

/// The outcomes of a run's jobs in this process.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// One outcome for each job that ended in this call, in no particular order. Results of jobs that ended in an earlier process
    /// are not repeated here: read them from the run in the store.
    pub outcomes: Vec<JobOutcome>,
    /// The reason why the run stopped before all its jobs ended; `None` if all ended.
    pub stop: Option<StopCause>,
}

impl JobBatch {
    /// Creates a batch of rows.
    #[must_use]
    pub fn new(kind: impl Into<String>, rows: Vec<String>) -> Self {
        Self { kind: kind.into(), request: "null".to_owned(), rows, fresh: false }
    }

    /// Opens the run of this batch in `store`: the newest run of the same kind with the same prompts at the same provider, or a
    /// new one. Jobs that failed in an earlier process are queued again.
    ///
    /// # Errors
    /// `Config` for a row from which no prompt can be made; `Store` where the store cannot be used.
    ///
    /// # Cancel safety
    /// A dropped call may leave a run without some of its jobs; the next call of this method adds them.
    pub async fn open(&self, store: &Store, calls: &Calls, work: &dyn Work) -> Result<Arc<Run>, Error> {
        let new = NewRun::new(self.fingerprint(&calls.provider().scope(), work)?);
        let new = new.request(&self.kind, &self.request).fresh(self.fresh);
        let run = store.open_run(new).await.map_err(Error::store)?;
        run.retry_failed().await.map_err(Error::store)?;
        // A call that was dropped may have left a run without some of its jobs, or without its total.
        if run.record().total.is_none() {
            // Another worker may enqueue the same rows at the same time: `enqueue_from` adds each once.
            run.enqueue_from(0, self.rows.clone()).await.map_err(Error::store)?;
            run.seal().await.map_err(Error::store)?;
        }
        Ok(Arc::new(run))
    }

    /// Returns the fingerprint of the run: a digest of its kind and of the cache keys of all prompts, in row order.
    ///
    /// # Errors
    /// `Config` for the first row from which no prompt can be made.
    fn fingerprint(&self, scope: &Scope, work: &dyn Work) -> Result<String, Error> {
        let mut hash = blake3::Hasher::new();
        hash.update(self.kind.as_bytes());
        for row in &self.rows {
            let prompt =
                work.prompt(row).map_err(|err| Error::new(crate::ErrorKind::Config, err.to_string()))?;
            hash.update(&CacheKey::of(scope, &prompt).bytes());
        }
        Ok(hash.finalize().to_hex().to_string())
    }
}

impl Engine {
    /// Processes all jobs of a run and returns their outcomes; each is also passed to `on_outcome` when its job ends.
    ///
    /// # Errors
    /// The store's error, if the run cannot be read before the first call. The cause of a later stop is in
    /// [`BatchOutcome::stop`]; results that could not be stored are among the outcomes, since they were paid for.
    ///
    /// # Cancel safety
    /// A dropped call aborts the calls in progress, which count as possibly billed; accepted results are kept.
    pub async fn run_all(
        calls: Calls,
        journal: Journal,
        work: Arc<dyn Work>,
        options: Options,
        mut on_outcome: impl FnMut(&JobOutcome) + Send,
    ) -> Result<BatchOutcome, antiphon_store::Error> {
        let (ended, mut results) = mpsc::channel(256);
        let engine = Self::new(calls, journal, work, options, ended).await?;
        let mut outcomes = Vec::new();
        let take = |outcome: JobOutcome| {
            on_outcome(&outcome);
            outcomes.push(outcome);
        };
        let stop = engine.work_into(&mut results, take).await;
        outcomes.extend(engine.take_unsaved());
        Ok(BatchOutcome { outcomes, stop })
    }

    /// Processes all jobs of the run, and passes each outcome to `take` when its job ends. Returns the cause of a stop.
    ///
    /// # Cancel safety
    /// A dropped call loses the outcomes that are still in the channel; their settlements are in the store.
    async fn work_into(
        &self,
        results: &mut mpsc::Receiver<JobOutcome>,
        mut take: impl FnMut(JobOutcome) + Send,
    ) -> Option<StopCause> {
        let mut working = std::pin::pin!(self.work(None));
        let stop = loop {
            tokio::select! {
                stop = &mut working => break stop,
                Some(outcome) = results.recv() => take(outcome),
            }
        };
        // The outcomes of the last jobs may still be in the channel.
        while let Ok(outcome) = results.try_recv() {
            take(outcome);
        }
        stop
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use antiphon_llm::Stack;
    use antiphon_store::{NewRun, Store};

    use super::JobBatch;
    use crate::engine::{Engine, Journal};
    use crate::error::ErrorKind;
    use crate::fixtures::{Numbers, Scripted, answer, options};

    #[tokio::test]
    async fn a_batch_with_the_same_prompts_is_the_same_run() {
        let (store, rows) = (Store::in_memory(), vec!["a".to_owned(), "b".to_owned()]);
        let script = ["[1, 2, 3]", "[4, 5, 6]"].map(|items| Ok(answer(&format!("{{\"items\": {items}}}"))));
        let calls = Stack::new(Scripted::new(Duration::ZERO, script)).calls();
        let mut batch = JobBatch::new("numbers", rows);
        let run = batch.open(&store, &calls, &Numbers).await.unwrap();
        let mut reported = 0;
        let work = Arc::new(Numbers);
        let made =
            Engine::run_all(calls.clone(), Journal::new(store.clone(), run.clone()), work, options(), |_| {
                reported += 1
            });
        let made = made.await.unwrap();
        assert_eq!((made.outcomes.len(), reported, made.stop.is_none()), (2, 2, true));
        let id = run.record().id.clone();
        drop(run);
        let again = batch.open(&store, &calls, &Numbers).await.unwrap();
        assert_eq!((again.record().id.clone(), again.tally().await.unwrap().accepted), (id.clone(), 2));
        drop(again);
        batch.fresh = true;
        assert_ne!(batch.open(&store, &calls, &Numbers).await.unwrap().record().id, id);
        batch.rows.push("bad".to_owned());
        let err = batch.open(&store, &calls, &Numbers).await.unwrap_err();
        assert_eq!((err.kind(), err.to_string().as_str()), (ErrorKind::Config, "a bad row"));
    }

    #[tokio::test]
    async fn a_run_that_a_dropped_call_left_is_completed() {
        let (store, rows) = (Store::in_memory(), vec!["a".to_owned(), "b".to_owned()]);
        let calls = Stack::new(Scripted::new(Duration::ZERO, [])).calls();
        let batch = JobBatch::new("numbers", rows.clone());
        // A call that was dropped behind the first row, and one that was dropped before the run was sealed.
        for enqueued in [1, 2] {
            let fingerprint = batch.fingerprint(&calls.provider().scope(), &Numbers).unwrap();
            let new = NewRun::new(fingerprint).request("numbers", "null").fresh(true);
            let run = store.open_run(new).await.unwrap();
            run.enqueue_from(0, rows[..enqueued].to_vec()).await.unwrap();
            drop(run);
            let run = batch.open(&store, &calls, &Numbers).await.unwrap();
            let record = store.read_run(&run.record().id).await.unwrap().record().clone();
            assert_eq!((run.tally().await.unwrap().jobs(), record.total), (2, Some(2)), "{enqueued}");
        }
    }
}
