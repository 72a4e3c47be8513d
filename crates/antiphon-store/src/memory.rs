//! The store in memory: one mutex over plain collections, which are freed with the last handle.

mod jobs;
mod limits;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::coop;

use crate::backend::Joined;
use crate::error::Error;
use crate::filter::RunFilter;
use crate::job::{Answer, Intent, Job, JobRecord, LateResult, Settled, Settlement};
use crate::limit::{LimitDemand, LimitShare};
use crate::record::{NewRun, RunRecord, RunStatus, Tally};
use crate::worker::{Heartbeat, Lease};
use jobs::Jobs;
use state::State;

/// A handle to runs that live as long as the last handle.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
}

/// The lease of a worker, which ends with its guard.
struct Guard {
    memory: Memory,
    run: i64,
    worker: i64,
}

impl Memory {
    pub(crate) async fn find_or_create(&self, new: NewRun, id: String) -> Result<(i64, RunRecord), Error> {
        self.with(|state| Ok(state.find_or_create(new, id))).await
    }

    pub(crate) async fn newest(&self, fingerprint: String) -> Result<Option<(i64, RunRecord)>, Error> {
        self.with(|state| Ok(state.newest(&fingerprint))).await
    }

    pub(crate) async fn join(&self, run: i64, _id: String, lease: Lease) -> Result<Joined, Error> {
        self.with(|state| {
            let (record, worker, interrupted) = state.run(run)?.join(lease);
            let guard = Box::new(Guard { memory: self.clone(), run, worker });
            Ok(Joined { record, worker, interrupted, guard })
        })
        .await
    }

    pub(crate) async fn heartbeat(&self, run: i64, _id: String, worker: i64) -> Result<Heartbeat, Error> {
        self.with(|state| Ok(state.run(run)?.heartbeat(worker))).await
    }

    pub(crate) async fn share_limit(
        &self,
        run: i64,
        worker: i64,
        wanted: LimitDemand,
    ) -> Result<LimitShare, Error> {
        self.with(|state| state.share_limit(run, worker, &wanted)).await
    }

    pub(crate) async fn find(&self, prefix: String) -> Result<Vec<(i64, RunRecord)>, Error> {
        self.with(|state| Ok(state.find(&prefix))).await
    }

