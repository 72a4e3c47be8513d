//! The jobs of a run in memory: claims, intents and settlements, with the same rules as in SQLite.
//!
//! ```text
//! Queued ──intend──> Intended ──settle──> Accepted | Failed | PutBack | Queued
//!    ^                   │
//!    └── worker is dead ─┘  (its call counts as possibly billed)
//! ```
//!
//! A settlement counts for the job only if its worker still holds it (fencing by worker and attempt). One that comes
//! from a worker that was declared dead is late: its bill replaces the reservation, and its result is kept or used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::backend::now;
use crate::error::Error;
use crate::job::{Bill, Intent, Job, JobRecord, JobState, LateResult, Settled, Settlement};
use crate::record::Tally;
use crate::worker::Interrupted;

/// The jobs of one run. Ordered sets index the jobs by state, so that no verb scans ended ones, and the tally is updated with
/// each change.
#[derive(Default)]
pub(super) struct Jobs {
    jobs: Vec<Entry>,
    /// Queued or put back, and held by no worker.
    free: BTreeSet<u64>,
    /// Held by a worker.
    held: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    /// Jobs with possibly billed calls, in any state.
    possibly_billed: BTreeSet<u64>,
    /// The calls of dead workers, by job and attempt, with their reservations: a settlement may still arrive.
    lost_attempts: BTreeMap<(u64, u32), Option<u64>>,
    /// Settlements that arrived when another worker had the job, by job and attempt, with their results.
    late: BTreeMap<(u64, u32), Option<Box<str>>>,
    /// The digests of unique values, each with the job that has it.
    unique: HashMap<[u8; 16], u64>,
    tally: Tally,
}

/// One job, kept small, since a run may have millions.
struct Entry {
    row: Box<str>,
    state: JobState,
    attempt: u32,
    /// The worker that holds the job, or that ended it.
    worker: Option<i64>,
    /// The newest attempt that was settled.
    settled: Option<u32>,
    due: Option<i64>,
    reserved: Option<u64>,
    bill: Bill,
    result: Option<Box<str>>,
    error: Option<Box<(String, String)>>,
    timings: Box<[u32]>,
    settled_at: Option<i64>,
}

impl Jobs {
    /// Returns the number of jobs.
    pub(super) fn len(&self) -> u64 {
        self.jobs.len() as u64
    }

    /// Returns the counts and costs of all jobs, which are kept up to date with each change.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns the number of calls in progress for which no upper bound of the cost is known.
    pub(super) fn unbounded_intents(&self) -> u64 {
        let held = self.held.iter().filter_map(|index| self.get(*index));
        held.filter(|job| job.state == JobState::Intended && job.reserved.is_none()).count() as u64
    }

    /// Adds jobs and returns their number. With `from`, the index of the first row, rows that were added before are
    /// skipped, so that several workers can enqueue the same input.
    pub(super) fn enqueue(&mut self, from: Option<u64>, rows: Vec<String>) -> Result<u64, Error> {
        let first = self.len();
        let known = first.checked_sub(from.unwrap_or(first)).ok_or_else(|| Error::gap(first))?;
        let new = rows.into_iter().skip(usize::try_from(known).unwrap_or(usize::MAX));
        self.jobs.extend(new.map(Entry::new));
        self.free.extend(first..self.len());
        self.tally.queued += self.len() - first;
        Ok(self.len())
    }

    /// Leases the first jobs that are due and that no worker holds.
    pub(super) fn claim(&mut self, worker: i64, most: usize) -> Vec<Job> {
        let now = now();
        let is_due = |index: &u64| self.get(*index).is_some_and(|job| job.due.is_none_or(|due| due <= now));
        let indexes: Vec<u64> = self.free.iter().copied().filter(is_due).take(most).collect();
        for index in &indexes {
            self.change(*index, |job| {
                (job.state, job.worker, job.due) = (JobState::Queued, Some(worker), None)
            });
        }
        indexes.into_iter().filter_map(|index| Some(self.get(index)?.to_do(index))).collect()
    }

    /// Gives back jobs of which no call is in progress. Jobs of other workers are left alone.
    pub(super) fn release(&mut self, worker: i64, jobs: &[u64]) {
        for index in jobs {
            if self.get(*index).is_some_and(|job| job.worker == Some(worker) && job.is_waiting()) {
                self.change(*index, |job| job.worker = None);
            }
        }
    }

    /// Gives back the jobs of a worker that it does not know of, after a claim whose reply was lost.
    pub(super) fn release_others(&mut self, worker: i64, known: &[u64]) {
        let held: Vec<u64> = self.held.iter().copied().filter(|index| !known.contains(index)).collect();
        self.release(worker, &held);
    }

