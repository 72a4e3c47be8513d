use std::collections::BTreeSet;

use crate::backend::now;
use crate::error::Error;
use crate::job::{Bill, Intent, Job, JobRecord, JobState, Settlement};
use crate::record::Tally;
use crate::run::Interrupted;

/// The jobs of one run. Jobs that are looked for by their state are in ordered sets, so that no verb passes over ended ones,
/// and the tally is kept up with each change.
#[derive(Default)]
pub(super) struct Jobs {
    jobs: Vec<Entry>,
    queued: BTreeSet<u64>,
    /// Intended, answered and put back: a next owner queues them again.
    held: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    /// Jobs with possibly billed calls, whatever their state is.
    lost: BTreeSet<u64>,
    tally: Tally,
}

/// One job, as small as its parts allow: there may be millions.
struct Entry {
    row: Box<str>,
    state: JobState,
    attempt: u32,
    reserved: Option<u64>,
    bill: Bill,
    result: Option<Box<str>>,
    error: Option<Box<(String, String)>>,
    timings: Box<[u32]>,
    settled_at: Option<i64>,
}

impl Jobs {
    pub(super) fn len(&self) -> u64 {
        self.jobs.len() as u64
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn enqueue(&mut self, rows: Vec<String>) {
        let first = self.len();
        self.jobs.extend(rows.into_iter().map(Entry::new));
        self.queued.extend(first..self.len());
        self.tally.queued += self.len() - first;
    }

    pub(super) fn queued(&self, from: u64, most: usize) -> Vec<Job> {
        let entries = self.queued.range(from..).filter_map(|index| Some((*index, self.get(*index)?)));
        entries.take(most).map(|(index, job)| job.to_do(index)).collect()
    }

    pub(super) fn records(&self, from: u64, most: usize) -> Vec<JobRecord> {
        let later = usize::try_from(from).ok().and_then(|from| self.jobs.get(from..)).unwrap_or_default();
        (from..).zip(later).take(most).map(|(index, job)| job.record(index)).collect()
    }

    pub(super) fn failed(&self, from: u64, most: usize) -> Vec<JobRecord> {
        let entries = self.failed.range(from..).filter_map(|index| Some((*index, self.get(*index)?)));
        entries.take(most).map(|(index, job)| job.record(index)).collect()
    }

    pub(super) fn lost(&self, most: usize) -> Vec<u64> {
        self.lost.iter().take(most).copied().collect()
    }

    pub(super) fn intend(&mut self, intent: &Intent) -> Result<(), Error> {
        let job = self.open(intent.index)?;
        job.attempt = job.attempt.saturating_add(1);
        job.reserved = intent.reserved;
        self.set_state(intent.index, JobState::Intended);
        Ok(())
    }

    pub(super) fn settle(&mut self, settlement: Settlement) -> Result<(), Error> {
        let Settlement { index, state, bill, answer: _, result, error, due: _, timings } = settlement;
        let job = self.open(index)?;
        job.reserved = None;
        job.result = result.map(String::into_boxed_str);
        job.error = error.map(Box::new);
        job.timings = timings.into_boxed_slice();
        job.settled_at = Some(now());
        self.charge(index, &bill);
        self.set_state(index, state);
        Ok(())
    }

    /// Queues again what the last owner left: intended calls are possibly billed, with the most that they may have cost.
    pub(super) fn reclaim(&mut self) -> Vec<Interrupted> {
        let mut interrupted = Vec::new();
        for index in std::mem::take(&mut self.held) {
            let Some(job) = self.get_mut(index) else { continue };
            if job.state == JobState::Intended {
                let call = Interrupted::new(index, job.reserved.take());
                interrupted.push(call);
                self.charge(index, &Bill::none().lost(1, call.reserved));
            }
            self.set_state(index, JobState::Queued);
        }
        interrupted
    }

    pub(super) fn retry_failed(&mut self) -> u64 {
        let failed = std::mem::take(&mut self.failed);
        for index in &failed {
            if let Some(job) = self.get_mut(*index) {
                (job.result, job.error) = (None, None);
            }
            self.set_state(*index, JobState::Queued);
        }
        failed.len() as u64
    }

    fn get(&self, index: u64) -> Option<&Entry> {
        self.jobs.get(usize::try_from(index).ok()?)
    }

    fn get_mut(&mut self, index: u64) -> Option<&mut Entry> {
        self.jobs.get_mut(usize::try_from(index).ok()?)
    }

    /// The job with this index, if there is one that has not ended.
    fn open(&mut self, index: u64) -> Result<&mut Entry, Error> {
        let job = self.get_mut(index).filter(|job| !job.state.is_end());
        job.ok_or_else(|| Error::job_ended(index))
    }

    fn set_state(&mut self, index: u64, state: JobState) {
        let Some(job) = self.get_mut(index) else { return };
        let before = std::mem::replace(&mut job.state, state);
        *self.tally.jobs_in(before) -= 1;
        *self.tally.jobs_in(state) += 1;
        if let Some(set) = self.set_of(before) {
            set.remove(&index);
        }
        if let Some(set) = self.set_of(state) {
            set.insert(index);
        }
    }

    fn set_of(&mut self, state: JobState) -> Option<&mut BTreeSet<u64>> {
        match state {
            JobState::Queued => Some(&mut self.queued),
            JobState::Intended | JobState::Answered | JobState::PutBack => Some(&mut self.held),
            JobState::Failed => Some(&mut self.failed),
            JobState::Accepted => None,
        }
    }

    fn charge(&mut self, index: u64, bill: &Bill) {
        let Some(job) = self.get_mut(index) else { return };
        job.bill.add(bill);
        if bill.lost > 0 {
            self.lost.insert(index);
        }
        self.tally.add(bill);
    }
}

impl Entry {
    fn new(row: String) -> Self {
        Self {
            row: row.into_boxed_str(),
            state: JobState::Queued,
            attempt: 0,
            reserved: None,
            bill: Bill::none(),
            result: None,
            error: None,
            timings: Box::default(),
            settled_at: None,
        }
    }

