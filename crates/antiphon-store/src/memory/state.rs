//! The contents of a store in memory: runs with their workers, cached answers, notes and shared limits.
//!
//! Each method is one verb of a back end, carried out under the lock of the handle. So every verb is atomic, as it is
//! in SQLite by a transaction.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::jobs::Jobs;
use super::limits::Limits;
use crate::backend::now;
use crate::error::{Error, ErrorKind};
use crate::filter::RunFilter;
use crate::job::{Answer, Intent, Job, Settled, Settlement};
use crate::limit::{LimitDemand, LimitShare};
use crate::record::{NewRun, RunRecord, RunStatus};
use crate::worker::{Heartbeat, Interrupted, LEFT, Lease, Seen};

/// The contents of a store in memory. Its methods are synchronous: the handle holds the lock.
#[derive(Default)]
pub(super) struct State {
    /// Runs by their number, which grows with each new run.
    runs: BTreeMap<i64, Entry>,
    by_id: BTreeMap<String, i64>,
    newest_by_fingerprint: HashMap<String, i64>,
    last_run: i64,
    /// Cached answers by the digest of their prompt, each with the run that stored it.
    answers: HashMap<[u8; 32], (i64, Answer)>,
    notes: HashMap<String, String>,
    limits: Limits,
}

/// A run with its jobs.
pub(super) struct Entry {
    record: RunRecord,
    pub(super) jobs: Jobs,
    workers: BTreeMap<i64, Seen>,
    last_worker: i64,
}

impl State {
    pub(super) fn find_or_create(&mut self, new: NewRun, id: String) -> (i64, RunRecord) {
        let found = self.newest(&new.fingerprint);
        if let Some(found) = found.filter(|(_, run)| !new.fresh && run.status != RunStatus::Cancelled) {
            return found;
        }
        self.last_run += 1;
        let seq = self.last_run;
        let record = RunRecord {
            id,
            fingerprint: new.fingerprint,
            kind: new.kind,
            request: new.request,
            status: RunStatus::Open,
            total: None,
            created_at: now(),
            ended_at: None,
            report: None,
        };
        self.by_id.insert(record.id.clone(), seq);
        self.newest_by_fingerprint.insert(record.fingerprint.clone(), seq);
        let entry =
            Entry { record: record.clone(), jobs: Jobs::default(), workers: BTreeMap::new(), last_worker: 0 };
        self.runs.insert(seq, entry);
        (seq, record)
    }

    pub(super) fn newest(&self, fingerprint: &str) -> Option<(i64, RunRecord)> {
        let seq = self.newest_by_fingerprint.get(fingerprint)?;
        Some((*seq, self.runs.get(seq)?.record.clone()))
    }

    pub(super) fn run(&mut self, seq: i64) -> Result<&mut Entry, Error> {
        self.runs.get_mut(&seq).ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such run"))
    }

    /// Returns the first two runs whose id begins with `prefix`: two show that the prefix is ambiguous.
    pub(super) fn find(&self, prefix: &str) -> Vec<(i64, RunRecord)> {
        let from = self.by_id.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let fitting = from.take_while(|(id, _)| id.starts_with(prefix)).take(2);
        fitting.filter_map(|(_, seq)| Some((*seq, self.runs.get(seq)?.record.clone()))).collect()
    }

    pub(super) fn runs_page(
        &self,
        filter: &RunFilter,
        before: Option<i64>,
        most: usize,
    ) -> Vec<(i64, RunRecord)> {
        let newest_first = self.runs.range(..before.unwrap_or(i64::MAX)).rev();
        let selected = newest_first.filter(|(_, run)| filter.selects(&run.record)).take(most);
        selected.map(|(seq, run)| (*seq, run.record.clone())).collect()
    }

    /// Deletes a run without living workers, and returns their number.
    pub(super) fn delete(&mut self, run: i64, id: &str) -> Result<u64, Error> {
        let living = self.run(run)?.living_workers();
        if living > 0 {
            return Ok(living);
        }
        if let Some(entry) = self.runs.remove(&run) {
            self.forget_newest(run, &entry.record.fingerprint);
        }
        self.by_id.remove(id);
        self.answers.retain(|_, (owner, _)| *owner != run);
        self.notes.retain(|name, _| !is_note_of(name, id));
        Ok(0)
    }

    /// Makes the newest of the other runs with this fingerprint the newest one, if it was this run.
    fn forget_newest(&mut self, run: i64, fingerprint: &str) {
        if self.newest_by_fingerprint.get(fingerprint) != Some(&run) {
            return;
        }
        let older = self.runs.iter().rev().find(|(_, other)| other.record.fingerprint == fingerprint);
        match older.map(|(seq, _)| *seq) {
            Some(seq) => self.newest_by_fingerprint.insert(fingerprint.to_owned(), seq),
            None => self.newest_by_fingerprint.remove(fingerprint),
        };
    }

    pub(super) fn settle(
        &mut self,
        run: i64,
        worker: i64,
        mut settlement: Settlement,
    ) -> Result<Settled, Error> {
        let answer = settlement.answer.take();
        let settled = self.run(run)?.jobs.settle(worker, settlement)?;
        self.answers.extend(answer.map(|(key, answer)| (key, (run, answer))));
        Ok(settled)
    }

    pub(super) fn share_limit(
        &mut self,
        run: i64,
        worker: i64,
        wanted: &LimitDemand,
    ) -> Result<LimitShare, Error> {
        let me = self.run(run)?.alive(worker);
        let runs = &self.runs;
        let lives = |(run, worker)| {
            let seen = runs.get(&run).and_then(|entry| entry.workers.get(&worker));
            seen.is_some_and(|seen| !me.outlives(seen))
        };
        Ok(self.limits.share((run, worker), wanted, lives))
    }