    /// Returns jobs in ascending order from an index on.
    pub(super) fn records(&self, from: u64, most: usize) -> Vec<JobRecord> {
        let later = usize::try_from(from).ok().and_then(|from| self.jobs.get(from..)).unwrap_or_default();
        (from..).zip(later).take(most).map(|(index, job)| job.record(index)).collect()
    }

    /// Returns failed jobs in ascending order from an index on.
    pub(super) fn failed(&self, from: u64, most: usize) -> Vec<JobRecord> {
        let entries = self.failed.range(from..).filter_map(|index| Some((*index, self.get(*index)?)));
        entries.take(most).map(|(index, job)| job.record(index)).collect()
    }

    /// Returns the first jobs with possibly billed calls.
    pub(super) fn lost(&self, most: usize) -> Vec<u64> {
        self.possibly_billed.iter().take(most).copied().collect()
    }

    /// Returns the time at which the next job that was put back is due; `None` if none is waited for.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.free.iter().filter_map(|index| self.get(*index)?.due).min()
    }

    /// Returns results that arrived too late to be used, in ascending order of their jobs.
    pub(super) fn late(&self, from: u64, most: usize) -> Vec<LateResult> {
        let results =
            self.late.range((from, 0)..).filter_map(|(key, result)| Some((*key, result.as_deref()?)));
        results
            .take(most)
            .map(|((index, attempt), result)| LateResult::new(index, attempt, result.to_owned()))
            .collect()
    }

    /// Records that a call is about to be sent (write-ahead), and returns its attempt. The budget is checked against
    /// the cost and the reservations of all workers.
    pub(super) fn intend(&mut self, worker: i64, intent: &Intent) -> Result<u32, Error> {
        let index = intent.index;
        let job = self.get(index).ok_or_else(|| Error::job_ended(index))?;
        if job.state.is_end() {
            // A caller that names the attempts has held the job: another worker has ended it meanwhile.
            return Err(if intent.attempt.is_some() {
                Error::fenced(index)
            } else {
                Error::job_ended(index)
            });
        }
        if !job.is_held_by(worker) || intent.attempt.is_some_and(|attempt| attempt != job.attempt) {
            return Err(Error::fenced(index));
        }
        if let Some(max_cost) = intent.max_cost {
            // A call that is sent again has its reservation already.
            let committed = self.tally.committed().saturating_sub(job.reserved.unwrap_or(0));
            if committed.saturating_add(intent.reserved.unwrap_or(0)) > max_cost {
                return Err(Error::over_budget(committed, max_cost));
            }
        }
        self.change(index, |job| {
            job.attempt = job.attempt.saturating_add(1);
            (job.state, job.worker, job.due, job.reserved) =
                (JobState::Intended, Some(worker), None, intent.reserved);
        });
        self.get(index).map(|job| job.attempt).ok_or_else(|| Error::job_ended(index))
    }

    /// Records the end of a call. Settling an attempt twice has no further effect.
    pub(super) fn settle(&mut self, worker: i64, settlement: Settlement) -> Result<Settled, Error> {
        let (index, attempt) = (settlement.index, settlement.attempt);
        let job = self.get(index).ok_or_else(|| Error::job_ended(index))?;
        let is_newest = attempt.is_none_or(|attempt| attempt == job.attempt);
        let is_settled = attempt.is_some() && job.settled == attempt && job.worker == Some(worker);
        if is_settled && (job.state.is_end() || settlement.bill.calls > 0) {
            return Ok(Settled::Stored);
        }
        // If no worker holds the job, the attempt may have been counted as possibly billed.
        let is_lost = job.worker.is_none()
            && attempt.is_some_and(|attempt| self.lost_attempts.contains_key(&(index, attempt)));
        if !job.state.is_end() && job.is_held_by(worker) && is_newest && !is_lost {
            self.take_unique(&settlement)?;
            // The worker was declared dead, and holds the job again.
            let lost = attempt.and_then(|attempt| self.lost_attempts.remove(&(index, attempt)));
            if let Some(reserved) = lost {
                self.discharge(index, reserved);
            }
            self.charge(index, &settlement.bill);
            self.apply(worker, settlement);
            return Ok(Settled::Stored);
        }
        match attempt {
            None if job.state.is_end() => Err(Error::job_ended(index)),
            None => Err(Error::fenced(index)),
            Some(attempt) => self.settle_late(worker, attempt, settlement),
        }
    }

    /// Registers the unique values of a settlement: all of them or none.
    fn take_unique(&mut self, settlement: &Settlement) -> Result<(), Error> {
        for (at, digest) in settlement.unique.iter().enumerate() {
            if let Some(other) = self.unique.get(digest).filter(|other| **other != settlement.index) {
                return Err(Error::not_unique(settlement.index, at, *other));
            }
        }
        self.unique.extend(settlement.unique.iter().map(|digest| (*digest, settlement.index)));
        Ok(())
    }

    /// Stores a settlement in its job, except for the bill.
    fn apply(&mut self, worker: i64, settlement: Settlement) {
        let Settlement { index, attempt, state, result, error, due, timings, .. } = settlement;
        self.change(index, |job| {
            job.settled = Some(attempt.unwrap_or(job.attempt));
            (job.state, job.worker, job.due, job.reserved) = (state, Some(worker), due, None);
            job.result = result.map(String::into_boxed_str);
            job.error = error.map(Box::new);
            job.timings = timings.into_boxed_slice();
            job.settled_at = Some(now());
        });
    }

    /// Settles an attempt of a worker that no longer holds the job: its bill replaces its reservation, and a result is kept.
    fn settle_late(&mut self, worker: i64, attempt: u32, settlement: Settlement) -> Result<Settled, Error> {
        let (index, is_result) = (settlement.index, settlement.state == JobState::Accepted);
        let key = (index, attempt);
        if self.late.contains_key(&key) {
            return if is_result { Ok(Settled::Late) } else { Err(Error::fenced(index)) };
        }
        let Some(reserved) = self.lost_attempts.remove(&key) else { return Err(Error::fenced(index)) };
        self.discharge(index, reserved);
        self.charge(index, &settlement.bill);
        if !is_result {
            self.late.insert(key, None);
            return Err(Error::fenced(index));
        }
        let Some(job) = self.get(index) else { return Err(Error::job_ended(index)) };
        if job.state == JobState::Accepted || self.take_unique(&settlement).is_err() {
            self.late.insert(key, settlement.result.map(String::into_boxed_str));
            return Ok(Settled::Late);
        }
        let Some(job) = self.get(index) else { return Err(Error::job_ended(index)) };
        if job.state == JobState::Intended {
            // Another worker's call is in progress: its result will be late.
            let (attempt, reserved) = (job.attempt, job.reserved);
            self.lose(index, attempt, reserved);
        }
        self.apply(worker, settlement);
        Ok(Settled::Stored)
    }

    /// Queues the jobs of dead workers again: their calls in progress count as possibly billed, with the most that they may have
    /// cost.
    pub(super) fn take_over(&mut self, is_alive: impl Fn(i64) -> bool) -> Vec<Interrupted> {
        let mut interrupted = Vec::new();
        let held: Vec<u64> = self.held.iter().copied().collect();
        for index in held {
            let Some(job) = self.get(index).filter(|job| !job.worker.is_some_and(&is_alive)) else {
                continue;
            };
            if job.state == JobState::Intended {
                let (attempt, reserved) = (job.attempt, job.reserved);
                interrupted.push(Interrupted::new(index, reserved));
                self.lose(index, attempt, reserved);
                self.change(index, |job| (job.state, job.reserved) = (JobState::Queued, None));
            }
            self.change(index, |job| job.worker = None);
        }
        interrupted
    }

    /// Queues all failed jobs again, and returns their number.
    pub(super) fn retry_failed(&mut self) -> u64 {
        let failed = std::mem::take(&mut self.failed);
        for index in &failed {
            self.change(*index, |job| {
                (job.state, job.worker, job.result, job.error) = (JobState::Queued, None, None, None);
            });
        }
        failed.len() as u64
    }

    fn get(&self, index: u64) -> Option<&Entry> {
        self.jobs.get(usize::try_from(index).ok()?)
    }

    fn get_mut(&mut self, index: u64) -> Option<&mut Entry> {
        self.jobs.get_mut(usize::try_from(index).ok()?)
    }

    /// Changes a job, and updates the sets and the tally with it.
    fn change(&mut self, index: u64, change: impl FnOnce(&mut Entry)) {
        let Some(job) = self.get_mut(index) else { return };
        let (before, reserved) = ((job.state, job.worker.is_some()), job.reserved.unwrap_or(0));
        change(job);
        let after = (job.state, job.worker.is_some());
        let reserved_now = job.reserved.unwrap_or(0);
        self.tally.reserved = self.tally.reserved.saturating_sub(reserved).saturating_add(reserved_now);
        *self.tally.jobs_in(before.0) -= 1;
        *self.tally.jobs_in(after.0) += 1;
        if let Some(set) = self.set_of(before.0, before.1) {
            set.remove(&index);
        }
        if let Some(set) = self.set_of(after.0, after.1) {
            set.insert(index);
        }
    }

    /// Returns the set that jobs in this state are in.
    fn set_of(&mut self, state: JobState, is_held: bool) -> Option<&mut BTreeSet<u64>> {
        match state {
            JobState::Accepted => None,
            JobState::Failed => Some(&mut self.failed),
            _ if is_held => Some(&mut self.held),
            _ => Some(&mut self.free),
        }
    }

    /// Adds a bill to a job and to the tally.
    fn charge(&mut self, index: u64, bill: &Bill) {
        let Some(job) = self.get_mut(index) else { return };
        job.bill.add(bill);
        if bill.possibly_billed > 0 {
            self.possibly_billed.insert(index);
        }
        self.tally.add(bill);
    }

    /// Reduces the part of the budget that is held back for possibly billed calls.
    pub(super) fn release_held(&mut self, micros: u64) {
        self.tally.held = self.tally.held.saturating_sub(micros);
    }

    /// Counts a call as possibly billed, until its settlement arrives.
    fn lose(&mut self, index: u64, attempt: u32, reserved: Option<u64>) {
        self.charge(index, &Bill::none().possibly_billed(1, reserved));
        self.lost_attempts.insert((index, attempt), reserved);
    }

    /// No longer counts a call as possibly billed.
    fn discharge(&mut self, index: u64, reserved: Option<u64>) {
        let lost = Bill::none().possibly_billed(1, reserved);
        self.tally.take_back(&lost);
        let Some(job) = self.get_mut(index) else { return };
        job.bill.take_back(&lost);
        if job.bill.possibly_billed == 0 {
            self.possibly_billed.remove(&index);
        }
    }
}