    fn to_do(&self, index: u64) -> Job {
        let kept = self.result.as_deref().map(str::to_owned);
        Job { index, row: self.row.to_string(), attempt: self.attempt, kept }
    }

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

    /// The tally as it is without being kept up.
    fn counted(jobs: &Jobs) -> Tally {
        let mut tally = Tally::default();
        for job in &jobs.jobs {
            *tally.jobs_in(job.state) += 1;
            tally.add(&job.bill);
        }
        tally
    }

    #[test]
    fn the_tally_is_kept_up_with_every_change() {
        let mut jobs = Jobs::default();
        jobs.enqueue(vec!["row".to_owned(); 6]);
        for index in 0..5 {
            jobs.intend(&Intent::new(index, [0; 32]).reserved(Some(7))).unwrap();
        }
        jobs.settle(Settlement::accepted(0, "x", Bill::call(Some(3)).tokens(1, 2))).unwrap();
        jobs.settle(Settlement::failed(1, "k", "m", Bill::call(Some(4)).lost(2, None))).unwrap();
        jobs.settle(Settlement::answered(2, Bill::call(Some(5)))).unwrap();
        jobs.settle(Settlement::put_back(3, 0, Bill::none())).unwrap();
        assert_eq!(jobs.tally(), counted(&jobs));
        assert_eq!((jobs.reclaim(), jobs.retry_failed()), (vec![Interrupted::new(4, Some(7))], 1));
        assert_eq!(jobs.tally(), counted(&jobs));
        assert_eq!((jobs.tally().jobs(), jobs.tally().queued, jobs.tally().possible), (6, 5, 7));
        assert_eq!((jobs.lost(9), jobs.held.len(), jobs.failed.len()), (vec![1, 4], 0, 0));
    }
}
