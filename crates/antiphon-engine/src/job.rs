//! One job: the processing of one row, from its claim to its settlement.
//!
//! A job is split in two. `machine` decides: it takes an event and returns an action, without I/O and without a clock,
//! so that every path through it can be tested as a table or at random. `driver` acts: it carries out one action at a
//! time and reports its end as the next event. A job that is dropped at any point loses no money: its intent is in the
//! store, its reservation counts as spent, and a later process continues from its last settlement.

mod driver;
mod machine;

use std::sync::Arc;

use antiphon_llm::{Error, Prompt};
use antiphon_resilience::AdaptiveLimiter;
use antiphon_runtime::Priority;
use antiphon_store::{Answer, Job};
use tokio::time::Instant;

pub(super) use driver::drive;

/// A claimed job with its prompt. Until it is started, it may be parked behind a job with the same prompt.
#[derive(Debug)]
pub(super) struct ClaimedJob {
    /// The row with its index, its attempts so far, and the elements that an earlier process kept.
    pub(super) job: Job,
    /// The prompt and its cache key, or the reason why there is none.
    pub(super) request: Result<Box<JobRequest>, JobFailure>,
    /// The time of the claim, from which the job's time in the queue is counted.
    pub(super) since: Instant,
}

/// The prompt of a job.
#[derive(Debug)]
pub(super) struct JobRequest {
    /// The prompt, which is only copied where the budget lowers its `max_tokens`.
    pub(super) prompt: Arc<Prompt>,
    /// The key of the prompt in the answer cache, which is also the deduplication key.
    pub(super) key: [u8; 32],
    /// The cached answer to the same prompt, if any.
    pub(super) cached: Option<Answer>,
    /// Whether rows with the same prompt wait for this one's answer.
    pub(super) shares: bool,
}

/// The reason why a row has no result.
///
/// Failures about the row are reported here; a failure with which every further row would fail, such as a rejected key, stops the
/// run instead: see [`StopCause`](crate::StopCause).
///
/// | `kind` | meaning |
/// |---|---|
/// | `bad_row` | no prompt can be made from the row; no call was sent |
/// | `schema_mismatch` | the attempts are used up, and no answer passed its schema and checks |
/// | `truncated` | the answer was cut, and its rest could not be had |
/// | another name of an [`ErrorKind`](antiphon_llm::ErrorKind) | the last call failed, and was not retried any more |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobFailure {
    /// A short name, such as `bad_row` or the name of an [`ErrorKind`](antiphon_llm::ErrorKind).
    pub kind: String,
    /// The error message.
    pub message: String,
    /// The error of the last call, with the partial answer if any; `None` where no prompt could be made.
    pub cause: Option<Error>,
}

impl JobFailure {
    /// Creates the failure of a row from which no prompt can be made.
    pub(super) fn bad_row(message: String) -> Self {
        Self { kind: "bad_row".to_owned(), message, cause: None }
    }
}

impl From<Error> for JobFailure {
    fn from(err: Error) -> Self {
        Self { kind: err.kind().name().to_owned(), message: err.to_string(), cause: Some(err) }
    }
}

/// The end of a job in this process.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// The job has its result.
    Accepted,
    /// The job has failed for good.
    Failed(JobFailure),
    /// The job is left for another process: the run was stopped, or another worker has taken the job over.
    Left,
}

// A `CallContext` carries the priority in the limiter's queue as a number: it has to match the runtime's `Priority`.
const _: () = assert!(Priority::Normal as u8 == AdaptiveLimiter::ORDINARY);
