/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Waiting for a call: none was made yet, or the earlier calls have ended and another is needed.
    Queued,
    /// A call is about to be sent or was sent. If the worker dies in this state, the call counts as possibly billed.
    Intended,
    /// A result is stored.
    Accepted,
    /// Ended without a result. [`Run::retry_failed`](crate::Run::retry_failed) queues the job again.
    Failed,
    /// Waiting until its due time, for example after a server's `Retry-After`.
    PutBack,
}

/// A claimed job. No other worker can claim it while the lease of its worker lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// The place in the run, from 0.
    pub index: u64,
    /// The row: the input of the job, as it was enqueued.
    pub row: String,
    /// The number of calls that were intended for the job so far. Index and attempt together are the fencing token: pass this
    /// number to the next [`Intent`] or [`Settlement`].
    pub attempt: u32,
    /// The partial result that an earlier [`Settlement`] stored, if any.
    pub kept: Option<String>,
}

/// The write-ahead record of a call that is about to be sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Intent {
    /// The index of the job.
    pub index: u64,
    /// The number of attempts at the job so far, as the claim or the last intent returned it: the fencing token. `None`: the
    /// number is not checked.
    pub attempt: Option<u32>,
    /// The most that the call may cost, in millionths of a US dollar; `None` if that is not known.
    pub reserved: Option<u64>,
    /// The most that the run may cost, this call included: see [`Tally::committed`](crate::Tally::committed). `None`: no limit.
    pub max_cost: Option<u64>,
}

/// The bill of one or more calls: their number, cost and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bill {
    /// Calls that were made.
    pub calls: u32,
    /// The cost of these calls, in millionths of a US dollar; `None` if it is not known.
    pub settled: Option<u64>,
    /// Possibly billed calls.
    pub possibly_billed: u32,
    /// The most that the possibly billed calls may have cost in addition to `settled`, as far as that is known, in millionths
    /// of a US dollar.
    pub possible: u64,
    /// The part of `possible` that counts against the budget: the expected cost of the possibly billed calls, in millionths of
    /// a US dollar.
    pub held: u64,
    /// Possibly billed calls for which no upper bound of the cost is known.
    pub unbounded: u32,
    /// Tokens of the prompts, as far as they were reported.
    pub input_tokens: u64,
    /// Tokens of the answers, as far as they were reported.
    pub output_tokens: u64,
    /// Answers whose tokens were not reported.
    pub unreported: u32,
}

/// A cached answer, for a later call with the same question. See [`Store::answers`](crate::Store::answers).
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

/// The record that a call has ended, with the state of its job after the call. A settlement is stored atomically.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settlement {
    /// The index of the job.
    pub index: u64,
    /// The attempt that has ended, as [`Run::intend`](crate::Run::intend) returned it. Index and attempt together are the
    /// idempotency key of the settlement: a repeated settlement counts once. `None`: the newest attempt.
    pub attempt: Option<u32>,
    /// The state after the call.
    pub state: JobState,
    /// The cost since the last settlement of the job.
    pub bill: Bill,
    /// The answer to cache, after the fingerprint of its question.
    pub answer: Option<([u8; 32], Answer)>,
    /// The result of an accepted job; for any other state a partial result.
    pub result: Option<String>,
    /// The reason why the job has no result: a short name, and a sentence.
    pub error: Option<(String, String)>,
    /// The time at which a job that was put back is due, in milliseconds since 1970 (UTC).
    pub due: Option<i64>,
    /// The phases of the job's time (queue, streaming and so on), in microseconds. The caller defines the meaning of each
    /// number.
    pub timings: Vec<u32>,
    /// Digests of values in the result that must be unique in the run: no two jobs may have the same one.
    pub unique: Vec<[u8; 16]>,
}

/// The outcome of a settlement that was stored without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// The job has the state and the result of the settlement.
    Stored,
    /// The worker no longer held the job, and the job already had a result or another job had one of the unique values. The
    /// result is kept as a [`LateResult`] and its bill is counted.
    Late,
}