    pub(crate) async fn runs_page(
        &self,
        filter: RunFilter,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<(i64, RunRecord)>, Error> {
        self.with(|state| Ok(state.runs_page(&filter, before, most))).await
    }

    pub(crate) async fn workers(&self, run: i64, _id: String) -> Result<u64, Error> {
        self.with(|state| Ok(state.run(run)?.living_workers())).await
    }

    pub(crate) async fn delete(&self, run: i64, id: String) -> Result<u64, Error> {
        self.with(|state| state.delete(run, &id)).await
    }

    pub(crate) async fn status(&self, run: i64) -> Result<RunStatus, Error> {
        self.with(|state| Ok(state.run(run)?.status())).await
    }

    pub(crate) async fn cancel(&self, run: i64) -> Result<RunRecord, Error> {
        self.with(|state| Ok(state.run(run)?.cancel())).await
    }

    pub(crate) async fn set_request(&self, run: i64, request: String) -> Result<(), Error> {
        self.with(|state| state.run(run).map(|run| run.set_request(request))).await
    }

    pub(crate) async fn enqueue(
        &self,
        run: i64,
        first: Option<u64>,
        rows: Vec<String>,
    ) -> Result<u64, Error> {
        self.with(|state| state.run(run)?.jobs.enqueue(first, rows)).await
    }

    pub(crate) async fn seal(&self, run: i64) -> Result<u64, Error> {
        self.with(|state| Ok(state.run(run)?.seal())).await
    }

    pub(crate) async fn claim(&self, run: i64, worker: i64, most: usize) -> Result<Vec<Job>, Error> {
        self.with(|state| Ok(state.run(run)?.claim(worker, most))).await
    }

    pub(crate) async fn release(&self, run: i64, worker: i64, jobs: Vec<u64>) -> Result<(), Error> {
        self.jobs_of(run, |of_run| of_run.release(worker, &jobs)).await
    }

    pub(crate) async fn release_others(&self, run: i64, worker: i64, known: Vec<u64>) -> Result<(), Error> {
        self.jobs_of(run, |jobs| jobs.release_others(worker, &known)).await
    }

    pub(crate) async fn intend(&self, run: i64, worker: i64, intent: Intent) -> Result<u32, Error> {
        self.with(|state| state.run(run)?.intend(worker, &intent)).await
    }

    pub(crate) async fn release_held(&self, run: i64, micros: u64) -> Result<(), Error> {
        self.jobs_of(run, |jobs| jobs.release_held(micros)).await
    }

    pub(crate) async fn settle(
        &self,
        run: i64,
        worker: i64,
        settlement: Settlement,
    ) -> Result<Settled, Error> {
        self.with(|state| state.settle(run, worker, settlement)).await
    }

    pub(crate) async fn late(&self, run: i64, from: u64, most: usize) -> Result<Vec<LateResult>, Error> {
        self.jobs_of(run, |jobs| jobs.late(from, most)).await
    }

    pub(crate) async fn next_due(&self, run: i64) -> Result<Option<i64>, Error> {
        self.jobs_of(run, |jobs| jobs.next_due()).await
    }

    pub(crate) async fn retry_failed(&self, run: i64) -> Result<u64, Error> {
        self.with(|state| Ok(state.run(run)?.retry_failed())).await
    }

    pub(crate) async fn finish(
        &self,
        run: i64,
        worker: Option<i64>,
        status: RunStatus,
        report: String,
    ) -> Result<bool, Error> {
        self.with(|state| state.run(run).map(|run| run.finish(worker, status, report))).await
    }

    pub(crate) async fn tally(&self, run: i64) -> Result<Tally, Error> {
        self.jobs_of(run, |jobs| jobs.tally()).await
    }

    pub(crate) async fn unbounded_intents(&self, run: i64) -> Result<u64, Error> {
        self.jobs_of(run, |jobs| jobs.unbounded_intents()).await
    }

    pub(crate) async fn jobs(&self, run: i64, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.jobs_of(run, |jobs| jobs.records(from, most)).await
    }

    pub(crate) async fn failed(&self, run: i64, from: u64, most: usize) -> Result<Vec<JobRecord>, Error> {
        self.jobs_of(run, |jobs| jobs.failed(from, most)).await
    }

    pub(crate) async fn lost(&self, run: i64, most: usize) -> Result<Vec<u64>, Error> {
        self.jobs_of(run, |jobs| jobs.lost(most)).await
    }

    pub(crate) async fn answers(&self, keys: Vec<[u8; 32]>) -> Result<Vec<Option<Answer>>, Error> {
        self.with(|state| Ok(state.answers(&keys))).await
    }

    pub(crate) async fn set_note(&self, name: String, note: String) -> Result<(), Error> {
        self.with(|state| {
            state.set_note(name, note);
            Ok(())
        })
        .await
    }

    pub(crate) async fn note(&self, name: String) -> Result<Option<String>, Error> {
        self.with(|state| Ok(state.note(&name))).await
    }

    /// Drops this handle: there are no files to wait for.
    pub(crate) async fn close(self) {
        coop::consume_budget().await;
    }

    async fn jobs_of<T>(&self, run: i64, work: impl FnOnce(&mut Jobs) -> T + Send) -> Result<T, Error> {
        self.with(|state| Ok(work(&mut state.run(run)?.jobs))).await
    }

    /// Runs a verb's work under the lock in one step, so that a dropped call cannot leave it half done.
    async fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T, Error> + Send) -> Result<T, Error> {
        // Nothing else in a verb awaits: without this, a loop of verbs would never yield to another task.
        coop::consume_budget().await;
        work(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(run) = self.memory.lock().run(self.run) {
            run.leave(self.worker);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_handle_frees_everything() {
        let memory = Memory::default();
        let state = Arc::downgrade(&memory.state);
        let (run, record) = memory.find_or_create(NewRun::new("f"), "id".to_owned()).await.unwrap();
        let joined = memory.join(run, record.id, Lease::DEFAULT).await.unwrap();
        memory.enqueue(run, None, vec!["row".to_owned()]).await.unwrap();
        memory.close().await;
        assert!(state.upgrade().is_some(), "the worker still has it");
        drop(joined);
        assert!(state.upgrade().is_none());
    }
}
