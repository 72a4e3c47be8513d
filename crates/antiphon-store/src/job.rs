/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Nothing was asked yet, or everything that was asked has been answered and more is to come.
    Queued,
    /// A call is about to be sent, or was: if its owner dies now, it may have been billed.
    Intended,
    /// There is an answer; it was not looked at yet.
    Answered,
    /// There is a result.
    Accepted,
    /// There will be none, unless the job is queued anew.
    Failed,
    /// It waits until a time that the server told.
    PutBack,
}

/// A job that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// Its place in the run, from 0.
    pub index: u64,
    /// What it is about, as it was enqueued.
    pub row: String,
    /// Calls that were intended for it before.
    pub attempt: u32,
    /// The part of a result that it was queued again with.
    pub kept: Option<String>,
}

/// That a call is about to be sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Intent {
    /// The job.
    pub index: u64,
    /// What identifies the question: equal ones have equal answers.
    pub fingerprint: [u8; 32],
    /// The most that the call may cost, in millionths of a US dollar; `None` if that is not known.
    pub reserved: Option<u64>,
}

/// What calls have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bill {
    /// Calls that were made.
    pub calls: u32,
    /// What they cost, in millionths of a US dollar; `None` if that is not known.
    pub settled: Option<u64>,
    /// Calls of which nobody knows whether they were billed.
    pub lost: u32,
    /// The most that those may have cost on top, as far as that is known.
    pub possible: u64,
    /// Those of them of which nobody knows the most.
    pub unbounded: u32,
    /// Tokens of the prompts.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
}

/// An answer that is kept for whoever asks the same again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Answer {
    /// What was said.
    pub text: String,
    /// The model that said it.
    pub model: Option<String>,
    /// Tokens of the prompt, if they were told.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, if they were told.
    pub output_tokens: Option<u64>,
}

/// How a call ended, and where that leaves its job. All of it is kept, or nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settlement {
    /// The job.
    pub index: u64,
    /// Where it stands now.
    pub state: JobState,
    /// What was spent on it since the last time.
    pub bill: Bill,
    /// An answer to keep, and what identifies the question.
    pub answer: Option<([u8; 32], Answer)>,
    /// The result of an accepted job; of others what there is of one.
    pub result: Option<String>,
    /// Why there is no result: a short name, and a sentence.
    pub error: Option<(String, String)>,
    /// When a job that was put back is due, in milliseconds since 1970.
    pub due: Option<i64>,
    /// Where its time went, in microseconds; what each number means is the caller's.
    pub timings: Vec<u32>,
}

/// All that is known of a job.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobRecord {
    /// Its place in the run, from 0.
    pub index: u64,
    /// Where it stands.
    pub state: JobState,
    /// What it is about.
    pub row: String,
    /// Calls that were intended for it.
    pub attempt: u32,
    /// What was spent on it.
    pub bill: Bill,
    /// Its result, if it is accepted; of others what there is of one.
    pub result: Option<String>,
    /// Why there is no result: a short name, and a sentence.
    pub error: Option<(String, String)>,
    /// Where its time went, in microseconds.
    pub timings: Vec<u32>,
    /// When it was last settled, in milliseconds since 1970; `None` where it was not, or by a version that did not say.
    pub settled_at: Option<i64>,
}

impl JobState {
    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Accepted | Self::Failed)
    }
}

impl Intent {
    /// Of a call for the job with this index, whose cost is not known.
    #[must_use]
    pub fn new(index: u64, fingerprint: [u8; 32]) -> Self {
        Self { index, fingerprint, reserved: None }
    }

    /// Sets the most that the call may cost.
    #[must_use]
    pub fn reserved(mut self, micros: Option<u64>) -> Self {
        self.reserved = micros;
        self
    }
}

impl Bill {
    /// Of nothing: no call was made.
    #[must_use]
    pub fn none() -> Self {
        Self { settled: Some(0), ..Self::default() }
    }

    /// Of one call that cost so much.
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

    /// Sets how many calls may have been billed unseen, and the most that they may have cost, if that is known.
    #[must_use]
    pub fn lost(mut self, calls: u32, micros: Option<u64>) -> Self {
        let unbounded = if micros.is_none() { calls } else { 0 };
        (self.lost, self.possible, self.unbounded) = (calls, micros.unwrap_or(0), unbounded);
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
        self.lost = self.lost.saturating_add(other.lost);
        self.possible = self.possible.saturating_add(other.possible);
        self.unbounded = self.unbounded.saturating_add(other.unbounded);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }
}

impl Answer {
    /// Words, of which nothing else is known.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Sets the model that said it.
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
        Self { index, state, bill, answer, result, error, due, timings: Vec::new() }
    }

    /// The job has its result.
    #[must_use]
    pub fn accepted(index: u64, result: impl Into<String>, bill: Bill) -> Self {
        Self { result: Some(result.into()), ..Self::new(index, JobState::Accepted, bill) }
    }

    /// There is an answer that is yet to be looked at; to keep it, add it with [`answer`](Self::answer).
    #[must_use]
    pub fn answered(index: u64, bill: Bill) -> Self {
        Self::new(index, JobState::Answered, bill)
    }

    /// The job has failed for good.
    #[must_use]
    pub fn failed(index: u64, kind: impl Into<String>, message: impl Into<String>, bill: Bill) -> Self {
        Self { error: Some((kind.into(), message.into())), ..Self::new(index, JobState::Failed, bill) }
    }

    /// The job will be asked again at once: what was spent is kept.
    #[must_use]
    pub fn again(index: u64, bill: Bill) -> Self {
        Self::new(index, JobState::Queued, bill)
    }

    /// The job waits until `due`, in milliseconds since 1970.
    #[must_use]
    pub fn put_back(index: u64, due: i64, bill: Bill) -> Self {
        Self { due: Some(due), ..Self::new(index, JobState::PutBack, bill) }
    }

    /// Keeps an answer for whoever asks the same again.
    #[must_use]
    pub fn answer(mut self, fingerprint: [u8; 32], answer: Answer) -> Self {
        self.answer = Some((fingerprint, answer));
        self
    }

    /// Keeps what there is of a result.
    #[must_use]
    pub fn result(mut self, result: impl Into<String>) -> Self {
        self.result = Some(result.into());
        self
    }

    /// Says where the job's time went.
    #[must_use]
    pub fn timings(mut self, micros: Vec<u32>) -> Self {
        self.timings = micros;
        self
    }
}
