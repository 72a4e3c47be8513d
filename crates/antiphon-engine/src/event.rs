//! The events of a run: the one source of all progress displays, whether a terminal, a log or a stream over HTTP.
//!
//! Events are data, and survive JSON both ways. Each is an object with its name in `event`, beside its fields; `--progress json`
//! of the program prints them together with events of the program, such as `warning`, `error` and `summary`:
//!
//! ```json
//! {"event": "started", "run_id": "0198c0de-…", "resumed": false}
//! {"event": "progress", "rows": 1000, "is_all": true, "accepted": 240, "failed": 1, "calls": 252, "in_flight": 16}
//! ```

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// The name and version of the JSON schema of [`RunEvent`]. The number grows with each incompatible change.
pub const EVENT_SCHEMA: &str = "antiphon.event/3";

/// An event of a run, from which every progress display is driven. Events come in order, and may come from any thread.
///
/// A run over rows reports its counters with [`Progress`](Self::Progress), five times a second, rather than an event for each
/// row. To turn events into counts, throughput and the remaining time use [`Meter`](crate::Meter).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The provider was chosen.
    Connected {
        /// The provider and the model, and the reason for the choice, in one line.
        provider: String,
        /// Whether the provider was chosen by default, since none was named.
        by_default: bool,
        /// Whether answers come from text statistics instead of a language model.
        offline: bool,
    },
    /// The run was opened in the store; from now on it has an id.
    Started {
        /// The run's id.
        run_id: String,
        /// Whether an earlier process worked on the run.
        resumed: bool,
    },
    /// Another process works on the run already: this one shares its work, or waits for its result. Only persona runs have
    /// this event; a run over rows counts its processes in [`Progress`](Self::Progress).
    Joined {
        /// The run's id.
        run_id: String,
        /// The workers of the run in other processes.
        others: u64,
    },
    /// Files are being read. Only runs over documents have this event; a run over rows reads its input during the
    /// calls.
    Loading {
        /// Files that were read so far.
        done: u64,
        /// Files in all.
        total: u64,
    },
    /// All files were read.
    Loaded {
        /// Documents that can be used.
        documents: u64,
        /// Bytes of their text.
        bytes: u64,
        /// Files that could not be used, each with the reason.
        failures: Vec<String>,
        /// Files of other formats, which were skipped.
        skipped: Vec<String>,
        /// The speakers of each document, and whether they ask or answer, as a text for people:
        /// `p1.txt: Sam: interviewer, asks 31 of 34 questions; P01: participant`.
        speakers: Vec<String>,
        /// The names of the documents whose speakers have no clear side.
        unclear: Vec<String>,
        /// Names of interviewers and participants that the request has and no document.
        #[serde(default)]
        unknown_speakers: Vec<String>,
    },
    /// A file is not UTF-8. Its letters may be wrong if the encoding was guessed; the caller can name it.
    Decoded {
        /// The file.
        file: String,
        /// The encoding as which it was read, by its WHATWG name.
        encoding: String,
    },
    /// Something is not as was requested, and fails no row: each reason is reported once.
    Warning {
        /// The message for people, with what to do.
        message: String,
    },
    /// A step of the run begins.
    Step {
        /// The number of the step, from 1.
        step: u32,
        /// The number of steps.
        steps: u32,
        /// A short description of the step.
        message: String,
    },
    /// The only job of a single-job run, such as a persona generation, has begun.
    JobStarted,
    /// A chunk of a streamed answer has arrived. The text itself is not in the event: displays only need its length.
    Text {
        /// The length of the piece in bytes.
        bytes: u64,
    },
    /// The counters of a run over rows, five times a second.
    Progress(Box<Status>),
    /// The only job of a single-job run has ended.
    JobFinished {
        /// Whether the job has a result.
        ok: bool,
        /// Whether the job is left for a later process: the run was stopped before the job had ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        left: bool,
        /// The cost of all calls of the job, in millionths of a US dollar; `None` if a price is not known.
        cost_usd_micros: Option<u64>,
    },
}