/// A paid result that arrived late, when its job already had another result. It does not count as the result of the job. See
/// [`Run::late`](crate::Run::late).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LateResult {
    /// The index of the job.
    pub index: u64,
    /// The attempt that returned this result.
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
    /// The number of calls that were intended for the job.
    pub attempt: u32,
    /// The bill of all calls of the job.
    pub bill: Bill,
    /// The result of an accepted job; for any other state a partial result.
    pub result: Option<String>,
    /// The reason why the job has no result: a short name, and a sentence.
    pub error: Option<(String, String)>,
    /// The phases of the job's time, in microseconds.
    pub timings: Vec<u32>,
    /// The time of the last settlement, in milliseconds since 1970 (UTC). `None` if the job was never settled, or was settled
    /// by an earlier version, which did not record the time.
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

    /// Sets the number of attempts so far. The intent is refused with `Fenced` if another worker has made an attempt meanwhile.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sets the cost limit of the run, in millionths of a US dollar. The intent is refused with `OverBudget` if the calls of
    /// all workers, including this one, could cost more. `None` (the default): no limit.
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
    /// Creates a bill without a call, with a known cost of 0.
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

    /// Sets the number of possibly billed calls, and the most that they may have cost together, in millionths of a US dollar;
    /// `None` if no upper bound is known. The whole amount counts against the budget; [`held`](Self::held) reduces it.
    #[must_use]
    pub fn possibly_billed(mut self, calls: u32, micros: Option<u64>) -> Self {
        let unbounded = if micros.is_none() { calls } else { 0 };
        (self.possibly_billed, self.possible, self.unbounded) = (calls, micros.unwrap_or(0), unbounded);
        self.held = self.possible;
        self
    }

    /// Sets the part of `possible` that counts against the budget, in millionths of a US dollar. Default: all of it.
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

    /// Settles a job as failed. The reason is a short name, such as `timeout`, and a sentence.
    #[must_use]
    pub fn failed(index: u64, kind: impl Into<String>, message: impl Into<String>, bill: Bill) -> Self {
        Self { error: Some((kind.into(), message.into())), ..Self::new(index, JobState::Failed, bill) }
    }

    /// Settles a call and queues the job again, immediately.
    #[must_use]
    pub fn again(index: u64, bill: Bill) -> Self {
        Self::new(index, JobState::Queued, bill)
    }

    /// Settles a call and puts the job back until `due`, in milliseconds since 1970 (UTC). Use [`again`](Self::again) for a job
    /// that need not wait.
    #[must_use]
    pub fn put_back(index: u64, due: i64, bill: Bill) -> Self {
        Self { due: Some(due), ..Self::new(index, JobState::PutBack, bill) }
    }

    /// Caches an answer under the fingerprint of its question; [`Store::answers`](crate::Store::answers) returns it.
    #[must_use]
    pub fn answer(mut self, fingerprint: [u8; 32], answer: Answer) -> Self {
        self.answer = Some((fingerprint, answer));
        self
    }

    /// Sets a partial result, which the next claim of the job returns as [`Job::kept`].
    #[must_use]
    pub fn result(mut self, result: impl Into<String>) -> Self {
        self.result = Some(result.into());
        self
    }

    /// Sets the digests of values that must be unique among the results of the run.
    ///
    /// If another job already has one of them, [`Run::settle`](crate::Run::settle) stores nothing and returns `NotUnique`. A
    /// worker that no longer holds the job gets [`Settled::Late`] instead, and its result is kept.
    #[must_use]
    pub fn unique(mut self, digests: Vec<[u8; 16]>) -> Self {
        self.unique = digests;
        self
    }

    /// Sets the phases of the job's time, in microseconds. The caller defines the meaning of each number; the store does not
    /// interpret them.
    #[must_use]
    pub fn timings(mut self, micros: Vec<u32>) -> Self {
        self.timings = micros;
        self
    }
}