    pub(super) fn answers(&self, keys: &[[u8; 32]]) -> Vec<Option<Answer>> {
        keys.iter().map(|key| self.answers.get(key).map(|(_, answer)| answer.clone())).collect()
    }

    pub(super) fn set_note(&mut self, name: String, note: String) {
        self.notes.insert(name, note);
    }

    pub(super) fn note(&self, name: &str) -> Option<String> {
        self.notes.get(name).cloned()
    }
}

impl Entry {
    pub(super) fn living_workers(&self) -> u64 {
        let now = now();
        self.workers.values().filter(|seen| seen.is_alive(now)).count() as u64
    }

    /// Adds a worker, and takes over the jobs of dead ones.
    pub(super) fn join(&mut self, lease: Lease) -> (RunRecord, i64, Vec<Interrupted>) {
        self.last_worker += 1;
        self.workers.retain(|_, seen| seen.lease != LEFT);
        self.workers.insert(self.last_worker, Seen::new(now(), lease));
        let interrupted = self.jobs.take_over(|worker| self.workers.contains_key(&worker));
        (self.record.clone(), self.last_worker, interrupted)
    }

    /// Renews a worker's lease, and takes over the jobs of workers whose lease has ended.
    pub(super) fn heartbeat(&mut self, worker: i64) -> Heartbeat {
        let me = self.alive(worker);
        let before = self.workers.len();
        self.workers.retain(|id, seen| *id == worker || !me.outlives(seen));
        let interrupted = if self.workers.len() < before {
            self.jobs.take_over(|worker| self.workers.contains_key(&worker))
        } else {
            Vec::new()
        };
        Heartbeat { status: self.record.status, others: self.workers.len() as u64 - 1, interrupted }
    }

    /// Records an intent of a worker and registers it again if it was declared dead: a worker that holds a job must be known, so
    /// that its death is noticed.
    pub(super) fn intend(&mut self, worker: i64, intent: &Intent) -> Result<u32, Error> {
        let attempt = self.jobs.intend(worker, intent)?;
        self.workers.entry(worker).or_insert_with(|| Seen::new(now(), Lease::DEFAULT));
        Ok(attempt)
    }

    /// Claims jobs for a worker, and renews its lease.
    pub(super) fn claim(&mut self, worker: i64, most: usize) -> Vec<Job> {
        self.alive(worker);
        let jobs = self.jobs.claim(worker, most);
        if !jobs.is_empty() && self.record.status == RunStatus::Stopped {
            // A worker has resumed the run, and may die without a word.
            (self.record.status, self.record.ended_at) = (RunStatus::Open, None);
        }
        jobs
    }

    /// Renews the lease of a worker, also of one that was declared dead.
    fn alive(&mut self, worker: i64) -> Seen {
        let seen = self.workers.entry(worker).or_insert_with(|| Seen::new(now(), Lease::DEFAULT));
        seen.beat(now());
        *seen
    }

    /// Ends the lease of a worker that leaves. Another worker takes over its jobs.
    pub(super) fn leave(&mut self, worker: i64) {
        if let Some(seen) = self.workers.get_mut(&worker) {
            seen.lease = LEFT;
        }
    }

    /// Records that the input has been enqueued as a whole, and returns the number of its jobs.
    pub(super) fn seal(&mut self) -> u64 {
        let total = self.jobs.len();
        self.record.total = Some(total);
        total
    }

    pub(super) fn retry_failed(&mut self) -> u64 {
        let queued = self.jobs.retry_failed();
        if queued > 0 {
            self.set_status(RunStatus::Stopped);
        }
        queued
    }

    /// Stores the end of a run with its report. Returns `false`, and stores nothing, for a stop that arrives after the
    /// run has finished. A run that one worker stops stays open while others work on it.
    pub(super) fn finish(&mut self, worker: Option<i64>, status: RunStatus, report: String) -> bool {
        let is_alive = |(id, seen): (&i64, &Seen)| Some(*id) != worker && seen.lease != LEFT;
        // A run that one worker stops stays open while others work on it.
        let tally = self.jobs.tally();
        let has_ended = self.record.status == RunStatus::Finished && tally.queued + tally.intended == 0;
        if has_ended && status == RunStatus::Stopped {
            return false;
        }
        self.record.report = Some(report);
        let is_shown_again = status == RunStatus::Finished && self.record.status == RunStatus::Finished;
        if status != RunStatus::Stopped || !self.workers.iter().any(is_alive) {
            self.set_status(status);
            self.record.ended_at = self.record.ended_at.filter(|_| is_shown_again).or(Some(now()));
        }
        true
    }

    pub(super) fn status(&self) -> RunStatus {
        self.record.status
    }

    /// Cancels the run, unless it has finished; workers observe that with their next heartbeat.
    pub(super) fn cancel(&mut self) -> RunRecord {
        match self.record.status {
            RunStatus::Finished | RunStatus::Cancelled => {}
            RunStatus::Open | RunStatus::Stopped => {
                (self.record.status, self.record.ended_at) = (RunStatus::Cancelled, Some(now()));
            }
        }
        self.record.clone()
    }

    pub(super) fn set_request(&mut self, request: String) {
        self.record.request = request;
    }

    /// Changes the status unless the run was cancelled.
    fn set_status(&mut self, status: RunStatus) {
        if self.record.status != RunStatus::Cancelled {
            self.record.status = status;
        }
    }
}

/// Returns whether a note is one of a run: its name ends in `/` and the run's id.
fn is_note_of(name: &str, id: &str) -> bool {
    name.strip_suffix(id).is_some_and(|rest| rest.ends_with('/'))
}