impl Entry {
    /// Creates a queued job.
    fn new(row: String) -> Self {
        Self {
            row: row.into_boxed_str(),
            state: JobState::Queued,
            attempt: 0,
            worker: None,
            settled: None,
            due: None,
            reserved: None,
            bill: Bill::none(),
            result: None,
            error: None,
            timings: Box::default(),
            settled_at: None,
        }
    }

    /// Returns whether a worker may change the job: no other holds it.
    fn is_held_by(&self, worker: i64) -> bool {
        self.worker.is_none_or(|holder| holder == worker)
    }

    /// Returns whether the job has not ended and no call is in progress.
    fn is_waiting(&self) -> bool {
        matches!(self.state, JobState::Queued | JobState::PutBack)
    }

    /// Returns the job as its worker gets it.
    fn to_do(&self, index: u64) -> Job {
        let kept = self.result.as_deref().map(str::to_owned);
        Job { index, row: self.row.to_string(), attempt: self.attempt, kept }
    }

    /// Returns the job as readers get it.
    fn record(&self, index: u64) -> JobRecord {
        JobRecord {
            index,
            state: self.state,
            row: self.row.to_string(),
            attempt: self.attempt,
            bill: self.bill,
            result: self.result.as_deref().map(str::to_owned),
            error: self.error.as_deref().cloned(),
            timings: self.timings.to_vec(),
            settled_at: self.settled_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the tally as counted from all jobs.
    fn counted(jobs: &Jobs) -> Tally {
        let mut tally = Tally::default();
        for job in &jobs.jobs {
            *tally.jobs_in(job.state) += 1;
            tally.add(&job.bill);
            tally.reserved += job.reserved.unwrap_or(0);
        }
        tally
    }

    #[test]
    fn the_tally_is_updated_with_every_change() {
        let mut jobs = Jobs::default();
        jobs.enqueue(None, vec!["row".to_owned(); 6]).unwrap();
        for index in 0..5 {
            jobs.intend(1, &Intent::new(index).reserved(Some(7))).unwrap();
        }
        jobs.settle(1, Settlement::accepted(0, "x", Bill::call(Some(3)).tokens(1, 2))).unwrap();
        jobs.settle(1, Settlement::failed(1, "k", "m", Bill::call(Some(4)).possibly_billed(2, None)))
            .unwrap();
        jobs.settle(1, Settlement::again(2, Bill::call(Some(5)))).unwrap();
        jobs.settle(1, Settlement::put_back(3, 0, Bill::none())).unwrap();
        assert_eq!(jobs.tally(), counted(&jobs));
        let interrupted = jobs.take_over(|_| false);
        assert_eq!((interrupted, jobs.retry_failed()), (vec![Interrupted::new(4, Some(7))], 1));
        assert_eq!(jobs.tally(), counted(&jobs));
        assert_eq!((jobs.tally().jobs(), jobs.tally().queued, jobs.tally().possible), (6, 5, 7));
        assert_eq!((jobs.lost(9), jobs.held.len(), jobs.failed.len()), (vec![1, 4], 0, 0));
        jobs.settle(1, Settlement::accepted(4, "late", Bill::call(Some(6))).attempt(1)).unwrap();
        assert_eq!(jobs.tally(), counted(&jobs));
        assert_eq!((jobs.tally().possible, jobs.lost(9), jobs.free.len()), (0, vec![1], 4));
    }
}
