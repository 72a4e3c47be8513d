mod driver;
mod machine;

use std::sync::Arc;

use antiphon_llm::{Error, Prompt};
use antiphon_resilience::AdaptiveLimiter;
use antiphon_runtime::Priority;
use antiphon_store::{Answer, Job};
use tokio::time::Instant;

pub(super) use driver::drive;

/// A claimed job with what is asked about it.
#[derive(Debug)]
pub(super) struct ClaimedJob {
    pub(super) job: Job,
    /// The prompt and what identifies it, or why there is none.
    pub(super) request: Result<Box<JobRequest>, JobFailure>,
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct JobRequest {
    pub(super) prompt: Arc<Prompt>,
    pub(super) key: [u8; 32],
    /// An answer that was given to the same question before.
    pub(super) cached: Option<Answer>,
    /// Whether rows that ask the same wait for this one's answer.
    pub(super) shares: bool,
}

/// Why a row has no result.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobFailure {
    /// A short name.
    pub kind: String,
    /// A sentence.
    pub message: String,
    /// The error of its last call, with what there is of the answer; `None` where nothing could be asked.
    pub cause: Option<Error>,
}

impl JobFailure {
    pub(super) fn bad_row(message: String) -> Self {
        Self { kind: "bad_row".to_owned(), message, cause: None }
    }
}

impl From<Error> for JobFailure {
    fn from(err: Error) -> Self {
        Self { kind: err.kind().name().to_owned(), message: err.to_string(), cause: Some(err) }
    }
}

/// How far a job got in this process.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// It has its result.
    Accepted,
    /// It has failed for good.
    Failed(JobFailure),
    /// It waits for another process.
    Left,
}

// A context has the place in the gate's line as a number, which is the runner's own.
const _: () = assert!(Priority::Normal as u8 == AdaptiveLimiter::ORDINARY);
