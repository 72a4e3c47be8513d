/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// No call was made yet, or the calls that were made have ended and another is due.
    Queued,
    /// A call is about to be sent, or was: if its worker dies now, it may have been billed.
    Intended,
    /// A result is stored.
    Accepted,
    /// No result, unless the job is queued again.
    Failed,
    /// Put back until it is due, such as after a server's retry-after.
    PutBack,
}

/// A claimed job, exclusive to its worker while the worker's lease lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// The place in the run, from 0.
    pub index: u64,
    /// The input, as it was enqueued.
    pub row: String,
    /// Calls that were intended for it before: with the index the fencing token of the next [`Intent`] or [`Settlement`].
    pub attempt: u32,
    /// The partial result that it was queued again with, if any.
    pub kept: Option<String>,
}

/// The write-ahead record of a call that is about to be sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Intent {
    /// The index of the job.
    pub index: u64,
    /// The job's attempts so far, as its claim or its last intent returned them: the fencing token. `None`: any number.
    pub attempt: Option<u32>,
    /// The most that the call may cost, in millionths of a US dollar; `None` if that is not known.
    pub reserved: Option<u64>,
    /// The most that the run may cost, this call included: see [`Tally::committed`](crate::Tally::committed). `None`: no limit.
    pub max_cost: Option<u64>,
}

/// The cost of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bill {
    /// Calls that were made.
    pub calls: u32,
    /// The cost of those calls, in millionths of a US dollar; `None` if that is not known.
    pub settled: Option<u64>,
    /// Possibly billed calls.
    pub possibly_billed: u32,
    /// The most that the possibly billed calls may have cost on top, as far as that is known.
    pub possible: u64,
    /// The part of `possible` that a budget holds: what the possibly billed calls are expected to have cost.
    pub held: u64,
    /// Possibly billed calls whose greatest possible cost is unknown.
    pub unbounded: u32,
    /// Tokens of the prompts, as far as they were reported.
    pub input_tokens: u64,
    /// Tokens of the answers, as far as they were reported.
    pub output_tokens: u64,
    /// Answers whose tokens were not reported.
    pub unreported: u32,
}

/// A cached answer, for a caller that asks the same again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The model that answered.
    pub model: Option<String>,
    /// Tokens of the prompt, if they were reported.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, if they were reported.
    pub output_tokens: Option<u64>,
}

/// The record that a call has ended, with the state of its job after it. It is stored atomically: all of it, or nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settlement {
    /// The index of the job.
    pub index: u64,
    /// The attempt that has ended, as [`Run::intend`](crate::Run::intend) returned it. With the index it is the idempotency key
    /// of the settlement, which counts once however often it is sent. `None`: the newest.
    pub attempt: Option<u32>,
    /// The state after the call.
    pub state: JobState,
    /// The cost since the last settlement.
    pub bill: Bill,
    /// The fingerprint of the question, and its answer to cache.
    pub answer: Option<([u8; 32], Answer)>,
    /// The result of an accepted job; for any other state a partial result.
    pub result: Option<String>,
    /// The reason why the job has no result: a short name, and a sentence.
    pub error: Option<(String, String)>,
    /// The time at which a job that was put back is due, in milliseconds since 1970.
    pub due: Option<i64>,
    /// The phases of the job's time, in microseconds; the caller defines the meaning of each number.
    pub timings: Vec<u32>,
    /// Digests of the values in the result that no other job of the run may have.
    pub unique: Vec<[u8; 16]>,
}

/// The outcome of a settlement that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// The job has the state and the result of the settlement.
    Stored,
    /// The job has another result, or another job has one of its unique values: this result is kept beside it.
    Late,
}

/// A result that arrived when its job already had another one: paid for, and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LateResult {
    /// The index of the job.
    pub index: u64,
    /// The attempt that returned it.
    pub attempt: u32,
    /// The result.
    pub result: String,
}

/// A job with its state, cost and result.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobRecord {
    /// The place in the run, from 0.
    pub index: u64,
    /// The state.
    pub state: JobState,
    /// The input.
    pub row: String,
    /// Calls that were intended for it.
    pub attempt: u32,
    /// The cost of all its calls.
    pub bill: Bill,
    /// The result of an accepted job; for any other state a partial result.
    pub result: Option<String>,
    /// The reason why the job has no result: a short name, and a sentence.
    pub error: Option<(String, String)>,
    /// The phases of the job's time, in microseconds.
    pub timings: Vec<u32>,
    /// The time of its last settlement, in milliseconds since 1970; `None` if it was never settled, or by a version that did
    /// not record the time.
    pub settled_at: Option<i64>,
}

impl LateResult {
    pub(crate) fn new(index: u64, attempt: u32, result: String) -> Self {
        Self { index, attempt, result }
    }
}

impl JobState {
    /// Returns whether the job has ended: accepted, or failed and not queued again.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Accepted | Self::Failed)
    }
}

impl Job {
    /// Creates a job without attempts, as [`Run::claim`](crate::Run::claim) returns it.
    #[must_use]
    pub fn new(index: u64, row: impl Into<String>) -> Self {
        Self { index, row: row.into(), attempt: 0, kept: None }
    }
}

impl Intent {
    /// Creates the record of a call for the job with this index, with an unknown cost and no limit.
    #[must_use]
    pub fn new(index: u64) -> Self {
        Self { index, attempt: None, reserved: None, max_cost: None }
    }

    /// Sets the job's attempts so far: the intent is refused if another worker has made one meanwhile.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sets the most that the run may cost, in millionths of a US dollar: the intent is refused if the calls of all workers could
    /// cost more with this one.
    #[must_use]
    pub fn max_cost(mut self, micros: Option<u64>) -> Self {
        self.max_cost = micros;
        self
    }

    /// Sets the most that the call may cost, in millionths of a US dollar; `None` (the default) if that is not known.
    #[must_use]
    pub fn reserved(mut self, micros: Option<u64>) -> Self {
        self.reserved = micros;
        self
    }
}

impl Bill {
    /// Creates a bill of no call, with a known cost of zero.
    #[must_use]
    pub fn none() -> Self {
        Self { settled: Some(0), ..Self::default() }
    }

    /// Creates a bill of one call with this cost, in millionths of a US dollar; `None` if that is not known.
    #[must_use]
    pub fn call(settled: Option<u64>) -> Self {
        Self { calls: 1, settled, ..Self::default() }
    }

    /// Sets the number of calls.
    #[must_use]
    pub fn calls(mut self, calls: u32) -> Self {
        self.calls = calls;
        self
    }

    /// Sets the number of possibly billed calls, and the most that they may have cost, if that is known.
    #[must_use]
    pub fn possibly_billed(mut self, calls: u32, micros: Option<u64>) -> Self {
        let unbounded = if micros.is_none() { calls } else { 0 };
        (self.possibly_billed, self.possible, self.unbounded) = (calls, micros.unwrap_or(0), unbounded);
        self.held = self.possible;
        self
    }

    /// Sets the part of `possible` that a budget holds, in millionths of a US dollar. Default: all of it.
    #[must_use]
    pub fn held(mut self, micros: u64) -> Self {
        self.held = micros;
        self
    }

    /// Sets the number of answers whose tokens were not reported.
    #[must_use]
    pub fn unreported(mut self, answers: u32) -> Self {
        self.unreported = answers;
        self
    }

    /// Sets the tokens of prompts and answers.
    #[must_use]
    pub fn tokens(mut self, input: u64, output: u64) -> Self {
        (self.input_tokens, self.output_tokens) = (input, output);
        self
    }

    /// Adds another bill; the cost stays unknown once it is.
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.settled = self.settled.zip(other.settled).map(|(sum, more)| sum.saturating_add(more));
        self.possibly_billed = self.possibly_billed.saturating_add(other.possibly_billed);
        self.possible = self.possible.saturating_add(other.possible);
        self.held = self.held.saturating_add(other.held);
        self.unbounded = self.unbounded.saturating_add(other.unbounded);
        self.unreported = self.unreported.saturating_add(other.unreported);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }

    /// Subtracts the bill of a possibly billed call.
    pub(crate) fn take_back(&mut self, other: &Self) {
        self.possibly_billed = self.possibly_billed.saturating_sub(other.possibly_billed);
        self.possible = self.possible.saturating_sub(other.possible);
        self.held = self.held.saturating_sub(other.held);
        self.unbounded = self.unbounded.saturating_sub(other.unbounded);
    }
}

impl Answer {
    /// Creates an answer with this text alone.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Sets the model that answered.
    #[must_use]
    pub fn model(mut self, model: Option<String>) -> Self {
        self.model = model;
        self
    }

    /// Sets the tokens of prompt and answer.
    #[must_use]
    pub fn tokens(mut self, input: Option<u64>, output: Option<u64>) -> Self {
        (self.input_tokens, self.output_tokens) = (input, output);
        self
    }
}

impl Settlement {
    fn new(index: u64, state: JobState, bill: Bill) -> Self {
        let (answer, result, error, due) = (None, None, None, None);
        let (timings, unique) = (Vec::new(), Vec::new());
        Self { index, attempt: None, state, bill, answer, result, error, due, timings, unique }
    }

    /// Sets the attempt that has ended.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Settles a job with its result; to cache the answer, add it with [`answer`](Self::answer).
    #[must_use]
    pub fn accepted(index: u64, result: impl Into<String>, bill: Bill) -> Self {
        Self { result: Some(result.into()), ..Self::new(index, JobState::Accepted, bill) }
    }

    /// Settles a job that has failed, with a short name and a sentence.
    #[must_use]
    pub fn failed(index: u64, kind: impl Into<String>, message: impl Into<String>, bill: Bill) -> Self {
        Self { error: Some((kind.into(), message.into())), ..Self::new(index, JobState::Failed, bill) }
    }

    /// Settles a call after which the job is immediately queued again.
    #[must_use]
    pub fn again(index: u64, bill: Bill) -> Self {
        Self::new(index, JobState::Queued, bill)
    }

    /// Settles a call after which the job is put back until `due`, in milliseconds since 1970.
    #[must_use]
    pub fn put_back(index: u64, due: i64, bill: Bill) -> Self {
        Self { due: Some(due), ..Self::new(index, JobState::PutBack, bill) }
    }

    /// Caches an answer under the fingerprint of its question, for a caller that asks the same again.
    #[must_use]
    pub fn answer(mut self, fingerprint: [u8; 32], answer: Answer) -> Self {
        self.answer = Some((fingerprint, answer));
        self
    }

    /// Sets the partial result that the job keeps.
    #[must_use]
    pub fn result(mut self, result: impl Into<String>) -> Self {
        self.result = Some(result.into());
        self
    }

    /// Sets the digests of values that must be unique among the results of the run: if another job has one of them, nothing is
    /// stored.
    #[must_use]
    pub fn unique(mut self, digests: Vec<[u8; 16]>) -> Self {
        self.unique = digests;
        self
    }

    /// Sets the phases of the job's time, in microseconds.
    #[must_use]
    pub fn timings(mut self, micros: Vec<u32>) -> Self {
        self.timings = micros;
        self
    }
}
